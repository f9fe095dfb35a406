# SPDX-License-Identifier: Apache-2.0
"""Where things are: the repository, the cache, and what the project's shell scripts can fetch."""

import os
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
WORKLOADS = REPOSITORY / "tests/bench/workloads"


def cache_directory():
    """The benchmark's own part of the project's cache; made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    directory = pathlib.Path(base) / "cutover/bench"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def say(text):
    """Progress goes to stderr: stdout belongs to results."""
    print(text, file=sys.stderr, flush=True)


def client_programs():
    """The directory of pg_dump and pg_restore of the newest major, which the mover uses."""
    return shell("hack/pg-tools | sed -n 's/^clients [0-9]* //p'")


def shell(command):
    """Runs a line of bash with the functions of hack/lib; returns the last line that it prints."""
    functions = "source hack/lib/common.sh; source hack/lib/images.sh"
    script = f"set -euo pipefail; {functions}; {command}"
    done = subprocess.run(["bash", "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE,
                          text=True, check=True)  # fmt: skip
    return done.stdout.strip().splitlines()[-1]
