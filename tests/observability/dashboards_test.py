#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dashboards_test.py [UNITTEST_OPTIONS]: the chart's dashboards, judged by Grafana's own linter,
and the linter, by dashboards with one fault each. The first run builds the linter."""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack/lib"))

from prometheus import dashboards  # noqa: E402

CONFIGURATION = REPOSITORY / "tests/observability/dashboard-linter.yaml"
NO_CONFIGURATION = REPOSITORY / "tests/observability/no-such-file.yaml"


def linter():
    directory = subprocess.run([REPOSITORY / "hack/cluster", "binaries", "dashboard-linter"],
                               check=True, stdout=subprocess.PIPE, text=True).stdout  # fmt: skip
    return pathlib.Path(directory.strip()) / "dashboard-linter"


def first(dashboard, kind):
    """The first panel of that kind."""
    return next(panel for panel in dashboard["panels"] if panel["type"] == kind)


def change_expression(dashboard, ours, wrong):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            if ours in target["expr"]:
                target["expr"] = target["expr"].replace(ours, wrong, 1)
                return
    raise AssertionError(f"no expression has {ours}")


# What a person may do to a dashboard, and what the linter says of it.
FAULTS = {
    "a panel without a description": (
        lambda board: first(board, "timeseries").pop("description"),
        "missing title or description"),
    "a unit that Grafana does not know": (
        lambda board: first(board, "stat")["fieldConfig"]["defaults"].update(unit="tenants"),
        "has no or invalid units defined"),
    "a panel without a question": (
        lambda board: first(board, "stat").pop("targets"), "has no targets"),
    "a data source of its own": (
        lambda board: first(board, "timeseries").update(datasource={"uid": "prometheus-1"}),
        "does not use a templated datasource"),
    "an expression that does not parse": (
        lambda board: change_expression(board, "sum", "summ"), "invalid PromQL query"),
    "a range of its own in a rate": (
        lambda board: change_expression(board, "[$__rate_interval]", "[5m]"),
        "should use $__rate_interval"),
    "the metrics of every job": (
        lambda board: change_expression(board, 'job=~"$job", ', ""), "job selector not found"),
    "the metrics of every replica": (
        lambda board: change_expression(board, ', instance=~"$instance"', ""),
        "instance selector not found"),
    "a counter as it is": (
        lambda board: change_expression(board, "sum(leader_election_master_status",
                                        "rest_client_requests_total + sum(leader_election_master_"
                                        "status"), "is not aggregated with rate"),
    "a choice that is not made anew": (
        lambda board: board["templating"]["list"][1].update(refresh=1),
        "should be set to be refreshed"),
    "no choice of a data source": (
        lambda board: board["templating"]["list"].pop(0), "does not have a templated data source"),
}  # fmt: skip


class Linter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.linter = linter()

    def lint(self, dashboard, configuration=CONFIGURATION):
        """Whether the linter is content, and its words."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(dashboard, file)
            file.flush()
            done = subprocess.run([self.linter, "lint", "--strict", "-c", configuration, file.name],
                                  capture_output=True, text=True, check=False)  # fmt: skip
        return done.returncode == 0, done.stdout + done.stderr

    def test_finds_nothing(self):
        for name, dashboard in dashboards().items():
            with self.subTest(name):
                content, said = self.lint(dashboard)
                self.assertTrue(content, said)

    def test_would_find_every_fault(self):
        ours = dashboards()["operator.json"]
        for what, (spoil, words) in FAULTS.items():
            with self.subTest(what):
                spoiled = copy.deepcopy(ours)
                spoil(spoiled)
                content, said = self.lint(spoiled)
                self.assertFalse(content)
                self.assertIn(words, said)

    def test_is_asked_about_all_but_instances_where_the_leader_alone_shows_objects(self):
        for name, dashboard in dashboards().items():
            with self.subTest(name):
                content, said = self.lint(dashboard, NO_CONFIGURATION)
                self.assertEqual(content, name == "operator.json")
                findings = [line for line in said.splitlines() if line.startswith("[")]
                others = [line for line in findings if not re.search(
                    r"is missing the instance template$|instance selector not found$", line)]
                self.assertEqual(others, [])


if __name__ == "__main__":
    unittest.main()
