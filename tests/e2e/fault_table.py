# SPDX-License-Identifier: Apache-2.0
"""Which fault strikes in which phase, and how the move must end: the rows of
docs/failure-modes.md.

Data only, so that CMake and hack/tidy can read it without a cluster. Run as a program it prints
one line per test: name, label, seconds until it is given up.
"""

from typing import NamedTuple

OUTCOMES = {
    "Completed": "and_the_move_completes",
    "Failed": "and_the_tenant_stays_where_it_was",
    "Aborted": "and_the_abort_is_finished",
    "RolledBack": "and_the_tenant_goes_back",
    "Gone": "and_the_tenant_stays_where_it_was",
    "GoneMoved": "and_the_move_is_finished",
}


class Case(NamedTuple):
    """One row: `fault` names a function of faults.py, `phase` where it strikes, `end` the phase in
    which the migration must end ("Gone": the object vanishes and the tenant is at the source)."""

    fault: str
    phase: str
    end: str
    daily: bool = False  # Part of hack/test's default run.
    seconds: int = 480  # For the whole test, with others beside it.
    profile: str = "Generic"  # Whose move it is: Generic, the program that counts; Odoo.

    @property
    def online(self):
        return self.phase == "CatchingUp"

    @property
    def writable_within_seconds(self):
        """Where doors are closed and nothing is left to be copied, the tenant writes again that
        soon after the operators' death, or None."""
        return WRITABLE_WITHIN_SECONDS.get(self.fault) if self.phase in BEHIND_THE_COPY else None

    @property
    def says(self):
        return "" if (self.fault, self.phase) in UNNOTICED else SAYS.get(self.fault, "")

    @property
    def name(self):
        phase = "".join("_" + c.lower() if c.isupper() else c for c in self.phase).lstrip("_")
        under = "" if self.profile == "Generic" else f"under_{self.profile.lower()}_"
        return f"{under}{self.fault}_in_{phase}_{OUTCOMES[self.end]}"


LEADER = "the_leader_is_killed"
BOTH = "both_operators_are_killed"
API = "the_api_server_is_away_for_60_s"
SOURCE = "the_source_server_is_killed"
TARGET = "the_target_server_is_killed"
MOVER = "the_mover_is_killed"
CUT = "the_network_to_the_target_is_cut"
FULL = "the_target_volume_is_full"
TENANT_SECRET = "the_tenants_password_is_changed"
ADMIN_SECRET = "the_admin_password_is_changed"
PLACEMENT = "the_placement_is_deleted"
DATABASE_SERVER = "the_targets_database_server_is_deleted"
MIGRATION = "the_migration_is_deleted"
NAMESPACE = "the_namespace_is_deleted"
ISOLATED = "the_leader_is_cut_off_from_the_api_server"
VANISHED = "the_migration_vanishes_without_its_finalizer"

BEHIND_THE_COPY = {"Finalizing", "Verifying", "Switching", "Opening", "Undoing"}

# A lease of 15 s, the standby's turn to ask for it, and what is left of the cutover: 25 s
# (design.md, section 3, "Killed anywhere"). With no standby the kubelet first starts one, for which
# it is given 5 s; only then does that begin to watch the old lease, whose renew time it does not
# believe.
WRITABLE_WITHIN_SECONDS = {LEADER: 25, BOTH: 5 + 25}

# Those after which another operator leads, and the migration's events must say so.
NEW_LEADER = {LEADER, BOTH, API, ISOLATED}

# What the status must have said (a regular expression) of those that a person has to know of or to
# mend, or asked for. Where nobody could decide anything for a while, nothing could be said either:
# the end says how long users were shut out.
SAYS = {
    API: r"doors closed for ([6-9]|\d\d)\d{4} ms",
    ISOLATED: r"doors closed for \d{5,} ms",
    MIGRATION: "the TenantMigration was deleted|deleted: finishing",
    SOURCE: "connect|server closed|shut|starting up|in recovery",
    TARGET: "connect|server closed|shut|starting up|in recovery",
    MOVER: "1 pod of its Job failed and another takes over: exit code 137",
    CUT: "connect|timed? ?out|no answer|unreachable",
    FULL: "space|disk|full|connect",
    TENANT_SECRET: "password",
    PLACEMENT: "placement",
    DATABASE_SERVER: "DatabaseServer pg-dedicated\\S* does not exist: create it",
}

# Where nothing asks the server that is killed before it is back, and there is nothing to be told.
UNNOTICED = {(SOURCE, "Smoke"), (TARGET, "Fencing")}

