# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus over a recording of /metrics."""

import json
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
# What a scrape adds. The chart's monitors keep the labels of the metrics themselves (honorLabels),
# so `namespace` is the operator's own only where a metric has none.
JOB = "cutover-metrics"
OPERATOR_NAMESPACE = "cutover-system"


class QueryFailed(Exception):
    """Prometheus' own words about an expression that it does not take."""


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


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """Serves a recording until closed; on the loopback only."""

    def __init__(self, directory, recording):
        directory = pathlib.Path(directory)
        (directory / "recording.txt").write_text(to_open_metrics(recording))
        (directory / "prometheus.yml").write_text("global: {}\n")
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q",
                        directory / "recording.txt", directory / "data"],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        self.address = f"127.0.0.1:{free_port()}"
        self.log = (directory / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml",
             f"--storage.tsdb.path={directory}/data", "--storage.tsdb.retention.time=100y",
             # A scrape marks what has gone as stale, which a recording cannot: shorter than the
             # time between two scrapes, this forgets it as soon.
             "--query.lookback-delta=14s",
             f"--web.listen-address={self.address}"],
            stdout=self.log, stderr=subprocess.STDOUT)  # fmt: skip
        self.wait_until_ready()

    def wait_until_ready(self):
        until = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5).read()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def query_range(self, expression, start, end, step=60):
        """Returns the series with all their numbers; raises QueryFailed."""
        arguments = urllib.parse.urlencode(
            {"query": expression, "start": start, "end": end, "step": step})
        try:
            answer = urllib.request.urlopen(
                f"http://{self.address}/api/v1/query_range?{arguments}", timeout=30).read()
        except urllib.error.HTTPError as error:
            raise QueryFailed(json.loads(error.read())["error"]) from error
        return json.loads(answer)["data"]["result"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
