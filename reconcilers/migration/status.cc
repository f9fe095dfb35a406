// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/status.h"

#include <utility>

#include "operator/base/check.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/status/change.h"
#include "reconcilers/migration/tally.h"

namespace cutover::migration {
namespace {

using api::ConditionStatus;
using api::Phase;

// Which token a rollback is by, so that a loss is accepted for that one and for no other.
void NoteRollbackToken(const Change& change) {
  api::TenantMigrationStatus& status = change.status;
  const std::string& answered = status.handled.rollback;
  const bool is_new = !answered.empty() && answered != change.migration.status.handled.rollback;
  if (change.plan.guard == Guard::kRollBack)
    status.rollback.token = is_new ? answered : "";
  else if (change.migration.status.phase == Phase::kRollingBack && is_new)
    status.rollback.token = answered;
}

// A person has judged the tenant to be well where it is.
void NoteAnswerToStay(const Change& change) {
  if (change.migration.status.phase != Phase::kHypercare) return;
  const std::string token = AnswerToStay(change.migration);
  if (token.empty()) return;
  change.status.handled.approve = token;
  change.status.rollback.reason.clear();
}

// The runs of checks that were seen, counted.
void NoteChecks(const Change& change) {
  Phase phase = change.migration.status.phase;
  if (phase == Phase::kPreflight)
    change.status.checks = NoteBaselines(change.migration, change.seen);
  if (phase == Phase::kHypercare) change.status.checks = CountRuns(change.migration, change.seen);
}

// Each line of the preflight. One that goes on finding the same is not written at every look.
void NotePreflight(const Change& change) {
  constexpr std::chrono::minutes kSameAgain{10};
  const Observation& seen = change.seen;
  if (seen.preflight_lines.empty()) return;  // Nobody has looked.
  api::PreflightStatus& preflight = change.status.preflight;
  const bool fresh = preflight.looked_at && seen.now - *preflight.looked_at < kSameAgain;
  if (fresh && preflight.lines == seen.preflight_lines) return;
  preflight.looked_at = std::chrono::floor<std::chrono::seconds>(seen.now);
  preflight.lines = seen.preflight_lines;
}

// The move is made with the spec that preflight passed. What has come since waits, in sight.
void NotePlacementChange(const Change& change) {
  static constexpr char kType[] = "PlacementChanged";
  const api::TenantMigration& migration = change.migration;
  const auto& placement = change.seen.placement;
  if (IsEnd(change.status.phase)) return change.status.conditions.Remove(kType);
  const int64_t taken = change.status.placement_generation;
  if (taken == 0 || !placement.known() || !placement->exists) return;
  if (placement->generation == taken) return change.status.conditions.Remove(kType);
  change.Set(kType, ConditionStatus::kTrue, "Queued",
             "DatabasePlacement " + migration.spec.placement_name +
                 " has changed since preflight passed (generation " + std::to_string(taken) +
                 ", now " + std::to_string(placement->generation) +
                 "): this move does not take that in, it takes effect when the move has ended");
}

}  // namespace

std::optional<WallTime> ReasonSince(const api::TenantMigrationStatus& before,
                                    const api::TenantMigrationStatus& after, WallTime now) {
  const api::Condition* was = before.conditions.Find("Ready");
  const api::Condition* is = after.conditions.Find("Ready");
  const bool same = before.phase == after.phase && was && is && was->reason == is->reason;
  if (!same) return now;
  // Never a write of its own: ten thousand ends would each be written for it, and a CRD that is
  // older than the operator drops it, each time anew.
  return before.reason_since || after == before ? before.reason_since : now;
}

api::TenantMigrationStatus Advance(const api::TenantMigration& migration, const Observation& seen,
                                   const Decision& decision) {
  api::TenantMigrationStatus status = migration.status;
  Change change{migration, seen, decision.plan, status};
  status.handled = decision.handled;
  status.observed_generation = migration.meta.generation;
  if (status.stages.empty()) OpenStage(change, status.phase);
  NoteRollbackToken(change);
  NoteDoors(change);
  NoteProgress(change);
  NoteStreams(change);
  NoteAnswerToStay(change);
  NoteChecks(change);
  NotePreflight(change);
  if (decision.plan.guard) {
    auto to = Next(migration.status.phase, *decision.plan.guard);
    CHECK(to.has_value());
    Enter(change, *decision.plan.guard, migration.status.phase, *to);
    status.message = IsEnd(*to) ? EndMessage(status) : decision.plan.message;
  } else if (!decision.plan.message.empty()) {
    status.message = decision.plan.message;
    if (!IsEnd(status.phase)) StageOf(status, status.phase).message = decision.plan.message;
  }
  NotePlacementChange(change);
  SetSummary(change);
  status.reason_since = ReasonSince(migration.status, status, seen.now);
  return status;
}

}  // namespace cutover::migration
