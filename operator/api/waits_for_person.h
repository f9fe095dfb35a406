// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

namespace cutover::api {

/// A reason of a migration's Ready=False for which nothing goes on until a person does something.
struct WaitForPerson {
  std::string_view reason;
  std::string_view task;  ///< What the person has to do; the plugin's words.
};

/// All of them, and the only list that is decided upon. The plugin reads it, and so does
/// hack/gen-dashboards; Argo CD's health script, the alerts and docs/gitops.md, which no code of
/// ours runs in, are held against it by tests/gitops/waits_for_person_test.py.
///
/// What passes by itself is not here, however long it may take: the window of AwaitingWindow, a
/// check that has not failed often enough (AwaitingChecks), a placement that is being adopted.
inline constexpr std::array<WaitForPerson, 19> kWaitsForPerson{{
    {"AwaitingApproval", "approve it, and the users are stopped"},
    {"Suspended", "resume it"},
    {"RollbackNeedsConsent",
     "a rollback was asked for, which would lose what users wrote since the switch: accept that, "
     "or take the rollback back"},
    {"AwaitingWayBack",
     "a rollback was asked for, and the source does not follow closely: mend what is said above, "
     "accept to lose what has not arrived, or take the rollback back"},
    {"HypercareCheckFailed", "a check fails on the target; judge it, and go back or mend it"},
    {"SmokeFailedNoWayBack",
     "the smoke test had failed, and going back would lose something: approve that the tenant "
     "stays, go back and accept the loss, or mend what is said above"},
    {"NoWayBack",
     "the stream back to the source is gone; accept to lose what was written on the target, or "
     "mend the stream"},
    {"SchemaChanged", "take the change of the source's structure back, or abort and retry"},
    {"ApplyFails", "the target cannot apply what comes; mend what it says, or abort"},
    {"SourceGone",
     "somebody dropped the source database: save the copy, or take the rollback back, as the "
     "message says"},
    {"TargetGone",
     "the tenant's database is gone from the target: go back and accept to lose what was written "
     "there, or restore it, as the message says"},
    {"LedgerMissing",
     "put back what the message names, which says what everything was before the move, or, where "
     "a rollback is refused, take that back"},
    {"MoveWasOver",
     "the tenant is on the target already: set its placement and wiring there, and let this go"},
    {"EpochBehind",
     "the operator's Lease counts from too low, as after a reinstall: raise its leaseTransitions, "
     "as the message says"},
    {"PreparedTransactions",
     "commit or roll back what is prepared, as the message says: no fence ends it"},
    {"SuperuserOwner",
     "give the tenant's database to the tenant's own role, as the message says: no fence stops a "
     "superuser"},
    {"PodCannotStart", "mend what keeps the pod from starting"},
    {"PlacementNotFound", "create the DatabasePlacement that it names"},
    {"PreflightFailed", "mend what the checks have found; it looks again by itself"},
}};

/// Null where a migration with this reason waits for nobody.
constexpr const WaitForPerson* FindWaitForPerson(std::string_view reason) {
  for (const WaitForPerson& wait : kWaitsForPerson)
    if (wait.reason == reason) return &wait;
  return nullptr;
}

}  // namespace cutover::api
