# SPDX-License-Identifier: Apache-2.0
"""A tenant behind two PgBouncers in the cluster, moved by TenantMigrations: strategy Online, switch
Pooler. Needs the world of hack/demo --keep: the operator, and servers pg-dedicated and
pg-dedicated-2 (one major, so that it can go there and back)."""

import json
import sys
import time

from . import clients
from .repository import REPOSITORY, say

sys.path.insert(0, str(REPOSITORY / "tests/e2e"))
from cluster import apply, get, kubectl, wait_until  # noqa: E402
from server import Server  # noqa: E402

NAMESPACE = "bench"
DATABASE = ROLE = "bench"
PASSWORD = "bench-secret"
ADMIN_PASSWORD = "bench-console"
HOMES = ("pg-dedicated", "pg-dedicated-2")
POOLERS = 2
MIGRATION = "bench-moves"
MOVE_SECONDS_MAX = 600
ENDS = ("Completed", "Failed", "Aborted", "RolledBack")

# The entry `postgres` has the same host: through it the operator asks where a pooler leads.
INI = f"""[databases]
{DATABASE} = host=bench-db.{NAMESPACE}.svc.cluster.local port=5432
postgres = host=bench-db.{NAMESPACE}.svc.cluster.local port=5432 pool_mode=session
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/users
admin_users = boss
pool_mode = transaction
max_client_conn = 500
"""
USERS = f'"boss" "{ADMIN_PASSWORD}"\n"{ROLE}" "{PASSWORD}"\n'


def objects(server):
    meta = {"namespace": NAMESPACE}
    labels = {"app": "pgbouncer"}
    container = {"name": "pgbouncer", "image": "cutover.local/pgbouncer:dev",
                 "imagePullPolicy": "Never", "args": ["/etc/pgbouncer/pgbouncer.ini"],
                 "volumeMounts": [{"name": "config", "mountPath": "/etc/pgbouncer"}],
                 "readinessProbe": {"tcpSocket": {"port": 6432}, "periodSeconds": 1}}  # fmt: skip
    pod = {"securityContext": {"runAsUser": 100}, "enableServiceLinks": False,
           "terminationGracePeriodSeconds": 1, "containers": [container],
           "volumes": [{"name": "config", "secret": {"secretName": "pgbouncer"}}]}  # fmt: skip
    placement = {"database": {"name": DATABASE, "owner": ROLE,
                              "passwordSecretRef": {"name": "bench-db", "key": "password"}},
                 "class": "Dedicated", "serverName": server, "profile": {"type": "Generic"},
                 "connection": {"service": {"name": "bench-db"}}}  # fmt: skip
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bench-db", **meta},
         "stringData": {"password": PASSWORD}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pgbouncer", **meta},
         "stringData": {"pgbouncer.ini": INI, "users": USERS}},
        {"apiVersion": "v1", "kind": "Secret",
         "metadata": {"name": "bench-pooler", "namespace": "cutover-system"},
         "stringData": {"username": "boss", "password": ADMIN_PASSWORD}},
        {"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabasePlacement",
         "metadata": {"name": "bench", **meta}, "spec": placement},
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": "pgbouncer", **meta},
         "spec": {"replicas": POOLERS, "selector": {"matchLabels": labels},
                  "template": {"metadata": {"labels": labels}, "spec": pod}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "pgbouncer", **meta},
         "spec": {"selector": labels, "ports": [{"port": 6432}]}},
    ]  # fmt: skip


def migration(target):
    spec = {"placementRef": {"name": "bench"}, "target": {"serverName": target},
            "strategy": "Online", "backup": {"mode": "Skip"}, "cutover": {"switch": "Pooler"},
            "hypercare": {"durationSeconds": 0},
            "source": {"retentionSeconds": 0, "reclaimPolicy": "Delete"}}  # fmt: skip
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
            "metadata": {"name": MIGRATION, "namespace": NAMESPACE}, "spec": spec}


def make_tenant(statements=clients.TABLES):
    """The tenant on the first home, and its poolers at work before it."""
    remove_tenant()
    home = Server(HOMES[0])
    home.sql("postgres", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    home.sql("postgres", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    home.sql(DATABASE, f"GRANT ALL ON SCHEMA public TO {ROLE}; SET ROLE {ROLE}; {statements}")
    for name in HOMES:
        pooler = {"adminEndpoint": {"host": f"pgbouncer.{NAMESPACE}.svc.cluster.local"},
                  "adminSecretRef": {"name": "bench-pooler"}}  # fmt: skip
        kubectl("patch", "dbs", name, "--type", "merge", "--patch",
                json.dumps({"spec": {"pooler": pooler}}))  # fmt: skip
    for one in objects(HOMES[0]):
        apply(one)
    kubectl("--namespace", NAMESPACE, "rollout", "status", "deployment/pgbouncer", "--timeout",
            "90s")  # fmt: skip
    wait_until("the placement is ready", 90, lambda: any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in get("dbp", "bench", NAMESPACE).get("status", {}).get("conditions", [])))


def remove_tenant():
    kubectl("--namespace", NAMESPACE, "delete", "tm", "--all", "--timeout", "120s", check=False)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout", "120s")
    for name in HOMES:
        kubectl("patch", "dbs", name, "--type", "merge", "--patch", '{"spec":{"pooler":null}}')
        Server(name).sql("postgres", f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        Server(name).sql("postgres", f"DROP ROLE IF EXISTS {ROLE}")


def conninfo():
    """Through the Service in front of the poolers, whose addresses can be reached from the node."""
    address = get("service", "pgbouncer", NAMESPACE)["spec"]["clusterIP"]
    return f"host={address} port=6432 dbname={DATABASE} user={ROLE} password={PASSWORD}"


def move_to(target):
    """One whole move; its final status, and when its cutover was seen to begin and to have ended,
    in microseconds."""
    apply(migration(target))
    seen = {}

    def ended():
        status = (get("tm", MIGRATION, NAMESPACE) or {}).get("status", {})
        if status.get("cutover", {}).get("fencedAt"):
            seen.setdefault("closed", time.time_ns() // 1000)
        return status if status.get("phase") in ENDS else None

    status = wait_until(f"the move to {target} ends", MOVE_SECONDS_MAX, ended, 0.05)
    kubectl("--namespace", NAMESPACE, "delete", "tm", MIGRATION, "--timeout", "120s")
    if status["phase"] != "Completed":
        raise RuntimeError(f"it ended as {status['phase']}: {status.get('message')}")
    pause = status.get("cutover", {}).get("writePauseMilliseconds", 0)
    say(f"moved to {target}: the operator says {pause} ms")
    return pause, seen["closed"]
