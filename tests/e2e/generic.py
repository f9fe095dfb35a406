# SPDX-License-Identifier: Apache-2.0
"""A tenant that is no Odoo: a program that counts in a table, behind a Service of the operator."""

from cluster import apply, expect, get, kubectl, sql, wait_until

NAMESPACE = "shop"
# Writes a number, and remembers it in a file of its own once the server has acknowledged it.
PROGRAM = """
n=$(($(tail -n 1 /acknowledged/numbers 2>/dev/null || echo 0) + 1000))
while :; do
  n=$((n + 1))
  psql -XAtq -c "insert into counted values ($n)" && echo $n >>/acknowledged/numbers
  sleep 0.1
done
"""


def _objects():
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
         "stringData": {"password": "shop-secret", "host": "pg-shared.databases.svc.cluster.local",
                        "port": "5432"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
         "metadata": {"name": "acknowledged", **meta},
         "spec": {"accessModes": ["ReadWriteOnce"],
                  "resources": {"requests": {"storage": "100Mi"}}}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "counter", **meta},
         "spec": {"replicas": 1, "strategy": {"type": "Recreate"},
                  "selector": {"matchLabels": {"app": "counter"}},
                  "template": {"metadata": {"labels": {"app": "counter"}}, "spec": pod}}},
        {"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabasePlacement",
         "metadata": {"name": "shop", **meta},
         "spec": {"database": {"name": "shop", "owner": "shop",
                               "passwordSecretRef": {"name": "shop-db", "key": "password"}},
                  "class": "Shared", "serverName": "pg-shared", "profile": {"type": "Generic"},
                  "connection": {"service": {"name": "shop-db"},
                                 "secret": {"name": "shop-db",
                                            "keys": {"host": "host", "port": "port"}}},
                  "workloads": [{"kind": "Deployment", "name": "counter"}]}},
    ]


def _migration():
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
            "metadata": {"name": "shop-moves", "namespace": NAMESPACE},
            "spec": {"placementRef": {"name": "shop"}, "target": {"serverName": "pg-dedicated"},
                     "strategy": "Offline", "backup": {"mode": "Skip"},
                     "source": {"retentionSeconds": 0, "reclaimPolicy": "Delete"}}}


def _acknowledged():
    text = kubectl("--namespace", NAMESPACE, "exec", "deployment/counter", "--", "cat",
                   "/acknowledged/numbers", check=False)
    return [int(line) for line in text.split()]


def _phase():
    migration = get("tm", "shop-moves", NAMESPACE)
    return migration.get("status", {}).get("phase") if migration else None


def _remove():
    kubectl("--namespace", NAMESPACE, "delete", "tm", "--all", "--timeout", "120s", check=False)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout", "120s")
    for server in ("pg-shared", "pg-dedicated"):
        sql(server, "postgres", "drop database if exists shop with (force)")
        sql(server, "postgres", "drop role if exists shop")


def moves():
    _remove()
    sql("pg-shared", "postgres", "create role shop login password 'shop-secret'")
    sql("pg-shared", "postgres", "create database shop owner shop")
    sql("pg-shared", "shop", "set role shop; create schema if not exists app; "
                             "alter role shop in database shop set search_path = app, public; "
                             "create table app.counted (n bigint primary key)")
    for obj in _objects():
        apply(obj)
    wait_until("the placement is ready", 90, lambda: any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in get("dbp", "shop", NAMESPACE).get("status", {}).get("conditions", [])))
    wait_until("the first acknowledged numbers", 90, lambda: len(_acknowledged()) > 5, 1)
    address = get("service", "shop-db", NAMESPACE)["spec"]["clusterIP"]
    apply(_migration())
    wait_until("the move is complete", 240, lambda: _phase() == "Completed" or expect(
        _phase() not in ("Failed", "Aborted", "RolledBack"), f"it ended as {_phase()}"))
    before = len(_acknowledged())
    wait_until("counting goes on", 60, lambda: len(_acknowledged()) > before + 5, 1)
    numbers = _acknowledged()
    found = {int(n) for n in sql("pg-dedicated", "shop", "select n from app.counted").split()}
    lost = [n for n in numbers if n not in found]
    expect(not lost, f"{len(lost)} acknowledged numbers lost, the first: {lost[:3]}")
    expect(get("service", "shop-db", NAMESPACE)["spec"]["clusterIP"] == address,
           "the workload's host has not changed")
    gone = wait_until("the source is dropped", 60, lambda: sql(
        "pg-shared", "postgres", "select count(*) from pg_database where datname = 'shop'") == "0")
    expect(gone, "the source is gone")
    print(f"{len(numbers)} numbers acknowledged, none lost")
    _remove()
