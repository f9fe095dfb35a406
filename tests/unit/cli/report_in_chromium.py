#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at reports in headless Chromium: wide and narrow, light and dark, a silent console, nothing
that has to be scrolled sideways, and a background that follows the scheme."""

import html
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

WIDTHS = [1280, 400]
SCHEMES = {"light": 1, "dark": 0}
HEIGHT = 1800
# A blank page of this size has 6 kB.
BYTES_MIN = 30_000
POLICY = re.compile(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>")
# How wide the page is, and how wide what shows it.
MEASURE = """<script>parent.document.documentElement.dataset.widths =
  document.documentElement.scrollWidth + " " + innerWidth</script>"""


def chromium(directory, *arguments):
    """Standard output and error of a run that is over within a minute."""
    return subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--enable-logging=stderr", f"--user-data-dir={directory}/profile", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def corner(picture):
    """Red, green and blue of a PNG's first pixel. It has no neighbour to be told by, so each of
    PNG's filters leaves it as it is."""
    position, packed = 8, b""
    while position < len(picture):
        length, kind = struct.unpack(">I4s", picture[position:position + 8])
        if kind == b"IDAT":
            packed += picture[position + 8:position + 8 + length]
        position += length + 12
    return tuple(zlib.decompressobj().decompress(packed, 4)[1:4])


def look(page, width, scheme, directory):
    """What is wrong with the page at that width, if anything, and the colour of its corner."""
    image = pathlib.Path(directory) / f"{width}-{scheme}.png"
    image.unlink(missing_ok=True)
    run = chromium(
        directory, f"--window-size={width},{HEIGHT}", f"--screenshot={image}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", page.resolve().as_uri(),
    )  # fmt: skip
    said = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
    if said:
        return f"the console says: {said[0]}", None
    if not image.exists():
        return f"no picture was made: {run.stderr[-500:]}", None
    data = image.read_bytes()
    if struct.unpack(">I", data[16:20])[0] != width:
        return "the picture is not as wide as the window", None
    if len(data) <= BYTES_MIN:
        return f"hardly anything is to be seen ({len(data)} bytes)", None
    return "", corner(data)


def overflow(page, width, directory):
    """What has to be scrolled sideways, if anything. Asked of a copy in a frame: Chromium makes no
    window that is less than 500 px wide, and the page's own policy admits no script."""
    inner = html.escape(POLICY.sub("", page.read_text()) + MEASURE, quote=True)
    frame = pathlib.Path(directory) / "frame.html"
    frame.write_text(f'<!doctype html><iframe width="{width}" height="{HEIGHT}" frameborder="0" '
                     f'srcdoc="{inner}"></iframe>')  # fmt: skip
    run = chromium(directory, f"--window-size={WIDTHS[0] + 100},{HEIGHT}", "--dump-dom",
                   frame.as_uri())  # fmt: skip
    found = re.search(r'data-widths="(\d+) (\d+)"', run.stdout)
    if not found:
        return f"its width was not told: {run.stderr[-500:]}"
    wide, shown = map(int, found.groups())
    if shown != width:
        return f"it was shown {shown} px wide"
    return "" if wide <= shown else f"it is {wide} px wide, and must be scrolled sideways"


def complaint(page, directory):
    """The first thing that is wrong with a page, in whatever way it is looked at."""
    for width in WIDTHS:
        if problem := overflow(page, width, directory):
            return f"{width} px: {problem}"
        corners = {}
        for scheme in SCHEMES:
            problem, corners[scheme] = look(page, width, scheme, directory)
            if problem:
                return f"{width} px, {scheme}: {problem}"
        if sum(corners["light"]) <= sum(corners["dark"]):
            return f"{width} px: dark is no darker than light ({corners})"
    return ""


def expect_complaints(directory):
    """The checks can fail: each of these pages has one fault, which is found."""
    words = "word " * 5000
    faults = {
        "the console says": '<meta http-equiv="Content-Security-Policy" content="default-src '
                            "'none'\"><img src='data:,'>" + words,
        "must be scrolled sideways": words + "<pre>" + "x" * 400 + "</pre>",
        "dark is no darker": "<style>body { background: #fff }</style>" + words,
    }  # fmt: skip
    for expected, text in faults.items():
        page = pathlib.Path(directory) / "planted.html"
        page.write_text(text)
        found = complaint(page, directory)
        if expected not in found:
            sys.exit(f"a planted fault was not noticed: {expected!r} is not in {found!r}")


def main(pages):
    with tempfile.TemporaryDirectory() as directory:
        expect_complaints(directory)
        for page in map(pathlib.Path, pages):
            if problem := complaint(page, directory):
                sys.exit(f"{page.name}, {problem}")
    print(f"{len(pages)} reports, {len(WIDTHS) * len(SCHEMES)} looks each: nothing to complain of")


if __name__ == "__main__":
    main(sys.argv[1:])
