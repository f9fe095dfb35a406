# SPDX-License-Identifier: Apache-2.0
"""The Odoo tenant of hack/lib/demo_world.sh: its users, and what must not change about it. For
fault_scenarios.py it offers what shop.py does."""

import collections
import contextlib
import http.client
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

import shop
from cluster import Failure, apply, expect, get, kubectl, sql, wait_until  # noqa: F401
from server import Server

NAMESPACE = "acme"
DATABASE = "acme"
ROLE = "acme"
PASSWORD = "acme-secret"
SECRET = "odoo-db"
PLACEMENT = "acme"
MIGRATION = "acme-moves"
BACKUP_CLAIM = "backups"
WORKLOAD = "app=odoo"
WRITTEN_TABLE = "res_partner"
WRITES_WITHOUT_USERS = False
HOST = "acme.example.test"


def ingress_url():
    url = os.environ.get("CUTOVER_INGRESS_URL", "")
    expect(url, "CUTOVER_INGRESS_URL says where the ingress controller answers (hack/test sets it)")
    return url


def login_page():
    """HTTP status of the login page as a user gets it; 0 without an answer."""
    request = urllib.request.Request(ingress_url() + "/web/login", headers={"Host": HOST})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def rpc(service, method, *arguments):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "call", "params": {
        "service": service, "method": method, "args": list(arguments)}}).encode()
    request = urllib.request.Request(ingress_url() + "/jsonrpc", data=body, headers={
        "Host": HOST, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        reply = json.loads(answer.read())
    if "error" in reply:
        raise ValueError(reply["error"].get("message", "error"))
    return reply["result"]


class RecordingWriter:
    """A user who creates partners through the route, one after the other, and remembers exactly
    those that Odoo acknowledged."""

    def __init__(self):
        self.run = f"{os.getpid()}-{time.time_ns()}"
        self.acknowledged = []
        self.refused = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self):
        self.thread.start()
        wait_until("the first acknowledged write", 60, lambda: len(self.acknowledged) > 2)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(timeout=60)

    def _write(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"e2e-{self.run}-{number}"
            try:
                created = rpc("object", "execute_kw", DATABASE, 2, "admin", "res.partner",
                              "create", [{"name": name}])
                if created:
                    self.acknowledged.append(name)
            except (OSError, ValueError, http.client.HTTPException):
                self.refused += 1  # The last is an answer that breaks off.
            time.sleep(0.05)

    def compare(self, server):
        """Which acknowledged partners are not on `server`, and which are there more than once."""
        return _compare(server, self.acknowledged)

    def check(self, server):
        expect_nothing_lost(server, self.acknowledged)


def _compare(server, acknowledged):
    found = collections.Counter(Server(server).sql(
        DATABASE, "select name from res_partner where name like 'e2e-%'").split("\n"))
    lost = [name for name in acknowledged if not found[name]]
    return lost, [name for name in acknowledged if found[name] > 1]


def expect_nothing_lost(server, acknowledged):
    """Every acknowledged partner is on `server` exactly once."""
    lost, doubled = _compare(server, acknowledged)
    expect(not lost, f"{len(lost)} acknowledged writes lost, the first: {lost[:3]}")
    expect(not doubled, f"acknowledged writes are there twice: {doubled[:3]}")


@contextlib.contextmanager
def users():
    """Within: somebody writes. Yields what tells which writes were acknowledged so far."""
    with RecordingWriter() as writer:
        yield lambda: list(writer.acknowledged)


def server_of_tenant():
    placed = get("dbp", PLACEMENT, NAMESPACE)
    expect(placed, f"DatabasePlacement {PLACEMENT} exists")
    return placed.get("status", {}).get("serverName", "")


def ensure():
    """The tenant works. Returns the name of the server that it is on."""
    home = server_of_tenant()
    expect_open_on(home)
    shop.same_role_everywhere(home, ROLE)
    return home


def drop_leftovers():
    """Databases of the tenant that an earlier test has left closed; only while no migration is
    there whose way back they might be, and the tenant works elsewhere."""
    expect(not get("tm", MIGRATION, NAMESPACE), "no migration is under way")
    home = server_of_tenant()
    expect(writable_servers() == [home], f"writable on {home} alone: {writable_servers()}")
    for name in shop.HOMES:
        if name != home:
            Server(name).sql("postgres", f"drop database if exists {DATABASE} with (force)")


def wait_until_counting(server, seconds=90):
    """Users are let in, and what they write arrives at the server."""
    wait_until("the login page answers 200", seconds, lambda: login_page() == 200)
    wait_until(f"the placement says {server}", seconds, lambda: server_of_tenant() == server)
    there = Server(server)
    question = "select count(*) from res_partner where name like 'e2e-%'"
    before = int(there.sql(DATABASE, question))
    wait_until(f"writing goes on, on {server}", seconds,
               lambda: int(there.answer(DATABASE, question) or before) > before, 0.2)


def others(server):
    """Servers that the tenant may move to from `server`: never to an older major."""
    return [name for name in ("pg-dedicated", "pg-dedicated-2") if name != server]


def fingerprint(server):
    """All that must be the same after a move that did not happen."""
    access = sql(server, "postgres",
                 "select pg_get_userbyid(datdba), datconnlimit, array(select e::text from "
                 "aclexplode(coalesce(datacl, acldefault('d', datdba))) e order by 1) "
                 f"from pg_database where datname = '{DATABASE}'")
    route = get("ingress", "odoo", NAMESPACE)["spec"]
    wiring = get("configmap", "odoo-conf", NAMESPACE)["data"]
    replicas = get("deployment", "odoo", NAMESPACE)["spec"]["replicas"]
    return {"server": server, "access": access, "route": route, "wiring": wiring,
            "replicas": replicas}


def writable_servers():
    """Servers on which the tenant's own role may write to its database."""
    writable = []
    for server in shop.HOMES:
        allowed = Server(server).sql(
            "postgres", "select count(*) from pg_database d join pg_roles r on "
                        f"r.rolname = '{ROLE}' where datname = '{DATABASE}' and "
                        "datconnlimit <> 0 and has_database_privilege(r.oid, d.oid, 'CONNECT')")
        if allowed == "1":
            writable.append(server)
    return writable


def expect_open_on(server):
    """The tenant works, on `server` and nowhere else."""
    wait_until("the login page answers 200", 60, lambda: login_page() == 200)
    expect(server_of_tenant() == server, f"the placement says {server}")
    expect(writable_servers() == [server],
           f"writable on exactly {server}, but on {writable_servers()}")


def new_migration(name, target, **spec):
    body = {"placementRef": {"name": "acme"}, "target": {"serverName": target},
            "strategy": "Offline", "backup": {"mode": "Skip"},
            "source": {"retentionSeconds": 0, "reclaimPolicy": "Delete"}}
    body.update(spec)
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": body}


def migration(target, **spec):
    return new_migration(MIGRATION, target, **spec)


def status_of(name):
    migration = get("tm", name, NAMESPACE)
    return migration.get("status", {}) if migration else {}


def wait_for_phase(name, phases, seconds=240):
    """The status once the phase is one of `phases`, however short a time; fails at once in any
    other end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        watch = subprocess.Popen(
            ["kubectl", "--namespace", NAMESPACE, "get", "tm", name, "--watch", "--output",
             'jsonpath={.status}{"\\n"}'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        giving_up = threading.Timer(deadline - time.monotonic(), watch.kill)
        giving_up.start()
        try:
            for line in watch.stdout:
                status = json.loads(line.strip() or "{}")
                phase = status.get("phase")
                if phase in phases:
                    return status
                expect(phase not in {"Completed", "Failed", "Aborted", "RolledBack"},
                       f"{name} ended as {phase}: {status.get('message')}")
        finally:
            giving_up.cancel()
            watch.kill()
            watch.wait()
        time.sleep(0.2)  # It is not there yet, or the watch was ended.
    raise Failure(f"not within {seconds} s: {name} in {phases}")


def annotate(name, command, token):
    kubectl("--namespace", NAMESPACE, "annotate", "tm", name, "--overwrite",
            f"cutover.dev/{command}={token}")


def delete_migration(name):
    kubectl("--namespace", NAMESPACE, "delete", "tm", name, "--ignore-not-found", "--timeout",
            "120s")
