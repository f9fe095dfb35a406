#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fragments_test.py [UNITTEST_OPTIONS]: the parts of objects that the documents show (wiring,
checks) are taken by a real API server, in the placement and the migration of docs/first-tenant.md;
and a word misspelt in any of them would be refused. Whole objects are seen to by tests/kube/chart.
Needs KUBECONFIG; the ctest fixture kube_api_server sets it up."""

import copy
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
NAMESPACE = f"fragments-{os.getpid()}"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Of which kind a fragment is a part, by a field of its spec.
KINDS = {"connection": "DatabasePlacement", "checks": "TenantMigration"}
# Elsewhere in Kubernetes; with who judges them.
OTHERS = {"docs/gitops.md": "tests/gitops/drift, as Argo CD reads it",
          "docs/metrics.md": "tests/observability, as promtool reads it"}


def call(*arguments, stdin=None):
    done = subprocess.run(["kubectl", *arguments], input=stdin, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return done.returncode == 0, done.stdout


def blocks():
    """(page, content) of every block of YAML that the documents show."""
    for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]:
        for block in BLOCK.findall(path.read_text()):
            yield str(path.relative_to(REPOSITORY)), list(yaml.safe_load_all(block))


def fragments():
    """(page, kind, fields of its spec) of every block that is a part of one of our objects."""
    found = []
    for page, documents in blocks():
        kinds = {KINDS[field] for field in documents[0] if field in KINDS}
        if "apiVersion" in documents[0] or page in OTHERS:
            continue
        if len(documents) != 1 or len(kinds) != 1:
            raise AssertionError(f"{page}: nobody knows what this is a part of: {documents}")
        found.append((page, kinds.pop(), documents[0]))
    return found


def whole(kind, fields):
    """The object of docs/first-tenant.md with these fields instead of its own."""
    for page, documents in blocks():
        for document in documents:
            if page == "docs/first-tenant.md" and document["kind"] == kind:
                document["metadata"]["namespace"] = NAMESPACE
                document["spec"].update(fields)
                return document
    raise AssertionError(f"docs/first-tenant.md shows no {kind}")


def misspelt(fields, at=()):
    """(path, fields with the last word of that path misspelt) for every key there is."""
    node = fields
    for step in at:
        node = node[step]
    if isinstance(node, list):
        for index in range(len(node)):
            yield from misspelt(fields, (*at, index))
    if isinstance(node, dict):
        for key in node:
            changed = copy.deepcopy(fields)
            parent = changed
            for step in at:
                parent = parent[step]
            parent[key + "x"] = parent.pop(key)
            yield (*at, key), changed
            yield from misspelt(fields, (*at, key))


class Fragments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        binaries = subprocess.run([REPOSITORY / "hack/cluster", "binaries", "kubectl"], check=True,
                                  capture_output=True, text=True).stdout.strip()  # fmt: skip
        os.environ["PATH"] = f"{binaries}:{os.environ['PATH']}"
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        os.environ["KUBECACHEDIR"] = scratch.name
        crds = ("crd/databaseplacements.cutover.dev", "crd/tenantmigrations.cutover.dev")
        for arguments, tries in (
                (["apply", "--server-side", "--force-conflicts", "--filename",
                  REPOSITORY / "crds"], 1),
                # `kubectl wait` fails on a CRD that has no conditions yet.
                (["wait", "--for=condition=Established", "--timeout=30s", *crds], 100),
                (["create", "namespace", NAMESPACE], 1)):  # fmt: skip
            good, said = call(*arguments)
            while not good and tries > 1:
                time.sleep(0.2)
                tries -= 1
                good, said = call(*arguments)
            assert good, said
        cls.addClassCleanup(call, "delete", "namespace", NAMESPACE, "--wait=false")

    def taken(self, documents):
        """Whether the API server would take them all, and its words."""
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        return call("apply", "--dry-run=server", "--validate=strict", "--filename", "-",
                    stdin=json.dumps(listed))  # fmt: skip

    def test_the_api_server_takes_every_one(self):
        found = fragments()
        self.assertGreaterEqual(len([1 for page, *_ in found if page == "docs/wiring.md"]), 8)
        for page, kind, fields in found:
            with self.subTest(page, fields=fields):
                good, said = self.taken([whole(kind, fields)])
                self.assertTrue(good, said)

    def test_a_misspelt_word_would_be_refused_in_every_one(self):
        for page, kind, fields in fragments():
            planted = list(misspelt(fields))
            documents = []
            for number, (_, changed) in enumerate(planted):
                documents.append(whole(kind, changed))
                documents[-1]["metadata"]["name"] = f"planted-{number}"
            _, said = self.taken(documents)
            with self.subTest(page, fields=fields):
                taken = re.findall(r"/planted-(\d+) created", said)
                self.assertEqual([planted[int(number)][0] for number in taken], [])
                self.assertGreaterEqual(said.count("unknown field"), len(planted))


if __name__ == "__main__":
    unittest.main()
