# SPDX-License-Identifier: Apache-2.0
"""docs/runbooks/conditions.md: every reason that the reconcilers give, with their own words.

The reasons are read from the code: wherever one is given, its message stands beside it, and says
what to do. What the code computes is shown as an ellipsis. A word of the code that may be a reason,
and is found neither as one nor in NO_REASONS, is an error, so that none is forgotten.
"""

import dataclasses
import pathlib
import re
import sys

from remedies import REMEDIES

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
    (re.compile(r"Error\{\s*Disposition::kRetry,\s*"), "Tried again"),
    (re.compile(r"\bTerminalError\(\s*"), "Needs a person; where the migration can undo, it does"),
    (re.compile(r"Error\{\s*Disposition::kTerminal,\s*"), "Needs a person"),
    (re.compile(r"Error\{\s*Disposition::kInDoubt,\s*"), "Looks whether it has happened"),
    (re.compile(r"\bHold\(\s*"), "Holds until it is mended"),
    (re.compile(r"\bwarn\(\s*"), "Preflight warns, and goes on"),
    (re.compile(r"\{ConditionStatus::kTrue,\s*"), "Says that a condition is True"),
    (re.compile(r"\{ConditionStatus::kFalse,\s*"), "Says why a condition is False"),
    (re.compile(r"\{ConditionStatus::kUnknown,\s*"), "Says why a condition is Unknown"),
    (re.compile(r"\{status,\s*"), "Says how a condition stands"),
]
# Where the condition's type stands before the reason.
CONDITIONS = [
    (re.compile(r'\byes\(\s*"(?P<type>\w+)",\s*'), "True"),
    (re.compile(r'\bno\(\s*"(?P<type>\w+)",\s*'), "False"),
    (re.compile(r'[({]\s*(?:"(?P<type>\w+)"|\w+),\s*'
                r"(?:api::)?ConditionStatus::k(?P<status>\w+),\s*"), ""),  # fmt: skip
]
WAIVABLE = re.compile(r'\bAddWaivable\(\s*\w+,\s*"(\w+)",')
NAMED_LATER = re.compile(r"Plan::(?:Go|Wait)\((?:[^;]*);\s*(?:\w+\.\w+ = true;\s*)?"
                         r'plan\.reason = "(\w+)";')  # fmt: skip
