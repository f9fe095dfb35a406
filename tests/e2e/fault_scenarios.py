# SPDX-License-Identifier: Apache-2.0
"""Strikes a move in one phase with one fault. Usage: fault_scenarios.py NAME (of fault_table.py)

After each: no acknowledged write is lost, the tenant was never writable on two sides and is open on
exactly one, its status said what happened, and nothing is left behind. Needs the cluster of
hack/cluster on this machine, prepared by hack/test.
"""

import json
import re
import sys
import time

import fault_table
import faults
import node
import remains
import scenario
import shop
from cluster import apply, expect, get, kubectl, wait_until
from server import ON_THIS_MACHINE, Sampler, Server, pods_restarted

SMALL = faults.SMALL
SKIPPED = 77
CLOSED_SECONDS_MAX = 100  # Longer than any fault of the table but the API server's minute.


def make_whole():
    """What an earlier test has left when it failed goes. Pods that died are replaced, since the
    kubelet lets those that die often wait; then all of them are ready."""
    for name in shop.HOMES:
        Server(name).let_go()
    kubectl("--namespace", shop.NAMESPACE, "delete", "tm", "--all", "--timeout", "120s",
            check=False)
    shop.drop_leftovers()
    for namespace in ("databases", "cutover-system"):
        for pod in pods_restarted(namespace):
            kubectl("--namespace", namespace, "delete", "pod", pod, "--grace-period", "5")
    kubectl("--namespace", "cutover-system", "rollout", "status", "deployment/cutover",
            "--timeout", "60s")
    for name in shop.HOMES:
        Server(name).wait_until_ready()
    kubectl("wait", "--for", "condition=Ready", "--timeout", "90s",
            *[f"dbs/{name}" for name in shop.HOMES])


