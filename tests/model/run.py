#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/model/run.py NAME [--trail]: checks one variant of the protocol's model, exhaustively.

Without a name: lists the variants. Prints states, depth and seconds. A variant with a planted
mistake passes when the checker finds a counter-example, and when what it breaks is the property
that the variant expects; --trail prints that counter-example, one action to a line.
docs/protocol-model.md says how to read the model.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

MODEL = pathlib.Path(__file__).resolve().parent
ACTION = re.compile(r"(leader \d|(users|mover|lease|replication|sweeper|breach):)")
DEPTH_MAX = 1_000_000
MEMORY_MIB_MAX = 6_000

# Safety: every property that CheckInvariants() and CheckEnd() name, and no deadlock.
SAFETY = ["-DSAFETY", "-DNOCLAIM"]
# Liveness: the tenant comes to rest, under weak fairness. NFAIR has room for all processes.
LIVENESS = ["-DNFAIR=4"]


@dataclass
class Variant:
    options: list
    breach: str = ""  # The property that a planted mistake breaks; empty: all hold.
    live: bool = False
    compressed: bool = False  # Half the memory, and half as long again.


def _bounds(leaderships, attempts, *more):
    return [f"-DLEADERSHIPS={leaderships}", f"-DATTEMPTS={attempts}", *more]


def _planted(mistake, breach, *more):
    return Variant(_bounds(2, 2, f"-DPLANT_{mistake}", *more), breach)


LOST = "no_acknowledged_write_is_lost"
TWO_SIDES = "at_most_one_side_writable"
UNVERIFIED = "neither_wiring_nor_route_at_an_unverified_copy"
UNDONE = "no_undo_after_the_journal"
NO_WAY = "the_tenant_has_a_way_in_or_a_way_back"
LEFT = "nothing_is_left_behind"

VARIANTS = {
    "offline": Variant(_bounds(2, 2)),
    "offline_three_leaderships": Variant(_bounds(3, 1)),
    "offline_comes_to_rest": Variant(_bounds(2, 1), live=True),
    "online": Variant(_bounds(2, 2, "-DONLINE")),
    "online_comes_to_rest": Variant(_bounds(2, 1, "-DONLINE"), live=True),
    "epoch_not_checked": _planted("EPOCH_NOT_CHECKED", UNVERIFIED),
    "undo_after_journal": _planted("UNDO_AFTER_JOURNAL", UNDONE),
    "sessions_survive_the_fence": _planted("SESSIONS_SURVIVE_THE_FENCE", LOST),
    "result_not_looked_at": _planted("RESULT_NOT_LOOKED_AT", UNVERIFIED),
    "rollback_without_consent": _planted("ROLLBACK_WITHOUT_CONSENT", LOST),
    "reopened_before_the_target_is_fenced": _planted(
        "REOPENED_BEFORE_THE_TARGET_IS_FENCED", TWO_SIDES),
    "only_an_open_target_is_fenced": _planted("ONLY_AN_OPEN_TARGET_IS_FENCED", TWO_SIDES),
    "schema_dropped_unseen": _planted("SCHEMA_DROPPED_UNSEEN", NO_WAY),
    "dropped_by_name_alone": _planted("DROPPED_BY_NAME_ALONE", UNVERIFIED),
    "online_journal_before_marker": _planted("JOURNAL_BEFORE_MARKER", LOST, "-DONLINE"),
    "online_reverse_slot_after_open": _planted("REVERSE_SLOT_AFTER_OPEN", LOST, "-DONLINE"),
    "online_any_marker_counts": _planted("ANY_MARKER_COUNTS", LOST, "-DONLINE"),
    "online_opened_without_holding_the_other": _planted(
        "OPENED_WITHOUT_HOLDING_THE_OTHER", TWO_SIDES, "-DONLINE"),
    "online_arrived_counts_on_an_open_target": _planted(
        "ARRIVED_COUNTS_ON_AN_OPEN_TARGET", LOST, "-DONLINE"),
    "online_epoch_not_checked": _planted("EPOCH_NOT_CHECKED", LOST, "-DONLINE"),
    "online_late_slots_are_not_swept": _planted("LATE_SLOTS_ARE_NOT_SWEPT", LEFT, "-DONLINE"),
}  # fmt: skip

