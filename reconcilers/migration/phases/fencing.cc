// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Fencing: users out, then writers out, then the proof. Order: the page first, so that nobody
/// meets an error; then the workloads, so that their transactions end by themselves; then the
/// fence, which ends what is left and keeps it out whatever anybody starts.
Plan PlanFencing(const api::TenantMigration&, const Observation& seen) {
  NEED(seen.routes);
  if (!seen.routes->at_maintenance)
    return Plan::Do(Intent::kFlipRoutes, "sending users to the maintenance page");
  NEED(seen.workloads);
  NEED(seen.source);
  if (!seen.workloads->stopped) {
    // Asked for again whenever an autoscaler or Git has scaled back meanwhile.
    if (!seen.workloads->scaled_down)
      return Plan::Do(Intent::kStopWorkloads, "stopping the workloads");
    return Plan::Wait(std::chrono::milliseconds(250), seen.workloads->detail);
  }
  if (seen.source->state == ControlState::kOpen || !seen.source->closed ||
      seen.source->other_sessions > 0)
    return Plan::Do(Intent::kFenceSource, "fencing the source database");
  if (!seen.source->ProvenFenced())
    return Plan::Wait(std::chrono::milliseconds(500), seen.source->detail, "FenceNotProven");
  return Plan::Go(Guard::kFenceProven);
}

}  // namespace cutover::migration
