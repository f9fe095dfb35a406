#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at reports in headless Chromium: wide and narrow, light and dark, a silent console."""

import pathlib
import struct
import subprocess
import sys
import tempfile

WIDTHS = [1280, 400]
SCHEMES = {"light": 1, "dark": 0}
HEIGHT = 1800
# A blank page of this size has 6 kB.
BYTES_MIN = 30_000


def chromium(directory, *arguments):
    """Standard output and error of a run that is over within a minute."""
    return subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--enable-logging=stderr", f"--user-data-dir={directory}/profile", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def look(page, width, scheme, directory):
    """What is wrong with the page at that width, if anything."""
    image = pathlib.Path(directory) / f"{width}-{scheme}.png"
    run = chromium(
        directory, f"--window-size={width},{HEIGHT}", f"--screenshot={image}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", page.resolve().as_uri(),
    )  # fmt: skip
    said = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
    if said:
        return f"the console says: {said[0]}"
    if not image.exists():
        return f"no picture was made: {run.stderr[-500:]}"
    data = image.read_bytes()
    if struct.unpack(">I", data[16:20])[0] != width:
        return "the picture is not as wide as the window"
    return "" if len(data) > BYTES_MIN else f"hardly anything is to be seen ({len(data)} bytes)"


def console_is_heard(directory):
    """The check can fail: a page that breaks its own policy is found."""
    broken = pathlib.Path(directory) / "broken.html"
    broken.write_text(
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
        "<img src='data:,'>" + "word " * 5000
    )
    return look(broken, WIDTHS[0], "light", directory).startswith("the console says")


def main(pages):
    with tempfile.TemporaryDirectory() as directory:
        if not console_is_heard(directory):
            sys.exit("a planted console error was not noticed")
        for page in map(pathlib.Path, pages):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    if problem := look(page, width, scheme, directory):
                        sys.exit(f"{page.name}, {width} px, {scheme}: {problem}")
    print(f"{len(pages)} reports, {len(WIDTHS) * len(SCHEMES)} looks each: nothing to complain of")


if __name__ == "__main__":
    main(sys.argv[1:])
