# SPDX-License-Identifier: Apache-2.0
"""Runs programs and says what they took."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

# A contender that takes longer hangs; pgcopydb's compare does when a table is missing.
RUN_SECONDS_MAX = 3600
PEAK_POLL_SECONDS = 0.1


@dataclasses.dataclass
class Run:
    """What one run of a contender took; several commands in turn are one run."""

    contender: str
    workload: str
    seconds: float = 0.0
    # Largest resident set of the program itself, without the programs it started.
    peak_rss_mib: float = 0.0
    # Of the client programs together, user and system; the servers' is not in it.
    cpu_seconds: float = 0.0
    seconds_by_stage: dict = dataclasses.field(default_factory=dict)
    # Empty if it worked; otherwise why the times must not be used.
    failure: str = ""


def run_command(run, command, log, environment=None, stdout=None):
    """Runs a command to its end and adds what it took to `run`. Its output goes to the file `log`,
    or stdout to another file. Ends with a failure if the command fails or takes forever."""
    with open(log, "ab") as errors:
        output = open(stdout, "wb") if stdout else errors
        started = time.monotonic()
        # A session of its own: pgcopydb ends by killing its whole process group.
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=errors, start_new_session=True,
                                   env={**os.environ, **(environment or {})})  # fmt: skip
        peak = PeakWatch(process.pid)
        # The whole group, because pgcopydb's processes outlive the first one.
        timer = threading.Timer(RUN_SECONDS_MAX, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            run.seconds += time.monotonic() - started
            timer.cancel()
            run.peak_rss_mib = max(run.peak_rss_mib, peak.stop())
        process.returncode = os.waitstatus_to_exitcode(status)
        if stdout:
            output.close()
    run.cpu_seconds += usage.ru_utime + usage.ru_stime
    if process.returncode != 0 and not run.failure:
        run.failure = f"exit code {process.returncode}: {last_line(log)} ({log})"


def last_line(log):
    lines = pathlib.Path(log).read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if re.search("error|fatal", line, re.IGNORECASE)]
    return (errors or lines or ["no output"])[-1][:200]


class PeakWatch:
    """Follows the peak resident set of a process in /proc. Not from wait4: its figure includes the
    programs that the process started, and on Linux also what was resident before exec."""

    def __init__(self, pid):
        self._pid = pid
        self._peak_kib = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join()
        return self._peak_kib / 1024

    def _watch(self):
        while not self._ended.wait(PEAK_POLL_SECONDS):
            try:
                status = pathlib.Path(f"/proc/{self._pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                return
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            if found:
                self._peak_kib = max(self._peak_kib, int(found[1]))
