// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Completing: the helpers go, the source stays fenced until its retention ends. The ledger goes
/// last: as long as anything else is left, it says what was there.
Plan PlanCompleting(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.ledger_recorded);
  if (!*seen.ledger_recorded) {
    if (auto plan = HoldCompletingForLedger(seen)) return *plan;
    return Plan::Go(Guard::kCleanedUp);
  }
  if (auto plan = RemoveHelpers(seen)) return *plan;
  // Before anything goes that the way back rests on.
  if (auto plan = HoldForTarget(migration, seen)) return *plan;
  if (migration.spec.online()) {
    if (auto plan = RemoveStreams(seen)) return *plan;
  }
  NEED(seen.source);
  if (seen.source->exists && seen.source->state == ControlState::kJournaled)
    return Plan::Do(Intent::kRetireSource, "retiring the source database, fenced");
  NEED(seen.target);
  if (seen.target->state != ControlState::kNone)
    return Plan::Do(Intent::kCleanTarget, "removing our schema from the target database");
  return Plan::Do(Intent::kDeleteLedger, "removing the ledger");
}

}  // namespace cutover::migration
