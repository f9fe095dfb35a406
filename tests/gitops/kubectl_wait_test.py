#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubectl_wait_test.py RECORD_OBJECTS [UNITTEST_OPTIONS]: what a script gets that waits with
`kubectl wait` for objects of every phase, which a real API server has with the statuses that the
operator's own code gives them. mapping.yaml says for which conditions it comes back, and so does
the table of docs/gitops.md. Needs KUBECONFIG; the ctest fixture kube_api_server sets it up."""

import contextlib
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

sys.dont_write_bytecode = True
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RECORDER = ""
NAMESPACE = f"kubectl-wait-{os.getpid()}"
RESOURCES = {"TenantMigration": "tm", "DatabasePlacement": "dbp", "DatabaseServer": "dbs"}
CONDITIONS = ("Ready", "Succeeded", "Succeeded=False", "Stalled")
# Which object stands for a row of docs/gitops.md; by how the row begins.
ROWS = {
    "was not seen by the operator yet": "not-seen-yet",
    "runs, in any phase": "copying",
    "tries again after trouble": "copying-retrying",
    "waits for a person": "awaiting-approval",
    "is Completed": "completed-from-completing",
    "is Failed, Aborted or RolledBack": "failed-from-undoing",
    "is being deleted": "deleting",
}


def call(*arguments, stdin=None, check=True):
    """kubectl's exit code, and all that it said."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    if check and done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stdout}")
    return done.returncode, done.stdout


def waited(kind, names, condition, timeout="0"):
    """Those of the names for which `kubectl wait` comes back, and its exit code."""
    code, said = call("--namespace", NAMESPACE, "wait", f"--for=condition={condition}",
                      f"--timeout={timeout}", *(f"{RESOURCES[kind]}/{name}" for name in names),
                      check=False)  # fmt: skip
    return set(re.findall(r"^\S+/(\S+) condition met$", said, re.MULTILINE)), code


def manifest(kind, name, recorded):
    """What somebody creates, of a recorded object; a server's name is the whole cluster's."""
    metadata = {"name": name if kind != "DatabaseServer" else f"{NAMESPACE}-{name}"}
    if kind != "DatabaseServer":
        metadata["namespace"] = NAMESPACE
    if name == "deleting":  # It stays for as long as it has one.
        metadata["finalizers"] = recorded["metadata"]["finalizers"]
    return {**{field: recorded[field] for field in ("apiVersion", "kind", "spec")},
            "metadata": metadata}  # fmt: skip


def with_status(made, status):
    return {**made, "status": status}


def as_list(objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def store(objects):
    """Creates every (manifest, status), and gives it the status that it has once seen."""
    call("create", "--filename", "-", stdin=as_list([made for made, _ in objects]))
    seen = [with_status(made, status) for made, status in objects
            if status.get("observedGeneration") != -1]  # fmt: skip
    call("replace", "--subresource=status", "--filename", "-", stdin=as_list(seen))


def lines_of(mapping, kind, name):
    for line in mapping[kind]:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in line["names"]):
            return line
    raise AssertionError(f"mapping.yaml says nothing about {kind} {name}")


