# SPDX-License-Identifier: Apache-2.0
"""Who may include whom, and how long a function may be."""

import pathlib
import re

from cxx_text import functions
from finding import Finding

FUNCTION_LINES_MAX = 70
LONG_FUNCTIONS = "hack/lib/tidy/long_functions.txt"

_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')

# A library stays behind one adapter: what may be included, where, and who offers it to the others.
_ADAPTERS = [
    (r"cpprest/|pplx/", r"operator/kube/http_transport\.cc", "operator/kube/transport.h"),
    (r"libpq-fe\.h|libpq/|postgres_ext\.h", r"postgres/", "postgres/connection.h"),
    (r"prometheus/", r"operator/telemetry/", "operator/telemetry/metrics.h"),
    (r"yaml-cpp/", r"(operator/kube/(yaml|kubeconfig)|cli/yaml)\.cc", "operator/base/json.h"),
    (r"rapidjson/", r"operator/base/json\.cc", "operator/base/json.h"),
    (r"spdlog/|fmt/", r"operator/base/log\.cc", "operator/base/log.h"),
    (r"boost/(asio|beast)", r"operator/(telemetry/http_server|kube/http_transport)\.cc",
     "operator/telemetry/http_server.h"),
    (r"CLI/", r"(operator/(main|\w*flags)\.(cc|h)|mover/(main\.cc|cli/\w+\.(cc|h))"
     r"|cli/(main\.cc|verbs/\w+\.(cc|h)))", "mover/cli/verb.h"),
]  # fmt: skip

_RECONCILER = ["operator/base/", "operator/api/", "operator/kube/", "operator/telemetry/",
               "postgres/", "mover/contract/", "reconcilers/wiring/",
               "reconcilers/access/"]  # fmt: skip

# Directory → what its files may include of ours, beside themselves. The longest prefix counts.
_LAYERS = {
    "operator/base/": [],
    "operator/api/": ["operator/base/"],
    "operator/kube/": ["operator/base/"],
    "operator/telemetry/": ["operator/base/", "operator/api/", "operator/kube/"],
    "postgres/": ["operator/base/", "postgres/"],
    "mover/contract/": ["operator/base/", "postgres/"],
    "mover/": ["operator/base/", "postgres/", "mover/"],
    "reconcilers/": ["operator/base/", "operator/api/", "operator/kube/", "operator/telemetry/",
                     "postgres/", "mover/contract/", "reconcilers/wiring/",
                     "reconcilers/server/"],
    "reconcilers/wiring/": ["operator/base/", "operator/api/", "operator/kube/"],
    "reconcilers/migration/phases/": ["operator/base/", "operator/api/", "reconcilers/migration/"],
    "operator/": ["operator/", "reconcilers/"],
    "cli/": ["operator/base/", "operator/api/", "operator/kube/", "reconcilers/wiring/", "cli/"],
    "cli/view/": ["operator/base/", "operator/api/"],
}  # fmt: skip
_OURS = ("operator/", "postgres/", "mover/", "reconcilers/", "cli/", "tests/")


def _includes(file):
    for number, line in enumerate(file.lines, 1):
        if match := _INCLUDE.match(line):
            yield number, match.group(1)


def check_adapters(files):
    for file in files:
        if not file.is_cxx or file.path.startswith("tests/"):
            continue
        for number, included in _includes(file):
            for library, adapter, instead in _ADAPTERS:
                if re.match(library, included) and not re.match(adapter, file.path):
                    message = f"<{included}> stays behind its adapter; include {instead} instead"
                    yield Finding(file.path, number, message)


def _own_directory(path):
    """reconcilers/server/x.cc → reconcilers/server/; operator/main.cc → operator/."""
    parts = path.split("/")
    return "/".join(parts[: min(len(parts) - 1, 2)]) + "/"


def check_layers(files):
    for file in files:
        layers = [prefix for prefix in _LAYERS if file.path.startswith(prefix)]
        if not file.is_cxx or not layers:
            continue
        allowed = [*_LAYERS[max(layers, key=len)], _own_directory(file.path)]
        for number, included in _includes(file):
            if included.startswith(_OURS) and not included.startswith(tuple(allowed)):
                message = (f'"{included}" lies above or beside this file; dependencies go one way '
                           "(docs/architecture.md)")  # fmt: skip
                yield Finding(file.path, number, message)


def _allowed_long_functions():
    allowed = {}
    path = pathlib.Path(LONG_FUNCTIONS)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            file, name, count = line.split()
            allowed[file, name] = (int(count), number)
    return allowed


def check_function_length(files):
    allowed = _allowed_long_functions()
    for file in files:
        if not file.is_cxx:
            continue
        for function in functions(file.text):
            if function.line_count <= FUNCTION_LINES_MAX:
                continue
            count_max, _ = allowed.pop((file.path, function.name), (FUNCTION_LINES_MAX, 0))
            if function.line_count > count_max:
                message = (f"{function.name} has {function.line_count} lines, {count_max} are "
                           "allowed; give its parts names")  # fmt: skip
                yield Finding(file.path, function.line, message)
    for (path, name), (_, number) in allowed.items():
        message = f"{path} has no {name} that is too long any more; remove this line"
        yield Finding(LONG_FUNCTIONS, number, message)


CHECKS = [check_adapters, check_layers, check_function_length]