ERROR_NAMED_LATER = re.compile(r'\berror\.reason = "(\w+)";')
NAME = re.compile(r'"([A-Z][a-z]+[A-Za-z0-9]*)"\s*,')
WAIT = re.compile(r"Plan::Wait\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
MAY_BE_REASON = re.compile(r'"([A-Z][a-z]+(?:[A-Z][a-z0-9]*)*)"')
# Words of the code that may be reasons by their form, and are something else.
NO_REASONS = set(
    # Types of conditions, and Kubernetes' own of Jobs and Pods.
    """Ready Reconciling Stalled Succeeded InSync PreflightPassed BackedUp Copied Fenced Verified
    Switched RollbackReady RolledBack SourceReclaimed LogicalReplicationReady OrphansFound
    WiringDrifted PlacementChanged Complete Failed Lost True"""
    # Kinds, and values of fields.
    """ Secret ConfigMap Deployment StatefulSet CronJob Ingress Service Job File TenantMigration
    DatabasePlacement ExternalName None Exists DoesNotExist In NotIn Never IfNotPresent
    RuntimeDefault PreferDualStack FallbackToLogsOnError OdooConf Host Location Delete OnDelete"""
    # Why Kubernetes' own pods do not start (cluster/pod_start.cc), which is told as PodCannotStart.
    """ ErrImagePull ImagePullBackOff InvalidImageName ErrImageNeverPull ImageInspectError
    RegistryUnavailable SignatureValidationFailed CreateContainerConfigError CreateContainerError
    RunContainerError PodScheduled Unschedulable Pending False ReplicaFailure"""
    # Actions and reasons of Events.
    """ Abort Approve Retry Rollback CommandHandled LeaderChanged PhaseChanged"""
    # Verdicts of the mover, and what the orphans' remedy gives to a migration that is gone.
    """ Equal Unproven"""
    # Settings of PostgreSQL.
    """ DateStyle IntervalStyle TimeZone""".split()
)
# How words begin that are not the code's.
PASSED_ON = ("what PostgreSQL says", "what the API server says")
# What a person waits for, or is waited for: its message comes before its reason.
WAITS = "Waits; the message says for what"
HEAD = """# Condition reasons

Made by `hack/gen-docs` from `reconcilers/`, `postgres/` and `operator/api`; do not edit.

Every condition has a reason and a message. The reason is an API: it does not change its meaning.
The message says what is wrong, with the object, and what to do; here it is as the code has it, with
… for what is filled in. Where the code makes up all of it, or passes on what PostgreSQL or the API
server says, what it means and what to do stands behind it.

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


def conditions_in(text):
    """Reasons behind the type of their condition."""
    for call, status in CONDITIONS:
        for found in call.finditer(text):
            said = arguments(text, found.end())
            if len(said) < 2:
                continue
            words = words_of(said[1])
            subject = f"`{found['type']}`" if found["type"] else "A condition"
            for name in MAY_BE_REASON.findall(said[0]):
                yield Reason(name, f"{subject} is {status or found['status']}", words)


def others_in(text):
    for found in WAIVABLE.finditer(text):
        said = arguments(text, found.end())
        words = words_of(said[1]) + ": " + words_of(said[2])
        yield Reason(found.group(1), "Preflight waits until this is repaired, or accepted", words)
    for found in NAMED_LATER.finditer(text):
        call = found.group(0)
        said = arguments(call, call.index("(") + 1)
        yield Reason(found.group(1), WAITS if call.startswith("Plan::Wait") else "Ends the attempt",
                     words_of(said[1]))  # fmt: skip
    for found in ERROR_NAMED_LATER.finditer(text):
        yield Reason(found.group(1), "Tried again", "…")


def failures_of_statements(text):
    """The table of postgres/sqlstate.cc. The same reason for several codes is one."""
    consequences = {
        "Retry": "Tried again",
        "InDoubt": "Looks whether it has happened",
        "Terminal": "Needs a person; where the migration can undo, it does",
    }
    codes = {}
    for code, disposition, name in re.findall(
        r'SqlstateRule\{"(\w*)", k(\w+),\s*"(\w+)"\}', text
    ):
        codes.setdefault((name, disposition), []).append(code or "any other")
    for (name, disposition), known in codes.items():
        yield Reason(name, consequences[disposition],
                     f"what PostgreSQL says (SQLSTATE {', '.join(known)})")  # fmt: skip


def answers_of_the_api(root):
    """The reasons of operator/kube/error.h, which are Kubernetes' own and a few more."""
    text = pathlib.Path(root, "operator/kube/error.h").read_text()
    for name in re.findall(r'constexpr char k\w+\[\] = "(\w+)";', text):
        yield Reason(name, "The API server's answer, or none; tried again where that may help",
                     "what the API server says")  # fmt: skip


def failures_of_servers(text):
    """The table of operator-visible failures in reconcilers/server/status.cc."""
    row = re.compile(r'Failure\{"\w+", "(\w+)", Progress::k(\w+),\s*("[^}]*"|\w+)\}')
    remedies = dict(re.findall(r'constexpr std::string_view (k\w+) =\s*((?:"[^"]*"\s*)+);', text))
    for name, progress, remedy in row.findall(text):
        consequence = ("Stays until a person acts" if progress == "Stalled"
                       else "May pass by itself")  # fmt: skip
        words = words_of(remedies.get(remedy, remedy))
        yield Reason(name, consequence, ("…: " + words) if words else "…")


def sources(root):
    """What reads objects, what decides and what speaks with PostgreSQL; without the table of names
    that are none."""
    yield pathlib.Path(root, "operator/api/field_reader.cc")
    for folder in ("reconcilers", "postgres"):
        for path in sorted(pathlib.Path(root, folder).rglob("*.cc")):
            if path.name != "names.cc":
                yield path


def all_reasons(root):
    found = set(answers_of_the_api(root))
    for path in sources(root):
        text = without_comments(path.read_text())
        for reasons in (reasons_in, conditions_in, others_in):
            found.update(reasons(text))
        if path.parts[-2:] == ("server", "status.cc"):
            found.update(failures_of_servers(text))
        if path.name == "sqlstate.cc":
            found.update(failures_of_statements(text))
    return found


def forgotten(root, found):
    """Words that may be reasons and are not known, each as "file: word"."""
    known = {reason.name for reason in found} | NO_REASONS
    for path in sources(root):
        for word in MAY_BE_REASON.findall(without_comments(path.read_text())):
            if word not in known:
                yield f"{path.relative_to(root)}: {word}"


def said_twice(found):
    """What ends an attempt is told with the remedy by EndMessage() of migration/status.cc."""
    for reason in found:
        ends = reason.consequence.startswith(("Given up", "Needs a person"))
        if ends and "cutover.dev/retry" in reason.words:
            yield f"{reason.name}: {reason.words}"


def tells(reason):
    """Whether the code's words say by themselves what is wrong."""
    return re.search(r"\w", reason.words) and not reason.words.startswith(PASSED_ON)


def speechless(found, remedies):
    """Reasons of which neither the code nor a remedy says what they mean, and remedies that say it
    of nothing."""
    telling = {reason.name for reason in found if tells(reason)}
    silent = {reason.name for reason in found} - telling
    yield from (f"{name}: no words" for name in silent - remedies.keys())
    yield from (f"{name}: a remedy that nothing needs" for name in remedies.keys() - silent)


def refuse(what, findings):
    if findings:
        sys.exit(what + ":\n" + "\n".join(sorted(set(findings))))


def render(root):
    found = all_reasons(root)
    refuse("these may be reasons, which hack/lib/docs/reasons.py does not find; teach it how they "
           "are given, or add them to NO_REASONS", list(forgotten(root, found)))  # fmt: skip
    refuse("these say how to try again, which the end of an attempt says already",
           list(said_twice(found)))  # fmt: skip
    refuse("nobody is told what these mean and what to do; write it into hack/lib/docs/remedies.py",
           list(speechless(found, REMEDIES)))  # fmt: skip
    lines = [HEAD, "| reason | what follows | message |\n|---|---|---|\n"]
    untold = dict(REMEDIES)
    for reason in sorted(found):
        words = reason.words or "…"
        if remedy := untold.pop(reason.name, None):  # Once, at the first of its rows.
            words += " — " + remedy
        lines.append(f"| `{reason.name}` | {reason.consequence} | {words} |\n")
    return "".join(lines)
