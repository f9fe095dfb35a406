# SPDX-License-Identifier: Apache-2.0
"""End-to-end scenarios on a real cluster with a real Odoo. Usage: scenarios.py NAME

Each finds the tenant working, does its deed, and leaves it working, so that they can run in any
order and again.
"""

import subprocess
import time

import effects
import faults
import remains
import scenario
import shop
from cluster import (end_session, expect, get, kill_leader, kubectl, leader, sql,
                     sql_session, wait_until)
from server import Sampler, Server
from tenant import (DATABASE, RecordingWriter, annotate, apply, delete_migration,
                    expect_open_on, fingerprint, new_migration, others, server_of_tenant,
                    status_of, wait_for_phase)


def a_failed_smoke_check_brings_the_tenant_back_exactly_as_it_was():
    source = server_of_tenant()
    target = others(source)[0]
    before = fingerprint(source)
    check = {"name": "impossible", "sql": {"query": "select 'a'", "expected": "b"},
             "timeoutSeconds": 2, "when": ["Smoke"]}
    apply(new_migration("fails", target, checks=[check]))
    with RecordingWriter() as writer:
        status = wait_for_phase("fails", {"RolledBack"})
        expect_open_on(source)
    writer.check(source)
    expect(status["rollback"]["reason"] == "SmokeFailed", "the reason is SmokeFailed")
    expect(fingerprint(source) == before,
           f"as it was: {fingerprint(source)} instead of {before}")
    kept = sql(target, "postgres", "select count(*) from pg_database where datname = 'acme'")
    expect(kept == "1", "the copy is kept for forensics")
    delete_migration("fails")
    kept = sql(target, "postgres", "select count(*) from pg_database where datname = 'acme'")
    expect(kept == "0", "deleting the migration drops the copy")
    remains.expect_none(DATABASE, source)


def an_abort_before_the_journal_leaves_everything_as_it_was():
    source = server_of_tenant()
    target = others(source)[0]
    before = fingerprint(source)
    apply(new_migration("aborted", target, cutover={"approval": "Manual"}))
    wait_for_phase("aborted", {"AwaitingCutover"})
    with RecordingWriter() as writer:
        annotate("aborted", "approve", "go")
        wait_for_phase("aborted", {"Fencing", "Copying"})
        annotate("aborted", "abort", "stop")
        status = wait_for_phase("aborted", {"Aborted"})
        expect_open_on(source)
    writer.check(source)
    expect(status["handled"]["abort"] == "stop", "the operator answers the abort's token")
    expect(fingerprint(source) == before,
           f"as it was: {fingerprint(source)} instead of {before}")
    gone = sql(target, "postgres", "select count(*) from pg_database where datname = 'acme'")
    expect(gone == "0", "the half copy is dropped")
    remains.expect_none(DATABASE, source)
    delete_migration("aborted")


def mover_image():
    pod = get("deploy", "cutover", "cutover-system")["spec"]["template"]["spec"]
    variables = pod["containers"][0]["env"]
    return {item["name"]: item.get("value") for item in variables}["CUTOVER_MOVER_IMAGE"]


def set_mover_image(image):
    kubectl("--namespace", "cutover-system", "set", "env", "deploy/cutover",
            f"CUTOVER_MOVER_IMAGE={image}")
    kubectl("--namespace", "cutover-system", "rollout", "status", "deploy/cutover", "--timeout",
            "120s")


def a_copy_whose_image_cannot_be_pulled_says_so_and_lets_users_in_again():
    source = server_of_tenant()
    before = fingerprint(source)
    image, nowhere = mover_image(), "cutover.local/mover:nowhere"
    set_mover_image(nowhere)
    try:
        apply(new_migration("unpullable", others(source)[0]))
        wait_for_phase("unpullable", {"Copying"})
        closed = time.monotonic()
        status = wait_until("the message names the image", 60, lambda: next(
            (status for status in [status_of("unpullable")]
             if f"its image {nowhere} cannot be pulled" in status["message"]), None))
        print(f"said after {time.monotonic() - closed:.1f} s: {status['message']}")
        ready = [c for c in status["conditions"] if c["type"] == "Ready"]
        expect(ready[0]["reason"] == "PodCannotStart", f"the reason: {ready}")
        annotate("unpullable", "abort", "stop")
        wait_for_phase("unpullable", {"Aborted"})
    finally:
        set_mover_image(image)
    expect_open_on(source)
    expect(fingerprint(source) == before, "as it was")
    remains.expect_none(DATABASE, source)
    delete_migration("unpullable")


