# SPDX-License-Identifier: Apache-2.0
"""A recording of /metrics, for a real Prometheus to serve."""

import pathlib
import re
import subprocess

from prometheus import Prometheus

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
# What a scrape adds. The chart's monitors keep the labels of the metrics themselves (honorLabels),
# so `namespace` is the operator's own only where a metric has none.
JOB = "cutover-metrics"
OPERATOR_NAMESPACE = "cutover-system"


def to_open_metrics(recording):
    """Puts time and target into every sample; types and help are of no use to queries."""
    lines, at, pod = [], None, None
    for line in recording.splitlines():
        if line.startswith("# scrape "):
            _, _, at, pod = line.split()
        elif line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            target = [f'job="{JOB}"', f'pod="{pod}"', f'instance="{pod}:8080"']
            if not re.search(r'(^|,)namespace="', labels or ""):
                target.append(f'namespace="{OPERATOR_NAMESPACE}"')
            everything = ",".join([*([labels] if labels else []), *target])
            lines.append(f"{name}{{{everything}}} {value} {at}")
    return "\n".join(lines) + "\n# EOF\n"


def times_of(recording):
    """The first and the last time of a scrape, in seconds since 1970."""
    times = [int(line.split()[2]) for line in recording.splitlines()
             if line.startswith("# scrape ")]  # fmt: skip
    return min(times), max(times)


def serve(directory, recording):
    """A Prometheus that has what was recorded and nothing else; to be closed."""
    directory = pathlib.Path(directory)
    (directory / "recording.txt").write_text(to_open_metrics(recording))
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q",
                    directory / "recording.txt", directory / "data"],
                   check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    # A scrape marks what has gone as stale, which a recording cannot: shorter than the time between
    # two scrapes, the look back forgets it as soon.
    return Prometheus(directory, "global: {}\n", "--storage.tsdb.retention.time=100y",
                      "--query.lookback-delta=14s")  # fmt: skip