def small_server():
    """A copy of pg-dedicated on 72 MB of memory, of which PostgreSQL itself needs most."""
    template = get("statefulset", "pg-dedicated", "databases")
    text = json.dumps({"apiVersion": "apps/v1", "kind": "StatefulSet",
                       "metadata": {"name": SMALL, "namespace": "databases"},
                       "spec": template["spec"]}).replace("pg-dedicated", SMALL)
    stateful_set = json.loads(text)
    stateful_set["spec"].pop("volumeClaimTemplates")
    stateful_set["spec"]["template"]["spec"]["volumes"].append(
        {"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "72Mi"}})
    apply(stateful_set)
    apply({"apiVersion": "v1", "kind": "Service",
           "metadata": {"name": SMALL, "namespace": "databases"},
           "spec": {"clusterIP": "None", "publishNotReadyAddresses": True,
                    "selector": {"server": SMALL}, "ports": [{"port": 5432}]}})
    apply(faults.small_database_server())
    kubectl("--namespace", "databases", "rollout", "status", f"statefulset/{SMALL}",
            "--timeout", "90s")
    kubectl("wait", "--for", "condition=Ready", "--timeout", "60s", f"dbs/{SMALL}")


def remove_small_server():
    kubectl("delete", "dbs", SMALL, "--ignore-not-found")
    kubectl("--namespace", "databases", "delete", "statefulset,service", SMALL,
            "--ignore-not-found")


def wait_for_end(case, history):
    if not case.end.startswith("Gone"):
        history.wait_for({case.end}, case.seconds)
        return
    wait_until("the migration is gone", case.seconds,
               lambda: not get("tm", shop.MIGRATION, shop.NAMESPACE), 0.5)


def check(case, move, sampler, reported, home):
    """The invariants, once the move has ended."""
    if case.fault == fault_table.NAMESPACE:
        wait_until("the namespace is gone", 120, lambda: not get("namespace", shop.NAMESPACE), 1)
    wait_until(f"the tenant can write on {home} and nowhere else", CLOSED_SECONDS_MAX,
               lambda: sampler.writable_now() == [home], 0.2)
    if case.fault != fault_table.NAMESPACE:
        shop.wait_until_counting(home)
        # What the workload wrote by itself while it was tried on the target goes with the copy, as
        # the strategy Offline has it: no user was in.
        if not (case.phase in ("Smoke", "RollingBack") and home == move.source.name):
            move.acknowledged = shop.acknowledged() or move.acknowledged
    expect(move.acknowledged, "writes were acknowledged before the fault")
    shop.expect_nothing_lost(home, move.acknowledged)
    both = sampler.both_writable()
    expect(not both, f"at {both} the tenant could write on two servers")
    reported.expect_never_two()


def strike(case):
    source = shop.ensure()
    shop.forget_acknowledged()
    target = SMALL if case.fault == fault_table.FULL else next(
        name for name in shop.HOMES[1:] if name != source)
    Server(source).sql(shop.DATABASE, "set role shop; create table if not exists app.gate (n int); "
                                      "truncate app.gate")
    home = target if case.end in ("Completed", "GoneMoved") else source
    if case.fault == fault_table.TENANT_SECRET:
        # One that an earlier move has left there is not this one's, and would keep its password.
        Server(target).sql("postgres", "drop role if exists shop")
    sides = [Server(source), Server(target)]
    with (Sampler(sides, shop.DATABASE, "shop") as sampler, node.ReportedSides() as reported,
          faults.History() as history):
        move = faults.Move(source, target, history)
        move.start(case)
        faults.bring_into(move, case.phase)
        struck_in, struck = history.phase(), time.time()
        expect(struck_in == case.phase or not faults.stays_in(case.phase),
               f"it was to be struck in {case.phase} and was in {struck_in}")
        getattr(faults, case.fault)(move)
        move.release()
        if not case.end.startswith("Gone"):
            move.approve()
        wait_for_end(case, history)
        ended = time.time()
        if (case.fault, case.end) == (fault_table.VANISHED, "GoneMoved"):
            faults.decide_for_the_target(move)
        elif case.fault == fault_table.PLACEMENT:
            faults.place_again(move)
        check(case, move, sampler, reported, home)
        closed = sampler.closed_seconds()
        # None where the answers end before the tenant is let in, as in a namespace that goes.
        again = sampler.writable_again(struck)
        print(f"{case.name}: struck in {struck_in}, ended {ended - struck:.1f} s later, closed for "
              f"{closed:.1f} s, writable {again - struck if again else -1:.1f} s after the fault, "
              f"{len(move.acknowledged)} writes acknowledged")
        told(history, struck)
        bound = CLOSED_SECONDS_MAX + (60 if case.fault == fault_table.API else 0)
        expect(closed < bound, f"the tenant was shut out for {closed:.1f} s, more than {bound}")
        within = case.writable_within_seconds
        expect(not within or (again and again - struck < within),
               f"the tenant could write {again - struck if again else -1:.1f} s after its leader's "
               f"death, and shall within {within}")
        expect_told(case, history, struck)
    return home


def told(history, since):
    """Prints what the status said from the fault on, each sentence once."""
    last = None
    for moment, phase, message in history.seen:
        if moment >= since and (phase, message) != last:
            print(f"  {moment - since:6.1f} s {phase}: {message}")
            last = (phase, message)


def expect_told(case, history, since):
    """A fault that a person has to know of, or could mend, is named in the status at some time."""
    # A message of several lines is several entries, and what begins one passes for its phase.
    said = [f"{phase} {message}" for moment, phase, message in history.seen if moment >= since]
    expect(not case.says or re.search(case.says, "\n".join(said), re.IGNORECASE),
           f"the status names what happened ({case.says}); it said {said}")


def run(case):
    make_whole()
    if case.fault == fault_table.FULL:
        small_server()
    try:
        home = strike(case)
    finally:
        faults.mend(case.fault)
    kubectl("--namespace", shop.NAMESPACE, "delete", "tm", "--all", "--timeout", "120s",
            check=False)
    if (case.fault, case.phase) == (fault_table.MIGRATION, "Hypercare"):
        # Nobody is left who could say that its retention is over: it stays, closed.
        kept = [name for name in shop.HOMES if name != home and Server(name).has_database(
            shop.DATABASE)]
        expect(len(kept) == 1, f"the source keeps its database: {kept}")
        shop.drop_leftovers()
    if case.fault == fault_table.FULL:
        remove_small_server()
    remains.expect_none(shop.DATABASE, home)


def main():
    cases = {case.name: case for case in fault_table.CASES}
    case = cases.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if not case:
        sys.exit(f"usage: {sys.argv[0]} NAME, one of:\n" + "\n".join(cases))
    if not ON_THIS_MACHINE:
        print("skipped: it kills processes of the cluster, which must be that of hack/cluster")
        sys.exit(SKIPPED)
    scenario.run(lambda: run(case))


if __name__ == "__main__":
    main()
