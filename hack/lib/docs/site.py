# SPDX-License-Identifier: Apache-2.0
"""Hook of mkdocs: links that lead out of docs/ into the repository.

On a site they have nothing to lead to. Each is checked to name something that is there, and shown
as the file's name.
"""

import os.path
import pathlib
import re

from mkdocs.exceptions import PluginError

# [words](../path#anchor), also from below docs/: the path begins with a step upwards.
OUTWARD = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown, page, config, files):
    root = pathlib.Path(os.path.abspath(config.docs_dir))
    here = pathlib.Path(os.path.abspath(page.file.abs_src_path)).parent

    def replace(link):
        words, path = link.groups()
        target = pathlib.Path(os.path.normpath(here / path))
        if target.is_relative_to(root):
            return link.group()
        if not target.exists():
            raise PluginError(f"{page.file.src_path}: {path} does not exist")
        name = str(target.relative_to(root.parent))
        plain = words.strip("`")
        return f"`{name}`" if plain.rstrip("/").split("/")[-1] in name else f"{words} (`{name}`)"

    return OUTWARD.sub(replace, markdown)
