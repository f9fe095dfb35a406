#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo_panels.py DIRECTORY [--absent WORDS]: scrapes the operator's pods until its standard input
ends, then says how many panels of the chart's dashboards have had figures meanwhile.

The cluster is that of KUBECONFIG; its pods must be reachable from here. DIRECTORY, empty, is
Prometheus' own. Rows whose titles have WORDS show what this demo does not do: their panels may be
without figures. Exits with 1 when any other panel is, and when an expression fails."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from prometheus import Prometheus, QueryFailed, panels  # noqa: E402

NAMESPACE = "cutover-system"
# A demo's phases last seconds, so it is looked at every second.
STEP_SECONDS = 1

# The labels that the chart's PodMonitor makes (honorLabels: the metrics' own stay). Debian's
# Prometheus looks for no pods by itself; the demo's live as long as it does.
CONFIGURATION = """\
global: {{scrape_interval: {step}s, scrape_timeout: {step}s}}
scrape_configs:
- {{job_name: cutover-metrics, honor_labels: true, static_configs: {targets}}}
"""


def targets():
    found = json.loads(subprocess.run(
        ["kubectl", "--namespace", NAMESPACE, "get", "pods", "--output", "json", "--selector",
         "app.kubernetes.io/name=cutover,app.kubernetes.io/component=operator"],
        check=True, capture_output=True, text=True).stdout)  # fmt: skip
    return [{"targets": [f"{pod['status']['podIP']}:8080"],
             "labels": {"pod": pod["metadata"]["name"], "namespace": NAMESPACE}}
            for pod in found["items"]]  # fmt: skip


def report(asked, numbers, may_be_empty=()):
    """Prints what was shown. `asked` is [(where, panel), ...]; numbers(expression) is what
    Prometheus has for it; `may_be_empty` has the places that may be. Returns the exit code."""
    shown, empty, failed = [], [], []
    for where, panel in asked:
        try:
            lines = [numbers(target["expr"]) for target in panel["targets"]]
            (shown if any(lines) else empty).append(where)
        except QueryFailed as failure:
            failed.append(f"{where}: {failure}")
    print(f"  {len(shown)} of {len(shown) + len(empty) + len(failed)} panels had figures")
    missing = [where for where in empty if where not in may_be_empty]
    for where in empty:
        if where not in missing:
            print(f"  nothing of this is done here: {where}")
    for what in [f"{where}: no figures" for where in missing] + failed:
        print(f"  FAILED: {what}")
    return 1 if missing or failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--absent", metavar="WORDS")
    arguments = parser.parse_args()
    began = time.time()
    prometheus = Prometheus(arguments.directory, CONFIGURATION.format(
        step=STEP_SECONDS, targets=json.dumps(targets())))  # fmt: skip
    try:
        sys.stdin.read()
        # The last scrape, and a range of the seconds before it.
        time.sleep(2 * STEP_SECONDS)
        asked = list(panels())
        present = {where for where, _ in panels(without=arguments.absent)}
        return report(
            asked, lambda expression: prometheus.numbers(expression, began, time.time(),
                                                         STEP_SECONDS),
            [where for where, _ in asked if where not in present])  # fmt: skip
    finally:
        prometheus.close()


if __name__ == "__main__":
    sys.exit(main())
