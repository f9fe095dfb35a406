#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""links_test.py [UNITTEST_OPTIONS]: every link leads somewhere in the pages that are not part of
the site (README.md and the like; docs_test has the site's own), and so does every link to a runbook
that the chart puts into alerts and dashboards, with the site served where its runbookUrl says."""

import contextlib
import functools
import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import yaml

sys.dont_write_bytecode = True
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?) *#*$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
# What README.md and its like may be besides what docs_test builds.
OUTSIDE = ("README.md", "CHANGELOG.md", "charts/cutover/README.md", "hack/samples/README.md")


def anchors(markdown):
    """Those of a page's headings, as GitHub and the site make them."""
    plain = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in HEADING.findall(plain)}  # fmt: skip


def broken(page, markdown):
    """Links of the page, of that text, that lead nowhere. Other sites are not asked."""
    found = []
    for link in LINK.findall(CODE.sub("", markdown)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            found.append(link)
        elif anchor and anchor not in anchors(markdown if target == page else target.read_text()):
            found.append(link)
    return found


class PagesOutsideTheSite(unittest.TestCase):
    def test_each_is_known_here(self):
        listed = subprocess.run(["git", "-C", REPOSITORY, "ls-files", "--", "*.md"], check=True,
                                capture_output=True, text=True).stdout.split()  # fmt: skip
        self.assertEqual({name for name in listed if not name.startswith("docs/")}, set(OUTSIDE))

    def test_every_link_leads_somewhere(self):
        for name in OUTSIDE:
            with self.subTest(name):
                page = REPOSITORY / name
                self.assertEqual(broken(page, page.read_text()), [])

    def test_a_link_that_leads_nowhere_would_be_seen(self):
        page = REPOSITORY / "charts/cutover/README.md"
        for link in ("no-such.md", "#no-such-heading", "../../docs/faq.md#no-such-heading",
                     "../../no/such/file.cc"):  # fmt: skip
            self.assertEqual(broken(page, f"{page.read_text()}\n[words]({link})\n"), [link])


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(directory):
    """The URL at which the directory is served, on the loopback."""
    handler = functools.partial(Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def is_there(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200 and len(answer.read()) > 0
    except urllib.error.HTTPError:
        return False


def without_runbooks(node):
    """A dashboard as it is without links to runbooks."""
    if isinstance(node, dict):
        return {key: without_runbooks(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_runbooks(one) for one in node if not (
            isinstance(one, dict) and "/runbooks" in str(one.get("url", "")))]  # fmt: skip
    return node


class Runbooks(unittest.TestCase):
    def rendered(self, url):
        helm = subprocess.run([REPOSITORY / "hack/cluster", "binaries", "helm"], check=True,
                              capture_output=True, text=True).stdout.strip()  # fmt: skip
        return subprocess.run(
            [f"{helm}/helm", "template", "x", REPOSITORY / "charts/cutover",
             "--kube-version", "1.34.4",
             "--set", "monitoring.prometheusRule.enabled=true,monitoring.dashboards.enabled=true",
             "--set", f"monitoring.prometheusRule.runbookUrl={url}"],
            check=True, capture_output=True, text=True).stdout  # fmt: skip

    def test_each_link_of_alerts_and_dashboards_leads_to_a_page_of_the_site(self):
        with tempfile.TemporaryDirectory() as site:
            subprocess.run([REPOSITORY / "hack/gen-docs", "--site", site], check=True)
            with served(site) as url:
                links = set(re.findall(rf'{url}/runbooks[^"\s]*', self.rendered(f"{url}/runbooks")))
                pages = len(list((REPOSITORY / "docs/runbooks").glob("Cutover*.md")))
                self.assertGreaterEqual(len(links), pages)
                self.assertEqual([link for link in sorted(links) if not is_there(link)], [])
                self.assertFalse(is_there(f"{url}/runbooks/CutoverNoSuchAlert"))

    def test_who_does_not_say_where_they_are_gets_their_names_and_no_links(self):
        objects = [one for one in yaml.safe_load_all(self.rendered("")) if one]
        [rule] = [one for one in objects if one["kind"] == "PrometheusRule"]
        named = [alert["annotations"]["runbook"] for group in rule["spec"]["groups"]
                 for alert in group["rules"]]  # fmt: skip
        self.assertEqual([name for name in named if not (REPOSITORY / name).exists()], [])
        made = {name: json.loads(text) for one in objects if one["kind"] == "ConfigMap"
                for name, text in one["data"].items() if name.endswith(".json")}  # fmt: skip
        ours = {f"cutover-{path.name}": json.loads(path.read_text())
                for path in (REPOSITORY / "charts/cutover/dashboards").glob("*.json")}  # fmt: skip
        self.assertEqual(len(ours), 3)
        self.assertEqual(made, without_runbooks(ours))
        self.assertNotEqual(made, ours)


if __name__ == "__main__":
    unittest.main()
