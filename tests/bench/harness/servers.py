# SPDX-License-Identifier: Apache-2.0
"""A pair of PostgreSQL servers of the same major, on the loopback, with fsync on.

Both are set up alike, and as people run them: nothing is tuned for bulk loading, since what is
measured is what a move costs on servers as they are. They trust whoever connects from the machine
itself, so they are for benchmarks only.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .repository import say

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")
DEFAULT_DIRECTORY = pathlib.Path("/tmp/cutover-bench")
SUPERUSER = "postgres"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 120

# The same for source and target. All else is PostgreSQL's default: fsync, synchronous_commit,
# full_page_writes and autovacuum are on. The locks are for pgcopydb: it restores a schema in one
# transaction, and 5,000 tables do not fit into the default.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
wal_level = replica
max_wal_size = 4GB
max_locks_per_transaction = 512
checkpoint_timeout = 15min
log_checkpoints = on
log_line_prefix = '%m [%p] %q%u@%d/%a '
"""
# The server refuses to run as root. PostgreSQL's own user would do as well.
RUN_AS = {"user": "nobody", "group": "nogroup", "extra_groups": []}


@dataclasses.dataclass(frozen=True)
class Server:
    """One running server. `pid` is its postmaster's."""

    name: str
    port: int
    data: str
    pid: int

    def uri(self, database="postgres", user=SUPERUSER):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run_sql(self, sql, database="postgres"):
        """Runs statements one by one, each in its own transaction; returns what the last one
        printed, unaligned."""
        command = [BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.uri(database)]
        quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
        done = subprocess.run(command, input=sql, stdout=subprocess.PIPE, env=quiet, text=True,
                              check=True)  # fmt: skip
        return done.stdout.strip()

    def has_database(self, database):
        return self.run_sql(f"SELECT 1 FROM pg_database WHERE datname = '{database}'") == "1"

    def drop_database(self, database):
        self.run_sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def is_running(self):
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        # One that ended and was started here is a zombie, until this program ends as well.
        return "Name:\tpostgres\n" in status and "State:\tZ" not in status


@dataclasses.dataclass(frozen=True)
class Pair:
    """Both servers and the directory that is theirs."""

    directory: pathlib.Path
    source: Server
    target: Server

    def servers(self):
        return (self.source, self.target)

    def settle(self, pause_seconds=2):
        """Lets both servers finish the writes of one run, so that the next does not pay them."""
        for server in self.servers():
            server.run_sql("CHECKPOINT")
        os.sync()
        time.sleep(pause_seconds)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_pair(directory, with_statements=False, settings=""):
    """Makes the pair in `directory`, or finds the one that already runs there."""
    directory = pathlib.Path(directory)
    running = find_pair(directory)
    if running:
        return running
    if not (BINARIES / "postgres").exists():
        raise SystemExit(f"{BINARIES} has no servers; run hack/prerequisites")
    if os.geteuid() != 0:
        raise SystemExit("must run as root: it starts the servers as another user")
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    ports = known_ports(directory)
    servers = [start_server(directory, name, ports.get(name) or free_port(), with_statements,
                            settings)
               for name in ("source", "target")]  # fmt: skip
    state = {server.name: dataclasses.asdict(server) for server in servers}
    (directory / "pair.json").write_text(json.dumps(state, indent=2) + "\n")
    return Pair(directory, *servers)


def known_ports(directory):
    """The ports that a stopped pair had, by name: written down URIs stay true."""
    file = directory / "pair.json"
    if not file.exists():
        return {}
    return {name: server["port"] for name, server in json.loads(file.read_text()).items()}


@contextlib.contextmanager
def pair_alone(directory, keep, settings=""):
    """The pair in `directory`, for one benchmark at a time: two would spoil each other's copies and
    times. Stops it at the end if it was started here, unless it is to be kept. `settings` are those
    of a directory: a pair that runs there already has them."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another benchmark runs in {directory}; wait for it,"
                             " or name another --directory") from None  # fmt: skip
        was_running = find_pair(directory)
        pair = start_pair(directory, settings=settings)
        try:
            yield pair
        finally:
            if not (was_running or keep):
                stop_pair(pair)


def find_pair(directory):
    """The pair that runs in `directory`, or None."""
    file = pathlib.Path(directory) / "pair.json"
    if not file.exists():
        return None
    state = json.loads(file.read_text())
    pair = Pair(file.parent, Server(**state["source"]), Server(**state["target"]))
    return pair if all(server.is_running() for server in pair.servers()) else None


def start_server(directory, name, port, with_statements, settings):
    data = directory / name
    if not (data / "PG_VERSION").exists():
        make_cluster(data)
    write_settings(data, with_statements, settings)
    log = open(directory / f"{name}.log", "ab")
    process = subprocess.Popen(
        [BINARIES / "postgres", "-D", data, "-p", str(port)], stdin=subprocess.DEVNULL, stdout=log,
        stderr=log, cwd="/", start_new_session=True, **RUN_AS)  # fmt: skip
    log.close()
    server = Server(name, port, str(data), process.pid)
    wait_until_ready(server, process, directory / f"{name}.log")
    if with_statements:
        server.run_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    say(f"{name} runs at {server.uri()}")
    return server


def make_cluster(data):
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    shutil.chown(data, RUN_AS["user"], RUN_AS["group"])
    subprocess.run(
        [BINARIES / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8"], stdout=subprocess.DEVNULL, cwd="/", check=True, **RUN_AS)  # fmt: skip


def write_settings(data, with_statements, more):
    """Read after postgresql.conf. Written at every start, so that an old pair gets new settings."""
    settings = SETTINGS + more
    if with_statements:
        settings += "shared_preload_libraries = 'pg_stat_statements'\n"
    (data / "postgresql.auto.conf").write_text(settings)


def wait_until_ready(server, process, log):
    deadline = time.monotonic() + START_SECONDS_MAX
    probe = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port)]
    while subprocess.run(probe, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the {server.name} did not start; its log is {log}")
        time.sleep(0.1)


def stop_pair(pair):
    """Stops both servers. Their data stays until somebody removes the directory."""
    for server in pair.servers():
        if not server.is_running():
            continue
        os.kill(server.pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while server.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
        if server.is_running():
            raise SystemExit(f"the {server.name}, process {server.pid}, does not stop")
