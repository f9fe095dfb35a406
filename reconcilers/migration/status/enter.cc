// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/status/change.h"

namespace cutover::migration {
namespace {

using api::ConditionStatus;
using api::Phase;

void CloseStage(const Change& change, Phase phase, bool good) {
  api::Stage& stage = StageOf(change.status, phase);
  stage.state = good ? "Succeeded" : "Failed";
  stage.completed_at = change.seen.now;
  stage.message = change.plan.message;  // How it ended, and no longer how far it had come.
}

// What was true of these is so no longer.
void UndoneAgain(const Change& change, std::initializer_list<const char*> types) {
  for (const char* type : types)
    if (change.status.conditions.Find(type))
      change.Set(type, ConditionStatus::kFalse, "Undone", "undone");
}

void SetRolledBack(const Change& change) {
  change.Set("RolledBack", ConditionStatus::kTrue, change.status.failure_reason,
             change.status.failure_message);
  constexpr auto kFalse = ConditionStatus::kFalse;
  change.Set("Switched", kFalse, "RolledBack", "the source is the tenant's database again");
  change.Set("Fenced", kFalse, "RolledBack", "the source is open again");
  change.Set("RollbackReady", kFalse, "RolledBack", "rolled back");
}

// What a guard proves, as the domain's own conditions.
void SetDomainConditions(const Change& change, Guard guard) {
  const std::string& message = change.plan.message;
  auto yes = [&](const char* type, const char* reason, std::string text) {
    change.Set(type, ConditionStatus::kTrue, reason, std::move(text));
  };
  auto no = [&](const char* type, std::string reason, std::string text) {
    change.Set(type, ConditionStatus::kFalse, std::move(reason), std::move(text));
  };
  switch (guard) {
    case Guard::kBackupWanted:
    case Guard::kNoBackupWanted:
      yes("PreflightPassed", "Passed", message.empty() ? "every check passed" : message);
      if (guard == Guard::kNoBackupWanted) no("BackedUp", "Skipped", "spec.backup.mode is Skip");
      break;
    case Guard::kHopeless:
      no("PreflightPassed", "PreflightFailed", message);
      break;
    case Guard::kBackupProven:
      yes("BackedUp", "ReadBack", message);
      break;
    case Guard::kCaughtUp:
      yes("InSync", "Following", "the target follows the source closely");
      break;
    case Guard::kFellBehind:
      no("InSync", "Behind", message);
      break;
    case Guard::kDrained:
    case Guard::kFenceProven:
      yes("Fenced", "Proven", "nobody but the operator can write to the source");
      break;
    case Guard::kSnapshotCopied:
    case Guard::kCopyProven:
      yes("Copied", "Copied", "the mover's result is in the target database");
      break;
    case Guard::kVerified:
      yes("Verified", "Equal", message);
      break;
    case Guard::kJournaled:
    case Guard::kJournalFound:
      yes("Switched", "Journaled", "the target is the tenant's database");
      yes("RollbackReady", "UsersNotIn", "going back loses nothing: users are not in yet");
      break;
    case Guard::kCutoverUndone:
      UndoneAgain(change, {"Fenced", "Verified"});
      no("InSync", "Behind", "the cutover was undone; the target catches up by itself");
      break;
    case Guard::kSmokePassed:
      if (change.migration.spec.online()) break;  // NoteWayBack() says how it stands.
      no("RollbackReady", "NoReverseStream",
         "users write on the target; strategy Offline carries nothing back");
      break;
    case Guard::kHypercareOver:
    case Guard::kCleanedUp:
      no("RollbackReady", "HypercareOver",
         "hypercare is over, and with it the way back: going back is another migration");
      break;
    case Guard::kSourceGone:
      yes("SourceReclaimed", "Dropped", "the source database was dropped after its retention");
      break;
    case Guard::kUndoneOnRequest:
    case Guard::kUndoneAfterFailure:
      UndoneAgain(change, {"Fenced", "Copied", "InSync", "Verified"});
      break;
    case Guard::kRolledBack:
      SetRolledBack(change);
      break;
    default:
      break;
  }
}

// A fresh attempt starts with a clean sheet; what a person commanded stays answered.
void StartOver(api::TenantMigrationStatus& status) {
  api::TenantMigrationStatus fresh;
  fresh.handled = status.handled;
  fresh.attempt = status.attempt;
  fresh.observed_generation = status.observed_generation;
  status = std::move(fresh);
}

// Until the next cutover after `attempts` that were given up: twice as long each time.
std::chrono::seconds BackOff(int64_t attempts) {
  int64_t doublings = std::clamp<int64_t>(attempts - 1, 0, 5);
  return std::min(kBackOffMin * (1 << doublings), kBackOffMax);
}

}  // namespace

api::Stage& StageOf(api::TenantMigrationStatus& status, Phase phase) {
  for (api::Stage& stage : status.stages)
    if (stage.name == Name(phase)) return stage;
  api::Stage stage;
  stage.name = Name(phase);
  status.stages.push_back(stage);
  return status.stages.back();
}

void OpenStage(const Change& change, Phase phase) {
  api::Stage& stage = StageOf(change.status, phase);
  stage.state = IsEnd(phase) ? "Succeeded" : "Running";
  stage.started_at = change.seen.now;
  stage.completed_at.reset();
  if (IsEnd(phase)) stage.completed_at = change.seen.now;
}

void Enter(const Change& change, Guard guard, Phase from, Phase to) {
  api::TenantMigrationStatus& status = change.status;
  bool over_again = guard == Guard::kRetryRequested || guard == Guard::kUndoneToCopyAgain;
  if (over_again) StartOver(status);
  if (guard == Guard::kSourceGone) return SetDomainConditions(change, guard);
  bool backwards = guard == Guard::kUndo || guard == Guard::kRollBack ||
                   guard == Guard::kHopeless || guard == Guard::kPlacementBusy;
  const bool refused = guard == Guard::kRollbackRefused;
  if (!over_again) CloseStage(change, from, !backwards && !refused);
  if (backwards) {
    status.failure_reason = change.plan.reason;
    status.failure_message = change.plan.message;
  }
  if (guard == Guard::kMayStart) {
    status.attempt += 1;
    status.source_server_name = change.seen.placement->server_name;
  }
  if (guard == Guard::kBackupWanted || guard == Guard::kNoBackupWanted)
    status.placement_generation = change.seen.placement->generation;
  if (guard == Guard::kDoorsMayClose) {
    api::CutoverStatus& cutover = status.cutover;
    cutover.fenced_at = change.seen.now;
    cutover.opened_at.reset();
    cutover.earlier_pause_milliseconds += std::exchange(cutover.write_pause_milliseconds, 0);
    cutover.attempts += 1;
  }
  if (guard == Guard::kCutoverUndone || (refused && change.plan.reason == "WritePauseExceeded"))
    status.cutover.retry_at = change.seen.now + BackOff(status.cutover.attempts);
  // The smoke test's word stands: Hypercare goes back as soon as that may be. An approval that was
  // there before is no answer to it.
  if (refused && status.failure_reason == kSmokeFailed) {
    status.rollback.reason = kSmokeFailed;
    status.handled.approve = change.migration.meta.Annotation(api::kApproveAnnotation);
  }
  // The abort that came too late, or what had failed, is not how it ends.
  if (guard == Guard::kCutoverUndone || guard == Guard::kJournalFound || refused) {
    status.failure_reason.clear();
    status.failure_message.clear();
  }
  if (refused) {
    change.Set("RollbackReady", ConditionStatus::kFalse, change.plan.reason, change.plan.message);
    ClosePause(change, status.rollback);
    status.rollback.available_until.reset();
    status.cutover.attempts += 1;  // The next marker is another one (MarkerOf()).
  }
  if (guard == Guard::kJournaled || guard == Guard::kJournalFound)
    status.cutover.journaled_at = change.seen.now;
  // Until when a rollback may be asked for is no question any more.
  if (guard == Guard::kHypercareOver || guard == Guard::kCleanedUp || guard == Guard::kRollBack)
    status.rollback.available_until.reset();
  // Users who are in are stopped a second time, Online once that may be; those who are not wait on
  // behind the same doors.
  if (guard == Guard::kRollBack && (from == Phase::kHypercare || status.cutover.opened_at)) {
    status.rollback.fenced_at.reset();
    if (!change.migration.spec.online()) status.rollback.fenced_at = change.seen.now;
    status.rollback.opened_at.reset();
    status.cutover.retry_at.reset();
  }
  if (guard == Guard::kRolledBack) {
    status.rollback.reason = status.failure_reason;
    status.rollback.completed_at = change.seen.now;
    if (!change.plan.message.empty())
      status.failure_message += (status.failure_message.empty() ? "" : "; ") + change.plan.message;
  }
  status.phase = to;
  status.progress.eta_seconds = 0;  // It was of the phase that is over.
  OpenStage(change, to);
  SetDomainConditions(change, guard);
}

}  // namespace cutover::migration
