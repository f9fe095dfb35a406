# SPDX-License-Identifier: Apache-2.0
"""How fast this machine is at the parts that every mover has to do, each part alone.

The parts are measured with the server's own means, and without a client where that is possible. A
mover that overlaps them perfectly takes as long as the slowest resource; one that does them in turn
takes their sum.
"""

import contextlib
import re
import subprocess
import tempfile
import time

from .servers import BINARIES
from .workloads import COPY, make_empty_copy

MEMORY_SIZE = "8g"
# Bytes per hash: a narrow row, a wide row, a buffer of rows.
HASH_BLOCKS = (64, 256, 16384)
DISK_MIB = 1024

TABLES = """SELECT pg_table_size(c.oid), format('%I.%I', nspname, relname) FROM pg_class c
  JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
  ORDER BY 1 DESC, 2"""


@contextlib.contextmanager
def memory_directory(directory):
    """A directory in memory that both servers can read and write."""
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEMORY_SIZE},mode=0777", "cutover-bench",
                    directory], check=True)  # fmt: skip
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()


def hash_speeds():
    """SHA-256 in MiB/s on one core, by size of the block."""
    speeds = {}
    figure = re.compile(r"^\+F:.*:([0-9.]+)$", re.MULTILINE)
    for block in HASH_BLOCKS:
        done = subprocess.run(
            ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(block), "-evp", "sha256"],
            capture_output=True, text=True, check=True)  # fmt: skip
        speeds[block] = float(figure.search(done.stdout)[1]) / 2**20
    return speeds


def disk_speed(directory):
    """Writing one file and forcing it out, in MiB/s."""
    block = bytes(range(256)) * 4096
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        started = time.monotonic()
        for _ in range(DISK_MIB):
            file.write(block)
        file.flush()
        subprocess.run(["sync", file.name], check=True)
        return DISK_MIB / (time.monotonic() - started)


class Limits:
    """The limits for one workload. `results` has (what, seconds, MiB per second or None)."""

    def __init__(self, pair, workload, jobs, memory):
        self._pair = pair
        self._workload = workload
        self._jobs = jobs
        self._archive = memory / "schema"
        rows = [line.split("|") for line in pair.source.run_sql(TABLES, workload).splitlines()]
        self._sizes = {table: int(size) for size, table in rows}
        self._files = {table: memory / f"{n}.copy" for n, table in enumerate(self._sizes)}
        self._text_mib = 0.0
        self.results = []

    def measure(self):
        self._write_files()
        self._copy_out()
        make_empty_copy(self._pair, self._workload)
        self._schema()
        self._copy_in()
        self._indexes()
        self._pair.target.drop_database(COPY)
        for path in (*self._files.values(), self._archive):
            path.unlink()

    def _write_files(self):
        """Not measured: what COPY reads from memory later."""
        self._in_sessions(self._pair.source, self._workload, self._jobs,
                          lambda table: f"COPY {table} TO '{self._files[table]}'")  # fmt: skip
        self._text_mib = sum(file.stat().st_size for file in self._files.values()) / 2**20

    def _copy_out(self):
        for what, to in (("by the server to /dev/null", "'/dev/null'"),
                         ("to clients that discard it", "STDOUT")):  # fmt: skip
            for sessions in sorted({1, self._jobs}):
                seconds = self._in_sessions(
                    self._pair.source, self._workload, sessions,
                    lambda table, to=to: f"COPY {table} TO {to}")  # fmt: skip
                self._note(f"COPY out {what}, sessions: {sessions}", seconds, self._text_mib)

    def _copy_in(self):
        for sessions in sorted({1, self._jobs}):
            self._in_sessions(self._pair.target, COPY, sessions, lambda table: f"TRUNCATE {table}")
            self._pair.settle()
            seconds = self._in_sessions(
                self._pair.target, COPY, sessions,
                lambda table: f"COPY {table} FROM '{self._files[table]}'")  # fmt: skip
            self._note(f"COPY in from memory, sessions: {sessions}", seconds, self._text_mib)

    def _schema(self):
        started = time.monotonic()
        subprocess.run([BINARIES / "pg_dump", "-Fc", "--schema-only", "-f", self._archive, "-d",
                        self._pair.source.uri(self._workload)], check=True)  # fmt: skip
        self._note("pg_dump --schema-only", time.monotonic() - started)
        self._pair.settle()
        self._restore("tables and all else before the data", 1, ["--section=pre-data"])

    def _indexes(self):
        """Foreign keys apart, because they read tables, and everything else after the data waits
        for nothing but indexes."""
        listing = subprocess.run(
            [BINARIES / "pg_restore", "-l", "--section=post-data", self._archive],
            capture_output=True, text=True, check=True)  # fmt: skip
        entries = [line for line in listing.stdout.splitlines() if not line.startswith(";")]
        foreign = [line for line in entries if " FK CONSTRAINT " in line]
        for what, chosen in (("indexes and primary keys", [e for e in entries if e not in foreign]),
                             ("foreign keys", foreign)):  # fmt: skip
            with tempfile.NamedTemporaryFile("w") as selection:
                selection.write("\n".join(chosen) + "\n")
                selection.flush()
                self._pair.settle()
                self._restore(what, self._jobs, ["-L", selection.name])

    def _restore(self, what, jobs, selection):
        started = time.monotonic()
        subprocess.run([BINARIES / "pg_restore", "--exit-on-error", f"-j{jobs}", *selection, "-d",
                        self._pair.target.uri(COPY), self._archive], check=True)  # fmt: skip
        self._note(f"pg_restore of {what}, jobs: {jobs}", time.monotonic() - started)

    def _note(self, what, seconds, mib=None):
        self.results.append((what, seconds, mib / seconds if mib else None))

    def _in_sessions(self, server, database, sessions, statement_for):
        """Runs a statement for each table in so many sessions, dealt largest first to the session
        that has the least; returns the seconds."""
        shares = [[0, []] for _ in range(sessions)]
        for table, size in self._sizes.items():
            share = min(shares, key=lambda share: share[0])
            share[0] += size
            share[1].append(statement_for(table))
        command = [BINARIES / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d",
                   server.uri(database)]  # fmt: skip
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            running = []
            for _, statements in shares:
                script = stack.enter_context(tempfile.TemporaryFile("w+"))
                script.write("".join(statement + ";\n" for statement in statements))
                script.seek(0)
                running.append(subprocess.Popen(command, stdin=script))
            codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit(f"psql failed on {database}; its errors stand above")
        return time.monotonic() - started
