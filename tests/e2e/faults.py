# SPDX-License-Identifier: Apache-2.0
"""The faults of fault_table.py, and how a move is brought into the phase that one strikes."""

import contextlib
import json
import re
import subprocess
import threading
import time

import node
from cluster import apply, expect, get, kill_leader, kubectl, leader, wait_until
from server import Server, set_admin_password
from shop import ENDS, HOMES, set_password

GATE = {"name": "gate", "sql": {"query": "select count(*) from app.gate", "expected": "1"},
        "timeoutSeconds": 120, "when": ["Smoke"]}
IMPOSSIBLE = {"name": "impossible", "sql": {"query": "select 'a'", "expected": "b"},
              "timeoutSeconds": 2, "when": ["Smoke"]}

LAG_BYTES_MAX = 65536
LOCK_BALLAST = "lock table app.ballast in access exclusive mode"
CONTROL_ROW = "select 1 from cutover.control for update"
SMALL = "pg-small"  # A server whose volume is too small for the tenant.


def small_database_server():
    return {"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabaseServer",
            "metadata": {"name": SMALL},
            "spec": {"class": "Dedicated", "adminSecretRef": {"name": "pg-admin"},
                     "endpoint": {"host": f"{SMALL}.databases.svc.cluster.local"}}}


class History:
    """Every phase and message of the migration, as a watch shows them."""

    def __init__(self, tenant):
        self.tenant = tenant
        self.seen = []  # (time, phase, message)
        self.news = threading.Condition()
        self.stop = threading.Event()
        self.watch = None
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.watch:
            self.watch.kill()
        self.thread.join(timeout=10)

    def _follow(self):
        while not self.stop.is_set():
            self.watch = subprocess.Popen(
                ["kubectl", "--namespace", self.tenant.NAMESPACE, "get", "tm",
                 self.tenant.MIGRATION, "--watch",
                 "--output", 'jsonpath={.status.phase}|{.status.message}{"\\n"}'],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for line in self.watch.stdout:
                phase, _, message = line.strip().partition("|")
                with self.news:
                    self.seen.append((time.time(), phase, message))
                    self.news.notify_all()
            self.watch.wait()
            time.sleep(0.2)

    def phase(self):
        return self.seen[-1][1] if self.seen else ""

    def reached(self, phase):
        return any(seen == phase for _, seen, _ in self.seen)

    def wait_for(self, phases, seconds):
        """The first phase of `phases` that is or was reached; another end is a failure."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                for phase in phases:
                    if self.reached(phase):
                        return phase
                ended = [(p, m) for _, p, m in self.seen if p in ENDS]
                expect(not ended, f"it ended before {phases}: {ended[-1:]}")
                left = deadline - time.monotonic()
                expect(left > 0, f"not within {seconds} s: {phases}; the last: {self.seen[-1:]}")
                self.news.wait(min(left, 1))


class Move:
    """One move of the tenant, held where it is to be struck. `users`, called, are what they were
    acknowledged so far."""

    def __init__(self, tenant, source, target, history, users):
        self.tenant = tenant
        self.source, self.target, self.history = Server(source), Server(target), history
        self.users = users
        self.placement = get("dbp", tenant.PLACEMENT, tenant.NAMESPACE)
        self.approved = False
        self.gated = False
        self.placed = True
        self.acknowledged = []
        self.logins = []  # Of each server: how often an address has logged in (log_logins()).

    def hold(self, server, statement):
        server.hold(self.tenant.DATABASE, statement)

    def log_logins(self, until):
        """From now on, and `until` that stack is left."""
        self.logins = [until.enter_context(server.logins_logged())
                       for server in (self.source, self.target)]

    def annotate(self, command, token):
        kubectl("--namespace", self.tenant.NAMESPACE, "annotate", "tm", self.tenant.MIGRATION,
                f"cutover.dev/{command}={token}")

    def place(self, server):
        """Makes the placement again that was deleted, on that server."""
        apply({"apiVersion": self.placement["apiVersion"], "kind": self.placement["kind"],
               "metadata": {"name": self.tenant.PLACEMENT, "namespace": self.tenant.NAMESPACE},
               "spec": {**self.placement["spec"], "serverName": server.name}})
        self.placed = True

    def start(self, case):
        spec = {"cutover": {"approval": "Manual"}}
        if case.phase == "Smoke":
            spec["checks"] = [GATE]
            self.gated = True
        elif case.phase == "RollingBack":
            spec["checks"] = [IMPOSSIBLE]
        elif case.phase in ("Hypercare", "Completing"):
            spec["hypercare"] = {"durationSeconds": 15}
        elif case.phase == "BackingUp":
            spec["backup"] = {"mode": "Required", "claimName": self.tenant.BACKUP_CLAIM}
        elif case.phase == "Preflight":
            # Preflight asks how large the tables are.
            self.hold(self.source, LOCK_BALLAST)
        elif case.phase == "Preparing":
            self.target.hold("postgres", "lock table pg_database in share mode")
        elif case.phase == "Pending":
            kubectl("--namespace", self.tenant.NAMESPACE, "delete", "dbp", self.tenant.PLACEMENT,
                    "--timeout", "60s")
            self.placed = False
        if case.online:
            spec["strategy"] = "Online"
            spec["copy"] = {"replicaIdentity": "SetFull"}  # The ballast has no key.
            spec["cutover"]["maxReplicationLagBytes"] = LAG_BYTES_MAX
        apply(self.tenant.migration(self.target.name, **spec))

    def approve(self):
        if not self.approved:
            self.history.wait_for({"AwaitingCutover"}, 120)
            self.acknowledged = self.users()
            self.annotate("approve", "go")
            self.approved = True

    def hold_row(self, server):
        self.hold(server, CONTROL_ROW)

    def wait_until_blocked(self, server):
        wait_until(f"somebody waits for what is held on {server.name}", 30, lambda: server.answer(
            "postgres", "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and "
                        "application_name not like 'e2e-%'") not in (None, "0"), 0.05)

    def release(self):
        """Ends every hold, and lets the move go on."""
        for server in (self.source, self.target):
            server.let_go()
        # Elsewhere the verification would find the row, and rightly end the move.
        if self.gated:
            self.target.answer(self.tenant.DATABASE, "insert into app.gate values (1)")
        if not self.placed:
            self.place(self.source)


def _in_pending(move):
    """There is no placement yet."""
    wait_until("it waits for its placement", 60, lambda: any(
        phase == "Pending" and "does not exist" in message
        for _, phase, message in list(move.history.seen)))


def _in_preflight(move):
    move.history.wait_for({"Preflight"}, 60)
    move.wait_until_blocked(move.source)


def _in_backing_up(move):
    move.history.wait_for({"BackingUp"}, 60)
    move.hold(move.source, LOCK_BALLAST)
    move.wait_until_blocked(move.source)


def _in_preparing(move):
    move.history.wait_for({"Preparing"}, 60)
    move.wait_until_blocked(move.target)


def _in_catching_up(move):
    """The target takes no more, so that the move falls back from where it awaits its cutover."""
    move.history.wait_for({"AwaitingCutover"}, 120)
    move.hold(move.target, f"lock table {move.tenant.WRITTEN_TABLE} in share mode")
    move.source.sql(move.tenant.DATABASE,
                    f"update app.ballast set text = text where n <= {LAG_BYTES_MAX // 512}")
    wait_until("the target lags", 60, lambda: move.history.phase() == "CatchingUp", 0.05)


def _in_fencing(move):
    move.history.wait_for({"AwaitingCutover"}, 120)
    move.hold_row(move.source)
    move.approve()
    move.wait_until_blocked(move.source)


def _in_copying(move):
    move.approve()
    move.history.wait_for({"Copying"}, 60)
    database = move.tenant.DATABASE
    wait_until("rows are being copied", 60, lambda: move.target.answer(
        "postgres", "select count(*) from pg_stat_activity where query ilike 'copy%' and "
                    f"state = 'active' and datname = '{database}'") not in (None, "0"), 0.02)


def _in_finalizing(move):
    _in_copying(move)
    move.hold_row(move.target)
    move.history.wait_for({"Finalizing"}, 60)
    move.wait_until_blocked(move.target)


def _in_verifying(move):
    _in_finalizing(move)
    move.target.hold_next(move.tenant.DATABASE, CONTROL_ROW)
    move.target.let_first_go()
    move.history.wait_for({"Verifying"}, 60)
    move.wait_until_blocked(move.target)


def _in_switching(move):
    move.approve()
    move.history.wait_for({"Copying"}, 60)
    move.hold_row(move.source)
    move.history.wait_for({"Switching"}, 60)
    move.wait_until_blocked(move.source)


def _in_opening(move):
    _in_switching(move)
    move.hold_row(move.target)
    move.source.let_go()
    move.history.wait_for({"Opening"}, 60)
    move.wait_until_blocked(move.target)


def _in_undoing(move):
    _in_copying(move)
    move.hold_row(move.source)
    move.annotate("abort", "stop")
    move.history.wait_for({"Undoing"}, 60)
    move.wait_until_blocked(move.source)


def _in_rolling_back(move):
    move.approve()
    move.history.wait_for({"Smoke"}, 90)
    move.hold_row(move.target)
    move.history.wait_for({"RollingBack"}, 60)
    move.wait_until_blocked(move.target)


def _in_completing(move):
    move.approve()
    move.history.wait_for({"Hypercare"}, 90)
    move.hold_row(move.source)
    move.history.wait_for({"Completing"}, 60)
    move.wait_until_blocked(move.source)


_HELD = {"Pending": _in_pending, "Preflight": _in_preflight, "BackingUp": _in_backing_up,
         "Preparing": _in_preparing, "CatchingUp": _in_catching_up, "Fencing": _in_fencing,
         "Copying": _in_copying, "Finalizing": _in_finalizing, "Verifying": _in_verifying,
         "Switching": _in_switching, "Opening": _in_opening, "Completing": _in_completing,
         "Undoing": _in_undoing, "RollingBack": _in_rolling_back}
_WAITS_THERE = {"AwaitingCutover", "Smoke", "Hypercare"}  # For approval, the gate, its time.
_BEFORE_APPROVAL = {"Pending", "Preflight", "BackingUp", "Preparing", "AwaitingCutover"}


def stays_in(phase):
    """Whether a move that was brought into `phase` is still there when it is struck."""
    return phase in _HELD or phase in _WAITS_THERE


def bring_into(move, phase):
    """Until the move is in `phase`: held there where a lock can do that, else just seen there."""
    if phase in _HELD:
        _HELD[phase](move)
        return
    if phase not in _BEFORE_APPROVAL:
        move.approve()
    move.history.wait_for({phase}, 120)


# --- the faults: each takes the move; what it leaves broken it mends itself -----------------------


def the_leader_is_killed(_):
    kill_leader()


def both_operators_are_killed(_):
    struck = [node.kill_in_pod("cutover-system", pod, "cutover-operato")
              for pod in node.operators()]
    expect(len(struck) == 2 and all(struck), f"two operators ran: {struck}")


def the_api_server_is_away_for_60_s(move):
    server = node.ApiServer()
    server.kill()
    time.sleep(2)
    # What was under way when it went goes on: the journal, if that is where the move is held.
    move.release()
    time.sleep(58)
    server.start()


def _kill_server(server):
    expect(node.kill_in_pod("databases", server.pod, "postgres"), f"{server.name} runs")
    time.sleep(0.5)
    server.wait_until_ready()


def the_source_server_is_killed(move):
    _kill_server(move.source)


def the_target_server_is_killed(move):
    _kill_server(move.target)


def _mover_pods(*options):
    return kubectl("--namespace", "cutover-system", "get", "pods", "--selector",
                   "cutover.dev/migration-uid", *options, "--output",
                   "jsonpath={.items[*].metadata.name}").split()


def mover_runs():
    return _mover_pods("--field-selector", "status.phase=Running")


def the_mover_is_killed(_):
    expect(any([node.kill_in_pod("cutover-system", pod, "cutover-mover")
                for pod in _mover_pods()]), "a mover ran")


def the_network_to_the_target_is_cut(move):
    with node.packets_dropped("databases", move.target.pod, "postgres", "INPUT", "-p", "tcp",
                              "--dport", "5432", "!", "-s", "10.88.0.1"):
        move.release()
        time.sleep(30)


def the_target_volume_is_full(move):
    """The target of this case is a server whose volume is too small: it goes down in the copy, and
    comes back only when it is replaced. The tenant does not wait for that."""
    wait_until("the tenant is back, with the target away", 150, lambda: move.source.sql(
        "postgres", "select datconnlimit from pg_database where datname = "
                    f"'{move.tenant.DATABASE}'") != "0", 1)
    kubectl("--namespace", "databases", "delete", "pod", move.target.pod, "--grace-period", "1")
    kubectl("delete", "dbs", move.target.name)
    apply(small_database_server())
    move.target.wait_until_ready()


def _patch_secret(namespace, name, **values):
    kubectl("--namespace", namespace, "patch", "secret", name, "--type", "merge", "--patch",
            json.dumps({"stringData": values}))


def the_tenants_password_is_changed(move):
    move.source.sql("postgres", f"alter role {move.tenant.ROLE} password 'another-secret'")
    _patch_secret(move.tenant.NAMESPACE, move.tenant.SECRET, password="another-secret")


def the_admin_password_is_changed(_):
    _change_admin_password("another-admin-secret")


def _change_admin_password(password):
    for server in [Server(name) for name in HOMES]:
        server.sql("postgres", f"alter role postgres password '{password}'")
    set_admin_password(password)
    _patch_secret("cutover-system", "pg-admin", password=password)


def the_placement_is_deleted(move):
    kubectl("--namespace", move.tenant.NAMESPACE, "delete", "dbp", move.tenant.PLACEMENT,
            "--wait=false")


def the_targets_database_server_is_deleted(move):
    """Until somebody has read in the status that it is missing, and makes it again."""
    found = get("dbs", move.target.name)
    kubectl("delete", "dbs", move.target.name)
    wait_until("the status misses it", 60, lambda: any(
        "does not exist" in message for _, _, message in move.history.seen), 0.2)
    apply({"apiVersion": found["apiVersion"], "kind": found["kind"],
           "metadata": {"name": move.target.name}, "spec": found["spec"]})


def the_migration_is_deleted(move):
    kubectl("--namespace", move.tenant.NAMESPACE, "delete", "tm", move.tenant.MIGRATION,
            "--wait=false")


def the_namespace_is_deleted(move):
    kubectl("delete", "namespace", move.tenant.NAMESPACE, "--wait=false")

    def reached():
        migration = get("tm", move.tenant.MIGRATION, move.tenant.NAMESPACE)
        return not migration or "deletionTimestamp" in migration["metadata"]

    # Seconds later, and it is to be struck in this phase.
    wait_until("the namespace's deletion has come to the migration", 60, reached, 0.2)


def the_leader_is_cut_off_from_the_api_server(move):
    """Neither server may hear of it again: not of what it asks, nor of another login."""
    name, _ = leader()
    address = get("pod", name, "cutover-system")["status"]["podIP"]
    expect(any(count(address) for count in move.logins), "its logins are seen")
    api = get("service", "kubernetes", "default")["spec"]["clusterIP"]
    with contextlib.ExitStack() as cut:
        for where in (api, "10.88.0.1"):
            cut.enter_context(node.packets_dropped("cutover-system", name, "cutover-operato",
                                                   "OUTPUT", "-p", "tcp", "-d", where))
        time.sleep(12)  # It must have given up after 10 s without a renewal.
        before = [count(address) for count in move.logins]
        until = time.monotonic() + 18
        answers = set()
        move.release()
        while time.monotonic() < until:
            for server in (move.source, move.target):
                sessions = server.answer("postgres", "select count(*) from pg_stat_activity where "
                                                     f"client_addr = '{address}'")
                expect(sessions in (None, "0"), f"the deposed leader still uses {server.name}")
                answers.add((server.name, sessions))
            time.sleep(0.5)
        expect(len(answers - {(name, None) for name in HOMES}) == 2, f"both answered: {answers}")
        expect([count(address) for count in move.logins] == before,
               "the deposed leader logged in to a server")


def the_migration_vanishes_without_its_finalizer(move):
    kubectl("--namespace", move.tenant.NAMESPACE, "patch", "tm", move.tenant.MIGRATION, "--type",
            "merge", "--patch", '{"metadata": {"finalizers": null}}')
    the_migration_is_deleted(move)


def orphans_found(server):
    """What the server's condition says of orphans, or nothing."""
    conditions = get("dbs", server.name).get("status", {}).get("conditions", [])
    return next((c["message"] for c in conditions if c["type"] == "OrphansFound"), "")


def decide_for_the_target(move):
    """What a person does about a switched move that nobody finishes: reads the condition, and runs
    the command that it names. The source stays, fenced, and is the person's to drop."""
    finding = wait_until("the servers say what was left", 90,
                         lambda: orphans_found(move.target), 1)
    expect(orphans_found(move.source), "both servers say so")
    found = re.search(r"kubectl (annotate dbs \S+ cutover\.dev/resolve-orphan=\S+)", finding)
    expect(found, f"it names the command: {finding}")
    kubectl(*found.group(1).split())
    wait_until("nothing is left to a person", 90, lambda: not orphans_found(move.target), 1)
    kubectl("annotate", "dbs", move.target.name, "cutover.dev/resolve-orphan-")
    expect(move.source.has_database(move.tenant.DATABASE), "the source is kept")
    move.source.sql("postgres", f"drop database {move.tenant.DATABASE} with (force)")


def place_again(move):
    """The placement goes once the move lets go of it. Without it nobody can tell where the tenant
    lives, so the source is kept, fenced; that is the person's to drop who deleted it."""
    wait_until("the placement is gone with the move", 60,
               lambda: not get("dbp", move.tenant.PLACEMENT, move.tenant.NAMESPACE), 0.5)
    database = move.tenant.DATABASE
    expect(move.source.sql("postgres", "select datconnlimit from pg_database where datname = "
                                       f"'{database}'") == "0", "the source is kept, fenced")
    move.place(move.target)
    move.source.sql("postgres", f"drop database {database} with (force)")


def mend(fault, tenant):
    """What stays different after a fault, so that the next test finds the world as it was."""
    if fault == "the_tenants_password_is_changed":
        for name in HOMES:
            set_password(name, tenant.ROLE, tenant.PASSWORD)
        _patch_secret(tenant.NAMESPACE, tenant.SECRET, password=tenant.PASSWORD)
        kubectl("--namespace", tenant.NAMESPACE, "delete", "pods", "--selector", tenant.WORKLOAD)
    elif fault == "the_admin_password_is_changed":
        _change_admin_password("demo-superuser")
