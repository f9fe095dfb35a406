# SPDX-License-Identifier: Apache-2.0
"""The plugin as kubectl runs it, on a real cluster whose operator answers. Usage: plugin.py NAME

Each scenario finds the tenant of tenant.py working, does its deed, and leaves it working.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

import remains
import scenario
from cluster import SUPERUSER_PASSWORD, apply, expect, get, kubectl, sql, wait_until
from tenant import (DATABASE, NAMESPACE, RecordingWriter, delete_migration, expect_open_on,
                    fingerprint, others, server_of_tenant, status_of, wait_for_phase)

# What the plugin's exit codes say (docs/kubectl-cutover.md).
GOOD, NOT_MOVED, ASKS_YOU, TROUBLE, TIMED_OUT = 0, 2, 3, 4, 5
OPERATOR = ("--namespace", "cutover-system")


def run(*arguments):
    """`kubectl cutover ...` in the tenant's namespace."""
    binaries = pathlib.Path(os.environ["CUTOVER_BINARIES"])
    expect((binaries / "kubectl-cutover").exists(), f"the plugin is built in {binaries}")
    path = f"{binaries}:{os.environ['PATH']}"
    return subprocess.run(["kubectl", "cutover", *arguments, "--namespace", NAMESPACE], text=True,
                          env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL, check=False,
                          capture_output=True, timeout=300)  # fmt: skip


def plugin(*arguments, code=GOOD):
    """What it says, and it must end with this code."""
    done = run(*arguments)
    said = done.stdout + done.stderr
    expect(done.returncode == code,
           f"kubectl cutover {' '.join(arguments)} ends with {code}, but with {done.returncode}: "
           f"{said}")
    return said


def says(words, said):
    expect(words in said, f"it says {words!r}: {said}")


def manifest(name, target):
    """What a person would put into Git: the plugin's own, and that the source may go at once."""
    order = (DATABASE, "--to", target, "--skip-backup", "--approval", "Manual", "--name", name)
    says(f"To          {target}", plugin("plan", *order))
    text = run("move", *order, "--dry-run", "--output", "yaml").stdout
    made = json.loads(kubectl("create", "--dry-run=client", "--output", "json", "--filename", "-",
                              stdin=text))  # fmt: skip
    expect(get("tm", name, NAMESPACE) is None, "neither plan nor a dry run creates anything")
    made["spec"]["source"] = {"retentionSeconds": 0, "reclaimPolicy": "Delete"}
    return made


def expect_report(name, written_by):
    """The page for the change ticket: whole, by its own sum, and true."""
    with tempfile.TemporaryDirectory() as directory:
        page = pathlib.Path(directory) / "report.html"
        said = plugin("report", name, "--file", str(page))
        text = page.read_text()
    data = "".join(re.findall(r'id="report">(.*?)</script>', text, re.DOTALL)).replace("\n", "")
    says(hashlib.sha256(data.encode()).hexdigest(), said)
    report = json.loads(data)
    expect(report["migration"]["phase"] == "Completed", f"it was moved: {report['migration']}")
    expect(report["verification"]["mismatches"] == 0, "it has the proof")
    [approval] = [one for one in report["commands"] if one["command"] == "approve"]
    expect(approval["answered"] and written_by in approval["token"], f"who approved: {approval}")
    actions = {event["action"] for event in report["events"]}
    expect({"Approve", "Copying", "Completed"} <= actions, f"what happened: {actions}")


def bundle():
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "bundle.yaml"
        plugin("support-bundle", "--file", str(file))
        return file.read_text()


def expect_bundle():
    """Everything that helps, and no password."""
    # Pods that go between the list and the question for their logs are named as not read.
    text = wait_until("an administrator may read it all", 60, lambda: next(
        (text for text in [bundle()] if "notRead" not in text), None), 2)  # fmt: skip
    for words in ("tenantMigrations:", "operatorLogs:", "phase changed", "cutover.local/mover"):
        says(words, text)
    for password in (SUPERUSER_PASSWORD, "acme-secret"):
        expect(password not in text, "no password is in it")


def a_move_is_planned_approved_watched_and_reported_with_the_plugin():
    source = server_of_tenant()
    target = others(source)[0]
    apply(manifest("by-plugin", target))
    wait_for_phase("by-plugin", {"AwaitingCutover"})
    wait_until("it waits for its approval", 30, lambda: "AwaitingApproval" in json.dumps(
        status_of("by-plugin")["conditions"]))
    says("kubectl cutover approve by-plugin", plugin("status", "by-plugin", code=ASKS_YOU))
    plugin("rollback", "by-plugin", "--yes", code=ASKS_YOU)
    with RecordingWriter() as writer:
        says("approve given", plugin("approve", "by-plugin", "--yes"))
        says("Completed", plugin("status", "by-plugin", "--watch", "--timeout", "4m"))
        expect_open_on(target)
    writer.check(target)
    for late in ("approve", "abort", "rollback", "retry"):
        plugin(late, "by-plugin", *(["--yes"] if late != "retry" else []), code=ASKS_YOU)
    token = status_of("by-plugin")["handled"]["approve"]
    expect(" by " in token, f"the token says by whom: {token}")
    expect_report("by-plugin", written_by=token.split(" by ")[1].split()[0])
    expect(re.search(r"by-plugin +acme +\S+ +\S+ +Completed", plugin("history")), "in history")
    says("phase changed", plugin("logs", "by-plugin"))
    expect_bundle()
    says("compatible: yes", plugin("version"))
    wait_until("the source is dropped, its retention of 0 s being over", 60, lambda: sql(
        source, "postgres", "select count(*) from pg_database where datname = 'acme'") == "0", 1)
    delete_migration("by-plugin")
    remains.expect_none(DATABASE, target)


def scale_operator(replicas):
    kubectl(*OPERATOR, "scale", "deployment/cutover", f"--replicas={replicas}")
    kubectl(*OPERATOR, "rollout", "status", "deployment/cutover", "--timeout", "120s")


def a_command_given_while_no_operator_runs_is_taken_up_when_one_does():
    source = server_of_tenant()
    before = fingerprint(source)
    apply(manifest("unattended", others(source)[0]))
    wait_for_phase("unattended", {"AwaitingCutover"})
    replicas = get("deployment", "cutover", "cutover-system")["spec"]["replicas"]
    scale_operator(0)
    try:
        wait_until("the plugin sees that nobody works on it", 60, lambda: run(
            "status", "unattended").returncode == TROUBLE, 1)
        said = plugin("abort", "unattended", "--yes", "--timeout", "3s", code=TIMED_OUT)
        says("the command stands", said)
    finally:
        scale_operator(replicas)
    wait_for_phase("unattended", {"Aborted"})
    says("Aborted", plugin("status", "unattended", code=NOT_MOVED))
    expect_open_on(source)
    expect(fingerprint(source) == before, "as it was")
    remains.expect_none(DATABASE, source)
    delete_migration("unattended")
    plugin("status", "unattended", code=1)


if __name__ == "__main__":
    scenario.main(globals())
