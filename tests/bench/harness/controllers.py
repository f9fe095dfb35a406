# SPDX-License-Identifier: Apache-2.0
"""Two programs that reconcile the same objects of one API server, and what they take."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import queue
import signal
import subprocess
import threading
import time

from .repository import REPOSITORY, cache_directory, say, shell

PEER = REPOSITORY / "tests/bench/controllers/peer"
# Long enough for a peer on a busy machine to read ten thousand objects.
ANSWER_SECONDS_MAX = 300
# Both renew a lease every 2 s; the second candidate must have seen it.
SETTLE_SECONDS = 4


def machine():
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    cores = os.cpu_count()
    return f"{cores} cores, Linux {platform.release()}, load before the run {load}"


def build_peer():
    """The Go program, built once for each content of its folder."""
    program = cache_directory() / "peer"
    say("building the peer, where its cache is cold ...")
    shell(f"source hack/lib/go.sh; cd {PEER}; CGO_ENABLED=0 cutover_go build -trimpath"
          f" -o {program} . 1>&2; echo built")  # fmt: skip
    return program


@contextlib.contextmanager
def api_server(build, directory):
    """A real etcd and kube-apiserver with our CRDs; gives the kubeconfig of its admin."""
    program = REPOSITORY / build / "tests/kube/with_api_server"
    subprocess.run([program, "start", f"{directory}/api"], check=True, stdout=subprocess.DEVNULL)
    try:
        kubeconfig = f"{directory}/api/shared.kubeconfig"
        kubectl(kubeconfig, "apply", "--server-side", "-f", REPOSITORY / "crds")
        kubectl(kubeconfig, "wait", "--for=condition=Established", "crd", "--all")
        yield kubeconfig
    finally:
        subprocess.run([program, "stop", f"{directory}/api"], check=True)


def kubectl(kubeconfig, *arguments):
    program = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    program = program / "cutover/bin/kubectl"
    return subprocess.run([program, "--kubeconfig", kubeconfig, *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout  # fmt: skip


def load(kubeconfig, objects):
    subprocess.run([cache_directory() / "peer", "load", kubeconfig, str(objects)], check=True)


def change(kubeconfig, changes):
    subprocess.run([cache_directory() / "peer", "change", kubeconfig, str(changes)], check=True)


def wire_bytes_per_object(kubeconfig):
    """As a list carries them: compact JSON, managed fields and all."""
    text = kubectl(kubeconfig, "get", "--raw",
                   "/apis/cutover.dev/v1alpha1/tenantmigrations?limit=500")  # fmt: skip
    return len(text) / len(json.loads(text)["items"])


def idle_operator_mib(build, kubeconfig):
    """The operator itself with no objects, once it leads and has settled."""
    kubectl(kubeconfig, "create", "namespace", "cutover-system")
    with subprocess.Popen(
        [REPOSITORY / build / "bin/cutover-operator", "--kubeconfig", kubeconfig,
         "--metrics-address", "0", "--health-address", "127.0.0.1:0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # fmt: skip
        time.sleep(10)
        if process.poll() is not None:
            raise SystemExit(f"cutover-operator ended with {process.returncode}")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        process.send_signal(signal.SIGTERM)
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kibibytes) / 1024


@dataclasses.dataclass
class ColdStart:
    cpu_seconds: float
    seconds: float
    peak_mib: float
    settled_mib: float

    def bytes_per_object(self, idle_mib, objects):
        return (self.settled_mib - idle_mib) * 1048576 / objects


class Running:
    """One process of a contender; what it says, as it says it."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [str(part) for part in command], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)  # fmt: skip
        self._said = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self._said.put(json.loads(line))

    def hears(self, event):
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            try:
                said = self._said.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise SystemExit(f"{self.process.args[0]} did not say '{event}' within "
                                 f"{ANSWER_SECONDS_MAX} s") from None  # fmt: skip
            if said["event"] == event:
                return said

    def stats(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.hears("stats")

    def kill(self, name="KILL"):
        self.process.send_signal(getattr(signal, f"SIG{name}"))
        self.process.wait()


class Contender:
    def __init__(self, name, program, kubeconfig):
        self.name = name
        self.idle = 0.0
        self._program = program
        self._kubeconfig = kubeconfig
        self._leases = 0

    def _run(self, *arguments):
        return Running([self._program, self._kubeconfig, *arguments])

    def idle_mib(self):
        """Of a program that caches nothing, since there is nothing."""
        running = self._run("1")
        time.sleep(5)
        self.idle = running.stats()["rssKibibytes"] / 1024
        running.kill()
        return self.idle

    def cold_start(self, objects):
        started = time.monotonic()
        running = self._run(objects)
        done = running.hears("reconciled")
        seconds = time.monotonic() - started
        time.sleep(5)  # What was needed for the start alone may be given back.
        settled = running.stats()
        running.kill()
        return ColdStart(done["cpuSeconds"], seconds, settled["peakRssKibibytes"] / 1024,
                         settled["rssKibibytes"] / 1024)  # fmt: skip

    def changes_per_cpu_second(self, objects, changes):
        running = self._run(objects)
        running.hears("reconciled")
        time.sleep(2)
        before = running.stats()
        change(self._kubeconfig, changes)
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            time.sleep(1)
            after = running.stats()
            if after["changes"] - before["changes"] >= changes:
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} has heard of {after['changes']} changes only")
        running.kill()
        cpu_seconds = after["cpuSeconds"] - before["cpuSeconds"]
        return (after["changes"] - before["changes"]) / cpu_seconds

    def failover(self, signal_name):
        """Seconds from the signal until the other candidate leads."""
        self._leases += 1
        lease = f"{self.name}-{signal_name}-{self._leases}".lower()
        leader = self._run("1", lease, "first")
        leader.hears("leading")
        standby = self._run("1", lease, "second")
        time.sleep(SETTLE_SECONDS)
        struck = time.monotonic()
        leader.process.send_signal(getattr(signal, f"SIG{signal_name}"))
        standby.hears("leading")
        seconds = time.monotonic() - struck
        leader.process.wait()
        standby.kill()
        return seconds


def contenders(build, kubeconfig):
    """Ours first."""
    ours = REPOSITORY / build / "tests/bench/controllers/bench_controller"
    return [Contender("cutover", ours, kubeconfig),
            Contender("controller-runtime", build_peer(), kubeconfig)]  # fmt: skip
