# SPDX-License-Identifier: Apache-2.0
"""Clients that write while a tenant moves, and what became of all that they wrote."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

from .repository import REPOSITORY, say

ACCOUNTS = 100_000
# For bench_load, which writes into them.
TABLES = f"""
CREATE TABLE bench_account (id int PRIMARY KEY, balance bigint NOT NULL, filler text NOT NULL);
INSERT INTO bench_account SELECT n, 0, repeat('x', 84) FROM generate_series(1, {ACCOUNTS}) n;
CREATE TABLE bench_written (client int, number bigint, at timestamptz DEFAULT clock_timestamp(),
                            row_id bigserial PRIMARY KEY);
"""
STOP_SECONDS_MAX = 180


@dataclasses.dataclass(frozen=True)
class Transaction:
    client: int
    number: int
    start_us: int
    end_us: int
    outcome: str  # "ok", "error", "unknown": the COMMIT was sent and nobody answered


@dataclasses.dataclass
class Verdict:
    """What clients saw, and what the server that they ended on has of it."""

    acknowledged: int = 0
    failed: int = 0
    unknown: int = 0
    missing: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    # There, although the client was told that it is not.
    undead: list = dataclasses.field(default_factory=list)
    per_second: float = 0.0
    p99_ms: float = 0.0

    def faultless(self):
        return self.acknowledged > 0 and not (self.failed or self.unknown or self.missing
                                              or self.doubled or self.undead)  # fmt: skip


def find_program(given=None):
    built = pathlib.Path(given or REPOSITORY / "build/release/tests/bench/load/bench_load")
    if not built.exists():
        raise SystemExit(f"{built} is not there; build it with:"
                         " cmake --preset release && ninja -C build/release bench_load")
    return built


class Clients:
    """Clients from start to stop(); their record afterwards."""

    def __init__(self, program, conninfo, count, per_second, record):
        self.record = pathlib.Path(record)
        self.record.unlink(missing_ok=True)
        self.log = self.record.with_suffix(".log")
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen(
                [program, conninfo, str(count), str(per_second), self.record], stderr=errors,
                stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip

    def stop(self):
        """All transactions, each exactly as its client saw it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=STOP_SECONDS_MAX)
        if self.process.returncode != 0:
            raise SystemExit(f"the clients failed: {self.log.read_text()[-2000:]}")
        transactions = []
        for line in self.record.read_text().splitlines():
            client, number, start, end, outcome = line.split()
            transactions.append(Transaction(int(client), int(number), int(start), int(end),
                                            outcome))  # fmt: skip
        return transactions

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def clients(program, conninfo, count, per_second, record):
    """Clients that have written for a moment, and are gone at the end whatever happens."""
    running = Clients(program, conninfo, count, per_second, record)
    try:
        time.sleep(2)
        if running.process.poll() is not None:
            raise SystemExit(f"no client runs: {running.log.read_text()[-2000:]}")
        yield running
    finally:
        running.kill()


def judge(transactions, rows):
    """`rows`: (client, number) of bench_written on the server that the clients ended on."""
    verdict = Verdict()
    found = collections.Counter(rows)
    by_outcome = {"ok": set(), "error": set(), "unknown": set()}
    for one in transactions:
        by_outcome[one.outcome].add((one.client, one.number))
    verdict.acknowledged = len(by_outcome["ok"])
    verdict.failed = len(by_outcome["error"])
    verdict.unknown = len(by_outcome["unknown"])
    verdict.missing = sorted(by_outcome["ok"] - set(found))
    verdict.undead = sorted(by_outcome["error"] & set(found))
    verdict.doubled = sorted(row for row, count in found.items() if count > 1)
    good = [one for one in transactions if one.outcome == "ok"]
    if good:
        seconds = (max(one.end_us for one in good) - min(one.start_us for one in good)) / 1e6
        verdict.per_second = len(good) / max(seconds, 1e-6)
        verdict.p99_ms = percentile([one.end_us - one.start_us for one in good], 99) / 1000
    return verdict


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def longest_stall_ms(transactions, from_us, to_us):
    """Of transactions that ran at some time between: how long the unluckiest client waited."""
    waits = [one.end_us - one.start_us for one in transactions
             if one.end_us >= from_us and one.start_us <= to_us]  # fmt: skip
    return max(waits, default=0) / 1000


def under_way(transactions, at_us):
    """Those that had begun by then, and whose clients had no answer yet."""
    return [one for one in transactions if one.start_us < at_us < one.end_us]


def longest_silence_ms(transactions, from_us, to_us):
    """The longest time in it without one acknowledgement to anybody: closed doors, as users
    together see them."""
    ends = sorted(one.end_us for one in transactions
                  if one.outcome == "ok" and from_us <= one.end_us <= to_us)  # fmt: skip
    points = [from_us, *ends, to_us]
    return max(after - before for before, after in zip(points, points[1:], strict=False)) / 1000


WRITTEN = "SELECT client, number FROM bench_written"


def written_rows(text):
    """(client, number) of every row, duplicates and all, of what psql answers to WRITTEN."""
    return [tuple(int(field) for field in line.split("|")) for line in text.splitlines()]


def describe(verdict):
    say(f"{verdict.acknowledged} acknowledged at {verdict.per_second:.0f}/s, "
        f"{verdict.failed} failed, {verdict.unknown} unknown, {len(verdict.missing)} missing, "
        f"{len(verdict.doubled)} doubled, {len(verdict.undead)} undead")  # fmt: skip
