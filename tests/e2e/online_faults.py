# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in an Online move, on a real cluster. Usage: online_faults.py NAME

Each scenario finds the tenant of shop.py working and leaves it working; after each, no acknowledged
write is lost, the tenant was never writable on two servers, and nothing is left behind. What kills
processes needs the cluster of hack/cluster, on this machine.
"""

import contextlib
import json
import subprocess
import sys
import time

import effects
import node
import pooler
import scenario
import shop
import till
from cluster import Failure, expect, get, kubectl, wait_until
from following import (begin, came_back, command, condition, moved, other, settled, stayed,
                       to_hypercare, wait_for, way_back_is_open)
from server import ON_THIS_MACHINE, Sampler, Server
from shop import (DATABASE, NAMESPACE, acknowledged, ensure, expect_nothing_lost,
                  wait_until_counting)

SKIPPED = 77
CLOSED_DOORS = {"Fencing", "Finalizing", "Verifying", "Switching", "Opening", "Smoke", "Admitting"}
BEFORE_USERS_RETURN = {"Preflight", "BackingUp", "Preparing", "Copying", "CatchingUp",
                       "AwaitingCutover", "Fencing", "Finalizing", "Verifying", "Switching",
                       "Opening"}
CUTOVER = {"FenceSource", "FinalizeTarget", "Journal", "OpenTarget"}  # Whatever the switch.
LONG_PAUSE = {"maxWritePauseSeconds": 1800}


@contextlib.contextmanager
def one_side_only(*servers):
    """Within: the tenant is never writable on two of them."""
    sides = [Server(name) for name in servers]
    with Sampler(sides, DATABASE, "shop") as sampler, node.ReportedSides() as reported:
        yield sampler
        both = sampler.both_writable()
        expect(not both, f"at {both} the tenant could write on two servers")
        reported.expect_never_two()


def stays_in(phases, seconds):
    """Neither goes on nor ends, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen = shop.status()
        expect(seen["phase"] in phases, f"it went on to {seen['phase']}: {seen.get('message')}")
        time.sleep(0.5)


def attempts():
    return shop.status().get("cutover", {}).get("attempts", 0)


def gave_up(source, reason):
    """The move has ended for that reason, and the tenant works where it was. Returns the words."""
    words = wait_until("it gives up", 120, lambda: shop.status().get("message")
                       if shop.status().get("phase") == "Failed" else None)
    found = condition("Ready").get("reason"), condition("Succeeded").get("reason")
    expect(reason in found, f"the reason is {reason}, not {found}: {words}")
    stayed(source)
    return words


def the_doors_stay_open_while_the_target_lags():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual", "maxReplicationLagBytes": 65536})
    wait_for({"AwaitingCutover"})
    Server(target).hold(DATABASE, "lock table app.counted in share mode")
    try:
        Server(source).sql(DATABASE, "insert into app.ballast select -n, repeat('lag', 99) "
                                     "from generate_series(1, 1000) n")
        wait_for({"CatchingUp"}, 30)
        command("approve", "now")
        stays_in({"CatchingUp", "AwaitingCutover"}, 10)
        expect(attempts() == 0, "the doors were not closed")
        wait_until_counting(source)
    finally:
        Server(target).let_go()
    wait_for({"Completed"})
    moved(source, target)
    Server(target).sql(DATABASE, "delete from app.ballast where n < 0")


def a_pause_that_grows_too_long_is_undone_and_tried_again():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual", "maxWritePauseSeconds": 6})
    wait_for({"AwaitingCutover"})
    # The marker cannot arrive; everything else does.
    Server(target).hold(DATABASE, "lock table cutover.marker in share mode")
    with one_side_only(source, target) as sampler:
        command("approve", "once")
        wait_for({"Fencing"}, 30)
        wait_for({"CatchingUp", "AwaitingCutover"}, 60)
        wait_until_counting(source)
        closed = sampler.closed_seconds()
        Server(target).let_go()
        wait_for({"AwaitingCutover"}, 90)
        command("approve", "twice")
        wait_for({"Completed"}, 90)
    expect(attempts() == 2, f"two attempts are counted, not {attempts()}")
    moved(source, target)
    print(f"the attempt that was undone shut the tenant out for {closed:.1f} s")


