#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs kubectl-cutover on a pseudo-terminal and into a pipe, against a server that plays one
migration: escape sequences belong on a terminal that can obey them, and nowhere else."""

import contextlib
import copy
import http.server
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import threading
import unittest

NAME = "acme-to-dedicated"
PATH = f"/apis/cutover.dev/v1alpha1/namespaces/acme/tenantmigrations/{NAME}"
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
REPAINT = b"\x1b[H\x1b[2J"
ESCAPE = b"\x1b"
# A line of a watch that goes into a log begins with the time.
LOGGED = re.compile(rb"^\d{4}-\d\d-\d\dT[0-9:]+Z (\w+)", re.MULTILINE)
PLUGIN = ""  # Given on the command line.

COPYING = {
    "apiVersion": "cutover.dev/v1alpha1",
    "kind": "TenantMigration",
    "metadata": {"name": NAME, "namespace": "acme", "uid": "1", "generation": 1,
                 "resourceVersion": "1", "creationTimestamp": "2026-11-21T03:00:00Z"},
    "spec": {"placementRef": {"name": "acme"}, "target": {"serverName": "pg-dedicated"}},
    "status": {
        "phase": "Copying", "observedGeneration": 1, "sourceServerName": "pg-shared",
        "message": "copying 1/4 MB",
        "stages": [{"name": "Copying", "state": "Running", "startedAt": "2026-11-21T03:00:01Z",
                    "progress": {"done": 1000000, "total": 4000000, "unit": "bytes"}}],
        "progress": {"bytesCopied": 1000000, "bytesTotal": 4000000,
                     "updatedAt": "2026-11-21T03:00:02Z"},
    },
}  # fmt: skip


def further():
    """The same migration a little later."""
    migration = copy.deepcopy(COPYING)
    migration["status"]["message"] = "copying 3/4 MB"
    migration["status"]["stages"][0]["progress"]["done"] = 3000000
    return migration


def completed():
    migration = copy.deepcopy(COPYING)
    migration["status"].update(phase="Completed", message="moved to the target")
    migration["status"]["stages"] = [{"name": "Completed", "state": "Succeeded"}]
    return migration


class Api(http.server.BaseHTTPRequestHandler):
    """Each look at the migration finds the next of `looks`, and at last the last one again."""

    looks: list = []

    def do_GET(self):
        known = self.path.split("?")[0] == PATH
        answer = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        if known:
            answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        body = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def cluster(*looks):
    """The path of a kubeconfig that leads to a server with these looks."""
    handler = type("Looks", (Api,), {"looks": list(looks)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / "config"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u",
                                                   "namespace": "acme"}}],
        }))  # fmt: skip
        yield str(config)
    server.shutdown()
    server.server_close()


def run(arguments, kubeconfig, terminal, **environment):
    """What the program writes to its standard output, which is a terminal or a pipe."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "KUBECONFIG")}
    env = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **inherited, "KUBECONFIG": kubeconfig}
    env.update(environment)
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen([PLUGIN, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.PIPE) as program:  # fmt: skip
        os.close(theirs)
        written = b""
        # A terminal that nobody writes to any more is an error (EIO), and a pipe is at its end.
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 65536):
                written += chunk
        os.close(ours)
        said = program.stderr.read()
    if program.returncode not in (0, 4):
        raise AssertionError(f"exit code {program.returncode}: {said.decode()}")
    return written


class OfTheTerminal(unittest.TestCase):
    def status(self, terminal, **environment):
        with cluster(COPYING) as kubeconfig:
            written = run(["status", NAME], kubeconfig, terminal, **environment)
        self.assertIn(b"Copying", written)
        return written

    def test_a_terminal_gets_colours(self):
        self.assertRegex(self.status(terminal=True), COLOUR)

    def test_a_pipe_gets_none(self):
        self.assertNotIn(ESCAPE, self.status(terminal=False))

    def test_no_color_is_obeyed_on_a_terminal(self):
        self.assertNotIn(ESCAPE, self.status(terminal=True, NO_COLOR="1"))

    def test_an_empty_no_color_is_as_if_there_were_none(self):
        self.assertRegex(self.status(terminal=True, NO_COLOR=""), COLOUR)

    def test_a_terminal_that_can_do_nothing_gets_none(self):
        for name in ("dumb", ""):
            self.assertNotIn(ESCAPE, self.status(terminal=True, TERM=name), name)

    def test_neither_variable_brings_colours_into_a_pipe(self):
        self.assertNotIn(ESCAPE, self.status(terminal=False, NO_COLOR="", TERM="xterm"))

    def test_help_has_no_escape_sequences_anywhere(self):
        for terminal in (True, False):
            self.assertNotIn(ESCAPE, run(["status", "--help"], "", terminal))


class OfTheWatch(unittest.TestCase):
    def watch(self, terminal, **environment):
        with cluster(COPYING, COPYING, further(), completed()) as kubeconfig:
            return run(["status", NAME, "-w"], kubeconfig, terminal, **environment)

    def test_a_terminal_is_painted_anew_at_each_look(self):
        written = self.watch(terminal=True)
        self.assertEqual(written.count(REPAINT), 4)
        self.assertRegex(written, COLOUR)
        self.assertNotRegex(written, LOGGED)

    def test_no_color_leaves_the_painting_and_takes_the_colours(self):
        written = self.watch(terminal=True, NO_COLOR="1")
        self.assertEqual(written.count(REPAINT), 4)
        self.assertNotRegex(written, COLOUR)

    def expect_lines(self, written):
        self.assertNotIn(ESCAPE, written)
        # One line for each change, none for a look that has found nothing new, and the page last.
        self.assertEqual(LOGGED.findall(written), [b"Copying", b"Copying"])
        self.assertIn(b"25%", written)
        self.assertIn(b"75%", written)
        self.assertIn(b"It is over, and went well.", written.split(b"TenantMigration acme/")[1])

    def test_a_pipe_gets_a_line_for_each_change_and_the_page_at_the_end(self):
        self.expect_lines(self.watch(terminal=False))

    def test_so_does_a_terminal_that_cannot_be_painted_anew(self):
        self.expect_lines(self.watch(terminal=True, TERM="dumb"))


if __name__ == "__main__":
    PLUGIN = sys.argv.pop(1)
    unittest.main()
