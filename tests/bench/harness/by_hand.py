# SPDX-License-Identifier: Apache-2.0
"""Moves as a person's script makes them today, on two servers and one PgBouncer. Each prepares in
its own way while clients write, and then all switch in the same order: PAUSE, the rest of the
changes, sequences, ini and RELOAD, RESUME. None of them fences, proves or can go back."""

import os
import pathlib
import signal
import subprocess
import time

from . import clients, contenders
from .pooled import DATABASE, ROLE
from .repository import say
from .servers import BINARIES

# Longer than any contender needs on a busy machine.
CATCH_UP_SECONDS_MAX = 120
PATH_OF_PROGRAMS = f"{BINARIES}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SEQUENCE = "bench_written_row_id_seq"


def make_tenant(pair):
    """The tenant on the source, and nothing of an earlier move anywhere."""
    source, target = pair.servers()
    for server in (target, source):
        remove_tenant(server)
        server.run_sql(f"CREATE ROLE {ROLE} SUPERUSER LOGIN")
    source.run_sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    source.run_sql(clients.TABLES, DATABASE)


def remove_tenant(server):
    if server.has_database(DATABASE):
        server.run_sql("DO $$ BEGIN IF EXISTS (SELECT FROM pg_subscription) THEN "
                       "ALTER SUBSCRIPTION bench DISABLE; "
                       "ALTER SUBSCRIPTION bench SET (slot_name = NONE); END IF; END $$; "
                       "DROP SUBSCRIPTION IF EXISTS bench", DATABASE)  # fmt: skip
    server.run_sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                   "WHERE active")  # fmt: skip
    time.sleep(0.2)
    server.run_sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    server.run_sql("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")
    server.drop_database(DATABASE)
    server.run_sql(f"DROP ROLE IF EXISTS {ROLE}")


class BuiltIn:
    """A subscription of PostgreSQL's own, with its own copy."""

    name = "publication and psql"

    def __init__(self, pair, directory):
        self.pair = pair

    def prepare(self):
        source, target = self.pair.servers()
        target.run_sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        dump = subprocess.run([BINARIES / "pg_dump", "-s", "-d", source.uri(DATABASE)], check=True,
                              stdout=subprocess.PIPE)  # fmt: skip
        subprocess.run([BINARIES / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d",
                        target.uri(DATABASE)], input=dump.stdout, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        source.run_sql("CREATE PUBLICATION bench FOR ALL TABLES", DATABASE)
        target.run_sql(f"CREATE SUBSCRIPTION bench CONNECTION '{source.uri(DATABASE)}' "
                       "PUBLICATION bench", DATABASE)  # fmt: skip
        wait_until("the tables are copied", lambda: target.run_sql(
            "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'", DATABASE) == "0")
        wait_until("the lag is small", lambda: int(source.run_sql(
            "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots "
            "WHERE slot_name = 'bench'")) < 1_000_000)

    def drain(self):
        source, target = self.pair.servers()
        end = source.run_sql("SELECT pg_current_wal_lsn()")
        wait_until("all is applied", lambda: source.run_sql(
            f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots "
            "WHERE slot_name = 'bench'") == "t", 0.005)
        last = source.run_sql(f"SELECT last_value + 1 FROM {SEQUENCE}", DATABASE)
        target.run_sql(f"SELECT setval('{SEQUENCE}', {last})", DATABASE)

    def finish(self):
        if self.pair.target.has_database(DATABASE):
            self.pair.target.run_sql("DROP SUBSCRIPTION IF EXISTS bench", DATABASE)


class PgCopyDb:
    """pgcopydb clone --follow, and its own sentinel for the end."""

    name = "pgcopydb clone --follow"

    def __init__(self, pair, directory):
        self.pair = pair
        self.directory = pathlib.Path(directory) / "pgcopydb"
        self.log = pathlib.Path(directory) / "pgcopydb.log"
        self.process = None
        self.copied = 0

    def arguments(self, *words):
        source, target = self.pair.servers()
        return ["env", f"PATH={PATH_OF_PROGRAMS}", "pgcopydb", *words, "--source",
                source.uri(DATABASE), "--target", target.uri(DATABASE), "--dir",
                str(self.directory)]  # fmt: skip

    def sentinel(self, *words):
        return subprocess.run(["env", f"PATH={PATH_OF_PROGRAMS}", "pgcopydb", "stream", "sentinel",
                               *words, "--source", self.pair.source.uri(DATABASE)], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True).stdout.strip()  # fmt: skip

    def prepare(self):
        subprocess.run(["rm", "-rf", self.directory], check=True)
        self.pair.target.run_sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.arguments("clone", "--follow", "--table-jobs", "2", "--index-jobs", "2"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)  # fmt: skip
        wait_until("pgcopydb applies", self.applied_lately)

    def applied_lately(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"pgcopydb ended: {self.last_words()}")
        if self.pair.target.run_sql("SELECT to_regclass('bench_written')", DATABASE) == "":
            return False
        copied = self.pair.target.run_sql("SELECT max(row_id) FROM bench_written", DATABASE)
        if not copied:
            return False
        written = self.pair.source.run_sql("SELECT max(row_id) FROM bench_written", DATABASE)
        # More than its copy brought: it applies, and is not just about to.
        self.copied = self.copied or int(copied)
        return int(copied) > self.copied + 500 and int(written) - int(copied) < 20_000

    def last_words(self):
        lines = self.log.read_text().splitlines() or ["nothing"]
        return ([line for line in lines if " ERROR " in line] or lines)[-1]

    def drain(self):
        self.sentinel("set", "endpos", "--current")
        deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.process.poll() is None:
            raise RuntimeError(f"pgcopydb does not reach its end position: {self.last_words()}")
        last = self.pair.source.run_sql(f"SELECT last_value + 1 FROM {SEQUENCE}", DATABASE)
        self.pair.target.run_sql(f"SELECT setval('{SEQUENCE}', {last})", DATABASE)

    def finish(self):
        if self.process is not None and self.process.poll() is None:
            # All of its processes: they outlive the first one.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def install(names):
    """Makes sure of pgcopydb and of the plugin that its 0.10 reads changes with."""
    if "pgcopydb" not in names:
        return
    contenders.install([contenders.PGCOPYDB])
    if not pathlib.Path("/usr/lib/postgresql/15/lib/wal2json.so").exists():
        say("installing wal2json ...")
        subprocess.run(["apt-get", "-qq", "install", "--no-install-recommends", "--yes",
                        "postgresql-15-wal2json"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip


CONTENDERS = {"built-in": BuiltIn, "pgcopydb": PgCopyDb}


def wait_until(what, condition, every=0.2):
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {CATCH_UP_SECONDS_MAX} s: {what}")
        time.sleep(every)


def now_us():
    return time.time_ns() // 1000


def switch(mover, pooler, target):
    """What a person's script does; returns when the doors were closed, and opened."""
    closed = now_us()
    pooler.tell(f"PAUSE {DATABASE}")
    try:
        mover.drain()
        pooler.lead_to(target)
    finally:
        pooler.tell(f"RESUME {DATABASE}")
    opened = now_us()
    say(f"{mover.name}: doors closed for {(opened - closed) / 1000:.0f} ms")
    return closed, opened
