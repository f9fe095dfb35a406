# SPDX-License-Identifier: Apache-2.0
"""Strategy Online on a real cluster, with the tenant of shop.py. Usage: online.py NAME

Each scenario finds the tenant working, does its deed, and leaves it working.
"""

import time

import dashboards
import pooler
import remains
import scenario
import shop
from cluster import expect, kill_leader, wait_until
from following import (begin, came_back, command, condition, forget, moved, other, stayed,
                       to_hypercare, wait_for, way_back_is_open)
from server import Server
from shop import DATABASE, acknowledged, ensure, expect_nothing_lost


def an_online_move_loses_no_write_and_leaves_nothing_behind():
    source = ensure()
    target = other(source)
    begin(target)
    pause = wait_for({"Completed"})["cutover"]["writePauseMilliseconds"]
    moved(source, target)
    print(f"doors closed for {pause} ms")


def a_rollback_in_hypercare_brings_back_what_was_written_on_the_target():
    source = ensure()
    target = other(source)
    with dashboards.no_panel_stays_empty():
        to_hypercare(target)
        dashboards.be_scraped()  # With its way back open.
        on_target = acknowledged()
        command("rollback", "back")
        came_back(source, target, on_target)


def the_leader_killed_while_the_doors_are_closed_costs_no_write():
    source = ensure()
    target = other(source)
    begin(target)
    wait_for({"Fencing", "Finalizing", "Verifying", "Switching", "Opening"})
    kill_leader()
    wait_for({"Completed"})
    moved(source, target)


def a_changed_structure_holds_the_move_until_somebody_decides():
    source = ensure()
    begin(other(source), cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    Server(source).sql(DATABASE, "alter table app.counted add column why text")
    wait_until("it holds", 60, lambda: condition("Ready").get("reason") == "SchemaChanged")
    expect("ALTER TABLE app.counted by role " in condition("Ready")["message"],
           "it says who it was")
    command("approve", "now")
    time.sleep(6)
    expect(shop.status()["phase"] in {"AwaitingCutover", "CatchingUp"},
           "it does not go on by itself")
    command("abort", "stop")
    wait_for({"Aborted"})
    Server(source).sql(DATABASE, "alter table app.counted drop column why")
    stayed(source)


def a_changed_structure_is_copied_again_where_the_spec_says_so():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual"}, copy={"onSchemaChange": "CopyAgain"})
    wait_for({"AwaitingCutover"})
    attempt = shop.status()["attempt"]
    Server(source).sql(DATABASE, "alter table app.counted add column origin text default 'till'")
    wait_until("it is copied again", 120, lambda: shop.status().get("attempt", 0) > attempt)
    wait_for({"AwaitingCutover"})
    command("approve", "now")
    wait_for({"Completed"})
    expect(int(Server(target).sql(DATABASE, "select count(origin) from app.counted")) > 0,
           "the new column has come along with its values")
    moved(source, target)
    Server(target).sql(DATABASE, "alter table app.counted drop column origin")


def a_row_changed_on_the_target_behind_replications_back_stops_the_switch():
    source = ensure()
    target = other(source)
    begin(target, cutover={"approval": "Manual"})
    wait_for({"AwaitingCutover"})
    Server(target).sql(DATABASE, "update app.ballast set text = 'x' where n = 77")
    status = wait_until("it gives up", 120, lambda: shop.status() if shop.status().get("phase") in
                        {"Failed"} else None)
    expect("app.ballast" in status["message"], f"it names the table: {status['message']}")
    stayed(source)


def the_pooler_switch_costs_clients_a_delay_and_no_error():
    source = ensure()
    with pooler.in_front(), pooler.PooledClient() as client:
        begin(other(source), cutover={"switch": "Pooler"}, hypercare={"durationSeconds": 600})
        pause = wait_for({"Hypercare"})["cutover"]["writePauseMilliseconds"]
        client.wait_for_more()
        stall = client.longest_stall_milliseconds()
        wait_until("the way back is open", 60, way_back_is_open)
        command("rollback", "back")
        wait_for({"RolledBack"})
        client.wait_for_more()
        numbers = client.numbers()
        back = client.longest_stall_milliseconds()
        expect_nothing_lost(source, numbers)
        print(f"{len(numbers)} statements acknowledged, none failed, none lost; pause {pause} ms "
              f"by status, {stall} ms for the client; longest of both ways {back} ms")
    forget()
    remains.expect_none(DATABASE, source)


if __name__ == "__main__":
    scenario.main(globals())