# By hand: minutes and gigabytes.
LONG = {
    "offline_all": Variant(_bounds(3, 2), compressed=True),
    "online_three_leaderships": Variant(_bounds(3, 1, "-DONLINE"), compressed=True),
    "offline_comes_to_rest_twice": Variant(_bounds(2, 2), live=True, compressed=True),
}


def _run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def _trail(variant, directory):
    """The counter-example, one action to a line; the last names what it breaks."""
    # Spin leaves the preprocessed text where it is called: other variants are checked meanwhile.
    replayed = _run(["spin", *variant.options, "-k", "cutover.pml.trail", "-s", "-r",
                     "cutover.pml"], cwd=directory)  # fmt: skip
    lines = (line.strip() for line in replayed.stdout.splitlines())
    return [line for line in lines if ACTION.match(line) or "START OF CYCLE" in line]


def _build(variant, directory):
    # Spin writes pan.c where it is called, and reads its includes from there.
    for file in MODEL.glob("*.pml"):
        (directory / file.name).symlink_to(file)
    made = _run(["spin", *variant.options, "-a", "cutover.pml"], cwd=directory)
    if made.returncode != 0 or not (directory / "pan.c").exists():
        raise SystemExit(f"spin: {made.stdout}{made.stderr}")
    kind = LIVENESS if variant.live else SAFETY
    memory = [f"-DMEMLIM={MEMORY_MIB_MAX}", *(["-DCOLLAPSE"] if variant.compressed else [])]
    built = _run(["gcc", "-O2", "-w", "-DVECTORSZ=2048", *memory, *kind, "-o", "pan", "pan.c"],
                 cwd=directory)  # fmt: skip
    if built.returncode != 0:
        raise SystemExit(f"gcc: {built.stderr}")


def _check(variant, directory):
    """What the checker printed, and the counter-example, if there is one."""
    flags = ["-a", "-f"] if variant.live else []
    output = _run(["./pan", "-n", f"-m{DEPTH_MAX}", *flags], cwd=directory).stdout
    # Anything but a complete search proves nothing.
    if "error: max search depth too small" in output or "Search not completed" in output:
        if "errors: 0" in output:
            raise SystemExit(f"the search was cut short:\n{output}")
    found = re.search(r"errors: (\d+)", output)
    if not found:
        raise SystemExit(f"pan did not finish:\n{output}")
    return output, _trail(variant, directory) if int(found.group(1)) else []


def _figures(output):
    def figure(pattern):
        match = re.search(pattern, output)
        return match.group(1) if match else "?"

    states = figure(r"(\d+) states, stored")
    depth = figure(r"depth reached (\d+)")
    return f"{states} states, depth {depth}, {figure(r'elapsed time ([0-9.e+]+)')} s"


def _verdict(variant, trail):
    """Empty when the variant did what it has to; otherwise what is wrong."""
    broken = trail[-1].removeprefix("breach: ") if trail else ""
    if trail and not trail[-1].startswith("breach: "):
        broken = "a deadlock or an endless loop"
    if broken == variant.breach:
        return ""
    if not variant.breach:
        return f"broken: {broken}"
    return f"expected {variant.breach} to be broken, found {broken or 'nothing wrong'}"


def main():
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=[*VARIANTS, *LONG])
    parser.add_argument("--trail", action="store_true", help="print the counter-example")
    options = parser.parse_args()
    if not options.name:
        print("\n".join(VARIANTS))
        return 0
    variant = {**VARIANTS, **LONG}[options.name]
    with tempfile.TemporaryDirectory(prefix="cutover-model-") as name:
        directory = pathlib.Path(name)
        _build(variant, directory)
        output, trail = _check(variant, directory)
    wrong = _verdict(variant, trail)
    if trail and (options.trail or wrong):
        print("\n".join(trail))
    expected = f"breaks {variant.breach}, as expected" if variant.breach else "every property holds"
    print(f"{options.name}: {_figures(output)}; {wrong or expected}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
