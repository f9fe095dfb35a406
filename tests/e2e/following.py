# SPDX-License-Identifier: Apache-2.0
"""Online moves of the tenant of shop.py: ordered, watched, commanded, and looked after."""

import remains
import shop
from cluster import apply, expect, kubectl, wait_until
from server import Server
from shop import (DATABASE, HOMES, MIGRATION, NAMESPACE, acknowledged, expect_nothing_lost,
                  migration, wait_until_counting)


def other(source):
    return next(name for name in HOMES[1:] if name != source)


def begin(target, **spec):
    """Orders an online move; tables without a key (the ballast) are followed in full."""
    spec.setdefault("copy", {})["replicaIdentity"] = "SetFull"
    apply(migration(target, strategy="Online", **spec))


def wait_for(phases, seconds=240):
    def reached():
        status = shop.status()
        if status.get("phase") in phases:
            return status
        expect(status.get("phase") not in shop.ENDS,
               f"it ended as {status.get('phase')}: {status.get('message')}")
        return None

    return wait_until(f"a phase of {sorted(phases)}", seconds, reached)


def condition(kind):
    return next((c for c in shop.status().get("conditions", []) if c["type"] == kind), {})


def way_back_is_open():
    return condition("RollbackReady").get("status") == "True"


def command(name, token):
    kubectl("--namespace", NAMESPACE, "annotate", "tm", MIGRATION, "--overwrite",
            f"cutover.dev/{name}={token}")


def forget():
    kubectl("--namespace", NAMESPACE, "delete", "tm", MIGRATION, "--timeout", "120s")


def to_hypercare(target, checks=(), cutover=(), **hypercare):
    """Moves, until users work on `target` and may go back without losing a write."""
    begin(target, hypercare={"durationSeconds": 600, **hypercare}, checks=list(checks),
          cutover=dict(cutover))
    wait_for({"Hypercare"})
    wait_until_counting(target)
    wait_until("the way back is open", 60, way_back_is_open)


def came_back(source, target, on_target):
    """The tenant works on `source` again, with what it wrote on `target`; returns the status."""
    status = wait_for({"RolledBack"})
    wait_until_counting(source)
    expect_nothing_lost(source, on_target + acknowledged())
    found = remains.on_server(source, DATABASE, source)
    expect(not found, f"left behind: {', '.join(found)}")
    forget()
    remains.expect_none(DATABASE, source)  # Nor the copy.
    return status


def moved(source, target):
    """The tenant works on `target`, with everything that was acknowledged."""
    wait_until_counting(target)
    expect_nothing_lost(target, acknowledged())
    settled(source, target)


def settled(source, target):
    """The migration has ended, and nothing of it is left."""
    wait_until("the source is dropped", 60, lambda: not Server(source).has_database(DATABASE))
    remains.expect_none(DATABASE, target)
    forget()


def stayed(source):
    """The migration has ended before anything was switched, and the tenant works where it was."""
    wait_until_counting(source)
    remains.expect_none(DATABASE, source)
    forget()
