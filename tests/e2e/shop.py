# SPDX-License-Identifier: Apache-2.0
"""A tenant that is no Odoo: a program that counts in a table, behind a Service of the operator.

It moves in seconds, so the faults are tried on it. What it writes it also remembers in a file of
its own, once the server has acknowledged it.

What fault_scenarios.py asks of a tenant is written here and, for Odoo, in tenant.py under the same
names: where it lives (NAMESPACE to WRITES_WITHOUT_USERS), migration(), ensure(), drop_leftovers(),
users(), wait_until_counting() and expect_nothing_lost().
"""

import contextlib

from cluster import Failure, apply, expect, get, kubectl, wait_until
from server import Server

NAMESPACE = "shop"
DATABASE = "shop"
ROLE = "shop"
PASSWORD = "shop-secret"
SECRET = "shop-db"
PLACEMENT = "shop"
MIGRATION = "shop-moves"
BACKUP_CLAIM = "acknowledged"
WORKLOAD = "app=counter"  # The label of its pods.
WRITTEN_TABLE = "app.counted"
WRITES_WITHOUT_USERS = True  # As soon as its pods run.
HOMES = ("pg-shared", "pg-dedicated", "pg-dedicated-2")
ENDS = {"Completed", "Failed", "Aborted", "RolledBack"}
PROGRAM = """
until stored=$(psql -XAtq -c 'select coalesce(max(n), 0) from counted'); do sleep 0.2; done
last=$(tail -n 1 /acknowledged/numbers 2>/dev/null)
n=$(((stored > ${last:-0} ? stored : ${last:-0}) + 1000))
while :; do
  n=$((n + 1))
  psql -XAtq -c "insert into counted values ($n)" 2>>/acknowledged/errors &&
    echo $n >>/acknowledged/numbers
  sleep 0.2
done
"""
# 40 MB, so that a copy takes long enough to be hit in the middle.
BALLAST = ("create table if not exists app.ballast as select n, repeat(md5(n::text), 8) as text "
           "from generate_series(1, 140000) n")


def _objects(server):
    variables = [{"name": "PGHOST", "value": "shop-db"}, {"name": "PGUSER", "value": "shop"},
                 {"name": "PGDATABASE", "value": "shop"},
                 {"name": "PGCONNECT_TIMEOUT", "value": "2"},
                 {"name": "PGPASSWORD",
                  "valueFrom": {"secretKeyRef": {"name": "shop-db", "key": "password"}}}]
    pod = {"terminationGracePeriodSeconds": 1, "enableServiceLinks": False,
           "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
           "volumes": [{"name": "acknowledged",
                        "persistentVolumeClaim": {"claimName": "acknowledged"}}],
           "containers": [{"name": "counter", "image": "cutover.local/tools:dev",
                           "imagePullPolicy": "Never", "command": ["bash", "-c", PROGRAM],
                           "env": variables, "volumeMounts": [
                               {"name": "acknowledged", "mountPath": "/acknowledged"}]}]}
    meta = {"namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-db", **meta},
         "stringData": {"password": "shop-secret", "port": "5432",
                        "host": f"{server}.databases.svc.cluster.local"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
         "metadata": {"name": "acknowledged", **meta},
         "spec": {"accessModes": ["ReadWriteOnce"],
                  "resources": {"requests": {"storage": "100Mi"}}}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "counter", **meta},
         "spec": {"replicas": 1, "strategy": {"type": "Recreate"},
                  "selector": {"matchLabels": {"app": "counter"}},
                  "template": {"metadata": {"labels": {"app": "counter"}}, "spec": pod}}},
        placement(server),
    ]


def in_git(server):
    """What a GitOps tool holds of the tenant: everything but the namespace and the files."""
    return [o for o in _objects(server) if o["kind"] not in {"Namespace", "PersistentVolumeClaim"}]


def placement(server):
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabasePlacement",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {"database": {"name": DATABASE, "owner": "shop",
                                  "passwordSecretRef": {"name": "shop-db", "key": "password"}},
                     "class": "Shared", "serverName": server, "profile": {"type": "Generic"},
                     "connection": {"service": {"name": "shop-db"},
                                    "secret": {"name": "shop-db",
                                               "keys": {"host": "host", "port": "port"}}},
                     "workloads": [{"kind": "Deployment", "name": "counter"}]}}


def migration(target, **spec):
    body = {"placementRef": {"name": "shop"}, "target": {"serverName": target},
            "strategy": "Offline", "backup": {"mode": "Skip"},
            "source": {"retentionSeconds": 0, "reclaimPolicy": "Delete"}, **spec}
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
            "metadata": {"name": MIGRATION, "namespace": NAMESPACE}, "spec": body}


def status():
    found = get("tm", MIGRATION, NAMESPACE)
    return found.get("status", {}) if found else {}


def home():
    """Name of the server that holds the tenant's open database, as the servers say."""
    homes = [name for name in HOMES if Server(name).sql(
        "postgres", f"select count(*) from pg_database where datname = '{DATABASE}' and "
                    "datconnlimit not in (0, -2)") == "1"]  # -2: half dropped, nobody may enter.
    expect(len(homes) < 2, f"the tenant's database is open on {homes}")
    return homes[0] if homes else ""


def acknowledged():
    text = kubectl("--namespace", NAMESPACE, "exec", "deployment/counter", "--", "cat",
                   "/acknowledged/numbers", check=False)
    return [int(line) for line in text.split()]