def a_second_migration_of_the_same_placement_is_refused():
    source = server_of_tenant()
    target = others(source)[0]
    apply(new_migration("first", target, cutover={"approval": "Manual"}))
    wait_for_phase("first", {"AwaitingCutover"})
    apply(new_migration("second", target))
    status = wait_for_phase("second", {"Failed"}, seconds=60)
    expect("first" in status["message"], f"it names the first: {status['message']}")
    expect(status_of("first")["phase"] == "AwaitingCutover", "the first one is undisturbed")
    delete_migration("second")
    delete_migration("first")
    expect_open_on(source)
    remains.expect_none(DATABASE, source)


def move(name, meanwhile=lambda source: None):
    """Moves the tenant while a recording writer works; returns the migration's last status."""
    source = server_of_tenant()
    target = others(source)[0]
    apply(new_migration(name, target))
    with RecordingWriter() as writer:
        meanwhile(source)
        status = wait_for_phase(name, {"Completed"})
        expect_open_on(target)
        acknowledged = len(writer.acknowledged)
        wait_until("writes go on, on the target", 60,
                   lambda: len(writer.acknowledged) > acknowledged + 2)
    writer.check(target)
    expect(status["verification"]["mismatches"] == 0 and status["verification"]["rows"] > 0,
           "it was verified")
    print(f"{len(writer.acknowledged)} writes acknowledged, {writer.refused} refused, none lost; "
          f"doors closed for {status['cutover']['writePauseMilliseconds']} ms")
    wait_until("the source is dropped, its retention of 0 s being over", 60, lambda: sql(
        source, "postgres", "select count(*) from pg_database where datname = 'acme'") == "0", 1)
    delete_migration(name)
    remains.expect_none(DATABASE, target)
    return status


def a_move_loses_no_acknowledged_write():
    status = move("moves")
    expect(status["cutover"]["writePauseMilliseconds"] > 0, "the pause was measured")


def the_leader_killed_in_copying_costs_no_write():
    _, epoch = leader()

    def meanwhile(_):
        wait_for_phase("killed-copying", {"Copying"})
        kill_leader()

    move("killed-copying", meanwhile)
    wait_until("a new epoch", 60, lambda: leader()[1] > epoch)


def the_leader_killed_in_switching_costs_no_write():
    def meanwhile(source):
        wait_for_phase("killed-switching", {"Copying"})
        # A lock on the control row keeps the journal from being written until the kill.
        holder = sql_session(source, "acme", "begin; select 1 from cutover.control for update; "
                                             "select pg_sleep(120)")
        wait_for_phase("killed-switching", {"Switching"})
        time.sleep(0.5)
        expect(status_of("killed-switching")["phase"] == "Switching", "held in Switching")
        kill_leader()
        end_session(source, holder)

    move("killed-switching", meanwhile)


def _killed(phase, victim):
    """Kills the mover, or the server on that side, in `phase` of a move of Odoo."""
    source = server_of_tenant()
    sides = {"source": Server(source), "target": Server(others(source)[0])}
    name = f"killed-{victim}-in-{phase.lower()}"

    def meanwhile(_):
        wait_for_phase(name, {phase})
        if phase == "Copying":
            wait_until("the mover runs", 60, faults.mover_runs)
        if victim == "mover":
            faults.the_mover_is_killed(None)
        else:
            effects.kill_server(sides[victim])

    with Sampler(sides.values(), DATABASE, "acme") as sampler:
        move(name, meanwhile)
    print(f"{name}: shut out for {sampler.closed_seconds():.1f} s", flush=True)
    both = sampler.both_writable()
    expect(not both, f"at {both} the tenant could write on two servers")


def servers_and_movers_killed_under_odoo_cost_no_write():
    for phase, victim in (("Copying", "mover"), ("Fencing", "source"), ("Fencing", "target"),
                          ("Copying", "source"), ("Copying", "target"), ("Smoke", "source"),
                          ("Smoke", "target")):
        _killed(phase, victim)


def a_generic_tenant_behind_a_service_moves_as_well():
    shop.moves()


def a_tenant_that_is_applied_together_with_its_move_is_adopted_and_moved():
    shop.moves_applied_with_its_placement()


def helm_test_succeeds_on_the_running_release():
    said = subprocess.run(["helm", "test", "cutover", "--namespace", "cutover-system"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    expect(said.returncode == 0, f"helm test: {said.stdout}{said.stderr}")
    expect("Phase:          Succeeded" in said.stdout, f"it tested nothing: {said.stdout}")


def all_scenarios_together_leave_nothing_behind():
    remains.expect_none_of_any_move()


if __name__ == "__main__":
    scenario.main(globals())
