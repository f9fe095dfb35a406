#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""observability_test.py RECORD_METRICS [UNITTEST_OPTIONS]: the dashboards and alerts of the chart,
judged by a real Prometheus over what the operator's metrics code shows."""

import contextlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "hack/lib"), str(REPOSITORY / "tests/observability")]

import demo_panels  # noqa: E402
import recording  # noqa: E402
from prometheus import QueryFailed, dashboards, filled, panels  # noqa: E402

CHART = REPOSITORY / "charts/cutover"
RULES = CHART / "files/alerts.yaml"
RUNBOOKS = REPOSITORY / "docs/runbooks"
RECORDER = ""
METRIC = re.compile(r"\b((?:cutover|controller_runtime|workqueue|rest_client|leader_election|"
                    r"process)_[a-z_]+)\b")  # fmt: skip


def alert_names():
    return re.findall(r"^  - alert: (\w+)$", RULES.read_text(), re.MULTILINE)


def alert_expressions():
    """As YAML reads them: either on one line, or folded below "expr: >-"."""
    found = re.findall(r"^    expr: (?:>-\n((?:      .*\n)+)|(.*)\n)", RULES.read_text(),
                       re.MULTILINE)  # fmt: skip
    return [" ".join(folded.split()) or line for folded, line in found]


def metrics_of_the_table():
    """Names of docs/metrics.md, made from the table in code; a histogram has three."""
    names = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", (REPOSITORY / "docs/metrics.md")
                                 .read_text(), re.MULTILINE):  # fmt: skip
        suffixes = ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]
        names.update(name + suffix for suffix in suffixes)
    return names


class WithPrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        recorded = subprocess.run([RECORDER], check=True, capture_output=True, text=True).stdout
        cls.start, cls.end = recording.times_of(recorded)
        cls.prometheus = recording.serve(cls.directory, recorded)
        cls.addClassCleanup(cls.prometheus.close)

    def numbers(self, expression):
        return self.prometheus.numbers(expression, self.start, self.end)

    def labels(self, expression, name):
        series = self.prometheus.query_range(filled(expression), self.start, self.end)
        return {one["metric"][name] for one in series}


