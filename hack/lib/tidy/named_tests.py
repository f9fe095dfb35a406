# SPDX-License-Identifier: Apache-2.0
"""Documents that say which test proves what: the tests they name must exist."""

import re

from finding import Finding

_DOCUMENT = "docs/verification.md"
_NAMED = re.compile(r"`(\w+Traps)\.(Trap\d\d_\w+)`")
_TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)


def check_named_tests(files):
    """Trap tests that the table of traps names and nobody wrote, and the other way round."""
    written, named = {}, {}
    for file in files:
        if file.path == _DOCUMENT:
            for number, line in enumerate(file.lines, 1):
                for match in _NAMED.finditer(line):
                    named.setdefault(match.groups(), number)
        elif file.path.endswith("_test.cc"):
            for match in _TEST.finditer(file.text):
                if match.group(2).startswith("Trap"):
                    line = file.text.count("\n", 0, match.start()) + 1
                    written[match.groups()] = (file.path, line)
    if not any(file.path == _DOCUMENT for file in files):
        return
    for test, line in named.items():
        if test not in written:
            yield Finding(_DOCUMENT, line, f"no test is named {'.'.join(test)}; correct the table")
    for test, (path, line) in written.items():
        if test not in named:
            yield Finding(path, line, f"name {'.'.join(test)} in the table of {_DOCUMENT}")


CHECKS = [check_named_tests]
