# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of the demo world, spoken to directly: that works without the API server."""

import contextlib
import os
import subprocess
import threading
import time

from cluster import Failure, get, kubectl, wait_until

HOLDER = "e2e-holds-a-lock"
NEXT_HOLDER = HOLDER + "-next"
# The cluster of hack/cluster: its pods' addresses can be reached from here.
ON_THIS_MACHINE = os.environ.get("KUBECONFIG") == "/var/lib/cutover-cluster/admin.kubeconfig"
_password = {"postgres": "demo-superuser"}


def set_admin_password(password):
    """From now on, for every server."""
    _password["postgres"] = password


def admin_password():
    return _password["postgres"]


class Server:
    """One server; its pod's address is looked up once, and again after refresh()."""

    def __init__(self, name):
        self.name = name
        self.pod = f"{name}-0"
        self.refresh()

    def refresh(self):
        found = get("pod", self.pod, "databases")
        self.address = (found or {}).get("status", {}).get("podIP", "")

    def command(self, application, database, *arguments, role="postgres", password=None):
        """psql on this machine, which works without the API server; on a cluster elsewhere, in the
        server's pod. As the admin, or as `role` with its password."""
        reach, host = ["env"], self.address
        if not ON_THIS_MACHINE:
            reach = ["kubectl", "--namespace", "databases", "exec", "-i", self.pod, "--", "env"]
            host = "127.0.0.1"
        return [*reach, f"PGPASSWORD={password or admin_password()}", f"PGAPPNAME={application}",
                "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments,
                f"host={host} user={role} dbname={database} connect_timeout=3"]

    def sql(self, database, statement):
        done = subprocess.run(self.command("e2e", database, "-c", statement), text=True,
                              timeout=60, capture_output=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{self.name}: {done.stderr.strip()}")
        return done.stdout.strip()

    def answer(self, database, statement):
        """The same; None when the server does not answer, or not that."""
        try:
            return self.sql(database, statement)
        except (Failure, subprocess.TimeoutExpired):
            return None

    def has_database(self, name):
        return self.sql("postgres",
                        f"select count(*) from pg_database where datname = '{name}'") == "1"

    def hold(self, database, statement):
        """A session that has run `statement` in a transaction, and keeps it open: let_go()."""
        session = self._ask_to_hold(HOLDER, database, statement)
        self._wait_for_holder(statement, "wait_event = 'PgSleep'")
        return session

    def hold_next(self, database, statement):
        """The same, as soon as those who wait for it already have had it."""
        session = self._ask_to_hold(NEXT_HOLDER, database, statement)
        self._wait_for_holder(statement, "wait_event_type = 'Lock'")
        return session

    def _ask_to_hold(self, application, database, statement):
        return subprocess.Popen(
            self.command(application, database, "-c", f"begin; {statement}; select pg_sleep(300)"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _wait_for_holder(self, statement, where):
        wait_until(f"{self.name} holds: {statement}", 20, lambda: self.answer(
            "postgres", "select count(*) from pg_stat_activity where application_name like "
                        f"'{HOLDER}%' and query like '%{statement[:20]}%' and "
                        f"{where}") not in (None, "0"), 0.02)

    def let_first_go(self):
        """Of hold() and hold_next()."""
        self._let_go(f"= '{HOLDER}'")

    def let_go(self):
        self._let_go(f"like '{HOLDER}%'")

    def _let_go(self, holders):
        self.answer("postgres", "select pg_terminate_backend(pid) from pg_stat_activity "
                                f"where application_name {holders}")

    @contextlib.contextmanager
    def logins_logged(self):
        """Within: the server logs each connection. Yields how often an address has come so far."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

        def log_connections(setting):
            self.sql("postgres", f"alter system set log_connections = {setting}")
            self.sql("postgres", "select pg_reload_conf()")

        def count(address):
            log = kubectl("--namespace", "databases", "logs", self.pod, "--since-time", since)
            return log.count(f"connection received: host={address} ")

        log_connections("on")
        try:
            yield count
        finally:
            log_connections("default")

    def wait_until_ready(self):
        def ready():
            self.refresh()
            return self.address and self.answer("postgres", "select 1") == "1"
        wait_until(f"{self.name} answers", 120, ready, 0.3)


class Sampler:
    """Asks every server five times a second whether the tenant's own role could write to its
    database there. The servers share the node's clock, so the answers can be put in one order."""

    def __init__(self, servers, database, role):
        self.question = (
            "select extract(epoch from clock_timestamp()), count(*) from pg_database d join "
            f"pg_roles r on r.rolname = '{role}' where datname = '{database}' and "
            "datconnlimit <> 0 and has_database_privilege(r.oid, d.oid, 'CONNECT') \\watch 0.2")
        self.servers = servers
        self.samples = {server.name: [] for server in servers}
        self.stop = threading.Event()
        self.running = {}
        self.threads = [threading.Thread(target=self._sample, args=(server,), daemon=True)
                        for server in servers]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until("the first samples", 30, lambda: all(self.samples.values()))
        return self

    def __exit__(self, *_):
        self.stop.set()
        for session in list(self.running.values()):
            session.kill()
        for thread in self.threads:
            thread.join(timeout=10)

    def _sample(self, server):
        asker = Server(server.name)
        while not self.stop.is_set():
            session = subprocess.Popen(
                asker.command("e2e-samples", "postgres"), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.running[server.name] = session
            session.stdin.write(self.question + "\n")
            session.stdin.flush()
            for line in session.stdout:
                moment, _, writable = line.strip().partition("|")
                if writable:
                    self.samples[server.name].append((float(moment), writable == "1"))
            session.wait()
            time.sleep(0.2)
            try:
                asker.refresh()
            except Failure:
                pass  # The API server is away; the address is likely to stay.

    def writable_now(self):
        """Names of the servers whose last sample says that the tenant may write there."""
        return [name for name, samples in self.samples.items() if samples and samples[-1][1]]

    def both_writable(self):
        """A moment at which two servers let the tenant write, or None. A sample of one counts when
        it lies between two neighbouring samples of the other, both of which say so."""
        for name, samples in self.samples.items():
            for other, others in self.samples.items():
                if name == other:
                    continue
                index = 0
                for moment, writable in samples:
                    while index + 1 < len(others) and others[index + 1][0] < moment:
                        index += 1
                    if (writable and index + 1 < len(others) and others[index][1] and
                            others[index + 1][1] and others[index][0] <= moment and
                            others[index + 1][0] - others[index][0] < 2):
                        return moment
        return None

    def closed_seconds(self):
        """Length of the longest time in which the tenant could write nowhere."""
        moments = sorted((moment, name, writable) for name, samples in self.samples.items()
                         for moment, writable in samples)
        last_open, longest = moments[0][0], 0.0
        for moment, _, writable in moments:
            if writable:
                longest = max(longest, moment - last_open)
                last_open = moment
        return longest

    def writable_again(self, since):
        """When a server first said after `since` that the tenant could write there, or None."""
        return min((moment for samples in self.samples.values() for moment, writable in samples
                    if writable and moment > since), default=None)


def pods_restarted(namespace):
    """Names of pods of which a container was restarted: the kubelet would let the next crash wait
    longer and longer."""
    return kubectl("--namespace", namespace, "get", "pods", "--output",
                   'jsonpath={range .items[?(@.status.containerStatuses[0].restartCount>0)]}'
                   '{.metadata.name}{" "}{end}').split()
