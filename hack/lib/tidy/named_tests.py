# SPDX-License-Identifier: Apache-2.0
"""Documents that say which test proves what: the tests they name must exist."""

import re

from finding import Finding

# Document → tests that it names, and those that it has to name.
_TABLES = {
    "docs/verification.md": (re.compile(r"`(\w+)\.(Trap\d\d_\w+)`"), re.compile(r"Trap")),
    "docs/informer-conformance.md": (
        re.compile(r"`(Informer\w+)\.(\w+)`"),
        re.compile(r"Entry\d\d_"),
    ),
}
_TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)


def _written(files):
    """(suite, name) → (path, line) of every test."""
    written = {}
    for file in files:
        if not file.path.endswith("_test.cc"):
            continue
        for match in _TEST.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            written[match.groups()] = (file.path, line)
    return written


def check_named_tests(files):
    """Tests that a table names and nobody wrote, and the other way round."""
    written = _written(files)
    for document in files:
        if document.path not in _TABLES:
            continue
        names, must_be_named = _TABLES[document.path]
        named = {}
        for number, line in enumerate(document.lines, 1):
            for match in names.finditer(line):
                named.setdefault(match.groups(), number)
        for test, line in named.items():
            if test not in written:
                message = f"no test is named {'.'.join(test)}; correct the table"
                yield Finding(document.path, line, message)
        for test, (path, line) in written.items():
            if must_be_named.match(test[1]) and test not in named:
                message = f"name {'.'.join(test)} in the table of {document.path}"
                yield Finding(path, line, message)


def _text(files, path):
    return next((file.text for file in files if file.path == path), "")


_TRAPS_DOCUMENT = "docs/verification.md"
_TRAPS = range(1, 86)  # The issue's; later ones have no list to be held against.
_TRAP_ROW = re.compile(r"^\| ([\d, ]+) \| .*Trap\d\d_", re.MULTILINE)


def check_every_trap(files):
    """Each trap has a row in the table, and a test of its number."""
    document = _text(files, _TRAPS_DOCUMENT)
    if not document:
        return
    rows = {int(n) for cell in _TRAP_ROW.findall(document) for n in cell.split(",")}
    tested = {int(test[1][4:6]) for test in _written(files) if re.match(r"Trap\d\d_", test[1])}
    for trap in _TRAPS:
        if trap not in rows:
            message = f"trap {trap} has no row that names its test"
            yield Finding(_TRAPS_DOCUMENT, 1, message)
        if trap not in tested:
            yield Finding(_TRAPS_DOCUMENT, 1, f"no test is called Trap{trap:02}_…")


_FAILURE_MODES = "docs/failure-modes.md"
_FAULT_TABLE = "tests/e2e/fault_table.py"
_SCENARIOS = ("tests/e2e/scenarios.py", "tests/e2e/online.py", "tests/e2e/online_faults.py")
_E2E = re.compile(r"`e2e\.(\w+)`")


def check_failure_modes(files):
    """Every fault that is tested on a cluster is in the table of failure modes, and no other."""
    document, table = _text(files, _FAILURE_MODES), _text(files, _FAULT_TABLE)
    if not document or not table:
        return
    names = {"__name__": "fault_table"}
    exec(compile(table, _FAULT_TABLE, "exec"), names)  # Data only; CMake runs it as well.
    written = {case.name for case in names["CASES"]}
    scenarios = {name for path in _SCENARIOS
                 for name in re.findall(r"^def (\w+)\(", _text(files, path), re.MULTILINE)}
    named = {}
    for number, line in enumerate(document.splitlines(), 1):
        for name in _E2E.findall(line):
            named.setdefault(name, number)
    for name, line in named.items():
        if name not in written | scenarios:
            yield Finding(_FAILURE_MODES, line, f"no test is named e2e.{name}; correct the table")
    for name in sorted(written - set(named)):
        yield Finding(_FAULT_TABLE, 1, f"name e2e.{name} in the table of {_FAILURE_MODES}")


CHECKS = [check_named_tests, check_every_trap, check_failure_modes]
