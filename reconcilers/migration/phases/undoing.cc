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
Plan RemoveDatabases(const api::TenantMigration& migration, const Observation& seen) {
  ASK(seen.target);
  if (IsHalfDropped(seen.target))
    return Plan::Do(Intent::kDropTarget, "dropping the rest of the copy on the target");
  NEED(seen.target);
  if (MayBeTheOnlyCopy(seen))
    return Plan::Wait(std::chrono::seconds(30),
                      "the source database is gone, so the copy on the target may be the only one: "
                      "keeping it; once you have saved it, drop it yourself",
                      "SourceGone");
  if (seen.target->OursToDrop())
    return Plan::Do(Intent::kDropTarget, "dropping the copy on the target");
  // Before the control row goes, without which the sweeper takes all of it to have been done.
  if (auto plan = OutdateRequests(migration, seen)) return *plan;
  if (seen.source->state == ControlState::kOpen && !seen.source->foreign)
    return Plan::Do(Intent::kCleanSource, "removing our schema from the source database");
  return Plan::Do(Intent::kDeleteLedger, "removing the ledger");
}

// Online, a cutover that only took too long costs nothing but itself: the target goes on following,
// and the doors are closed again later. What the source's own structure did is judged there, too.
bool MayTryAgain(const api::TenantMigration& migration) {
  if (!migration.spec.online() || !migration.status.cutover.fenced_at) return false;
  const std::string& reason = migration.status.failure_reason;
  return reason == "WritePauseExceeded" || reason == "StageTimedOut" ||
         reason == "PoolerNotPaused" || reason == "FenceBroken" ||
         reason == "PreparedTransactions" ||
         (reason == "SchemaChanged" &&
          migration.spec.on_schema_change == api::OnSchemaChange::kHold);
}

bool OnlyTheCutoverFailed(const api::TenantMigration& migration, const Observation& seen) {
  return MayTryAgain(migration) && seen.forward_publisher.known() && seen.forward_publisher->slot &&
         !seen.forward_publisher->slot_lost;
}

// Only the source knows whether the journal was written after all. It cannot have been where the
// doors were not closed, and then the target's disk need not wait for a source that is away.
std::optional<Plan> FreeTargetMeanwhile(const api::TenantMigration& migration,
                                        const Observation& seen) {
  const auto& cutover = migration.status.cutover;
  const bool doors_closed = cutover.fenced_at && !cutover.opened_at;
  if (!migration.spec.online() || doors_closed || MayTryAgain(migration)) return std::nullopt;
  ASK(seen.reverse_publisher);
  if (!seen.reverse_publisher.known() || !seen.reverse_publisher->traces) return std::nullopt;
  return Plan::Do(Intent::kDropReversePublisher,
                  "the source is away; removing slot, publication and role on the target");
}

Plan Undone(const api::TenantMigration& migration) {
  const std::string& reason = migration.status.failure_reason;
  if (reason == "SchemaChanged" && migration.spec.online() &&
      migration.spec.on_schema_change == api::OnSchemaChange::kCopyAgain)
    return Plan::Go(Guard::kUndoneToCopyAgain, migration.status.failure_message);
  bool requested = reason == "AbortRequested" || reason == "Deleted";
  return Plan::Go(requested ? Guard::kUndoneOnRequest : Guard::kUndoneAfterFailure,
                  migration.status.failure_message);
}

}  // namespace

/// Undoing: before the journal, back to exactly what was. Opening the source needs no look at the
/// target: a target opens only after the journal, and the journal lives in the source.
/// Should the journal turn out to be written (its answer was lost), there is no undo: forward.
/// Before Preparing no database was touched; then neither server need be reachable, nor the
/// placement even exist, for the migration to be let go.
Plan PlanUndoing(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.ledger_recorded);
  if (!*seen.ledger_recorded) {
    if (auto plan = HoldUndoForLedger(migration, seen)) return *plan;
    if (auto plan = RemoveHelpers(seen)) return *plan;
    return Undone(migration);
  }
  ASK(seen.source);
  if (!seen.source.known()) {
    if (auto plan = FreeTargetMeanwhile(migration, seen)) return *plan;
  }
  NEED(seen.source);
  if (!seen.source->foreign) {
    if (auto plan = HoldWhereMoveWasOver(migration, seen)) return *plan;
    if (seen.source->state == ControlState::kJournaled)
      return Plan::Go(Guard::kJournalFound, "the journal was already written; going forward");
    // Users first: database, workloads, routes.
    if (seen.source->state == ControlState::kFenced)
      return Plan::Do(Intent::kUnfenceSource, "opening the source database again");
    // Where the doors were never tried, whoever has closed one meant it.
    if (migration.status.cutover.attempts > 0) {
      if (auto plan = LetUsersBackIn(migration, seen)) return *plan;
    }
    if (migration.spec.online()) ASK(seen.forward_publisher);
    if (OnlyTheCutoverFailed(migration, seen)) {
      if (auto plan = OutdateRequests(migration, seen)) return *plan;
      return Plan::Go(Guard::kCutoverUndone, migration.status.failure_message);
    }
  }
  if (auto plan = RemoveHelpers(seen)) return *plan;
  if (migration.spec.online()) {
    if (auto plan = RemoveStreams(seen)) return *plan;
  }
  return RemoveDatabases(migration, seen);
}

}  // namespace cutover::migration
