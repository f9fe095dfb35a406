// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Fencing: users out, then writers out, then the proof. Order: the page first, so that nobody
/// meets an error; then the workloads, so that their transactions end by themselves; then the
/// fence, which ends what is left and keeps it out whatever anybody starts. With a pooler, its
/// pause stands for the first two.
/// Online, the fence is followed by the marker: a row that can only be written after everything
/// else, so that seeing it on the target proves that the rest is there (traps 75 and 76).
Plan PlanFencing(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = CloseDoors(migration, seen)) return *plan;
  NEED(seen.source);
  if (seen.source->state == ControlState::kOpen || !seen.source->closed ||
      seen.source->other_sessions > 0)
    return Plan::Do(Intent::kFenceSource, "fencing the source database");
  if (!seen.source->ProvenFenced())
    return Plan::Wait(std::chrono::milliseconds(500), seen.source->detail, "FenceNotProven");
  if (!migration.spec.online()) return Plan::Go(Guard::kFenceProven);
  NEED(seen.forward_subscriber);
  if (seen.forward_subscriber->marker < MarkerOf(migration))
    return Plan::Do(Intent::kDrainForward, "waiting for the last write to arrive on the target");
  return Plan::Go(Guard::kDrained);
}

}  // namespace cutover::migration
