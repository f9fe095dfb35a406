# SPDX-License-Identifier: Apache-2.0
"""Strategy Online on a real cluster, with the tenant of shop.py. Usage: online.py NAME

Each scenario finds the tenant working, does its deed, and leaves it working.
"""

import sys
import time
import traceback

import shop
from cluster import Failure, apply, expect, get, kill_leader, kubectl, wait_until
from server import Server
from shop import (DATABASE, HOMES, MIGRATION, NAMESPACE, acknowledged, ensure,
                  expect_nothing_lost, migration, wait_until_counting)

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


def other(source):
    return next(name for name in HOMES[1:] if name != source)


def begin(target, **spec):
    """Orders an online move; tables without a key (the ballast) are followed in full."""
    spec.setdefault("copy", {})["replicaIdentity"] = "SetFull"
    apply(migration(target, strategy="Online", **spec))


def wait_for(phases, seconds=240):
    def reached():
        status = shop.status()
        if status.get("phase") in phases:
            return status
        expect(status.get("phase") not in shop.ENDS,
               f"it ended as {status.get('phase')}: {status.get('message')}")
        return None

    return wait_until(f"a phase of {sorted(phases)}", seconds, reached)


def condition(kind):
    return next((c for c in shop.status().get("conditions", []) if c["type"] == kind), {})


def way_back_is_open():
    return condition("RollbackReady").get("status") == "True"


def command(name, token):
    kubectl("--namespace", NAMESPACE, "annotate", "tm", MIGRATION, "--overwrite",
            f"cutover.dev/{name}={token}")


def forget():
    kubectl("--namespace", NAMESPACE, "delete", "tm", MIGRATION, "--timeout", "120s")


def nothing_left(*servers):
    """No slot, role, publication, subscription or schema of a move, and no changed identity."""
    for name in servers:
        server = Server(name)
        for what, question in {
                "slots": "select count(*) from pg_replication_slots",
                "roles": "select count(*) from pg_roles where rolname like 'cutover\\_%\\_%'",
                "subscriptions": "select count(*) from pg_subscription"}.items():
            found = server.sql("postgres", question)
            expect(found == "0", f"{found} {what} are left behind on {name}")
        if not server.has_database(DATABASE):
            continue
        for what, question in {
                "publications": "select count(*) from pg_publication",
                "schemas": "select count(*) from pg_namespace where nspname = 'cutover'",
                "tables with identity FULL":
                    "select count(*) from pg_class where relreplident = 'f'"}.items():
            found = server.sql(DATABASE, question)
            expect(found == "0", f"{found} {what} are left behind on {name}")


def moved(source, target):
    """The tenant works on `target`, with everything that was acknowledged."""
    wait_until_counting(target)
    expect_nothing_lost(target, acknowledged())
    wait_until("the source is dropped", 60, lambda: not Server(source).has_database(DATABASE))
    nothing_left(source, target)
    forget()


def an_online_move_loses_no_write_and_leaves_nothing_behind():
    source = ensure()
    target = other(source)
    begin(target)
    pause = wait_for({"Completed"})["cutover"]["writePauseMilliseconds"]
    moved(source, target)
    print(f"doors closed for {pause} ms")


def a_rollback_in_hypercare_brings_back_what_was_written_on_the_target():
    source = ensure()
    target = other(source)
    begin(target, hypercare={"durationSeconds": 600})
    wait_for({"Hypercare"})
    wait_until_counting(target)
    wait_until("the way back is open", 60, way_back_is_open)
    on_target = acknowledged()
    command("rollback", "back")
    wait_for({"RolledBack"})
    wait_until_counting(source)
    expect_nothing_lost(source, on_target + acknowledged())
    nothing_left(source)
    forget()
    expect(not Server(target).has_database(DATABASE), "the copy goes with the migration")
    nothing_left(target)


def the_leader_killed_while_the_doors_are_closed_costs_no_write():
    source = ensure()
    target = other(source)
    begin(target)
    wait_for({"Fencing", "Finalizing", "Verifying", "Switching", "Opening"})
    kill_leader()
    wait_for({"Completed"})
    moved(source, target)


def a_changed_structure_holds_the_move_until_somebody_decides():
    source = ensure()
    begin(other(source), cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    Server(source).sql(DATABASE, "alter table app.counted add column why text")
    wait_until("it holds", 60, lambda: condition("Ready").get("reason") == "SchemaChanged")
    command("approve", "now")
    time.sleep(6)
    expect(shop.status()["phase"] in {"AwaitingCutover", "CatchingUp"},
           "it does not go on by itself")
    command("abort", "stop")
    wait_for({"Aborted"})
    Server(source).sql(DATABASE, "alter table app.counted drop column why")
    wait_until_counting(source)
    nothing_left(source, other(source))
    forget()


def a_row_changed_on_the_target_behind_replications_back_stops_the_switch():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    Server(target).sql(DATABASE, "update app.ballast set text = 'x' where n = 77")
    status = wait_until("it gives up", 120, lambda: shop.status() if shop.status().get("phase") in
                        {"Failed"} else None)
    expect("app.ballast" in status["message"], f"it names the table: {status['message']}")
    wait_until_counting(source)
    nothing_left(source, target)
    forget()


def add_pooler():
    """A PgBouncer in front of the tenant, known to every server."""
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


def remove_pooler():
    for name in HOMES:
        kubectl("patch", "dbs", name, "--type", "json", "--patch",
                '[{"op":"remove","path":"/spec/pooler"}]', check=False)
    kubectl("--namespace", NAMESPACE, "delete", f"deploy/{POOLER}", f"svc/{POOLER}",
            f"secret/{POOLER}", "pod/through-pooler", "--ignore-not-found", "--timeout", "60s")
    kubectl("--namespace", "cutover-system", "delete", "secret/shop-pooler", "--ignore-not-found")


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

    def longest_stall_milliseconds(self):
        return max(float(line.split()[1]) for line in self.lines())


def the_pooler_switch_costs_clients_a_delay_and_no_error():
    source = ensure()
    target = other(source)
    # The tenant's own workload comes by the Service, and would be in the pooler's way: it rests.
    kubectl("--namespace", NAMESPACE, "scale", "deploy/counter", "--replicas", "0")
    add_pooler()
    try:
        with PooledClient() as client:
            begin(target, cutover={"switch": "Pooler"}, hypercare={"durationSeconds": 600})
            pause = wait_for({"Hypercare"})["cutover"]["writePauseMilliseconds"]
            there = len(client.numbers())
            wait_until("counting goes on, on the target", 30,
                       lambda: len(client.numbers()) > there + 50)
            stall = client.longest_stall_milliseconds()
            wait_until("the way back is open", 60, way_back_is_open)
            command("rollback", "back")
            wait_for({"RolledBack"})
            there = len(client.numbers())
            wait_until("counting goes on, on the source", 30,
                       lambda: len(client.numbers()) > there + 50)
            numbers = client.numbers()
            back = client.longest_stall_milliseconds()
        expect_nothing_lost(source, numbers)
        print(f"{len(numbers)} statements acknowledged, none failed, none lost; pause {pause} ms "
              f"by status, {stall} ms for the client; longest of both ways {back} ms")
    finally:
        remove_pooler()
        kubectl("--namespace", NAMESPACE, "scale", "deploy/counter", "--replicas", "1")
    nothing_left(source)
    forget()


def main():
    name = sys.argv[1]
    try:
        globals()[name]()
    except Failure as failure:
        traceback.print_exc()
        print(f"{name}: {failure}\n{get('tm', MIGRATION, NAMESPACE)}", file=sys.stderr)
        sys.exit(1)


main()
