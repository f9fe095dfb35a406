#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""waits_for_person_test.py RECORD_OBJECTS [UNITTEST_OPTIONS]: everybody who says that a migration
waits for a person says it of the same reasons: those of operator/api/waits_for_person.h."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "hack/lib"), str(REPOSITORY / "hack/lib/docs")]

import reasons  # noqa: E402
import waits_for_person  # noqa: E402

RECORDER = ""
HEALTH = "deploy/argocd/resource_customizations/cutover.dev/TenantMigration/health.lua"
PAGED = "docs/runbooks/CutoverPersonNeeded.md"
ALERTS = "charts/cutover/files/alerts.yaml"
# What follows from a reason with which a phase goes no further.
HOLDS = {reasons.WAITS, "Holds until it is mended", "Needs a person"}
# Reasons with which a phase waits for what comes by itself, or gives up by itself.
BY_ITSELF = {
    "AwaitingChecks", "AwaitingWindow", "FenceNotProven", "PlacementNotReady", "PoolerNotPaused",
    "SmokeFailed"}  # fmt: skip
# These have alerts of their own, or were asked for by a person, and so none.
NOT_PAGED = {"AwaitingApproval", "NoWayBack", "Suspended"}


def read(name):
    return (REPOSITORY / name).read_text()


def in_argocd(text):
    [table] = re.findall(r"waits_for_a_person = \{\n(.*?)\}", text, re.DOTALL)
    return set(re.findall(r"(\w+) = true", table))


def in_alerts(text):
    return {reason for listed in re.findall(r'cutover_migration_reason\{reason=~?"([^"]+)"', text)
            for reason in listed.split("|")}  # fmt: skip


def in_dashboard(text):
    for panel in json.loads(text)["panels"]:
        if panel["title"] == "Waiting for a person":
            [listed] = re.findall(r'reason=~"([^"]+)"', panel["targets"][0]["expr"])
            return set(listed.split("|"))
    raise AssertionError("no panel counts who waits for a person")


def in_footnote(text):
    [footnote] = re.findall(r"^¹ Reasons (.*?):", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`(\w+)`", footnote))


def in_runbook(text):
    return set(re.findall(r"^- \*(\w+)\*:", text, re.MULTILINE))


# Who says so, and how it is read there.
SAID = {
    HEALTH: in_argocd,
    "deploy/argocd/argocd-cm.yaml": in_argocd,
    ALERTS: in_alerts,
    "charts/cutover/dashboards/fleet.json": in_dashboard,
    "docs/gitops.md": in_footnote,
    PAGED: lambda text: in_runbook(text) | NOT_PAGED,
}


def differences(said, decided):
    """Sentences that name each reason on one side only."""
    return [f"{reason} is not there" for reason in sorted(decided - said)] + [
        f"{reason} does not wait for a person" for reason in sorted(said - decided)]  # fmt: skip


def waits_of_the_phases():
    """Every reason with which the code waits or holds, as docs/runbooks/conditions.md has it. What
    the sweeper finds is of no migration."""
    found = set()
    for path in (REPOSITORY / "reconcilers/migration").rglob("*.cc"):
        if "orphans" in path.parts:
            continue
        for reason in reasons.reasons_in(path.read_text()):
            if reason.consequence in HOLDS:
                found.add(reason.name)
    return found


class WaitsForPerson(unittest.TestCase):
    def setUp(self):
        self.decided = set(waits_for_person.reasons())

    def test_everybody_names_the_same_reasons(self):
        for name, named in SAID.items():
            with self.subTest(name):
                self.assertEqual(differences(named(read(name)), self.decided), [])

    def test_a_reason_that_is_missing_or_too_many_anywhere_is_named(self):
        for name, named in SAID.items():
            with self.subTest(name):
                text = read(name)
                self.assertEqual(differences(named(text.replace("SchemaChanged", "Sneezed")),
                                             self.decided),
                                 ["SchemaChanged is not there",
                                  "Sneezed does not wait for a person"])  # fmt: skip

    def test_every_wait_of_the_phases_was_decided_upon(self):
        waits = waits_of_the_phases()
        self.assertGreater(len(waits), 12)
        self.assertEqual(waits - self.decided - BY_ITSELF, set())
        self.assertEqual(self.decided & BY_ITSELF, set())

    def test_no_reason_is_listed_that_no_phase_gives(self):
        self.assertEqual(self.decided - waits_of_the_phases(), set())

    def test_an_object_of_each_is_recorded_for_the_tools(self):
        """Argo CD's own Lua, kstatus and Flux are run over each; mapping.yaml has the answers."""
        printed = subprocess.run([RECORDER], check=True, capture_output=True, text=True).stdout
        held = {condition["reason"]
                for migration in json.loads(printed)["TenantMigration"].values()
                for condition in migration["status"].get("conditions", [])
                if condition["type"] == "Ready"}  # fmt: skip
        self.assertEqual(self.decided - held, set())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    RECORDER = sys.argv.pop(1)
    unittest.main()
