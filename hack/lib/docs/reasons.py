# SPDX-License-Identifier: Apache-2.0
"""docs/runbooks/conditions.md: every reason that the reconcilers give, with their own words.

The reasons are read from the code: wherever one is given, its message stands beside it, and says
what to do. What the code computes is shown as an ellipsis.
"""

import dataclasses
import pathlib
import re

# How a reason is given → what follows from it.
CALLS = [
    (re.compile(r"Plan::Undo\(\s*"), "Given up before the switch: undone, the tenant stays"),
    (re.compile(r"Plan::RollBack\(\s*"), "Goes back to the source"),
    (re.compile(r"Severity::kBlocking,\s*"), "Preflight waits until this is repaired"),
    (re.compile(r"Severity::kHopeless,\s*"), "Preflight fails: create another TenantMigration"),
    (re.compile(r"Severity::kWarning,\s*"), "Preflight warns, and goes on"),
    (re.compile(r"\bStalled\(\s*"), "Stays until a person acts"),
    (re.compile(r"Progress::kStalled,\s*"), "Stays until a person acts"),
    (re.compile(r"\bWaiting\(\s*"), "May pass by itself"),
    (re.compile(r"\bRetryError\(\s*"), "Tried again"),
    (re.compile(r"Error\{Disposition::kRetry,\s*"), "Tried again"),
    (re.compile(r"\bTerminalError\(\s*"), "Needs a person; where the migration can undo, it does"),
    (re.compile(r"Error\{Disposition::kTerminal,\s*"), "Needs a person"),
]
NAME = re.compile(r'"([A-Z][a-z]+[A-Za-z]*)"\s*,')
WAIT = re.compile(r"Plan::Wait\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
# What a person waits for, or is waited for: its message comes before its reason.
WAITS = "Waits; the message says for what"
HEAD = """# Condition reasons

Made by `hack/gen-docs` from `reconcilers/`; do not edit.

Every condition has a reason and a message. The reason is an API: it does not change its meaning.
The message says what is wrong, with the object, and what to do; here it is as the code has it, with
… for what is filled in.

Where you meet a reason: `kubectl describe tm|dbp|dbs NAME`. While a migration runs without trouble,
the reason of `Ready` is its phase; [the state machine](../state-machine.md) has them all. Preflight
shows what it found in its message, with the reasons below; the condition itself says
`PreflightFailed`.

"""


@dataclasses.dataclass(frozen=True, order=True)
class Reason:
    name: str
    consequence: str
    words: str


def without_comments(text):
    return re.sub(r"^(\s*)//.*$", r"\1", text, flags=re.MULTILINE)


def arguments(text, start):
    """The top-level arguments from `start`, which is inside a call, to the end of that call."""
    depth, begin, position, found = 0, start, start, []
    while position < len(text):
        if text[position] == '"':
            position = LITERAL.match(text, position).end()
            continue
        if text[position] in "({[":
            depth += 1
        elif text[position] in ")}]":
            if depth == 0:
                break
            depth -= 1
        elif text[position] == "," and depth == 0:
            found.append(text[begin:position])
            begin = position + 1
        position += 1
    found.append(text[begin:position])
    return found


def words_of(expression):
    """The message that an expression makes, with an ellipsis for what it computes."""
    said, position = [], 0
    for literal in LITERAL.finditer(expression):
        if re.search(r"\w", expression[position:literal.start()]):
            said.append("…")
        said.append(literal.group(1).replace('\\"', '"').replace("\\n", " "))
        position = literal.end()
    if re.search(r"\w", expression[position:]):
        said.append("…")
    words = "".join(said).replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"…\s*…", "…", words).strip()


def reasons_in(text):
    text = without_comments(text)
    for call, consequence in CALLS:
        for found in call.finditer(text):
            name = NAME.match(text, found.end())
            if name:
                words = words_of(arguments(text, name.end())[0])
                yield Reason(name.group(1), consequence, words)
    for found in WAIT.finditer(text):
        parts = arguments(text, found.end())
        name = LITERAL.fullmatch(parts[2].strip()) if len(parts) == 3 else None
        if name:
            yield Reason(name.group(1), WAITS, words_of(parts[1]))


def failures_of_servers(text):
    """The table of operator-visible failures in reconcilers/server/status.cc."""
    row = re.compile(r'Failure\{"\w+", "(\w+)", Progress::k(\w+),\s*("[^}]*"|\w+)\}')
    remedies = dict(re.findall(r'constexpr std::string_view (k\w+) =\s*((?:"[^"]*"\s*)+);', text))
    for name, progress, remedy in row.findall(text):
        consequence = ("Stays until a person acts" if progress == "Stalled"
                       else "May pass by itself")  # fmt: skip
        words = words_of(remedies.get(remedy, remedy))
        yield Reason(name, consequence, ("…: " + words) if words else "…")


def all_reasons(root):
    found = set()
    for path in sorted(pathlib.Path(root, "reconcilers").rglob("*.cc")):
        text = path.read_text()
        found.update(reasons_in(text))
        if path.parts[-2:] == ("server", "status.cc"):
            found.update(failures_of_servers(text))
    return found


def render(root):
    lines = [HEAD, "| reason | what follows | message |\n|---|---|---|\n"]
    for reason in sorted(all_reasons(root)):
        lines.append(f"| `{reason.name}` | {reason.consequence} | {reason.words or '…'} |\n")
    return "".join(lines)
