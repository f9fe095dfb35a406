# SPDX-License-Identifier: Apache-2.0
"""Rules about single lines: what every file says first, and what no file says."""

import re

from cxx_text import blank_no_code, blank_raw_strings
from finding import Finding

LINE_LENGTH_MAX = 100
SPDX = "SPDX-License-Identifier: Apache-2.0"

# Spelled in parts, here and below: these files are looked at too.
_UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
_SKIPPED_TEST = re.compile("|".join(["DIS" + "ABLED_", "GTEST_" + "SKIP"]))
_WRONG_SIDES = re.compile(r"\b(?:\w+_)?(?:src|dst|dest)(?:_\w*)?\b", re.IGNORECASE)
_EMPTY_NAME = re.compile(r"\b(?:class|struct)\s+(\w*(?:Manager|Helper|Utils?))\b(?!\s*;)")

_REGISTRY_HOSTS = [
    ("deb", "debian", "org"), ("security", "debian", "org"), ("archive", "ubuntu", "com"),
    ("registry", "npmjs", "org"), ("pypi", "org"), ("files", "pythonhosted", "org"),
    ("proxy", "golang", "org"), ("sum", "golang", "org"), ("index", "crates", "io"),
    ("registry", "k8s", "io"), ("docker", "io"), ("ghcr", "io"), ("quay", "io"), ("gcr", "io"),
]  # fmt: skip
_HOST = "|".join(r"\.".join(host) for host in _REGISTRY_HOSTS)
_REGISTRY = re.compile(rf"(?<![\w.-])(?:[\w-]+\.)*(?:{_HOST})(?![\w.-])")


def check_spdx(files):
    for file in files:
        wants = file.is_cxx or file.is_script or file.path.endswith((".cmake", "CMakeLists.txt"))
        if wants and not any(SPDX in line for line in file.lines[:2]):
            yield Finding(file.path, 1, f"begin the file with a comment '{SPDX}'")


def check_line_length(files):
    for file in files:
        if not file.is_cxx and not file.path.endswith(".py"):
            continue
        text = blank_raw_strings(file.text) if file.is_cxx else file.text
        for number, line in enumerate(text.splitlines(), 1):
            line = line.rstrip()
            unbreakable = "://" in line or line.startswith("#include")
            if len(line) > LINE_LENGTH_MAX and not unbreakable:
                message = f"break this line: {len(line)} columns, {LINE_LENGTH_MAX} are allowed"
                yield Finding(file.path, number, message)


def check_unfinished(files):
    for file in files:
        for number, line in enumerate(file.lines, 1):
            if match := _UNFINISHED.search(line):
                yield Finding(file.path, number, f"finish it now, or drop the {match.group()}")


def check_skipped_tests(files):
    for file in files:
        if not file.is_cxx:
            continue
        for number, line in enumerate(file.lines, 1):
            if match := _SKIPPED_TEST.search(line):
                message = f"{match.group()}: a test that does not run proves nothing; repair it"
                yield Finding(file.path, number, message)


def check_words(files):
    for file in files:
        if not file.is_cxx:
            continue
        for number, line in enumerate(blank_no_code(file.text).splitlines(), 1):
            if match := _WRONG_SIDES.search(line):
                message = f"'{match.group()}': say source or target"
                yield Finding(file.path, number, message)
            match = _EMPTY_NAME.search(line)
            if match and not file.path.startswith("operator/kube/manager."):
                message = f"'{match.group(1)}' says nothing; name it for what it does"
                yield Finding(file.path, number, message)


def check_registries(files):
    for file in files:
        for number, line in enumerate(file.lines, 1):
            if match := _REGISTRY.search(line):
                message = f"remove {match.group()}: machines have their own registries"
                yield Finding(file.path, number, message)


CHECKS = [
    check_spdx,
    check_line_length,
    check_unfinished,
    check_skipped_tests,
    check_words,
    check_registries,
]
