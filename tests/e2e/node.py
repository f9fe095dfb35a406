# SPDX-License-Identifier: Apache-2.0
"""What needs root on the cluster's only node: processes of pods, their networks, the API server.

Works on the cluster of hack/cluster alone; NodeOutOfReach says so elsewhere.
"""

import contextlib
import http.client
import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import urllib.request

from cluster import Failure, expect, get, kubectl, wait_until

RUN = pathlib.Path("/var/lib/cutover-cluster")


def _pod_uid(namespace, pod):
    found = get("pod", pod, namespace)
    expect(found, f"pod {namespace}/{pod} exists")
    return found["metadata"]["uid"]


def processes(pod_uid, command):
    """Pids of the pod's processes whose name begins with `command`."""
    pids = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith(command[:15]) and (
                    pod_uid in (process / "cgroup").read_text()):
                pids.append(int(process.name))
        except OSError:
            continue
    return sorted(pids)


def kill(pod_uid, command):
    """SIGKILL to the oldest process of that name in the pod; whether there was one."""
    pids = processes(pod_uid, command)
    if pids:
        os.kill(pids[0], signal.SIGKILL)
    return bool(pids)


def kill_in_pod(namespace, pod, command):
    """The same for a pod by its name."""
    return kill(_pod_uid(namespace, pod), command)


def operators():
    """Names of the operator's pods, the leader's or not."""
    return kubectl("--namespace", "cutover-system", "get", "pods", "--selector",
                   "app.kubernetes.io/name=cutover", "--output",
                   "jsonpath={.items[*].metadata.name}").split()


class ReportedSides:
    """Within: what any operator's metrics claim of cutover_writable_sides, read twice a second."""

    def __init__(self):
        self.values = set()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(timeout=10)

    def expect_never_two(self):
        expect(self.values, "an operator's metrics said on how many sides the tenant is writable")
        expect(2 not in self.values, "cutover_writable_sides never is 2")

    def _watch(self):
        addresses = []
        while not self.stop.wait(0.5):
            try:
                addresses = addresses or _operators_addresses()
            except (Failure, subprocess.TimeoutExpired):
                continue  # The API server is away.
            for address in list(addresses):
                try:
                    self.values |= _reported_sides(address)
                except (OSError, http.client.HTTPException):
                    addresses = []  # That operator has died; what the others say is read still.


def _operators_addresses():
    return kubectl("--namespace", "cutover-system", "get", "pods", "--selector",
                   "app.kubernetes.io/name=cutover", "--output",
                   "jsonpath={.items[*].status.podIP}").split()


def _reported_sides(address):
    with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=1) as answer:
        return {int(value) for value in re.findall(
            r"^cutover_writable_sides\{.*\} (\d+)", answer.read().decode(), re.MULTILINE)}


@contextlib.contextmanager
def packets_dropped(namespace, pod, command, *rule):
    """Within: an iptables rule that drops what it matches, in the network of the pod that runs
    `command`. Its connections stay half open, as with a cable that was pulled."""
    pids = processes(_pod_uid(namespace, pod), command)
    expect(pids, f"{command} runs in {namespace}/{pod}")
    # Held open: the process may die meanwhile, and its container get another one.
    network = os.open(f"/proc/{pids[0]}/ns/net", os.O_RDONLY)

    def iptables(action):
        subprocess.run(["nsenter", f"--net=/proc/self/fd/{network}", "iptables", "-w", action,
                        *rule, "-j", "DROP"], check=True, pass_fds=(network,), timeout=30)

    try:
        iptables("-I")
        try:
            yield
        finally:
            iptables("-D")
    finally:
        os.close(network)


class ApiServer:
    """The cluster's kube-apiserver, to be killed and started again just as it was."""

    def __init__(self):
        pid_file = RUN / "pid/kube-apiserver"
        expect(pid_file.exists(), "this cluster is that of hack/cluster, on this machine")
        self.pid_file = pid_file
        self.pid, self.program = pid_file.read_text().split()[:2]
        process = pathlib.Path("/proc") / self.pid
        self.arguments = (process / "cmdline").read_text().rstrip("\0").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in
                                (process / "environ").read_text().rstrip("\0").split("\0"))

    def kill(self):
        os.kill(int(self.pid), signal.SIGKILL)

    def start(self):
        with open(RUN / "log/kube-apiserver.log", "ab") as log:
            started = subprocess.Popen(self.arguments, executable=self.program, cwd=RUN,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        self.pid_file.write_text(f"{started.pid} {self.program}\n")

        def answers():
            try:
                return "ok" in kubectl("--request-timeout=2s", "get", "--raw", "/readyz",
                                       check=False)
            except (Failure, subprocess.TimeoutExpired):
                return False

        wait_until(f"the API server answers again ({shlex.join(self.arguments[:1])})", 60, answers)
