# SPDX-License-Identifier: Apache-2.0
"""Turns runs into the tables that docs/performance.md has: Markdown, on stdout."""

import pathlib
import platform
import statistics
import subprocess

from .contenders import US
from .servers import BINARIES


def machine():
    """What it was measured on. The load says whether the machine was quiet."""
    memory_kib = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    cpu = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(": ", 1)[1]
    cores = len([line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("processor")])  # fmt: skip
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    server = subprocess.run([BINARIES / "postgres", "--version"], capture_output=True, text=True,
                            check=True).stdout.strip()  # fmt: skip
    return (f"{cores} cores of {cpu}, {memory_kib / 1048576:.0f} GiB, Linux {platform.release()}, "
            f"{server}, load before the run {load}")  # fmt: skip


def print_workload(title, runs):
    """A table of one workload, its ratio, and the stages of our own runs."""
    print(f"\n{title}\n")
    print("| | median, s | single runs, s | client CPU, s | peak RSS, MiB |")
    print("|---|---:|---|---:|---:|")
    for contender in dict.fromkeys(run.contender for run in runs):
        print_contender(contender, [run for run in runs if run.contender == contender])
    for run in runs:
        if run.failure:
            print(f"\n{run.contender} failed: {run.failure}")
    print_ratio(runs)
    for contender in dict.fromkeys(run.contender for run in runs if run.seconds_by_stage):
        print_stages(contender, [run for run in good(runs) if run.contender == contender])


def good(runs):
    return [run for run in runs if not run.failure]


def print_contender(contender, runs):
    useful = good(runs)
    if not useful:
        print(f"| {contender} | failed | | | |")
        return
    single = ", ".join(f"{run.seconds:.1f}" for run in useful)
    print(f"| {contender} | {median_seconds(useful):.1f} | {single} | "
          f"{statistics.median(run.cpu_seconds for run in useful):.1f} | "
          f"{max(run.peak_rss_mib for run in useful):.0f} |")  # fmt: skip


def median_seconds(runs):
    return statistics.median(run.seconds for run in runs)


def print_ratio(runs):
    ours = [run for run in good(runs) if run.contender == US]
    others = {}
    for run in good(runs):
        if run.contender != US:
            others.setdefault(run.contender, []).append(run)
    if not ours or not others:
        print("\nNo ratio: it needs a good run of ours and of another.")
        return
    best = min(others, key=lambda name: median_seconds(others[name]))
    ratio = median_seconds(others[best]) / median_seconds(ours)
    print(f"\n**{ratio:.2f} times as fast** as the best of the others ({best}).")


def print_stages(contender, runs):
    if not runs:
        return
    stages = dict.fromkeys(stage for run in runs for stage in run.seconds_by_stage)
    parts = [f"{stage} {statistics.median(run.seconds_by_stage.get(stage, 0) for run in runs):.1f}"
             for stage in stages]  # fmt: skip
    print(f"\nStages of {contender}, medians in s: {', '.join(parts)}.")
