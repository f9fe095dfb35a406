// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Pending: nothing has been touched. Leaves when the placement exists and is free. A missing
/// placement is waited for, since GitOps applies objects in any order; a busy one is refused, since
/// two moves of one tenant have no right order.
Plan PlanPending(const api::TenantMigration& migration, const Observation& seen) {
  if (!migration.meta.HasFinalizer(api::kFinalizer))
    return Plan::Do(Intent::kAddFinalizer, "taking charge of the migration");
  NEED(seen.placement);
  if (!seen.placement->exists)
    return Plan::Wait(std::chrono::seconds(10),
                      "DatabasePlacement " + migration.spec.placement_name +
                          " does not exist in this namespace: create it",
                      "PlacementNotFound");
  if (!seen.placement->rival_migration.empty()) {
    Plan plan =
        Plan::Go(Guard::kPlacementBusy,
                 "DatabasePlacement " + migration.spec.placement_name +
                     " is being moved by TenantMigration " + seen.placement->rival_migration +
                     ": wait until it has ended, then set a new cutover.dev/retry token");
    plan.reason = "PlacementBusy";
    return plan;
  }
  if (seen.placement->server_name.empty())
    return Plan::Wait(std::chrono::seconds(5),
                      "DatabasePlacement " + migration.spec.placement_name +
                          " has not been adopted yet: see its conditions",
                      "PlacementNotReady");
  return Plan::Go(Guard::kMayStart);
}

}  // namespace cutover::migration
