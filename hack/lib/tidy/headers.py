# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone. One that its own source file includes before anything else is proven
by the build; the others are compiled here. What compiled once is remembered by its content and that
of everything of ours that it includes, so that a second run compiles only what changed."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess

from finding import Finding

_XDG_CACHE = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
_CUTOVER_CACHE = os.environ.get("CUTOVER_CACHE") or pathlib.Path(_XDG_CACHE) / "cutover"
CACHE = pathlib.Path(_CUTOVER_CACHE) / "tidy/headers.json"  # By content: serves every checkout.
_FLAGS = ["-std=c++20", "-I.", "-isystem", "/usr/include/postgresql", "-Wall", "-Wextra",
          "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"]  # fmt: skip
_OWN_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def _with_includes(path, seen):
    if path in seen or not pathlib.Path(path).is_file():
        return
    seen[path] = pathlib.Path(path).read_bytes()
    for included in _OWN_INCLUDE.findall(seen[path].decode("utf-8", "replace")):
        _with_includes(included, seen)


def _key(path, compiler):
    contents = {}
    _with_includes(path, contents)
    digest = hashlib.sha256(repr((path, compiler, _FLAGS)).encode())
    for name in sorted(contents):
        digest.update(repr((name, contents[name])).encode())
    return digest.hexdigest()


def _proven_by_build(path):
    source = pathlib.Path(path).with_suffix(".cc")
    if not source.is_file():
        return False
    first = re.search(r'^\s*#\s*include\s+([<"][^>"]+[>"])', source.read_text(encoding="utf-8"),
                      re.MULTILINE)  # fmt: skip
    return first is not None and first.group(1) == f'"{path}"'


def _compile(path):
    source = f'#include "{path}"\n'
    done = subprocess.run(["g++", *_FLAGS, "-x", "c++", "-"], input=source.encode(),
                          capture_output=True, check=False)  # fmt: skip
    if done.returncode == 0:
        return None
    errors = re.findall(r"^(.*?): (?:fatal )?error: (.*)$", done.stderr.decode(), re.MULTILINE)
    where, what = errors[0] if errors else (path, done.stderr.decode().strip()[:200])
    return Finding(path, 1, f"include what it needs: alone it does not compile ({where}: {what})")


def check_headers_alone(files, jobs):
    compiler = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    known = set(json.loads(CACHE.read_text())) if CACHE.exists() else set()
    keys = {file.path: _key(file.path, compiler) for file in files
            if file.is_header and not _proven_by_build(file.path)}
    unknown = [path for path, key in keys.items() if key not in known]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failures = {path: finding for path, finding in zip(unknown, pool.map(_compile, unknown))
                    if finding}  # fmt: skip
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    partial = CACHE.with_suffix(f".{os.getpid()}")  # Two runs at a time are no reason to fail.
    partial.write_text(json.dumps(sorted(set(keys.values()) - {keys[p] for p in failures})))
    partial.replace(CACHE)
    return list(failures.values())
