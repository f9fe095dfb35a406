#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo_writes.py SERVER: a user who creates partners in the demo's Odoo, through its route, until
SIGTERM. Then counts on SERVER those that Odoo has acknowledged; exit code 1 when one is missing or
there twice."""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))
from tenant import RecordingWriter  # noqa: E402


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with RecordingWriter() as writer:
        signal.sigwait({signal.SIGTERM})
    lost, doubled = writer.compare(sys.argv[1])
    print(f"{len(writer.acknowledged)} writes acknowledged there and back; lost: {len(lost)}, "
          f"there twice: {len(doubled)}; refused while the doors were closed: {writer.refused}")
    sys.exit(1 if lost or doubled else 0)


if __name__ == "__main__":
    main()
