// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// A workload that does not come up on the target within this keeps users out for nothing: go back.
constexpr std::chrono::minutes kReadyBound{10};

}  // namespace

/// Opening: the target becomes the tenant's database. Order: open the database, then the wiring,
/// then the placement's record, then the workloads, so that none of them ever starts against the
/// fenced source. The route still shows the maintenance page; with a pooler, clients go on as soon
/// as the wiring leads to the target, since only they wait. Online, the stream turns round last:
/// its slot stands since before the journal and keeps what is written meanwhile.
Plan PlanOpening(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.target);
  if (seen.target->state == ControlState::kVerified) {
    // Somebody else, a GitOps tool for one, may have put them back while users could not write, or
    // started workloads, which know the source only.
    if (!migration.spec.by_pooler()) {
      NEED(seen.workloads);
      if (!seen.workloads->scaled_down)
        return Plan::Do(Intent::kStopWorkloads,
                        "stopping the workloads, which somebody has started, again");
    }
    if (!migration.spec.online()) {
      NEED(seen.routes);
      if (!seen.routes->at_maintenance)
        return Plan::Do(Intent::kFlipRoutes, "sending users to the maintenance page again");
    }
    return Plan::Do(Intent::kOpenTarget, "opening the target database");
  }
  if (seen.target->state != ControlState::kOpen) {
    NEED(seen.source);
    if (auto plan = HoldWhereMoveWasOver(migration, seen)) return *plan;
    return Plan::RollBack("TargetChanged", "the target database is not as it was verified (" +
                                               std::string(Name(seen.target->state)) + ")");
  }
  NEED(seen.wiring);
  if (!seen.wiring->at_target) {
    if (seen.now - EnteredAt(migration, seen) > kReadyBound)
      return Plan::RollBack("WiringFailed", seen.wiring->detail);
    return Plan::Do(Intent::kApplyWiring, "pointing the workloads at the target");
  }
  if (migration.spec.by_pooler()) {
    if (auto plan = LetUsersBackIn(migration, seen)) {
      if (plan->effect && seen.now - EnteredAt(migration, seen) > kReadyBound)
        return Plan::RollBack(
            "PoolersNotProven",
            "clients have not been seen to work on the target: " + seen.poolers->detail);
      return *plan;
    }
  }
  NEED(seen.placement);
  if (seen.placement->exists && seen.placement->server_name != migration.spec.target_server_name)
    return Plan::Do(Intent::kPlaceOnTarget, "recording where the tenant lives now");
  if (migration.spec.online()) {
    if (auto plan = TurnStream(seen)) return *plan;
  }
  if (migration.spec.by_pooler()) {
    if (auto plan = AwaitSilentPoolers(migration, seen)) return *plan;
    return Plan::Go(Guard::kWorkloadsReady);
  }
  NEED(seen.workloads);
  if (!seen.workloads->as_recorded)
    return Plan::Do(Intent::kStartWorkloads, "starting the workloads on the target");
  if (auto plan = SeeWhetherUsersAreIn(migration, seen)) return *plan;
  if (seen.workloads->ready) return Plan::Go(Guard::kWorkloadsReady);
  if (seen.now - EnteredAt(migration, seen) > kReadyBound)
    return Plan::RollBack("WorkloadsNotReady", seen.workloads->detail);
  return Plan::Wait(std::chrono::milliseconds(250), seen.workloads->detail);
}

}  // namespace cutover::migration
