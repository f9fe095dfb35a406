# SPDX-License-Identifier: Apache-2.0
"""What a check reports, and the files that checks look at."""

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One thing to change: where, and a sentence that says what to do."""

    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


class SourceFile:
    """A tracked file; its text is read once, when somebody asks for it."""

    def __init__(self, path, text=None):
        self.path = path
        self._text = text

    @property
    def text(self):
        if self._text is None:
            self._text = pathlib.Path(self.path).read_bytes().decode("utf-8", "replace")
        return self._text

    @property
    def lines(self):
        return self.text.splitlines()

    @property
    def is_header(self):
        return self.path.endswith(".h")

    @property
    def is_cxx(self):
        return self.path.endswith((".h", ".cc"))

    @property
    def is_script(self):
        return self.path.endswith((".py", ".sh")) or self.text.startswith("#!")


def tracked_files():
    """Every tracked file that exists; names count from the repository, the current directory."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    names = sorted(name for name in listed.decode().split("\0") if name)
    return [SourceFile(name) for name in names if pathlib.Path(name).is_file()]
