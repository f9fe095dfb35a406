// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Somebody has dropped the source meanwhile: the copy may be all that is left of the tenant.
bool MayBeTheOnlyCopy(const Observation& seen) {
  ControlState copy = seen.target->state;
  return !seen.source->exists && seen.target->exists &&
         (copy == ControlState::kCopied || copy == ControlState::kVerified);
}

// The ledger goes last: as long as anything else is left, it says what was there.
Plan RemoveDatabases(const Observation& seen) {
  NEED(seen.target);
  if (MayBeTheOnlyCopy(seen))
    return Plan::Wait(std::chrono::seconds(30),
                      "the source database is gone, so the copy on the target may be the only one: "
                      "keeping it; once you have saved it, drop it yourself",
                      "SourceGone");
  if (seen.target->OursToDrop())
    return Plan::Do(Intent::kDropTarget, "dropping the copy on the target");
  if (seen.source->state == ControlState::kOpen && !seen.source->foreign)
    return Plan::Do(Intent::kCleanSource, "removing our schema from the source database");
  return Plan::Do(Intent::kDeleteLedger, "removing the ledger");
}

Plan Undone(const api::TenantMigration& migration) {
  const std::string& reason = migration.status.failure_reason;
  bool requested = reason == "AbortRequested" || reason == "Deleted";
  return Plan::Go(requested ? Guard::kUndoneOnRequest : Guard::kUndoneAfterFailure,
                  migration.status.failure_message);
}

}  // namespace

/// Undoing: before the journal, back to exactly what was. Opening the source needs no look at the
/// target: a target opens only after the journal, and the journal lives in the source.
/// Should the journal turn out to be written (its answer was lost), there is no undo: forward.
/// Without a ledger no database was touched; then neither server need be reachable, nor the
/// placement even exist, for the migration to be let go.
Plan PlanUndoing(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.ledger_recorded);
  if (!*seen.ledger_recorded) {
    if (auto plan = RemoveHelpers(seen)) return *plan;
    return Undone(migration);
  }
  NEED(seen.source);
  if (!seen.source->foreign) {
    if (seen.source->state == ControlState::kJournaled)
      return Plan::Go(Guard::kJournalFound, "the journal was already written; going forward");
    // Users first: database, workloads, routes.
    if (seen.source->state == ControlState::kFenced)
      return Plan::Do(Intent::kUnfenceSource, "opening the source database again");
    if (auto plan = LetUsersBackIn(migration, seen)) return *plan;
  }
  if (auto plan = RemoveHelpers(seen)) return *plan;
  return RemoveDatabases(seen);
}

}  // namespace cutover::migration
