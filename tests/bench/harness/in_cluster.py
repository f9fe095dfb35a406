# SPDX-License-Identifier: Apache-2.0
"""A tenant behind two PgBouncers in the cluster, moved by TenantMigrations: strategy Online, switch
Pooler. Needs the world of hack/demo --keep: the operator, and servers pg-dedicated and
pg-dedicated-2 (one major, so that it can go there and back)."""

import datetime
import json
import subprocess
import sys

from . import clients
from .repository import REPOSITORY, say

sys.path.insert(0, str(REPOSITORY / "tests/e2e"))
from cluster import SUPERUSER_PASSWORD, apply, get, kubectl, wait_until  # noqa: E402
from server import Server  # noqa: E402

NAMESPACE = "bench"
DATABASE = ROLE = "bench"
PASSWORD = "bench-secret"
ADMIN_PASSWORD = "bench-console"
HOMES = ("pg-dedicated", "pg-dedicated-2")
POOLERS = 2
MIGRATION = "bench-moves"
NEIGHBOUR = "bench_neighbour"
MOVE_SECONDS_MAX = 1800
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


def users(server):
    """The tenant's role by its verifier, as people have it: of a plain password PgBouncer would
    work out the keys anew for each login."""
    verifier = server.sql("postgres",
                          f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'")
    return f'"boss" "{ADMIN_PASSWORD}"\n"{ROLE}" "{verifier}"\n'


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
         "stringData": {"pgbouncer.ini": INI, "users": users(Server(server))}},
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


def migration(target, copy=None):
    spec = {"placementRef": {"name": "bench"}, "target": {"serverName": target},
            "strategy": "Online", "backup": {"mode": "Skip"}, "cutover": {"switch": "Pooler"},
            "hypercare": {"durationSeconds": 0}, "copy": copy or {},
            "source": {"retentionSeconds": 0, "reclaimPolicy": "Delete"}}  # fmt: skip
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
            "metadata": {"name": MIGRATION, "namespace": NAMESPACE}, "spec": spec}


def ballast(megabytes, tables):
    """Statements that make a tenant as large, and of as many tables more; each short enough to be
    answered in time. Rows of a kilobyte, which no server compresses."""
    made = [f"CREATE TABLE small_{n} (id int PRIMARY KEY, text text); "
            f"INSERT INTO small_{n} SELECT n, md5(n::text) FROM generate_series(1, 10) n"
            for n in range(tables)]  # fmt: skip
    made = ["; ".join(made[n:n + 100]) for n in range(0, tables, 100)]
    if megabytes:
        made.append("CREATE TABLE ballast (n int PRIMARY KEY, text text)")
    for start in range(0, megabytes, 250):
        rows = min(250, megabytes - start) * 1000
        made.append("INSERT INTO ballast SELECT n, repeat(md5(n::text), 31) FROM "
                    f"generate_series({start * 1000} + 1, {start * 1000} + {rows}) n")
    return made


def make_tenant(megabytes=0, tables=0):
    """The tenant on the first home, and its poolers at work before it."""
    remove_tenant()
    home = Server(HOMES[0])
    home.sql("postgres", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    home.sql("postgres", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    home.sql(DATABASE, f"GRANT ALL ON SCHEMA public TO {ROLE}")
    for statements in [clients.TABLES, *ballast(megabytes, tables)]:
        home.sql(DATABASE, f"SET ROLE {ROLE}; {statements}")
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
    # A Service that is new leads to each of its pods a moment later on the node.
    wait_until("clients reach the poolers", 30, lambda: all(answers() for _ in range(10)))


def answers():
    return subprocess.run(["psql", "-XAtq", "-c", "SELECT 1", f"{conninfo()} connect_timeout=2"],
                          capture_output=True, check=False).returncode == 0  # fmt: skip


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


def move(target, copy=None):
    """One whole move; its status at the end. Asks seldom: every answer of the API server takes from
    the pause."""
    apply(migration(target, copy))

    def ended():
        status = (get("tm", MIGRATION, NAMESPACE) or {}).get("status", {})
        return status if status.get("phase") in ENDS else None

    status = wait_until(f"the move to {target} ends", MOVE_SECONDS_MAX, ended, 2)
    kubectl("--namespace", NAMESPACE, "delete", "tm", MIGRATION, "--timeout", "120s")
    if status["phase"] != "Completed":
        raise RuntimeError(f"it ended as {status['phase']}: {status.get('message')}")
    return status


def microseconds(moment):
    """A time of the status, since 1970."""
    return int(datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1e6)


def move_to(target):
    """A move's pause as the operator says it in milliseconds, and when that began, in
    microseconds."""
    cutover = move(target)["cutover"]
    say(f"moved to {target}: the operator says {cutover['writePauseMilliseconds']} ms")
    return cutover["writePauseMilliseconds"], microseconds(cutover["fencedAt"])


def copying(status):
    """From when to when a move copied, in microseconds."""
    stage = next(stage for stage in status["stages"] if stage["name"] == "Copying")
    return microseconds(stage["startedAt"]), microseconds(stage["completedAt"])


def make_neighbour():
    """Another database on the first home, which does not move; how to reach it."""
    home = Server(HOMES[0])
    home.sql("postgres", f"DROP DATABASE IF EXISTS {NEIGHBOUR} WITH (FORCE)")
    home.sql("postgres", f"CREATE DATABASE {NEIGHBOUR}")
    home.sql(NEIGHBOUR, clients.TABLES)
    address = get("pod", f"{HOMES[0]}-0", "databases")["status"]["podIP"]
    return (f"host={address} dbname={NEIGHBOUR} user=postgres "
            f"password={SUPERUSER_PASSWORD} sslmode=disable")


def remove_neighbour():
    Server(HOMES[0]).sql("postgres", f"DROP DATABASE IF EXISTS {NEIGHBOUR} WITH (FORCE)")
