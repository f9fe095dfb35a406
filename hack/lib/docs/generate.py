# SPDX-License-Identifier: Apache-2.0
"""Writes, or with --check compares, the pages of docs/ made from code. For hack/gen-docs."""

import pathlib
import sys

import alerts
import api
import reasons

MADE = {
    "docs/api.md": api.render,
    "docs/runbooks/conditions.md": reasons.render,
    "docs/runbooks/index.md": alerts.render,
}


def main():
    root = pathlib.Path(__file__).resolve().parents[3]
    stale = []
    for name, render in MADE.items():
        text, path = render(root), root / name
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv:
            stale.append(name)
        else:
            path.write_text(text)
    for name in stale:
        print(f"{name} is not current: run hack/gen-docs, and look at the difference")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
