# SPDX-License-Identifier: Apache-2.0
"""Two programs that reconcile the same objects of one API server, and what they take."""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import queue
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from .repository import REPOSITORY, cache_directory, say, shell

PEER = REPOSITORY / "tests/bench/controllers/peer"
KUBECTL = cache_directory().parent / "bin/kubectl"
# Long enough for a peer on a busy machine to read ten thousand objects.
ANSWER_SECONDS_MAX = 300
# Both renew a lease every 2 s; the second candidate must have seen it, and have filled its cache.
SETTLE_SECONDS = 15
# Of CPU in two; the lease and the watches take about half as much.
AT_REST_SECONDS = 0.3


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


class ApiServer:
    """A real etcd and kube-apiserver with our CRDs."""

    def __init__(self, directory):
        self.kubeconfig = f"{directory}/shared.kubeconfig"
        self.etcd = pathlib.Path(directory, "etcd.url").read_text().strip()
        self._guardian = int(pathlib.Path(directory, "guardian.pid").read_text())

    def load(self, objects):
        self._peer("load", self.kubeconfig, self.etcd, objects)

    def change(self, objects, changes):
        self._peer("change", self.etcd, objects, changes)

    def record(self, objects, changes, path):
        """Writes `changes` of them, and what a watch says of that to `path`. Bookmarks are off."""
        collection = "/apis/cutover.dev/v1alpha1/tenantmigrations"
        text = kubectl(self.kubeconfig, "get", "--raw", collection + "?limit=1")
        version = json.loads(text)["metadata"]["resourceVersion"]
        pathlib.Path(path).write_bytes(b"")

        def watch(version):
            raw = f"{collection}?watch=1&resourceVersion={version}&timeoutSeconds=3600"
            with open(path, "ab") as file:
                return subprocess.Popen(
                    [KUBECTL, "--kubeconfig", self.kubeconfig, "get", "--raw", raw], stdout=file)

        watching = watch(version)
        self.change(objects, changes)
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while lines(path) < changes:
            if time.monotonic() > deadline:
                raise SystemExit(f"the watch has told {lines(path)} changes only")
            time.sleep(1)
            # The API server ends a watch that falls behind such a burst.
            if watching.poll() is not None:
                last = pathlib.Path(path).read_bytes().splitlines()[-1]
                watching = watch(json.loads(last)["object"]["metadata"]["resourceVersion"])
        watching.terminate()
        watching.wait()

    def restart(self):
        """Kills it. What it has when it runs again begins with a change that nobody has heard of,
        so whoever watched must list again."""
        os.kill(self._guardian, signal.SIGHUP)
        time.sleep(1)
        self.change(1, 1)

    @staticmethod
    def _peer(*arguments):
        subprocess.run([cache_directory() / "peer", *map(str, arguments)], check=True)


@contextlib.contextmanager
def api_server(build, directory):
    program = REPOSITORY / build / "tests/kube/with_api_server"
    directory = f"{directory}/api"
    subprocess.run([program, "start", directory], check=True, stdout=subprocess.DEVNULL)
    try:
        server = ApiServer(directory)
        kubectl(server.kubeconfig, "apply", "--server-side", "-f", REPOSITORY / "crds")
        kubectl(server.kubeconfig, "wait", "--for=condition=Established", "crd", "--all")
        yield server
    finally:
        subprocess.run([program, "stop", directory], check=True)