class Dashboards(WithPrometheus):
    def test_no_panel_is_empty(self):
        asked = 0
        for where, panel in panels():
            for target in panel["targets"]:
                with self.subTest(where, expression=target["expr"]):
                    self.assertTrue(self.numbers(target["expr"]), "no numbers")
                asked += 1
        self.assertGreater(asked, 50)

    def test_an_empty_panel_would_be_seen(self):
        self.assertEqual(self.numbers("cutover_metric_that_nobody_serves"), [])
        self.assertEqual(self.numbers('cutover_migration_phase{phase="Copyng"} == 1'), [])

    def test_an_expression_that_does_not_parse_would_be_seen(self):
        with self.assertRaisesRegex(QueryFailed, "parse error"):
            self.numbers("sum by (cutover_server_up")

    def test_what_is_shown_is_what_was_told(self):
        """The recording's own story, seen through the panels' expressions."""
        expressions = {where: [target["expr"] for target in panel["targets"]]
                       for where, panel in panels()}  # fmt: skip
        [placements] = expressions["fleet.json: Placements"]
        self.assertEqual(set(self.numbers(placements)), {"5"})
        [down] = expressions["fleet.json: Servers down"]
        self.assertEqual(set(self.numbers(down)), {"0", "1"})
        [waiting] = expressions["fleet.json: Waiting for a person"]
        self.assertEqual(self.numbers(waiting)[-1], "1")
        [oldest] = expressions["fleet.json: Oldest wait for a person"]
        self.assertEqual(self.numbers(oldest)[-1], str(30 * 60))
        _, eta = expressions["migration.json: Copy"]
        self.assertTrue(all(float(value) <= 3600 for value in self.numbers(eta)))

    def test_the_first_of_its_kind_is_counted(self):
        """increase() does not count the event with which a series appears."""
        [rolled_back] = dict(panels())["fleet.json: Rolled back"]["targets"]
        # Counted between two looks, which Prometheus spreads over what it thinks they stand for.
        self.assertAlmostEqual(float(self.numbers(rolled_back["expr"])[-1]), 1, delta=0.1)
        [stages] = dict(panels())["fleet.json: Time in each stage"]["targets"]
        self.assertIn("RollingBack", self.labels(stages["expr"], "stage"))

    def test_without_a_leader_nothing_is_zero(self):
        """A 0 of what nobody looks at would look as if all were well."""
        asked = 0
        for where, panel in panels():
            if panel["type"] == "stat" and where.startswith("fleet.json"):
                with self.subTest(where):
                    for target in panel["targets"]:
                        self.assertEqual(self.prometheus.numbers(
                            target["expr"], self.start - 7200, self.start - 3600), [])
                        asked += 1
        self.assertEqual(asked, 6)

    def test_no_expression_is_of_what_other_controllers_show_as_well(self):
        """Their metrics have the same names; the choice of a job is by one that is ours alone."""
        for name, dashboard in dashboards().items():
            [job] = [one for one in dashboard["templating"]["list"] if one["name"] == "job"]
            self.assertEqual(job["query"]["query"], "label_values(cutover_build_info, job)")
            everybodys = [target["expr"] for panel in dashboard["panels"]
                          for target in panel.get("targets", [])
                          if re.search(r"\b(?!cutover_)[a-z]+_[a-z_]+\{", target["expr"])]
            if job["includeAll"]:
                self.assertEqual(everybodys, [], name)
        names = set(re.findall(r'options\.name = "(\w+)"', "".join(
            path.read_text() for directory in ("operator", "reconcilers")
            for path in (REPOSITORY / directory).rglob("*.cc"))))  # fmt: skip
        [ours] = re.findall(r'controller=~"([^"]+)"', RULES.read_text())
        self.assertEqual(set(ours.split("|")), names)

    def test_every_reason_of_a_rollback_is_shown_from_the_start(self):
        given = set(re.findall(r'Plan::RollBack\(\s*"(\w+)"', "".join(
            path.read_text() for path in (REPOSITORY / "reconcilers").rglob("*.cc"))))  # fmt: skip
        self.assertGreater(len(given), 5)
        self.assertEqual(self.labels("cutover_rollbacks_total", "reason"), given)

    def test_the_recorded_hour_raises_the_alarms_of_its_story_alone(self):
        raised = set()
        for name, expression in zip(alert_names(), alert_expressions(), strict=True):
            if self.numbers(expression):
                raised.add(name)
        self.assertEqual(raised, {"CutoverServerDown", "CutoverMigrationFailed"})

    def test_panels_are_complete_and_ids_their_own(self):
        uids = [dashboard["uid"] for dashboard in dashboards().values()]
        self.assertEqual(len(uids), len(set(uids)))
        for name, dashboard in dashboards().items():
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)), name)
        for where, panel in panels():
            with self.subTest(where):
                self.assertTrue(panel["description"] and panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                for target in panel["targets"]:
                    self.assertNotRegex(target["expr"], r"\[\d+[smh]\]", "a range of its own")

    def test_links_lead_somewhere(self):
        text = json.dumps(dashboards())
        pages = set(re.findall(r'"https://cutover.dev/runbooks/(\w+)"', text))
        self.assertGreater(len(pages), 8)
        self.assertEqual([page for page in pages if not (RUNBOOKS / f"{page}.md").exists()], [])
        inside = re.findall(r'"/d/([\w-]+)\?([^"]*)"', text)
        self.assertTrue(inside)
        for uid, query in inside:
            [board] = [board for board in dashboards().values() if board["uid"] == uid]
            variables = {variable["name"] for variable in board["templating"]["list"]}
            self.assertLessEqual(set(re.findall(r"var-(\w+)=", query)), variables)
            self.assertLessEqual(set(re.findall(r"\{(\w+):queryparam\}", query)), variables)

    def test_dashboards_are_what_the_generator_makes(self):
        subprocess.run([REPOSITORY / "hack/gen-dashboards", "--check"], check=True)


class Demo(WithPrometheus):
    """The judge at the end of hack/demo."""

    def judge(self, asked, **more):
        """Its exit code, and its words."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = demo_panels.report(asked, self.numbers, **more)
        return code, said.getvalue()

    def test_is_content_with_figures_everywhere(self):
        code, said = self.judge(list(panels()))
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"^  (\d+) of \1 panels had figures\n$")

    def test_fails_for_one_empty_panel(self):
        planted = ("fleet.json: Planted", {"targets": [{"expr": "cutover_nobody_serves"}]})
        code, said = self.judge([*panels(), planted])
        self.assertEqual(code, 1)
        self.assertIn("FAILED: fleet.json: Planted: no figures", said)
        code, said = self.judge([*panels(), planted], may_be_empty=["fleet.json: Planted"])
        self.assertEqual(code, 0, said)
        self.assertIn("nothing of this is done here: fleet.json: Planted", said)

    def test_fails_for_an_expression_that_fails_wherever_it_is(self):
        planted = ("fleet.json: Planted", {"targets": [{"expr": "sum by ("}]})
        code, said = self.judge([planted], may_be_empty=["fleet.json: Planted"])
        self.assertEqual(code, 1)
        self.assertIn("parse error", said)

    def test_excuses_panels_of_online_alone(self):
        everywhere = {where for where, _ in panels()}
        excused = everywhere - {where for where, _ in panels(without="strategy Online")}
        self.assertIn("migration.json: Lag", excused)
        self.assertTrue(all(where.startswith("migration.json: ") for where in excused))
        self.assertLess(len(excused), 10)


class Scraping(unittest.TestCase):
    def config_is_good(self, job):
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            lines = "".join(f"    {line}\n" for line in job.splitlines())
            file.write("scrape_configs:\n  - job_name: cutover\n" + lines)
            file.flush()
            done = subprocess.run(["promtool", "check", "config", "--syntax-only", file.name],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            return done.returncode == 0

    def test_prometheus_takes_the_job_that_the_documents_show_and_none_with_a_word_misspelt(self):
        [job] = re.findall(r"^```yaml\n(.*?)^```$", (REPOSITORY / "docs/metrics.md").read_text(),
                           re.MULTILINE | re.DOTALL)  # fmt: skip
        self.assertTrue(self.config_is_good(job), job)
        words = re.findall(r"(\w+): ", job)
        self.assertGreater(len(words), 4)
        for word in words:
            with self.subTest(word):
                self.assertFalse(self.config_is_good(job.replace(word + ":", word + "x:")))


class Alerts(unittest.TestCase):
    def promtool(self, rules, tests):
        """Runs promtool over the two texts; returns whether all tests held, and its words."""
        with tempfile.TemporaryDirectory() as directory:
            (pathlib.Path(directory) / "alerts.yaml").write_text(rules)
            (pathlib.Path(directory) / "alerts_test.yaml").write_text(tests)
            done = subprocess.run(["promtool", "test", "rules", "alerts_test.yaml"], cwd=directory,
                                  capture_output=True, text=True, check=False)  # fmt: skip
            return done.returncode == 0, done.stdout + done.stderr

    def test_rules_hold_what_their_tests_say(self):
        good, said = self.promtool(RULES.read_text(), TESTS.read_text())
        self.assertTrue(good, said)

    def test_a_changed_rule_would_be_seen(self):
        rules = RULES.read_text()
        for ours, wrong in [("cutover_writable_sides > 1", "cutover_writable_sides > 0"),
                            ("for: 5m", "for: 0m"), (">= 900", ">= 1800"), ("> 0.5", "> 0.01"),
                            ('reason="Suspended"', 'reason="Suspendd"'),
                            ("bytes_expected == 0", "bytes_expected < 0"),
                            ("migration_reason_since_time", "migration_phase_start_time"),
                            ("> 21600", "> 1800"), ("SchemaChanged", "SchemaChangd"),
                            ('phase="RollingBack"', 'phase!=""'),
                            ('controller=~"databaseserver|', 'controller=~".+|')]:  # fmt: skip
            with self.subTest(wrong):
                self.assertIn(ours, rules)
                good, _ = self.promtool(rules.replace(ours, wrong), TESTS.read_text())
                self.assertFalse(good)

    def test_every_alert_is_seen_to_fire_and_not_to_fire(self):
        tests = TESTS.read_text()
        for name in alert_names():
            with self.subTest(name):
                self.assertRegex(tests, rf"alertname: {name}\n    exp_alerts:\n    - ")
                self.assertRegex(tests, rf"alertname: {name}, exp_alerts: \[\]")

    def test_every_alert_has_a_runbook_and_every_runbook_an_alert(self):
        pages = {path.stem for path in RUNBOOKS.glob("Cutover*.md")}
        self.assertEqual(pages, set(alert_names()))
        linked = re.findall(r"runbook_url: https://cutover.dev/runbooks/(\w+)", RULES.read_text())
        self.assertEqual(linked, alert_names())
        for name in sorted(pages):
            text = (RUNBOOKS / f"{name}.md").read_text()
            for heading in ("## What it means", "## What to look at", "## What to do"):
                self.assertIn(heading, text, name)

    def test_rules_speak_of_metrics_of_the_table_only(self):
        expressions = re.sub(r"annotations:.*?(?=  - alert|- name|\Z)", "", RULES.read_text(),
                             flags=re.DOTALL)  # fmt: skip
        used = set(METRIC.findall(re.sub(r"- name: \S+", "", expressions)))
        self.assertGreater(len(used), 8)
        self.assertEqual(used - metrics_of_the_table(), set())


TESTS = REPOSITORY / "tests/observability/alerts_test.yaml"

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    RECORDER = sys.argv.pop(1)
    unittest.main()