def a_transaction_that_does_not_end_makes_the_pooler_switch_wait():
    source = ensure()
    target = other(source)
    with pooler.in_front(), pooler.PooledClient() as client:
        begin(target, cutover={"switch": "Pooler", "approval": "Manual"})
        wait_for({"AwaitingCutover"})
        stuck = subprocess.Popen(
            ["kubectl", "--namespace", NAMESPACE, "exec", "through-pooler", "--", "psql", "-XAtq",
             "-v", "ON_ERROR_STOP=1", "-c", "begin", "-c",
             "insert into app.counted values (-1), (-2)", "-c", "select pg_sleep(15)", "-c",
             "commit"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        command("approve", "once")
        wait_until("an attempt was given up", 60,
                   lambda: attempts() == 1 and shop.status()["phase"] == "CatchingUp")
        client.wait_for_more()
        expect(stuck.wait(timeout=60) == 0, f"the transaction went through: {stuck.stderr.read()}")
        wait_for({"AwaitingCutover"}, 90)
        command("approve", "twice")
        wait_for({"Completed"}, 90)
        client.wait_for_more()
        expect_nothing_lost(target, [*client.numbers(), -1, -2])
        print(f"longest stall of the other client {client.longest_stall_milliseconds()} ms")
    Server(target).sql(DATABASE, "delete from app.counted where n < 0")
    moved(source, target)


def a_lost_slot_ends_the_move_and_says_what_to_raise():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    server = Server(source)
    slot = "from pg_replication_slots where slot_name like 'cutover%' and slot_name !~ '_watch$'"
    wait_until("the slot is dropped", 30, lambda: server.answer(
        "postgres", f"select pg_terminate_backend(active_pid) {slot} and active; "
                    f"select pg_drop_replication_slot(slot_name) {slot}; "
                    f"select count(*) = 0 {slot}"), 0.02)
    words = gave_up(source, "SlotLost")
    expect("max_slot_wal_keep_size" in words, f"it says what to raise: {words}")


def a_conflict_on_the_target_holds_the_move_and_is_over_when_it_is_mended():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    Server(target).sql(DATABASE, "alter table app.counted add constraint planted check (n < 0) "
                                 "not valid")
    wait_until("it holds", 60, lambda: condition("Ready").get("reason") == "ApplyFails")
    command("approve", "now")
    stays_in({"CatchingUp", "AwaitingCutover"}, 8)
    Server(target).sql(DATABASE, "alter table app.counted drop constraint planted")
    wait_for({"Completed"}, 120)
    moved(source, target)


@contextlib.contextmanager
def _watched(phases, wanted, struck, source, target, in_slow_motion=False):
    """Within: the effects of those phases, those `wanted(effect)`, are each followed by
    `struck(effect, name of the source, of the target, kill the operator)`. Yields who sees them."""
    with one_side_only(source, target) as sampler, effects.Effects(
            lambda effect, phase: phase in phases and wanted(effect),
            lambda effect, _, kill: struck(effect, source, target, kill),
            in_slow_motion) as watch:
        yield watch
    Server(source).wait_until_ready()
    print(f"{time.strftime('%X')} from {source} to {target}: struck after "
          f"{' '.join(watch.seen) or 'nothing'}; shut out for {sampler.closed_seconds():.1f} s",
          flush=True)


def _move_watched(wanted, struck):
    """A move that is struck behind closed doors. Returns after which effects."""
    source = ensure()
    target = other(source)
    with _watched(CLOSED_DOORS, wanted, struck, source, target) as watch:
        begin(target, cutover=LONG_PAUSE)
        wait_for({"Completed"}, 600)
    expect(attempts() == 1, f"one attempt was enough, not {attempts()}")
    moved(source, target)
    return watch.seen


def _pooled_move_watched(wanted, struck):
    """The same by pooler. Whose clients lose nothing is for the caller to say."""
    source = ensure()
    target = other(source)
    begin(target, cutover={"switch": "Pooler", "approval": "Manual", **LONG_PAUSE})
    wait_for({"AwaitingCutover"})
    with _watched(CLOSED_DOORS, wanted, struck, source, target, in_slow_motion=True) as watch:
        command("approve", "go")
        wait_for({"Completed"}, 600)
    expect(attempts() == 1, f"one attempt was enough, not {attempts()}")
    settled(source, target)
    return watch.seen


def _rollback_watched(wanted, struck):
    """A move, and the way back from it, which is struck."""
    source = ensure()
    target = other(source)
    to_hypercare(target, cutover=LONG_PAUSE)
    on_target = acknowledged()
    with _watched({"RollingBack"}, wanted, struck, source, target) as watch:
        command("rollback", "back")
        wait_for({"RolledBack"}, 600)
    came_back(source, target, on_target)
    return watch.seen


def _struck_at_every_effect(watched, effects_among_others, strike):
    """What is done in a `watched` move that is not disturbed, `strike(source, target, kill)` comes
    after in those that follow, once each: what is done during a strike has its turn in the next."""
    done = set(watched(lambda effect: True, lambda *_: None))
    expect(effects_among_others <= done,
           f"undisturbed, it does these among others: {sorted(done)}")
    struck = set()
    for _ in range(6):
        struck |= set(watched(lambda effect: effect in done - struck,
                              lambda _, source, target, kill: strike(source, target, kill)))
        if struck == done:
            return
    raise Failure(f"it was never struck after {sorted(done - struck)}")


def the_operator_killed_at_every_effect_of_the_cutover_costs_no_write():
    _struck_at_every_effect(_move_watched, CUTOVER, lambda source, target, kill: kill())


def the_source_killed_at_every_effect_of_the_cutover_costs_no_write():
    _struck_at_every_effect(_move_watched, CUTOVER,
                            lambda source, target, kill: effects.kill_server(Server(source)))


def the_target_killed_at_every_effect_of_the_cutover_costs_no_write():
    _struck_at_every_effect(_move_watched, CUTOVER,
                            lambda source, target, kill: effects.kill_server(Server(target)))


def the_operator_killed_at_every_effect_of_a_pooler_switch_costs_no_write():
    with pooler.in_front(), pooler.PooledClient() as client:
        _struck_at_every_effect(_pooled_move_watched,
                                CUTOVER | {"PausePoolers", "ResumePoolers"},
                                lambda source, target, kill: kill())
        client.wait_for_more()
        numbers = client.numbers()
        print(f"{len(numbers)} statements acknowledged, none failed; longest stall "
              f"{client.longest_stall_milliseconds()} ms")
    expect_nothing_lost(ensure(), numbers)


def the_operator_killed_at_every_effect_of_a_rollback_costs_no_write():
    _struck_at_every_effect(_rollback_watched,
                            {"FenceTarget", "DrainReverse", "ReopenSource", "RestoreWiring"},
                            lambda source, target, kill: kill())


def the_servers_killed_at_every_effect_of_a_rollback_cost_no_write():
    for victim in ("source", "target"):
        _struck_at_every_effect(
            _rollback_watched, {"FenceTarget", "DrainReverse", "ReopenSource", "RestoreWiring"},
            lambda source, target, kill, victim=victim: effects.kill_server(
                Server({"source": source, "target": target}[victim])))


def the_api_server_away_across_the_switch_costs_no_write():
    source = ensure()
    target = other(source)

    def struck(effect, phase, _):
        server = node.ApiServer()
        server.kill()
        time.sleep(60)
        server.start()

    with one_side_only(source, target) as sampler, effects.Effects(
            lambda effect, phase: effect == "FinalizeTarget", struck) as watch:
        begin(target, cutover=LONG_PAUSE)
        wait_until("the API server was away", 240, lambda: watch.seen and not watch.lock.locked())
        wait_for({"Completed"})
    moved(source, target)
    print(f"shut out for {sampler.closed_seconds():.1f} s")


def the_pooler_killed_while_it_is_paused_costs_no_write():
    source = ensure()
    target = other(source)

    def struck(effect, phase, _):
        expect(node.kill_in_pod(NAMESPACE, pooler.pod(), "pgbouncer"), "a pooler ran")

    with pooler.in_front(), pooler.PooledClient() as client:
        with one_side_only(source, target), effects.Effects(
                lambda effect, phase: effect == "PausePoolers", struck) as watch:
            begin(target, cutover={"switch": "Pooler", **LONG_PAUSE})
            wait_for({"Completed"})
        expect(watch.seen, "the pooler was killed while it was paused")
        # Its connection is gone, so it ends with the statement that got no answer.
        numbers = client.acknowledged()
        expect_nothing_lost(target, numbers)
    moved(source, target)
    print(f"{len(numbers)} statements acknowledged, none lost")


def a_failing_check_in_hypercare_brings_the_tenant_back_with_all_it_wrote():
    source = ensure()
    target = other(source)
    check = {"name": "ballast", "when": ["Hypercare"], "timeoutSeconds": 3, "intervalSeconds": 5,
             "failureThreshold": 2,
             "sql": {"query": "select count(*) from app.ballast where n = 1", "expected": "1"}}
    to_hypercare(target, checks=[check], onFailedChecks="Rollback")
    on_target = acknowledged()
    Server(target).sql(DATABASE, "update app.ballast set n = -1 where n = 1")
    words = came_back(source, target, on_target)
    expect("ballast" in words["rollback"]["reason"] + words["message"] + str(words["conditions"]),
           f"it names the check: {words}")
    # What the check found wrong came back as well: it was written on the target.
    Server(source).sql(DATABASE, "update app.ballast set n = 1 where n = -1")


def a_rollback_waits_for_a_source_that_is_down():
    source = ensure()
    target = other(source)
    to_hypercare(target)
    scale = ["--namespace", "databases", "scale", f"statefulset/{source}", "--replicas"]
    kubectl(*scale, "0")
    try:
        wait_until("the way back is said to be shut", 60, lambda: not way_back_is_open())
        command("rollback", "back")
        wait_for({"RollingBack", "Hypercare"})
        wait_until_counting(target)
        stays_in({"RollingBack", "Hypercare"}, 10)
        wait_until_counting(target)
        print(f"while the source is down: {shop.status()['phase']}: {shop.status()['message']}")
        on_target = acknowledged()
    finally:
        kubectl(*scale, "1")
        Server(source).wait_until_ready()
    came_back(source, target, on_target)


def ddl_on_the_target_in_hypercare_closes_the_way_back():
    source = ensure()
    target = other(source)
    to_hypercare(target)
    Server(target).sql(DATABASE, "create table app.later (n int primary key)")
    Server(target).sql(DATABASE, "insert into app.later values (1)")
    wait_until("the way back is said to be shut", 30, lambda: not way_back_is_open())
    shut = condition("RollbackReady")
    expect(shut["reason"] == "SchemaChanged" and "table app.later is new" in shut["message"],
           f"it says why: {shut}")
    command("rollback", "back")
    wait_until("the rollback waits for consent", 30,
               lambda: condition("Ready").get("reason") == "RollbackNeedsConsent")
    stays_in({"Hypercare"}, 8)
    wait_until_counting(target)
    on_target = acknowledged()
    Server(target).sql(DATABASE, "drop table app.later")
    came_back(source, target, on_target)


def a_source_that_somebody_opens_in_hypercare_is_closed_again():
    source = ensure()
    target = other(source)
    to_hypercare(target)
    with Sampler([Server(source), Server(target)], DATABASE, "shop") as sampler:
        Server(source).sql("postgres", f"alter database {DATABASE} connection limit -1; "
                                       f"grant connect on database {DATABASE} to public")
        limit = f"select datconnlimit from pg_database where datname = '{DATABASE}'"
        wait_until("it is closed again", 30,
                   lambda: Server(source).sql("postgres", limit).strip() == "0")
        wait_until("only the target can be written to", 10,
                   lambda: sampler.writable_now() == [target], 0.1)
    wait_until("the way back is open still", 30, way_back_is_open)
    wait_until_counting(target)
    on_target = acknowledged()
    command("rollback", "back")
    came_back(source, target, on_target)


def two_moves_from_one_server_at_once_lose_no_write():
    source = ensure()
    target = other(source)
    with till.on(source), till.Writer() as writer:
        begin(target)
        till.begin(target)
        wait_for({"Completed"})
        wait_until("the other move is complete", 120, lambda: till.status().get("phase") ==
                   "Completed" or expect(till.status().get("phase") not in shop.ENDS,
                                         f"it ended otherwise: {till.status()}"))
        writer.wait_for_more()
        writer.check(target)
        print(f"the other tenant: {len(writer.acknowledged)} writes acknowledged, {writer.refused} "
              "refused, none lost")
        expect(till.status()["cutover"]["fencedAt"], "its doors were closed for that")
        began, ended = zip(*[(s["stages"][0]["startedAt"], s["stages"][-1]["completedAt"])
                             for s in (shop.status(), till.status())])
        expect(max(began) < min(ended), f"both went on at once: {began}, {ended}")
    moved(source, target)


def git_putting_everything_back_in_mid_move_costs_no_write():
    """A GitOps tool that nobody has told of ignoreDifferences: once in every phase that it meets
    before the tenant lives on the target, it applies by force what it holds of the source."""
    source = ensure()
    target = other(source)
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": shop.in_git(source)})
    put_back = []

    def apply_from_git():
        kubectl("apply", "--server-side", "--force-conflicts", "--field-manager", "git",
                "--filename", "-", stdin=manifests)

    def users_are_on_the_target():
        phase = shop.status().get("phase")
        if phase not in {None, "Pending", *BEFORE_USERS_RETURN}:
            return phase
        if phase not in {None, "Pending", *put_back}:
            apply_from_git()
            put_back.append(phase)
        return None

    # Another scenario may have left another serverName in the placement's spec. That it changes
    # right after preflight is refused, and is not what this is about.
    apply_from_git()
    wait_until("the placement is ready", 60, lambda: any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in get("dbp", "shop", NAMESPACE)["status"]["conditions"]))
    with one_side_only(source, target):
        begin(target)
        wait_until("users are on the target", 240, users_are_on_the_target)
        wait_for({"Completed"})
    expect("Copying" in put_back and CLOSED_DOORS & set(put_back),
           f"it put back in {put_back} only, never with the doors open and closed")
    moved(source, target)
    print(f"put back in {', '.join(put_back)}")


def there_and_back_ten_times_loses_no_write():
    pauses = []
    for _ in range(2 * 10):
        source = ensure()
        target = other(source)
        begin(target)
        pauses.append(wait_for({"Completed"})["cutover"]["writePauseMilliseconds"])
        moved(source, target)
    print(f"doors closed for {sorted(pauses)} ms")


def main():
    if not ON_THIS_MACHINE and ("killed" in sys.argv[1] or "away" in sys.argv[1]):
        print("skipped: it kills processes of the cluster, which must be that of hack/cluster")
        sys.exit(SKIPPED)
    for server in shop.HOMES:
        Server(server).let_go()
    kubectl("--namespace", NAMESPACE, "delete", "tm", "--all", "--timeout", "120s", check=False)
    shop.drop_leftovers()
    scenario.main(globals())


if __name__ == "__main__":
    main()
