# SPDX-License-Identifier: Apache-2.0
"""A PgBouncer on the loopback before a pair of servers, led from one to the other by hand: as
people do it who have no operator. PAUSE, change of the ini, RELOAD, RESUME."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from .servers import RUN_AS, SUPERUSER, free_port

PROGRAM = "/usr/sbin/pgbouncer"
DATABASE = "bench"
ROLE = "bench"


class Pooler:
    """PgBouncer with one entry, by transaction."""

    def __init__(self, directory, server, pool_size=20):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.port = free_port()
        self.pool_size = pool_size
        self.ini = self.directory / "pgbouncer.ini"
        self.users = self.directory / "users"
        self.users.write_text(f'"{ROLE}" ""\n"{SUPERUSER}" ""\n')
        self.write_ini(server)
        with open(self.directory / "pgbouncer.log", "ab") as log:
            self.process = subprocess.Popen([PROGRAM, self.ini], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/",
                                            start_new_session=True, **RUN_AS)  # fmt: skip

    def write_ini(self, server):
        text = (f"[databases]\n{DATABASE} = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
                f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
                f"auth_type = trust\nauth_file = {self.users}\npool_mode = transaction\n"
                "max_client_conn = 500\n"
                f"default_pool_size = {self.pool_size}\nadmin_users = {SUPERUSER}\n")  # fmt: skip
        partial = self.ini.with_suffix(".partial")
        partial.write_text(text)
        partial.chmod(0o644)
        partial.rename(self.ini)

    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} dbname={DATABASE} user={ROLE}"

    def tell(self, command):
        subprocess.run(["psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER,
                        "-d", "pgbouncer", "-c", command], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def lead_to(self, server):
        self.write_ini(server)
        self.tell("RELOAD")

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=30)


@contextlib.contextmanager
def pooler(directory, server):
    running = Pooler(directory, server)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                running.tell("SHOW VERSION")
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield running
    finally:
        running.stop()