def lines(path):
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def kubectl(kubeconfig, *arguments):
    return subprocess.run([KUBECTL, "--kubeconfig", kubeconfig, *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout  # fmt: skip


def wire_bytes_per_object(kubeconfig):
    """As a list carries them: compact JSON, managed fields and all."""
    text = kubectl(kubeconfig, "get", "--raw",
                   "/apis/cutover.dev/v1alpha1/tenantmigrations?limit=500")  # fmt: skip
    return len(text) / len(json.loads(text)["items"])


class Operator:
    """cutover-operator itself, leading."""

    def __init__(self, build, kubeconfig):
        self._program = REPOSITORY / build / "bin/cutover-operator"
        self._kubeconfig = kubeconfig

    @contextlib.contextmanager
    def _running(self):
        """Gives its process and a function that reads its metrics."""
        port = free_port()
        process = subprocess.Popen(
            [self._program, "--kubeconfig", self._kubeconfig, "--health-address", "0",
             "--metrics-address", f"127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            yield process.pid, lambda: read_metrics(f"http://127.0.0.1:{port}/metrics")
            if process.poll() is not None:
                raise SystemExit(f"cutover-operator ended with {process.returncode}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def idle_mib(self):
        """With no objects, once it leads and has settled."""
        with self._running() as (pid, _):
            time.sleep(10)
            return resident_mib(pid)

    def until_reconciled(self, objects):
        """What it took until each migration had been reconciled once, and one scrape thereafter.

        It is asked for its metrics only once it is at rest: with so many objects an answer is
        work, too."""
        with self._running() as (pid, metrics):
            deadline = time.monotonic() + ANSWER_SECONDS_MAX
            used = 0
            while True:
                time.sleep(2)
                before, used, resident = used, cpu_seconds(pid), resident_mib(pid)
                if used - before < AT_REST_SECONDS:
                    values = metrics()
                    if values[RECONCILED] >= objects:
                        scrape = cpu_seconds(pid) - used
                        return OperatorStart(used, resident, requests(values, "GET"),
                                             requests(values, "PUT", "PATCH", "POST"),
                                             scrape, resident_mib(pid))  # fmt: skip
                if time.monotonic() > deadline:
                    raise SystemExit(f"cutover-operator has reconciled {metrics()[RECONCILED]:.0f}")


@dataclasses.dataclass
class OperatorStart:
    cpu_seconds: float
    resident_mib: float
    reads: int  # Requests to the API server, watches and their lists left out.
    writes: int  # Those of its own lease among them.
    scrape_cpu_seconds: float
    scraped_mib: float  # Resident after a scrape.

    def bytes_per_object(self, idle_mib, objects):
        return (self.resident_mib - idle_mib) * 1048576 / objects


def requests(values, *methods):
    """Requests of these methods, by the metrics of the program that made them."""
    return int(sum(value for name, value in values.items()
                   if name.startswith("rest_client_requests_total{")
                   and any(f'method="{method}"' in name for method in methods)))  # fmt: skip


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines()
                    if line.startswith("VmRSS"))) / 1024  # fmt: skip


def cpu_seconds(pid):
    # proc(5): user and system time, after a name that may contain spaces.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# In the sum over results.
RECONCILED = 'controller_runtime_reconcile_total{controller="tenantmigration"}'


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def read_metrics(url):
    """Values by name; reconciles of a controller are added up under RECONCILED."""
    values = {RECONCILED: 0}
    try:
        text = urllib.request.urlopen(url, timeout=10).read().decode()
    except OSError:  # It is about to listen.
        return values
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        values[name] = float(value)
        if name.startswith(RECONCILED[:-1]):
            values[RECONCILED] += float(value)
    return values


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
    def __init__(self, name, program, decoder, server):
        self.name = name
        self.idle = 0.0
        self._program = program
        self._decoder = decoder
        self._server = server

    def _run(self, *arguments):
        return Running([self._program, self._server.kubeconfig, *arguments])

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
        self._server.change(objects, changes)
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

    def decoded_per_cpu_second(self, path):
        """Of a recorded watch, without the network."""
        said = subprocess.run([*self._decoder, path], check=True, stdout=subprocess.PIPE).stdout
        result = json.loads(said)
        if result["changes"] != lines(path):
            raise SystemExit(f"{self.name} has decoded {result['changes']} changes only")
        return result["changes"] / result["cpuSeconds"]

    def relist(self, objects):
        """Resident memory at most while it lists everything again, by what it was before."""
        running = self._run(objects)
        running.hears("reconciled")
        time.sleep(5)
        before = running.stats()
        # proc(5): the peak begins anew.
        pathlib.Path(f"/proc/{running.process.pid}/clear_refs").write_text("5")
        self._server.restart()
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while running.stats()["changes"] == before["changes"]:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} has not listed again")
            time.sleep(1)
        time.sleep(5)
        after = running.stats()
        running.kill()
        return after["peakRssKibibytes"] / before["rssKibibytes"]

    def failovers(self, signal_name, count):
        """The longest of so many at the same time, each of a lease of its own."""
        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            return max(threads.map(lambda n: self._failover(signal_name, n), range(count)))

    def _failover(self, signal_name, number):
        """Seconds from the signal until the other candidate leads."""
        lease = f"{self.name}-{signal_name}-{number}".lower()
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


def contenders(build, server):
    """Ours first."""
    ours = REPOSITORY / build / "tests/bench/controllers"
    peer = build_peer()
    return [Contender("cutover", ours / "bench_controller", [ours / "bench_decode"], server),
            Contender("controller-runtime", peer, [peer, "decode"], server)]  # fmt: skip
