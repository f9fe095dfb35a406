#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""demo_panels.py DIRECTORY: scrapes the operator's pods until its standard input ends, then says
how many panels of the chart's dashboards have had figures meanwhile, and which have had none.

The cluster is that of KUBECONFIG; its pods must be reachable from here. DIRECTORY, empty, is
Prometheus' own. Exits with 1 when a panel's expression fails, or when no panel has figures."""

import json
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from prometheus import Prometheus, QueryFailed, panels  # noqa: E402

NAMESPACE = "cutover-system"

# The labels that the chart's PodMonitor makes (honorLabels: the metrics' own stay). Debian's
# Prometheus looks for no pods by itself; the demo's live as long as it does.
CONFIGURATION = """\
global: {{scrape_interval: 5s, scrape_timeout: 4s}}
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


def main(directory):
    began = time.time()
    prometheus = Prometheus(directory, CONFIGURATION.format(targets=json.dumps(targets())))
    try:
        sys.stdin.read()
        # The last scrape, and a range of the seconds before it.
        time.sleep(6)
        return report(prometheus, began)
    finally:
        prometheus.close()


def report(prometheus, began):
    shown, empty, failed = [], [], []
    for where, panel in panels():
        try:
            asked = [prometheus.numbers(target["expr"], began, time.time(), step=5)
                     for target in panel["targets"]]  # fmt: skip
            (shown if any(asked) else empty).append(where)
        except QueryFailed as failure:
            failed.append(f"{where}: {failure}")
    print(f"  {len(shown)} of {len(shown) + len(empty) + len(failed)} panels had figures")
    for where in empty:
        print(f"  nothing of this happened: {where}")
    for what in failed:
        print(f"  FAILED: {what}")
    return 1 if failed or not shown else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
