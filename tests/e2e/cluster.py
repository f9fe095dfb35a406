# SPDX-License-Identifier: Apache-2.0
"""kubectl, PostgreSQL and signals, as the scenarios need them."""

import json
import os
import pathlib
import signal
import subprocess
import time

SUPERUSER_PASSWORD = "demo-superuser"
SLOWER_AT_MOST = 3


class Failure(Exception):
    """What a scenario found wrong."""


def expect(condition, what):
    if not condition:
        raise Failure(what)


def kubectl(*arguments, stdin=None, check=True):
    done = subprocess.run(["kubectl", *arguments], input=stdin, text=True, capture_output=True,
                          timeout=300, check=False)
    if check and done.returncode != 0:
        raise Failure(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def get(kind, name, namespace=None):
    """The object, or None when there is none."""
    where = ["--namespace", namespace] if namespace else []
    text = kubectl(*where, "get", kind, name, "--output", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def apply(obj):
    kubectl("apply", "--filename", "-", stdin=json.dumps(obj))


def sql(server, database, statement):
    """One statement as the superuser, inside the server's pod; the bare answer."""
    return kubectl("--namespace", "databases", "exec", f"{server}-0", "--", "env",
                   f"PGPASSWORD={SUPERUSER_PASSWORD}", "psql", "-h", "127.0.0.1", "-U", "postgres",
                   "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()


def sql_session(server, database, statement):
    """The same, left running; end it with end_session()."""
    return subprocess.Popen(
        ["kubectl", "--namespace", "databases", "exec", f"{server}-0", "--", "env",
         f"PGPASSWORD={SUPERUSER_PASSWORD}", "PGAPPNAME=e2e-holds-a-lock", "psql", "-h",
         "127.0.0.1", "-U", "postgres", "-d", database, "-XAtq", "-c", statement],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end_session(server, session):
    sql(server, "postgres", "select pg_terminate_backend(pid) from pg_stat_activity "
                            "where application_name = 'e2e-holds-a-lock'")
    session.wait(timeout=30)


def wait_until(what, seconds, condition, every=0.1):
    """The condition's first truthy answer, within `seconds` on the machine that the scenarios were
    written on; another one may be some times as slow."""
    deadline = time.monotonic() + SLOWER_AT_MOST * seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {SLOWER_AT_MOST * seconds} s: {what}")
        time.sleep(every)


def leader():
    """Name of the pod that holds the lease, and the lease's epoch."""
    for lease in json.loads(kubectl("--namespace", "cutover-system", "get", "lease", "--output",
                                    "json"))["items"]:
        holder = lease["spec"].get("holderIdentity") or ""
        if holder:
            return holder.split("_")[0], lease["spec"].get("leaseTransitions", 0)
    raise Failure("nobody holds the operator's lease")


def kill_leader():
    """SIGKILL to the leading operator's process; without root on the node, to its pod."""
    name, _ = leader()
    pod = get("pod", name, "cutover-system")
    expect(pod, f"the leader's pod {name} exists")
    marker = pod["metadata"]["uid"]
    killed = False
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith("cutover-operato") and (
                    marker in (process / "cgroup").read_text()):
                os.kill(int(process.name), signal.SIGKILL)
                killed = True
        except (OSError, ProcessLookupError):
            continue
    if not killed:
        kubectl("--namespace", "cutover-system", "delete", "pod", name, "--grace-period", "0",
                "--force")
    return name
