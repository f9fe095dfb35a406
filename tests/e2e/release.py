# SPDX-License-Identifier: Apache-2.0
"""The release's life on a real cluster, by real helm that waits. Usage: release.py NAME

Each scenario finds the tenant of tenant.py working, does its deed, and leaves it working.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile

import remains
import scenario
from cluster import apply, expect, get, kubectl, sql, wait_until
from tenant import (DATABASE, RecordingWriter, annotate, delete_migration,
                    expect_open_on, new_migration, others, server_of_tenant, wait_for_phase)

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts/cutover"
RELEASE, OPERATOR = "cutover", "cutover-system"
CRDS = [f"{plural}.cutover.dev" for plural in
        ("databaseservers", "databaseplacements", "tenantmigrations")]  # fmt: skip


def helm(*arguments):
    done = subprocess.run(["helm", *arguments, "--namespace", OPERATOR], capture_output=True,
                          text=True, timeout=240, check=False)  # fmt: skip
    expect(done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def install(chart, values, *more):
    helm("upgrade", "--install", RELEASE, str(chart), "--values", str(values), "--wait",
         "--timeout", "3m", *more)  # fmt: skip


def expect_test_passes():
    said = helm("test", RELEASE)
    expect("Phase:          Succeeded" in said, f"it tested something: {said}")


def columns():
    crd = get("crd", "tenantmigrations.cutover.dev")
    return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


def with_a_column_more(chart):
    """A chart as a later version might have it, in `chart`."""
    shutil.copytree(CHART, chart)
    file = chart / "files/crds/tenantmigrations.cutover.dev.yaml"
    line = "    additionalPrinterColumns:\n"
    expect(line in file.read_text(), "the CRD has columns")
    file.write_text(file.read_text().replace(
        line, line + "    - {name: Weather, type: string, jsonPath: .kind}\n"))
    return chart


def pods():
    """Those of the operator, by uid."""
    found = json.loads(kubectl("--namespace", OPERATOR, "get", "pods", "--output", "json",
                               "--selector", "app.kubernetes.io/component=operator"))  # fmt: skip
    return {pod["metadata"]["uid"] for pod in found["items"]}


def identities():
    """Of every object of ours, by which it would be seen that one was made anew."""
    found = json.loads(kubectl("get", "tm,dbp,dbs", "--all-namespaces", "--output", "json"))
    return {(item["kind"], item["metadata"]["name"]): item["metadata"]["uid"]
            for item in found["items"]}  # fmt: skip


@contextlib.contextmanager
def the_release():
    """(a directory, the release's own values in a file); however it ends, it is installed again."""
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        values = directory / "values.yaml"
        values.write_text(helm("get", "values", RELEASE, "--output", "yaml"))
        try:
            yield directory, values
        finally:
            install(CHART, values)


def an_upgrade_in_mid_move_replaces_operator_and_crds_and_the_move_goes_on():
    source = server_of_tenant()
    target = others(source)[0]
    apply(new_migration("upgraded", target, cutover={"approval": "Manual"}))
    wait_for_phase("upgraded", {"AwaitingCutover"})
    before, old_pods = identities(), pods()
    with the_release() as (directory, values):
        expect("Weather" not in columns(), "the CRD has no such column yet")
        with RecordingWriter() as writer:
            install(with_a_column_more(directory / "later"), values, "--set-string",
                    "podAnnotations.cutover\\.dev/test=upgraded")  # fmt: skip
            expect("Weather" in columns(), f"the CRDs are upgraded: {columns()}")
            # helm waits for the new ones to be ready, and not for the old ones to be gone.
            wait_until("every pod of the operator is a new one", 60,
                       lambda: pods() and not pods() & old_pods)
            expect(identities() == before, "no object was lost, and none was made anew")
            expect_test_passes()
            annotate("upgraded", "approve", "go")
            wait_for_phase("upgraded", {"Completed"})
            expect_open_on(target)
        writer.check(target)
    expect("Weather" not in columns(), "the CRD is what it was")
    wait_until("the source is dropped, its retention of 0 s being over", 60, lambda: sql(
        source, "postgres", "select count(*) from pg_database where datname = 'acme'") == "0", 1)
    delete_migration("upgraded")
    remains.expect_none(DATABASE, target)


def uninstalling_leaves_crds_and_objects_and_the_tenant_to_the_next_release():
    home = server_of_tenant()
    apply(new_migration("left-alone", others(home)[0], cutover={"approval": "Manual"}))
    wait_for_phase("left-alone", {"AwaitingCutover"})
    before = identities()
    with the_release() as (_, values):
        helm("uninstall", RELEASE, "--wait")
        wait_until("the operator is gone", 60, lambda: not pods())
        for kind in ("deployment", "service", "serviceaccount"):
            expect(kubectl("--namespace", OPERATOR, "get", kind, "--output", "name", "--selector",
                           f"app.kubernetes.io/instance={RELEASE}") == "", f"no {kind} is left")
        for crd in CRDS:
            expect(get("crd", crd), f"{crd} is still there")
        expect(identities() == before, "so is every object")
        expect_open_on(home)
        install(CHART, values)
        expect_test_passes()
        annotate("left-alone", "abort", "stop")
        wait_for_phase("left-alone", {"Aborted"})
    expect_open_on(home)
    delete_migration("left-alone")
    remains.expect_none(DATABASE, home)


if __name__ == "__main__":
    scenario.main(globals())
