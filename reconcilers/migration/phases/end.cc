// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// A retained source may be dropped only when it is ours, retired and fenced, and when the tenant is
// seen to live on the target: the last check before the one thing that nothing can undo.
Plan PlanRetention(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.spec.reclaim_policy != api::ReclaimPolicy::kDelete)
    return Plan::Wait(std::chrono::milliseconds(0), migration.status.message);
  auto until = EnteredAt(migration, seen) + std::chrono::seconds(migration.spec.retention_seconds);
  if (seen.now < until) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - seen.now);
    return Plan::Wait(std::min(left, std::chrono::milliseconds(3'600'000)),
                      migration.status.message);
  }
  NEED(seen.source);
  if (!seen.source->exists)
    return Plan::Wait(std::chrono::milliseconds(0), migration.status.message);
  NEED(seen.target);
  NEED(seen.placement);
  bool safe = seen.source->state == ControlState::kRetired && !seen.source->foreign &&
              seen.source->ProvenFenced() && seen.target->exists && !seen.target->closed &&
              seen.placement->exists &&
              seen.placement->server_name == migration.spec.target_server_name;
  if (!safe)
    return Plan::Wait(std::chrono::minutes(5),
                      "keeping the source database past its retention: the last check did not hold "
                      "(" +
                          seen.source->detail + seen.target->detail + ")");
  return Plan::Do(Intent::kDropSource, "dropping the source database, its retention has ended");
}

}  // namespace

/// The ends. Completed waits for the source's retention; RolledBack keeps the copy for forensics;
/// every end lets go of its finalizer once the object is deleted.
Plan PlanEnd(const api::TenantMigration& migration, const Observation& seen) {
  bool held = migration.meta.HasFinalizer(api::kFinalizer);
  if (migration.meta.deleting()) {
    if (migration.status.phase == api::Phase::kRolledBack && held) {
      NEED(seen.target);
      if (seen.target->exists && !seen.target->foreign && seen.target->state != ControlState::kNone)
        return Plan::Do(Intent::kDropTarget, "dropping the copy on the target");
      NEED(seen.ledger_recorded);
      if (*seen.ledger_recorded) return Plan::Do(Intent::kDeleteLedger, "removing the ledger");
    }
    if (held) return Plan::Do(Intent::kRemoveFinalizer, migration.status.message);
    return Plan::Wait(std::chrono::milliseconds(0), migration.status.message);
  }
  if (migration.status.phase == api::Phase::kCompleted) return PlanRetention(migration, seen);
  return Plan::Wait(std::chrono::milliseconds(0), migration.status.message);
}

}  // namespace cutover::migration