def documented():
    """Of each row of the table in docs/gitops.md: for what `kubectl wait` comes back."""
    page = (REPOSITORY / "docs/gitops.md").read_text()
    [table] = re.findall(r"^(\| a migration that … .*?)\n\n", page, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    column = rows[0].index("`kubectl wait` comes back for")
    return {row[0].rstrip("¹"): set(re.findall(r"`(\S+)`", row[column])) for row in rows[2:]}


class KubectlWait(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        binaries = subprocess.run([REPOSITORY / "hack/cluster", "binaries", "kubectl"], check=True,
                                  capture_output=True, text=True).stdout.strip()  # fmt: skip
        os.environ["PATH"] = f"{binaries}:{os.environ['PATH']}"
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        os.environ["KUBECACHEDIR"] = scratch.name
        call("apply", "--server-side", "--force-conflicts", "--filename", str(REPOSITORY / "crds"))
        for left in range(100, -1, -1):  # It fails on a CRD that has no conditions yet.
            code, said = call("wait", "--for=condition=Established", "--timeout=30s",
                              *(f"crd/{plural}.cutover.dev" for plural in
                                ("databaseservers", "databaseplacements", "tenantmigrations")),
                              check=left == 0)  # fmt: skip
            if code == 0:
                break
            time.sleep(0.2)
        cls.recorded = json.loads(subprocess.run([RECORDER], check=True, capture_output=True,
                                                 text=True).stdout)  # fmt: skip
        cls.mapping = yaml.safe_load((REPOSITORY / "tests/gitops/mapping.yaml").read_text())
        call("create", "namespace", NAMESPACE)
        cls.addClassCleanup(cls.remove)
        store([(manifest(kind, name, recorded), recorded["status"])
               for kind, objects in cls.recorded.items() for name, recorded in objects.items()])
        # What happened to these after the operator's last word.
        call("--namespace", NAMESPACE, "delete", "tm", "deleting", "--wait=false")
        call("--namespace", NAMESPACE, "patch", "tm", "changed-since", "--type=merge", "--patch",
             '{"spec": {"suspend": true}}')  # fmt: skip

    @classmethod
    def remove(cls):
        # Where no controllers run, a deleted namespace stays, and all that is in it.
        call("--namespace", NAMESPACE, "patch", "tm", "deleting", "--type=merge", "--patch",
             '{"metadata": {"finalizers": null}}', check=False)  # fmt: skip
        for kind in ("tm", "dbp"):
            call("--namespace", NAMESPACE, "delete", kind, "--all", check=False)
        call("delete", "dbs", *(f"{NAMESPACE}-{name}" for name in cls.recorded["DatabaseServer"]),
             check=False)  # fmt: skip
        call("delete", "namespace", NAMESPACE, "--wait=false", check=False)

    def move(self, name, like):
        """A migration that is stored like a recorded one; what it is told becomes its status."""
        recorded = self.recorded["TenantMigration"]
        made = manifest("TenantMigration", name, recorded[like])
        store([(made, recorded[like]["status"])])

        def becomes(other):
            call("replace", "--subresource=status", "--filename", "-",
                 stdin=json.dumps(with_status(made, recorded[other]["status"])))  # fmt: skip

        return becomes

    def test_it_comes_back_for_what_the_mapping_says_and_for_nothing_else(self):
        for kind, objects in self.recorded.items():
            prefix = f"{NAMESPACE}-" if kind == "DatabaseServer" else ""
            for condition in CONDITIONS:
                with self.subTest(kind=kind, condition=condition):
                    want = {name for name in objects
                            if condition in lines_of(self.mapping, kind, name).get("wait", [])}
                    met, code = waited(kind, [prefix + name for name in objects], condition)
                    self.assertEqual({name.removeprefix(prefix) for name in met}, want)
                    self.assertEqual(code, 1, "some of them have not come so far")

    def test_each_row_of_the_documented_table_is_what_it_does(self):
        rows = documented()
        self.assertEqual(set(rows), set(ROWS))
        for row, name in ROWS.items():
            with self.subTest(row):
                met = {condition for condition in CONDITIONS
                       if waited("TenantMigration", [name], condition)[0]}  # fmt: skip
                self.assertEqual(met, rows[row])

    def test_it_comes_back_when_a_migration_that_runs_completes(self):
        becomes = self.move("runs-and-completes", "hypercare")
        self.assert_comes_back("runs-and-completes", "Succeeded", "Ready",
                               when=lambda: becomes("completed-from-completing"))

    def test_it_comes_back_when_a_migration_that_runs_fails(self):
        becomes = self.move("runs-and-fails", "undoing")
        self.assert_comes_back("runs-and-fails", "Succeeded=False", "Stalled",
                               when=lambda: becomes("failed-from-undoing"))

    def assert_comes_back(self, name, *conditions, when):
        """None of the waits comes back before, and all do after it."""
        with contextlib.ExitStack() as stack:
            waits = [stack.enter_context(subprocess.Popen(
                ["kubectl", "--namespace", NAMESPACE, "wait", f"--for=condition={condition}",
                 "--timeout=240s", f"tm/{name}"], stdout=subprocess.DEVNULL))
                for condition in conditions]  # fmt: skip
            stack.callback(lambda: [one.kill() for one in waits])
            time.sleep(2)
            self.assertEqual([one.poll() for one in waits], [None] * len(waits), "came back early")
            when()
            self.assertEqual([one.wait(timeout=300) for one in waits], [0] * len(waits))

    def test_it_times_out_for_a_migration_that_waits_for_a_person(self):
        started = time.monotonic()
        met, code = waited("TenantMigration", ["awaiting-approval"], "Succeeded", "3s")
        self.assertEqual((met, code), (set(), 1))
        self.assertGreater(time.monotonic() - started, 3)

    def test_it_does_not_take_the_answer_to_an_older_spec(self):
        self.move("completed-before", "completed-from-completing")
        self.assertTrue(waited("TenantMigration", ["completed-before"], "Ready")[0])
        call("--namespace", NAMESPACE, "patch", "tm", "completed-before", "--type=merge", "--patch",
             '{"spec": {"suspend": true}}')  # fmt: skip
        for condition in ("Ready", "Succeeded"):
            self.assertEqual(waited("TenantMigration", ["completed-before"], condition), (set(), 1))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    RECORDER = sys.argv.pop(1)
    unittest.main()
