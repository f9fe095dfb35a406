# SPDX-License-Identifier: Apache-2.0
"""A PgBouncer in front of the tenant of shop.py, and a client that counts through it."""

import contextlib

from cluster import apply, expect, kubectl, wait_until
from shop import DATABASE, HOMES, NAMESPACE

POOLER = "pgbouncer"
POOLER_PASSWORD = "pool-secret"
POOLER_INI = f"""
[databases]
{DATABASE} = host=shop-db port=5432 dbname={DATABASE}
postgres = host=shop-db port=5432 dbname=postgres
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
admin_users = pooladmin
pool_mode = transaction
query_wait_timeout = 0
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
"""
# Counts through the pooler as fast as one client can, over one connection that it keeps; says how
# long each statement took, and ends at the first error.
CLIENT = """
import re, subprocess, sys, time
psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True, bufsize=1)
psql.stdin.write("select coalesce(max(n), 0) from app.counted;\\n")
n = int(psql.stdout.readline()) + 100000
while True:
    n += 1
    begun = time.monotonic()
    psql.stdin.write(f"insert into app.counted values ({n}) returning n;\\n")
    if psql.stdout.readline().strip() != str(n):
        print("FAILED", n, flush=True)
        sys.exit(1)
    print(n, round((time.monotonic() - begun) * 1000, 1), flush=True)
    time.sleep(0.002)
"""


def _add():
    labels = {"app": POOLER}
    meta = {"name": POOLER, "namespace": NAMESPACE}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {
        "pgbouncer.ini": POOLER_INI,
        "userlist.txt": f'"shop" "shop-secret"\n"pooladmin" "{POOLER_PASSWORD}"\n'}})
    apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
        "replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {
                "securityContext": {"runAsUser": 100, "runAsGroup": 100, "fsGroup": 100},
                "enableServiceLinks": False,
                "volumes": [{"name": "ini", "secret": {"secretName": POOLER}}],
                "containers": [{"name": "pgbouncer", "image": "cutover.local/pgbouncer:dev",
                                "imagePullPolicy": "Never",
                                "args": ["/etc/pgbouncer/pgbouncer.ini"],
                                "readinessProbe": {"tcpSocket": {"port": 6432},
                                                   "periodSeconds": 1},
                                "volumeMounts": [{"name": "ini",
                                                  "mountPath": "/etc/pgbouncer"}]}]}}}})
    apply({"apiVersion": "v1", "kind": "Service", "metadata": meta,
           "spec": {"selector": labels, "ports": [{"port": 6432}]}})
    apply({"apiVersion": "v1", "kind": "Secret",
           "metadata": {"name": "shop-pooler", "namespace": "cutover-system"},
           "stringData": {"username": "pooladmin", "password": POOLER_PASSWORD}})
    for name in HOMES:
        kubectl("patch", "dbs", name, "--type", "merge", "--patch",
                '{"spec":{"pooler":{"adminEndpoint":{"host":"pgbouncer.shop.svc.cluster.local"},'
                '"adminSecretRef":{"name":"shop-pooler"}}}}')
    kubectl("--namespace", NAMESPACE, "rollout", "status", f"deployment/{POOLER}", "--timeout",
            "60s")


def _remove():
    for name in HOMES:
        kubectl("patch", "dbs", name, "--type", "json", "--patch",
                '[{"op":"remove","path":"/spec/pooler"}]', check=False)
    kubectl("--namespace", NAMESPACE, "delete", f"deploy/{POOLER}", f"svc/{POOLER}",
            f"secret/{POOLER}", "pod/through-pooler", "--ignore-not-found", "--timeout", "60s")
    kubectl("--namespace", "cutover-system", "delete", "secret/shop-pooler", "--ignore-not-found")


@contextlib.contextmanager
def in_front():
    """Within: a PgBouncer stands before the tenant, known to every server, and the tenant's own
    workload rests: it comes by the Service, and would be in the pooler's way."""
    kubectl("--namespace", NAMESPACE, "scale", "deploy/counter", "--replicas", "0")
    _add()
    try:
        yield
    finally:
        _remove()
        kubectl("--namespace", NAMESPACE, "scale", "deploy/counter", "--replicas", "1")


def pod():
    """Name of the pooler's pod."""
    return kubectl("--namespace", NAMESPACE, "get", "pods", "--selector", f"app={POOLER}",
                   "--output", "jsonpath={.items[0].metadata.name}")


class PooledClient:
    """One client that counts through the pooler, in a pod of its own."""

    def __enter__(self):
        kubectl("--namespace", NAMESPACE, "delete", "pod/through-pooler", "--ignore-not-found",
                "--timeout", "60s")
        variables = {"PGHOST": POOLER, "PGPORT": "6432", "PGUSER": "shop", "PGDATABASE": DATABASE,
                     "PGPASSWORD": "shop-secret"}
        apply({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": "through-pooler", "namespace": NAMESPACE},
               "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                        "enableServiceLinks": False,
                        "containers": [{"name": "client", "image": "cutover.local/tools:dev",
                                        "imagePullPolicy": "Never",
                                        "command": ["python3", "-c", CLIENT],
                                        "env": [{"name": k, "value": v}
                                                for k, v in variables.items()]}]}})
        wait_until("the client counts", 60, lambda: len(self.lines()) > 20, 0.5)
        return self

    def __exit__(self, *_):
        kubectl("--namespace", NAMESPACE, "delete", "pod/through-pooler", "--timeout", "60s")

    def lines(self):
        return kubectl("--namespace", NAMESPACE, "logs", "through-pooler",
                       check=False).splitlines()

    def numbers(self):
        """What was acknowledged; fails when a statement has failed."""
        lines = [line.split() for line in self.lines()]
        failed = [line for line in lines if len(line) != 2 or not line[0].isdigit()]
        expect(not failed, f"a statement through the pooler failed: {failed[:2]}")
        return [int(number) for number, _ in lines]

    def acknowledged(self):
        """The same, whether or not one has failed since."""
        return [int(line.split()[0]) for line in self.lines() if line[:1].isdigit()]

    def wait_for_more(self):
        """Until it counts on from here."""
        there = len(self.numbers())
        wait_until("the client counts on", 60, lambda: len(self.numbers()) > there + 50)

    def longest_stall_milliseconds(self):
        return max(float(line.split()[1]) for line in self.lines())
