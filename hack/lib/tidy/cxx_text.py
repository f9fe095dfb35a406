# SPDX-License-Identifier: Apache-2.0
"""C++ text without what is no code, and the functions in it. No parser: clang-format has seen the
text before us, and what cannot be told apart by these means is not worth a finding."""

import dataclasses
import re

_NO_CODE = re.compile(
    r'R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"'  # raw string
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)+'"  # a character, but not the ' of 1'000
    r"|//[^\n]*|/\*.*?\*/",
    re.DOTALL,
)


def blank_no_code(text):
    """`text` with every comment and literal blanked; lines and columns stay where they are."""
    return _NO_CODE.sub(_blank, text)


def _blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def blank_raw_strings(text):
    """`text` with every raw string blanked: what is in it is data, laid out as such."""
    return _NO_CODE.sub(lambda match: _blank(match) if match["tag"] is not None else match[0], text)


@dataclasses.dataclass(frozen=True)
class Function:
    name: str
    line: int  # Of the opening brace,
    line_count: int  # which is counted, as is the closing one.


_TYPE = re.compile(r"\b(class|struct|union|enum)\b[^()]*$")
_NAMESPACE = re.compile(r'\bnamespace\b|\bextern\s*$')
_NAME = re.compile(r"([\w:~]+|operator\s*\S+)\s*\(")


def functions(text):
    """The functions defined in `text`; a lambda belongs to the function around it."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", _blank_lines, blank_no_code(text), flags=re.M)
    found, scopes, statement_start, line = [], [], 0, 1
    for offset, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char == "{":
            scopes.append((_scope_of(code[statement_start:offset], scopes), line))
            statement_start = offset + 1
        elif char == "}":
            if not scopes:
                continue
            scope, opened = scopes.pop()
            if scope.startswith("function ") and not _inside_function(scopes):
                found.append(Function(scope.removeprefix("function "), opened, line - opened + 1))
            statement_start = offset + 1
        elif char == ";":
            statement_start = offset + 1
    return found


def _blank_lines(match):
    return "\n" * match.group().count("\n")


def _inside_function(scopes):
    return any(scope.startswith("function ") for scope, _ in scopes)


def _scope_of(statement, scopes):
    if _inside_function(scopes):
        return "block"
    if _NAMESPACE.search(statement):
        return "namespace"
    if _TYPE.search(statement):
        return "type"
    name = _NAME.search(statement)
    return f"function {_signature(name, statement)}" if name else "initializer"


def _signature(name, statement):
    """The function's name; a test's is the two arguments of its macro."""
    test = re.search(r"\bTEST(?:_[FP])?\s*\(\s*(\w+)\s*,\s*(\w+)", statement)
    return f"{test.group(1)}.{test.group(2)}" if test else name.group(1)