CASES = [
    Case(LEADER, "Pending", "Completed"),
    Case(LEADER, "Preflight", "Completed"),
    Case(LEADER, "BackingUp", "Completed"),
    Case(LEADER, "Preparing", "Completed"),
    Case(LEADER, "CatchingUp", "Completed"),
    Case(LEADER, "AwaitingCutover", "Completed"),
    Case(LEADER, "Fencing", "Completed", daily=True),
    Case(LEADER, "Copying", "Completed"),
    Case(LEADER, "Finalizing", "Completed"),
    Case(LEADER, "Verifying", "Completed"),
    Case(LEADER, "Switching", "Completed"),
    Case(LEADER, "Opening", "Completed", daily=True),
    Case(LEADER, "Smoke", "Completed"),
    Case(LEADER, "Admitting", "Completed"),
    Case(LEADER, "Hypercare", "Completed"),
    Case(LEADER, "Completing", "Completed"),
    Case(LEADER, "Undoing", "Aborted", daily=True),
    Case(LEADER, "RollingBack", "RolledBack", daily=True),
    Case(BOTH, "Copying", "Completed"),
    Case(BOTH, "Switching", "Completed", daily=True),
    Case(BOTH, "Opening", "Completed"),
    Case(API, "Copying", "Completed"),
    Case(API, "Switching", "Completed"),
    Case(SOURCE, "Fencing", "Completed"),
    Case(SOURCE, "Copying", "Completed"),
    Case(SOURCE, "Switching", "Completed"),
    Case(SOURCE, "Smoke", "Completed"),
    Case(TARGET, "Fencing", "Completed"),
    Case(TARGET, "Copying", "Completed", daily=True),
    Case(TARGET, "Opening", "Completed"),
    Case(TARGET, "Smoke", "Completed"),
    Case(MOVER, "Copying", "Completed"),
    Case(CUT, "Copying", "Completed"),
    Case(CUT, "Opening", "Completed"),
    Case(FULL, "Copying", "Failed"),
    Case(TENANT_SECRET, "AwaitingCutover", "Completed"),
    Case(TENANT_SECRET, "Copying", "RolledBack"),
    Case(ADMIN_SECRET, "Copying", "Completed"),
    Case(PLACEMENT, "Copying", "Completed"),
    Case(PLACEMENT, "Smoke", "Completed"),
    Case(DATABASE_SERVER, "Copying", "Completed"),
    Case(DATABASE_SERVER, "Opening", "Completed"),
    Case(MIGRATION, "AwaitingCutover", "Gone"),
    Case(MIGRATION, "Copying", "Gone"),
    Case(MIGRATION, "Smoke", "Gone"),
    Case(MIGRATION, "Hypercare", "GoneMoved"),
    Case(NAMESPACE, "Copying", "Gone"),
    Case(NAMESPACE, "Opening", "Gone"),
    Case(ISOLATED, "Copying", "Completed"),
    Case(ISOLATED, "Switching", "Completed", daily=True),
    Case(VANISHED, "AwaitingCutover", "Gone"),
    Case(VANISHED, "Copying", "Gone", daily=True),
    Case(VANISHED, "Switching", "Gone"),
    Case(VANISHED, "Smoke", "GoneMoved"),
]

# What a real Odoo is moved through as well, while a user creates partners by its route: the leader
# dies in every phase, and of the other faults these. In scenarios.py are its death in Copying, in
# Switching, and those of the servers.
UNDER_ODOO = {
    (BOTH, "Switching"), (API, "Copying"), (API, "Switching"), (MOVER, "Copying"), (CUT, "Copying"),
    (FULL, "Copying"), (TENANT_SECRET, "AwaitingCutover"), (ADMIN_SECRET, "Copying"),
    (PLACEMENT, "Copying"), (DATABASE_SERVER, "Opening"), (MIGRATION, "Smoke"),
    (ISOLATED, "Switching"),
} | {(LEADER, case.phase) for case in CASES if case.fault == LEADER} - {
    (LEADER, "Copying"), (LEADER, "Switching")}
CASES += [case._replace(profile="Odoo", daily=False, seconds=420) for case in CASES
          if (case.fault, case.phase) in UNDER_ODOO]


def main():
    for case in CASES:
        print(f"{case.name} {'e2e' if case.daily else 'e2e-long'} {case.seconds}")


if __name__ == "__main__":
    main()
