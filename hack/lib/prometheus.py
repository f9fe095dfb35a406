# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on this machine, and what the chart's dashboards ask one."""

import json
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

DASHBOARDS = pathlib.Path(__file__).resolve().parents[2] / "charts/cutover/dashboards"
# What Grafana puts in for a person who looks at everything.
VARIABLES = {"$namespace": ".+", "$migration": ".+", "$job": ".+", "$instance": ".+",
             "$__rate_interval": "2m", "$__range": "1h"}  # fmt: skip


class QueryFailed(Exception):
    """Prometheus' own words about an expression that it does not take."""


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}


def panels(without=None):
    """(where, panel) for everything that asks a question; `without`: not in the rows whose titles
    have these words."""
    for name, dashboard in sorted(dashboards().items()):
        row = ""
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                row = panel["title"]
            elif without is None or without not in row:
                yield f"{name}: {panel['title']}", panel


def filled(expression):
    """The expression as Grafana sends it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """Runs until closed, over `directory`/data; on the loopback only."""

    def __init__(self, directory, configuration, *arguments):
        directory = pathlib.Path(directory)
        (directory / "prometheus.yml").write_text(configuration)
        self.address = f"127.0.0.1:{free_port()}"
        self.log = (directory / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml",
             f"--storage.tsdb.path={directory}/data", *arguments,
             f"--web.listen-address={self.address}"],
            stdout=self.log, stderr=subprocess.STDOUT)  # fmt: skip
        self.wait_until_ready()

    def wait_until_ready(self):
        until = time.monotonic() + 120
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
                f"http://{self.address}/api/v1/query_range?{arguments}", timeout=120).read()
        except urllib.error.HTTPError as error:
            raise QueryFailed(json.loads(error.read())["error"]) from error
        return json.loads(answer)["data"]["result"]

    def numbers(self, expression, start, end, step=60):
        """What a panel that asks `expression` shows in that time, of all its series."""
        series = self.query_range(filled(expression), start, end, step)
        return [value for one in series for _, value in one["values"] if value != "NaN"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
