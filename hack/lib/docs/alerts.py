# SPDX-License-Identifier: Apache-2.0
"""docs/runbooks/index.md: every alert of the chart, with its page."""

import pathlib

import yaml

HEAD = """# Runbooks

Made by `hack/gen-docs` from `charts/cutover/files/alerts.yaml`; do not edit.

Not about an alert? `kubectl describe tm|dbp|dbs NAME` says what is wrong and what to do; the
reasons are in [condition reasons](conditions.md). In these pages NAMESPACE and NAME are those of
the TenantMigration, and OPERATOR_NAMESPACE is where the operator runs, usually `cutover-system`.

| alert | severity | what it says |
|---|---|---|
"""


def render(root):
    rules = yaml.safe_load(pathlib.Path(root, "charts/cutover/files/alerts.yaml").read_text())
    lines = [HEAD]
    for group in rules["groups"]:
        for rule in group["rules"]:
            name, summary = rule["alert"], rule["annotations"]["summary"]
            for label, words in {"namespace": "NAMESPACE", "name": "NAME"}.items():
                summary = summary.replace("{{ $labels." + label + " }}", words)
            summary = " ".join(summary.split()).replace("{{ ", "…").replace(" }}", "…")
            for computed in ("…$value | humanizeDuration…", "…$value | humanize1024…"):
                summary = summary.replace(computed, "…")
            for label in ("direction", "reason", "phase", "server", "controller"):
                summary = summary.replace(f"…$labels.{label}…", label.upper())
            lines.append(f"| [{name}]({name}.md) | {rule['labels']['severity']} | {summary} |\n")
    return "".join(lines)
