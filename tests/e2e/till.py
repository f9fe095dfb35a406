# SPDX-License-Identifier: Apache-2.0
"""A second tenant, beside that of shop.py: a database without workloads, of 20,000 rows."""

import contextlib

from cluster import apply, get, kubectl
from server import Server
from shop import HOMES, NAMESPACE, migration

NAME = "till"
MIGRATION = "till-moves"
ROWS = 20000


@contextlib.contextmanager
def on(server):
    """Within: it is placed on the server of that name, ready."""
    there = Server(server)
    there.sql("postgres", f"create role {NAME} login password 'till-secret'")
    there.sql("postgres", f"create database {NAME} owner {NAME}")
    there.sql(NAME, f"set role {NAME}; create schema app; create table app.receipts as select n, "
                    f"md5(n::text) as text from generate_series(1, {ROWS}) n; "
                    "alter table app.receipts add primary key (n)")
    meta = {"name": NAME, "namespace": NAMESPACE}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {
        "password": "till-secret", "port": "5432",
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


def rows(server):
    return int(Server(server).sql(NAME, "select count(*) from app.receipts"))