def forget_acknowledged():
    """Begins anew: what an earlier test is to blame for is not found again."""
    kubectl("--namespace", NAMESPACE, "exec", "deployment/counter", "--", "sh", "-c",
            ": >/acknowledged/numbers; : >/acknowledged/errors")
    wait_until("newly acknowledged numbers", 30, lambda: len(acknowledged()) > 2, 0.2)


@contextlib.contextmanager
def users():
    """Within: somebody writes. Yields what tells which writes were acknowledged so far."""
    forget_acknowledged()
    yield acknowledged


def counted(server):
    return {int(n) for n in Server(server).sql(DATABASE, "select n from app.counted").split()}


def expect_nothing_lost(server, numbers):
    found = counted(server)
    lost = [n for n in numbers if n not in found]
    expect(not lost, f"{len(lost)} acknowledged numbers lost, the first: {lost[:3]}")
    errors = kubectl("--namespace", NAMESPACE, "exec", "deployment/counter", "--", "cat",
                     "/acknowledged/errors", check=False)
    expect("duplicate key" not in errors, f"a sequence has given out a number twice: {errors}")


def remove():
    """The tenant and all of its databases."""
    kubectl("--namespace", NAMESPACE, "delete", "tm", "--all", "--timeout", "120s", check=False)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout", "120s")
    for name in HOMES:
        Server(name).sql("postgres", "drop database if exists shop with (force)")
        Server(name).sql("postgres", "drop role if exists shop")


def drop_leftovers():
    """Databases of the tenant that an earlier test has left closed; only while no migration is
    there whose way back they might be."""
    expect(not get("tm", MIGRATION, NAMESPACE), "no migration is under way")
    open_on = home()
    for name in HOMES:
        if open_on and name != open_on:
            Server(name).sql("postgres", f"drop database if exists {DATABASE} with (force)")


def _make_database(server):
    server.sql("postgres", "create role shop login password 'shop-secret'")
    server.sql("postgres", "create database shop owner shop")
    server.sql("shop", "set role shop; create schema app; "
                       "alter role shop in database shop set search_path = app, public; "
                       "create table app.counted (n bigint primary key, id bigserial unique); "
                       f"{BALLAST}")


def same_role_everywhere(server, role=ROLE):
    """The tenant's role as it is on `server`, also where earlier moves have left it: one that
    differs would rightly be in the way of a move there."""
    verifier = Server(server).sql("postgres", "select rolpassword from pg_authid where rolname = "
                                              f"'{role}'")
    for name in HOMES:
        if name != server:
            set_password(name, role, verifier)


def set_password(server, role, password):
    """Of the role, where that server has it."""
    Server(server).sql("postgres", f"do $$ begin if to_regrole('{role}') is not null then "
                                   f"alter role {role} password '{password}'; end if; end $$")


def ensure():
    """The tenant works: made where it is missing, on the server that has its database. Returns
    that server's name."""
    server = home()
    if not server:
        remove()
        server = "pg-dedicated"
        _make_database(Server(server))
    made = get("dbp", "shop", NAMESPACE)
    if not made:
        Server(server).sql("postgres", "alter role shop password 'shop-secret'")
    same_role_everywhere(server)
    if not made:
        for obj in _objects(server):
            apply(obj)
    try:
        wait_until("the placement is ready", 90, lambda: any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in (get("dbp", "shop", NAMESPACE) or {}).get("status", {}).get("conditions", [])))
    except Failure as failure:
        raise Failure(f"{failure}: {get('dbp', 'shop', NAMESPACE)}") from failure
    wait_until_counting(server)
    return server


def wait_until_counting(server, seconds=90):
    """Writes arrive at the server."""
    there = Server(server)
    question = "select coalesce(max(n), 0) from app.counted"
    before = wait_until("the table answers", seconds, lambda: there.answer(DATABASE, question), 0.2)
    wait_until(f"counting goes on, on {server}", seconds, lambda: int(
        there.answer(DATABASE, question) or before) > int(before), 0.2)


def moves():
    """A whole move, and that the workload's host stays what it was."""
    source = ensure()
    target = next(name for name in HOMES[1:] if name != source)
    address = get("service", "shop-db", NAMESPACE)["spec"]["clusterIP"]
    apply(migration(target))
    expect_moved(source, target)
    expect(get("service", "shop-db", NAMESPACE)["spec"]["clusterIP"] == address,
           "the workload's host has not changed")


def moves_applied_with_its_placement():
    """As a GitOps tool fills a new cluster: the order of a move before anybody has adopted whom it
    is about."""
    source = ensure()
    target = next(name for name in HOMES[1:] if name != source)
    kubectl("--namespace", NAMESPACE, "delete", "dbp", "shop", "--timeout", "60s")
    apply({"apiVersion": "v1", "kind": "List", "items": [migration(target), placement(source)]})
    expect_moved(source, target)


def expect_moved(source, target):
    wait_until("the move is complete", 240, lambda: status().get("phase") == "Completed" or expect(
        status().get("phase") not in ENDS - {"Completed"}, f"it ended: {status()}"))
    wait_until_counting(target)
    numbers = acknowledged()
    expect_nothing_lost(target, numbers)
    wait_until("the source is dropped", 60, lambda: not Server(source).has_database(DATABASE))
    kubectl("--namespace", NAMESPACE, "delete", "tm", MIGRATION, "--timeout", "60s")
    print(f"{len(numbers)} numbers acknowledged, none lost")
