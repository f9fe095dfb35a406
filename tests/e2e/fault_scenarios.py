# SPDX-License-Identifier: Apache-2.0
"""Strikes a move in one phase with one fault. Usage: fault_scenarios.py NAME (of fault_table.py)

After each: no acknowledged write is lost, the tenant was never writable on two sides and is open on
exactly one, its status said what happened, and nothing is left behind. Needs the cluster of
hack/cluster on this machine, prepared by hack/test.
"""

import contextlib
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
import tenant as odoo
from cluster import apply, expect, get, kubectl, wait_until
from following import other
from server import ON_THIS_MACHINE, Sampler, Server, pods_restarted

TENANTS = {"Generic": shop, "Odoo": odoo}
SMALL = faults.SMALL
SKIPPED = 77
CLOSED_SECONDS_MAX = 100  # Longer than any fault of the table but the API server's minute.


def forget_migrations(tenant):
    kubectl("--namespace", tenant.NAMESPACE, "delete", "tm", "--all", "--timeout", "120s",
            check=False)


def make_whole(tenant):
    """What an earlier test has left when it failed goes. Pods that died are replaced, since the
    kubelet lets those that die often wait; then all of them are ready."""
    for name in shop.HOMES:
        Server(name).let_go()
    forget_migrations(tenant)
    tenant.drop_leftovers()
    for namespace in ("databases", "cutover-system", tenant.NAMESPACE):
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


def set_scene(tenant, source):
    """Something to copy for a while, and the gate that smoke checks wait at."""
    source.sql(tenant.DATABASE, f"set role {tenant.ROLE}; create schema if not exists app; "
                                "create table if not exists app.gate (n int); truncate app.gate; "
                                f"{shop.BALLAST}")


def wait_for_end(case, history):
    if not case.end.startswith("Gone"):
        history.wait_for({case.end}, case.seconds)
        return
    wait_until("the migration is gone", case.seconds,
               lambda: not get("tm", history.tenant.MIGRATION, history.tenant.NAMESPACE), 0.5)


def check(case, move, sampler, reported, home):
    """The invariants, once the move has ended."""
    tenant = move.tenant
    if case.fault == fault_table.NAMESPACE:
        wait_until("the namespace is gone", 120, lambda: not get("namespace", tenant.NAMESPACE), 1)
    wait_until(f"the tenant can write on {home} and nowhere else", CLOSED_SECONDS_MAX,
               lambda: sampler.writable_now() == [home], 0.2)
    if case.fault != fault_table.NAMESPACE:
        tenant.wait_until_counting(home)
        # What the workload wrote by itself while it was tried on the target goes with the copy, as
        # the strategy Offline has it: no user was in.
        if not (tenant.WRITES_WITHOUT_USERS and case.phase in ("Smoke", "RollingBack") and
                home == move.source.name):
            move.acknowledged = move.users() or move.acknowledged
    expect(move.acknowledged, "writes were acknowledged before the fault")
    tenant.expect_nothing_lost(home, move.acknowledged)
    both = sampler.both_writable()
    expect(not both, f"at {both} the tenant could write on two servers")
    reported.expect_never_two()


def strike(case):
    """Returns the name of the server that the tenant is on then."""
    tenant = TENANTS[case.profile]
    source = tenant.ensure()
    target = SMALL if case.fault == fault_table.FULL else other(source)
    sides = [Server(source), Server(target)]
    set_scene(tenant, sides[0])
    home = target if case.end in ("Completed", "GoneMoved") else source
    if case.fault == fault_table.TENANT_SECRET:
        # One that an earlier move has left there is not this one's, and would keep its password.
        sides[1].sql("postgres", f"drop role if exists {tenant.ROLE}")
    with (tenant.users() as users, Sampler(sides, tenant.DATABASE, tenant.ROLE) as sampler,
          node.ReportedSides() as reported, faults.History(tenant) as history,
          contextlib.ExitStack() as until_then):
        move = faults.Move(tenant, source, target, history, users)
        if case.fault == fault_table.ISOLATED:
            move.log_logins(until_then)
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
        print(f"{case.name}: struck in {struck_in}, ended {ended - struck:.1f} s later, "
              f"{len(move.acknowledged)} writes acknowledged")
        told(history, struck)
        expect_open_in_time(case, sampler, struck)
        expect_told(case, history, struck)
    return home


def expect_open_in_time(case, sampler, struck):
    closed = sampler.closed_seconds()
    again = sampler.writable_again(struck)
    # None where the answers end before the tenant is let in, as in a namespace that goes.
    after = again - struck if again else None
    said = f"{after:.1f} s" if again else "at no time that was seen"
    print(f"closed for {closed:.1f} s, writable {said} after the fault")
    bound = CLOSED_SECONDS_MAX + (60 if case.fault == fault_table.API else 0)
    expect(closed < bound, f"the tenant was shut out for {closed:.1f} s, more than {bound}")
    within = case.writable_within_seconds
    expect(not within or (again and after < within),
           f"the tenant could write {said} after the operators' death, and shall within {within} s")


def told(history, since):
    """Prints what the status said from the fault on, each sentence once."""
    last = None
    for moment, phase, message in history.seen:
        if moment >= since and (phase, message) != last:
            print(f"  {moment - since:6.1f} s {phase}: {message}")
            last = (phase, message)


def new_leaders(tenant, since):
    """What the migration's events have told of them since then."""
    events = json.loads(kubectl("--namespace", tenant.NAMESPACE, "get", "events.events.k8s.io",
                                "--output", "json"))["items"]
    return [event["note"] for event in events
            if event["reason"] == "LeaderChanged" and event["regarding"]["name"] == tenant.MIGRATION
            and event["metadata"]["creationTimestamp"] >= time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))]


def expect_told(case, history, since):
    """A fault that a person has to know of, or could mend, is named in the status at some time;
    another leader in an event, since that goes on where the first one was."""
    if case.fault in fault_table.NEW_LEADER:
        wait_until("an event says that another operator leads", 30,
                   lambda: new_leaders(history.tenant, since), 1)
    # A message of several lines is several entries, and what begins one passes for its phase.
    said = [f"{phase} {message}" for moment, phase, message in history.seen if moment >= since]
    expect(not case.says or re.search(case.says, "\n".join(said), re.IGNORECASE),
           f"the status names what happened ({case.says}); it said {said}")


def run(case):
    tenant = TENANTS[case.profile]
    make_whole(tenant)
    if case.fault == fault_table.FULL:
        small_server()
    try:
        home = strike(case)
    finally:
        faults.mend(case.fault, tenant)
    forget_migrations(tenant)
    if (case.fault, case.phase) == (fault_table.MIGRATION, "Hypercare"):
        # Nobody is left who could say that its retention is over: it stays, closed.
        kept = [name for name in shop.HOMES if name != home and Server(name).has_database(
            tenant.DATABASE)]
        expect(len(kept) == 1, f"the source keeps its database: {kept}")
        tenant.drop_leftovers()
    if case.fault == fault_table.FULL:
        remove_small_server()
    remains.expect_none(tenant.DATABASE, home)
    if tenant is not shop:  # Whose scene this is for good.
        Server(home).sql(tenant.DATABASE, "drop schema app cascade")


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
