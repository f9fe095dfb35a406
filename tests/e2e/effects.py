# SPDX-License-Identifier: Apache-2.0
"""The operator's effects, as its pods' logs tell of them some milliseconds after each."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time

import node
from cluster import Failure, get, kubectl
from shop import MIGRATION

OPERATORS = "cutover-system"
COMMAND = "cutover-operato"  # As far as the kernel remembers its name.
STANDS_STILL_SECONDS, RUNS_SECONDS = 0.04, 0.005


class Effects:
    """Within: calls `struck(effect, phase, kill)` the first time that each of the operator's
    effects on the migration is done; `kill()` ends the process that did it. One call at a time:
    what is done meanwhile counts as not seen yet. Only what `wanted(effect, phase)` says counts.
    `in_slow_motion` the operators stand still most of the time, so that one that is killed for an
    effect has not done the next one yet, where all of them take a tenth of a second."""

    def __init__(self, wanted, struck, in_slow_motion=False):
        self.wanted, self.struck = wanted, struck
        self.seen = []  # Effects that were struck, in order.
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.readers = {}
        self.began = time.time()
        self.pids = {}
        work = [self._look_for_pods, *([self._slow_down] if in_slow_motion else [])]
        self.threads = [threading.Thread(target=each, daemon=True) for each in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=10)
        for process, reader in list(self.readers.values()):
            process.kill()
            reader.join(timeout=10)

    def _look_for_pods(self):
        while not self.stop.is_set():
            try:
                for pod in node.operators():
                    self._follow(pod)
            except (Failure, subprocess.TimeoutExpired):
                pass  # The API server is away.
            self.stop.wait(0.3)

    def _follow(self, pod):
        if pod in self.readers and self.readers[pod][0].poll() is None:
            return
        found = get("pod", pod, OPERATORS)
        if not found:
            return
        process = subprocess.Popen(
            ["kubectl", "--namespace", OPERATORS, "logs", "--follow", "--since=1s", pod],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        uid = found["metadata"]["uid"]
        self.pids[pod] = node.processes(uid, COMMAND)
        reader = threading.Thread(target=self._read, daemon=True, args=(process, pod, uid))
        self.readers[pod] = process, reader
        reader.start()

    def _slow_down(self):
        while not self.stop.is_set():
            self._signal(signal.SIGSTOP)
            self.stop.wait(STANDS_STILL_SECONDS)
            self._signal(signal.SIGCONT)
            time.sleep(RUNS_SECONDS)

    def _signal(self, number):
        for pid in [pid for pids in list(self.pids.values()) for pid in pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _read(self, process, pod, uid):
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if said.get("msg") != "effect done" or said.get("name") != MIGRATION:
                continue
            effect, phase = said["effect"], said["phase"]
            if self.stop.is_set() or effect in self.seen or not self.wanted(effect, phase):
                continue
            if self.lock.acquire(blocking=False):
                try:
                    self.seen.append(effect)
                    self.struck(effect, phase, lambda: kill_operator(pod, uid))
                finally:
                    self.lock.release()


def kill_operator(pod, uid):
    """SIGKILL; and another pod in its place, since the kubelet lets one that dies often wait."""
    node.kill(uid, COMMAND)
    kubectl("--namespace", OPERATORS, "delete", "pod", pod, "--grace-period", "0", "--force",
            "--ignore-not-found", "--wait=false")


def kill_server(server):
    """The same for a PostgreSQL server; until another pod of it answers. The pod is not forced out:
    its successor must not start on a volume that is still in use."""
    node.kill_in_pod("databases", server.pod, "postgres")
    kubectl("--namespace", "databases", "delete", "pod", server.pod, "--grace-period", "1")
    server.wait_until_ready()
