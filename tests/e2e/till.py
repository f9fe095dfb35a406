# SPDX-License-Identifier: Apache-2.0
"""A second tenant, beside that of shop.py: a database of 20,000 rows, without workloads. Who works
on it, through its wiring, is a Writer."""

import base64
import contextlib
import subprocess
import threading
import time

from cluster import Failure, apply, expect, get, kubectl, wait_until
from server import Server
from shop import HOMES, NAMESPACE, migration

NAME = "till"
PASSWORD = "till-secret"
MIGRATION = "till-moves"
ROWS = 20000


@contextlib.contextmanager
def on(server):
    """Within: it is placed on the server of that name, ready."""
    there = Server(server)
    there.sql("postgres", f"create role {NAME} login password '{PASSWORD}'")
    there.sql("postgres", f"create database {NAME} owner {NAME}")
    there.sql(NAME, f"set role {NAME}; create schema app; create table app.receipts as select n, "
                    f"md5(n::text) as text from generate_series(1, {ROWS}) n; "
                    "alter table app.receipts add primary key (n)")
    meta = {"name": NAME, "namespace": NAMESPACE}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {
        "password": PASSWORD, "port": "5432",
        "host": f"{server}.databases.svc.cluster.local"}})
    apply({"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabasePlacement", "metadata": meta,
           "spec": {"database": {"name": NAME, "owner": NAME,
                                 "passwordSecretRef": {"name": NAME, "key": "password"}},
                    "class": "Shared", "serverName": server, "profile": {"type": "Generic"},
                    "connection": {"secret": {"name": NAME,
                                              "keys": {"host": "host", "port": "port"}}}}})
    kubectl("--namespace", NAMESPACE, "wait", "--for", "condition=Ready", "--timeout", "90s",
            f"dbp/{NAME}")
    try:
        yield
    finally:
        _remove()


def _remove():
    kubectl("--namespace", NAMESPACE, "delete", f"tm/{MIGRATION}", "--ignore-not-found",
            "--timeout", "120s")
    kubectl("--namespace", NAMESPACE, "delete", f"dbp/{NAME}", f"secret/{NAME}",
            "--ignore-not-found", "--timeout", "60s")
    for name in HOMES:
        Server(name).sql("postgres", f"drop database if exists {NAME} with (force)")
        Server(name).sql("postgres", f"drop role if exists {NAME}")


def begin(target):
    order = migration(target, strategy="Online")
    order["metadata"]["name"] = MIGRATION
    order["spec"]["placementRef"]["name"] = NAME
    apply(order)


def status():
    found = get("tm", MIGRATION, NAMESPACE)
    return found.get("status", {}) if found else {}


class Writer:
    """A user who files one receipt after the other, where the wiring says the database is by then,
    and remembers exactly those that were acknowledged."""

    def __init__(self):
        self.acknowledged = []
        self.refused = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.stop.set()
        self.thread.join(timeout=60)

    def wait_for_more(self):
        before = len(self.acknowledged)
        wait_until("receipts are filed", 60, lambda: len(self.acknowledged) > before + 2)

    def _write(self):
        number = ROWS
        while not self.stop.is_set():
            number += 1
            try:
                self._file(number)
                self.acknowledged.append(number)
            except (Failure, subprocess.TimeoutExpired):
                self.refused += 1
                time.sleep(0.1)

    def _file(self, number):
        wired = base64.b64decode(get("secret", NAME, NAMESPACE)["data"]["host"]).decode()
        command = Server(wired.split(".")[0]).command(
            "till", NAME, "-c", f"insert into app.receipts values ({number}, 'new')",
            role=NAME, password=PASSWORD)
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        expect(done.returncode == 0, done.stderr)

    def check(self, server):
        """Files no more; all that was there and all that was acknowledged is on `server`."""
        self.end()
        found = {int(n) for n in Server(server).sql(
            NAME, "select n from app.receipts").split()}
        lost = (set(range(1, ROWS + 1)) | set(self.acknowledged)) - found
        expect(not lost, f"{len(lost)} receipts are lost, the first: {sorted(lost)[:3]}")
