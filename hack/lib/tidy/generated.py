# SPDX-License-Identifier: Apache-2.0
"""Files that are made from other files are what would be made of them now."""

import pathlib
import subprocess

from finding import Finding

# File → the program of the build that prints it.
_PRINTED = {
    "docs/state-machine.md": ["gen-state-machine"],
    "docs/metrics.md": ["cutover-operator", "metrics-reference"],
}


def check_printed(build_directory):
    for path, (program, *arguments) in _PRINTED.items():
        binary = pathlib.Path(build_directory) / "bin" / program
        command = " ".join([str(binary), *arguments])
        if not binary.exists():
            yield Finding(path, 1, f"cannot be checked: build {binary} first")
            continue
        made = subprocess.run([binary, *arguments], capture_output=True, check=False)
        tracked = pathlib.Path(path)
        if made.returncode != 0:
            yield Finding(path, 1, f"{command} failed: {made.stderr.decode().strip()}")
        elif not tracked.exists() or tracked.read_bytes() != made.stdout:
            yield Finding(path, 1, f"is not current: {command} >{path}")


def check_chart_crds(files):
    """Every CRD is in the chart, byte for byte."""
    copies = {}
    for file in files:
        if file.path.startswith("charts/"):
            copies.setdefault(file.path.rsplit("/", 1)[-1], []).append(file)
    for file in files:
        if not file.path.startswith("crds/") or not copies:
            continue
        found = copies.get(file.path.removeprefix("crds/"), [])
        if not found:
            yield Finding(file.path, 1, "copy it into the chart, which installs the CRDs")
        for copy in found:
            if copy.text != file.text:
                yield Finding(copy.path, 1, f"is not current: cp {file.path} {copy.path}")
