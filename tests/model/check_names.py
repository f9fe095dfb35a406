#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the protocol's model and the code against each other, by name and in both directions.

What the model says it takes from the code is there under that name: effects, lines of the table of
transitions, states and moves of the control row. What the code has is in the model, or in the table
"Left out" of docs/protocol-model.md with its reason.
"""

import pathlib
import re
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "tests/model"


def _read(path):
    return (REPOSITORY / path).read_text(encoding="utf-8")


def _without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _model(name):
    return _without_comments((MODEL / name).read_text(encoding="utf-8"))


def _lists(text, kind):
    bodies = re.findall(rf"mtype:{kind} = {{(.*?)}}", text, re.S)
    return [re.findall(r"\w+", body) for body in bodies]


def _calls(text, name, count):
    arguments = r",\s*".join([r"(\w+)"] * count)
    text = re.sub(r"^#define.*$", "", text, flags=re.MULTILINE)
    return {match.groups() for match in re.finditer(rf"\b{name}\({arguments}\)", text)}


def code_intents():
    body = re.search(r"enum class Intent {(.*?)};", _read("reconcilers/migration/intent.h"), re.S)
    return set(re.findall(r"\bk\w+", _without_comments(body.group(1))))


def code_transitions():
    text = _read("reconcilers/migration/transitions.cc")
    return set(re.findall(r"{Phase::k(\w+), Guard::(\w+), Phase::k(\w+)}", text))


def code_moves():
    text = _read("postgres/control.cc")
    names = dict(re.findall(r'{(k\w+), "(\w+)"}', text))
    moves = re.findall(r"Move{Side::k\w+, (k\w+), (k\w+)}", text)
    return set(names.values()), {(names[before], names[after]) for before, after in moves}


def left_out():
    """Names in the first column of the table, each with a reason in the second."""
    section = _read("docs/protocol-model.md").split("## Left out", 1)[1]
    rows = re.findall(r"^\| (`.*?) \| (\S.*?) \|$", section, re.MULTILINE)
    return {name for names, _ in rows for name in re.findall(r"`([^`]+)`", names)}


def compare(what, model, code, excused):
    """`excused` says of one of the code's whether the table gives a reason for leaving it out."""
    for name in sorted(model - code):
        yield f"{what}: the model has {name}, the code does not; rename one of them"
    for name in sorted(code - model):
        if not excused(name):
            yield f"{what}: the code has {name}; model it, or leave it out with a reason"


def findings():
    effects, phases, world = _model("effects.pml"), _model("phases.pml"), _model("world.pml")
    excused = left_out()
    effects_of_model = set(_lists(effects, "Intent")[0]) - {"nothing"}
    yield from compare("effect", effects_of_model, code_intents(), lambda name: name in excused)
    yield from compare("transition", _calls(phases, "Go", 3), code_transitions(),
                       lambda line: any(part in excused for part in line))  # fmt: skip
    states, moves = code_moves()
    modelled = set(_lists(world, "State")[0]) - {"none"}
    yield from compare("state", modelled, states, lambda name: name in excused)
    changes = {(before, after) for _, before, after in _calls(effects, "MoveState", 3)}
    changes.discard(("from", "to"))
    # To `dropping` everything but an open target goes, which the model says in one condition. A
    # failover that loses the journal is left out, and so is the rollback that comes after it.
    without_journal = ("fenced", "reopened")
    yield from compare("move of the control row", changes, moves,
                       lambda move: move[1] == "dropping" or move == without_journal)  # fmt: skip
    planned = {name for (name,) in _calls(phases, "Do", 1)}
    for name in sorted(effects_of_model - planned):
        yield f"effect: nothing in phases.pml plans {name}"
    names = code_intents() | {part for line in code_transitions() for part in line}
    for name in sorted(excused - names):
        yield f"docs/protocol-model.md leaves out {name}, which the code does not have"


def main():
    found = list(findings())
    for finding in found:
        print(finding)
    print(f"check_names: {len(found)} differences between the model and the code")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
