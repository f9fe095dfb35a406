# SPDX-License-Identifier: Apache-2.0
"""One scenario of a program, by the name on its command line."""

import sys
import traceback

from cluster import Failure, expect, get, kubectl


def main(scenarios):
    """Runs that function of `scenarios`, a module's globals()."""
    scenario = scenarios.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if not callable(scenario):
        sys.exit(f"usage: {sys.argv[0]} SCENARIO")
    run(scenario)


def run(deed):
    """Does it. When it fails, says all that may tell why, and ends with 1; the migrations that it
    leaves are deleted, so that it is alone to fail."""
    try:
        expect(get("dbp", "acme", "acme"), "the world is there (hack/test prepares it)")
        deed()
    except (Failure, OSError) as failure:
        traceback.print_exc(limit=4)
        print(f"FAILED: {' '.join(sys.argv[1:])}: {failure}", file=sys.stderr)
        print(kubectl("get", "tm,dbp,dbs", "--all-namespaces", "--output", "wide", check=False))
        conditions = "jsonpath={range .items[*]}{.metadata.name}: {.status.conditions} {end}"
        print(kubectl("get", "tm", "--all-namespaces", "--output", conditions, check=False))
        print(kubectl("--namespace", "cutover-system", "logs", "--selector",
                      "app.kubernetes.io/name=cutover", "--tail", "60", check=False))
        kubectl("delete", "tm", "--all", "--all-namespaces", "--timeout", "180s", check=False)
        sys.exit(1)
