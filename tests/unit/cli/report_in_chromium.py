#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at reports in headless Chromium: wide and narrow, light and dark, a silent console, nothing
that has to be scrolled sideways, a background that follows the scheme, and charts that are to be
seen, with all of their words."""

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
# How wide the page is, how wide what shows it, how many charts it has, and what is wrong with them.
MEASURE = """<script>
  const faults = [];
  const box = (e) => e.getBoundingClientRect();
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top ||
    b.bottom <= a.top;
  const charts = [...document.querySelectorAll("figure.chart")];
  for (const chart of charts) {
    const name = chart.querySelector("figcaption").textContent;
    const picture = box(chart.querySelector("svg")), curve = chart.querySelector(".curve");
    if (picture.width < 200 || picture.height < 100) faults.push(name + ": the picture is tiny");
    const drawn = box(curve), stroke = getComputedStyle(curve).stroke;
    if (stroke === "none" || drawn.width < 50) faults.push(name + ": no curve is to be seen");
    const words = [...chart.querySelectorAll("figcaption, span")];
    for (const word of words) {
      const range = document.createRange();
      range.selectNodeContents(word);
      const text = range.getBoundingClientRect();
      if (text.width === 0 || text.left < 0 || text.right > innerWidth ||
          word.scrollWidth > word.clientWidth + 1) faults.push(name + ": cut: " + word.textContent);
      if (parseFloat(getComputedStyle(word).fontSize) < 12) faults.push(name + ": tiny words");
      for (const other of words)
        if (other !== word && !apart(box(other), box(word)))
          faults.push(name + ": one over the other: " + word.textContent);
    }
  }
  const seen = parent.document.documentElement.dataset;
  seen.charts = charts.length;
  seen.faults = faults.join("; ");
  seen.widths = document.documentElement.scrollWidth + " " + innerWidth;
</script>"""
CHART = '<figure class="chart">'


def chromium(directory, *arguments):
    """Standard output and error of a run that ends within minutes."""
    return subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--enable-logging=stderr", f"--user-data-dir={directory}/profile", *arguments],
        capture_output=True, text=True, timeout=240, check=False,
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


def layout(page, width, directory):
    """What has to be scrolled sideways, or is wrong with a chart, if anything. Asked of a copy in a
    frame: Chromium makes no window that is less than 500 px wide, and the page's own policy admits
    no script."""
    text = page.read_text()
    inner = html.escape(POLICY.sub("", text) + MEASURE, quote=True)
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
    if wide > shown:
        return f"it is {wide} px wide, and must be scrolled sideways"
    charts = re.search(r'data-charts="(\d+)"', run.stdout)
    if int(charts.group(1)) != text.count(CHART):
        return f"{charts.group(1)} charts were found"
    return html.unescape(re.search(r'data-faults="([^"]*)"', run.stdout).group(1))


def complaint(page, directory):
    """The first thing that is wrong with a page, in whatever way it is looked at."""
    for width in WIDTHS:
        if problem := layout(page, width, directory):
            return f"{width} px: {problem}"
        corners = {}
        for scheme in SCHEMES:
            problem, corners[scheme] = look(page, width, scheme, directory)
            if problem:
                return f"{width} px, {scheme}: {problem}"
        if sum(corners["light"]) <= sum(corners["dark"]):
            return f"{width} px: dark is no darker than light ({corners})"
    return ""


def chart_with(style):
    """A chart like those of a report, with one rule that spoils it."""
    return ("<style>.curve{stroke:#000;fill:none}svg{width:100%;height:11rem;display:block}"
            f".y span,.x span{{display:inline-block}}{style}</style>{CHART}"
            "<figcaption>Lag</figcaption><div class='y'><span>10.0 MB/s</span></div>"
            "<svg viewBox='0 0 1000 200' preserveAspectRatio='none'>"
            "<path class='curve' d='M0 0L1000 200'/></svg><div class='x'><span>03:04:05</span> "
            "<span>03:05:05</span></div></figure>")  # fmt: skip


def expect_complaints(directory):
    """The checks can fail: each of these pages has one fault, which is found."""
    words = "word " * 5000
    faults = {
        "the console says": '<meta http-equiv="Content-Security-Policy" content="default-src '
                            "'none'\"><img src='data:,'>" + words,
        "must be scrolled sideways": words + "<pre>" + "x" * 400 + "</pre>",
        "no curve is to be seen": chart_with(".curve{stroke:none}") + words,
        "the picture is tiny": chart_with("svg{height:20px}") + words,
        "cut: 10.0 MB/s": chart_with(".y span{width:9px;overflow:hidden}") + words,
        "one over the other": chart_with(".x{margin-top:-3rem}.x span{margin-left:-6rem}") + words,
        "tiny words": chart_with("span{font-size:8px}") + words,
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
        if not any(pathlib.Path(page).read_text().count(CHART) == 2 for page in pages):
            sys.exit("none of the reports has both charts: there is nothing to look at")
        for page in map(pathlib.Path, pages):
            if problem := complaint(page, directory):
                sys.exit(f"{page.name}, {problem}")
    print(f"{len(pages)} reports, {len(WIDTHS) * len(SCHEMES)} looks each: nothing to complain of")


if __name__ == "__main__":
    main(sys.argv[1:])
