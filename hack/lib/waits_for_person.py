# SPDX-License-Identifier: Apache-2.0
"""The reasons for which a migration waits for a person, as the operator's own table has them."""

import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parents[2] / "operator/api/waits_for_person.h"


def reasons():
    """In the table's order."""
    text = TABLE.read_text()
    declared = int(re.search(r"array<WaitForPerson, (\d+)>", text)[1])
    found = re.findall(r'^    \{"(\w+)",', text, re.MULTILINE)
    if len(found) != declared:
        raise ValueError(f"{TABLE}: {declared} reasons are declared, and {len(found)} were read")
    return found
