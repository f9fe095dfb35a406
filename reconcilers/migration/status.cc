// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/status.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "operator/base/check.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/samples.h"
#include "reconcilers/migration/tally.h"

namespace cutover::migration {
namespace {

using api::ConditionStatus;
using api::Phase;

struct Change {
  const api::TenantMigration& migration;
  const Observation& seen;
  const Plan& plan;
  api::TenantMigrationStatus& status;

  void Set(std::string type, ConditionStatus value, std::string reason, std::string message) const {
    api::Condition condition;
    condition.type = std::move(type);
    condition.status = value;
    condition.reason = std::move(reason);
    condition.message = std::move(message);
    condition.observed_generation = migration.meta.generation;
    status.conditions.Set(std::move(condition), seen.now);
  }
};

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

// How long doors that were closed in vain stay open before they are closed again.
constexpr std::chrono::seconds kBackOffMin{30}, kBackOffMax{600};

// Until the next cutover after `attempts` that were given up: twice as long each time.
std::chrono::seconds BackOff(int64_t attempts) {
  int64_t doublings = std::clamp<int64_t>(attempts - 1, 0, 5);
  return std::min(kBackOffMin * (1 << doublings), kBackOffMax);
}

// A pause that has begun, and ends now that users are in again. Pause: CutoverStatus or
// RollbackStatus.
template <class Pause>
void ClosePause(const Change& change, Pause& pause) {
  if (!pause.fenced_at || pause.opened_at) return;
  const auto& poolers = change.seen.poolers;
  pause.opened_at = poolers.known() && poolers->since ? *poolers->since : change.seen.now;
  pause.write_pause_milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(*pause.opened_at - *pause.fenced_at)
          .count();
}

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

// Whether somebody else, as a GitOps tool does, has led routes back to workloads that work on the
// target already. What is written there from then on is the users'.
bool UsersAreInEarly(const Change& change) {
  const Observation& seen = change.seen;
  const Phase phase = change.migration.status.phase;
  if (phase != Phase::kOpening && phase != Phase::kSmoke) return false;
  const bool may_be_closed =
      phase == Phase::kOpening && (!seen.target.known() || seen.target->closed);
  return change.migration.spec.online() && !may_be_closed && seen.routes.known() &&
         !seen.routes->at_maintenance && seen.workloads.known() && seen.workloads->as_recorded;
}

// Whether users are seen to be let in, on whichever side.
bool UsersAreIn(const Change& change) {
  const Observation& seen = change.seen;
  Phase phase = change.migration.status.phase;
  if (!change.migration.spec.by_pooler() && UsersAreInEarly(change)) return true;
  bool forward = phase == Phase::kAdmitting;
  if (change.migration.spec.by_pooler()) {
    if (!seen.poolers.known() || !seen.poolers->resumed) return false;
    if (phase == Phase::kOpening)
      return seen.poolers->proven && seen.target.known() && !seen.target->closed &&
             seen.wiring.known() && seen.wiring->at_target;
  } else {
    if (!seen.routes.known() || !seen.routes->as_recorded) return false;
    // While going back, the routes may not have been flipped at all yet, or not flipped back.
    if (!forward && (!seen.workloads.known() || !seen.workloads->as_recorded)) return false;
  }
  if (forward) return true;
  bool back = phase == Phase::kUndoing || phase == Phase::kRollingBack;
  return back && seen.source.known() && !seen.source->closed;
}

// Clients begin to wait when their pooler is paused, or that is tried, however long ago the phase
// was entered.
void NoteDoorsClosed(const Change& change) {
  const auto& poolers = change.seen.poolers;
  if (!poolers.known()) return;
  Phase phase = change.migration.status.phase;
  auto& cutover = change.status.cutover;
  const bool closes = phase == Phase::kFencing || phase == Phase::kUndoing;
  if (closes && poolers->tried_since && cutover.fenced_at && !cutover.opened_at)
    cutover.fenced_at = poolers->tried_since;
  if (!poolers->paused || !poolers->since) return;
  auto& rollback = change.status.rollback;
  bool going_back =
      phase == Phase::kRollingBack && change.status.cutover.opened_at && !rollback.opened_at;
  if (going_back) rollback.fenced_at = *poolers->since;
}

bool ClosesDoors(const std::optional<Intent>& effect) {
  return effect == Intent::kFlipRoutes || effect == Intent::kStopWorkloads ||
         effect == Intent::kPausePoolers || effect == Intent::kFenceTarget;
}

bool KeepsWayBackOpen(const std::optional<Intent>& effect) {
  return effect == Intent::kWatchReverseStream || effect == Intent::kTakeSample ||
         effect == Intent::kSettleSample;
}

// While going back waits with its doors open, users wait for nothing. A pooler that could not be
// paused is tried again later: each time its clients have waited, too.
void NoteWaitWithDoorsOpen(const Change& change) {
  if (change.migration.status.phase != Phase::kRollingBack) return;
  const Plan& plan = change.plan;
  auto& rollback = change.status.rollback;
  const bool missed = plan.reason == "PoolerNotPaused" && !plan.effect;
  if (missed || KeepsWayBackOpen(plan.effect)) rollback.fenced_at.reset();
  if (missed) {
    const auto until_now = std::chrono::duration_cast<std::chrono::seconds>(
        change.seen.now - EnteredAt(change.migration, change.seen));
    change.status.cutover.retry_at =
        change.seen.now + std::clamp(until_now, kBackOffMin, kBackOffMax);
  }
  if (change.status.cutover.opened_at && ClosesDoors(plan.effect) && !rollback.fenced_at)
    rollback.fenced_at = change.seen.now;
}

// What was written before this fence is not behind the marker of another one: one that was given up
// opens the target again, and the drain after the next has to wait for a marker of its own.
void NoteFenceOfTarget(const Change& change) {
  const Observation& seen = change.seen;
  const bool fences = change.plan.effect == Intent::kFenceTarget && seen.target.known() &&
                      seen.target->state != ControlState::kFenced;
  if (fences && change.migration.spec.online()) change.status.cutover.attempts += 1;
}

void NoteDoorsOpen(const Change& change) {
  if (!UsersAreIn(change)) return;
  ClosePause(change, change.status.cutover);
  ClosePause(change, change.status.rollback);
}

// Where the copy stands, at most every two seconds: each write of it is an event for every watcher.
constexpr std::chrono::seconds kProgressInterval{2};

void NoteProgress(const Change& change, const CopyProgress& copy) {
  auto& progress = change.status.progress;
  if (progress.updated_at && change.seen.now - *progress.updated_at < kProgressInterval) return;
  api::Stage& stage = StageOf(change.status, Phase::kCopying);
  stage.done = copy.bytes_done;
  stage.total = copy.bytes_total;
  stage.unit = "bytes";
  api::MigrationProgress now;
  now.bytes_copied = copy.bytes_done;
  now.bytes_total = copy.bytes_total;
  now.tables_copied = copy.tables_done;
  now.tables_total = copy.tables_total;
  now.rows_copied = copy.rows_done;
  if (stage.started_at && copy.bytes_done > 0) {
    double elapsed = std::chrono::duration<double>(change.seen.now - *stage.started_at).count();
    double left = static_cast<double>(copy.bytes_total - copy.bytes_done);
    now.eta_seconds = static_cast<int64_t>(left * elapsed / static_cast<double>(copy.bytes_done));
  }
  now.updated_at = change.seen.now;
  progress = now;
}

void NoteResult(const Change& change, const CopyResult& result) {
  auto& verification = change.status.verification;
  verification.level = result.level;
  verification.tables = result.tables;
  verification.rows = result.rows;
  verification.mismatches = result.mismatches;
  verification.report = result.Describe();
  if (!verification.finished_at) verification.finished_at = change.seen.now;
  auto& progress = change.status.progress;
  progress.bytes_copied = progress.bytes_total = result.bytes;
  progress.tables_copied = progress.tables_total = result.tables;
  progress.rows_copied = result.rows;
  progress.eta_seconds = 0;
  api::Stage& stage = StageOf(change.status, Phase::kCopying);
  stage.done = stage.total = result.bytes;
  stage.unit = "bytes";
}

void NoteCopy(const Change& change) {
  const auto& progress = change.seen.copy_progress;
  const auto& result = change.seen.copy_result;
  if (result.known() && *result && (*result)->attempt == change.status.attempt)
    NoteResult(change, **result);
  else if (progress.known() && *progress)
    NoteProgress(change, **progress);
}

// Seconds until the doors may close: until no more than spec.cutover.maxReplicationLagBytes are
// missing. How fast they become fewer is a mean that forgets within a minute or so, since what has
// been applied is confirmed by leaps, up to 30 seconds apart (half of wal_sender_timeout) while the
// subscriber is busy. The mean needs no place of its own: the last lag and its estimate hold it.
// 0: they may close already, or it does not become less.
int64_t EtaOfFollowing(const Change& change, const api::MigrationProgress& before,
                       int64_t lag_bytes) {
  constexpr double kMemorySeconds = 60;
  const int64_t goal = change.migration.spec.replication_lag_bytes_max;
  if (change.migration.status.phase != Phase::kCatchingUp || lag_bytes <= goal) return 0;
  if (!before.replication_lag_bytes || !before.updated_at) return 0;
  const double elapsed =
      std::chrono::duration<double>(change.seen.now - *before.updated_at).count();
  if (elapsed <= 0) return before.eta_seconds;  // The leader before had a clock that is ahead.
  const auto before_left = static_cast<double>(*before.replication_lag_bytes - goal);
  const auto left = static_cast<double>(lag_bytes - goal);
  double per_second = (before_left - left) / elapsed;
  if (before.eta_seconds > 0 && before_left > 0) {
    const double kept = std::exp(-elapsed / kMemorySeconds);
    per_second =
        kept * before_left / static_cast<double>(before.eta_seconds) + (1 - kept) * per_second;
  }
  if (per_second <= 0) return 0;
  constexpr double kWorthSayingSecondsMax = 30.0 * 24 * 3600;
  const double eta = std::ceil(left / per_second);
  return eta > kWorthSayingSecondsMax ? 0 : static_cast<int64_t>(eta);
}

// How far the following side is behind, at most every few seconds, as above.
void NoteLag(const Change& change, const Fact<PublisherFacts>& publisher,
             const Fact<SubscriberFacts>& subscriber) {
  constexpr std::chrono::seconds kLagInterval{5};
  if (!publisher.known() || !subscriber.known() || !publisher->slot) return;
  auto& progress = change.status.progress;
  bool fresh = progress.replication_lag_bytes && progress.updated_at &&
               change.seen.now - *progress.updated_at < kLagInterval;
  if (fresh) return;
  progress.eta_seconds = EtaOfFollowing(change, progress, publisher->lag_bytes);
  progress.replication_lag_bytes = publisher->lag_bytes;
  double age = subscriber->HeartbeatAgeSeconds(*publisher);
  progress.replication_lag_seconds =
      age < 0 ? std::nullopt : std::optional<int64_t>(static_cast<int64_t>(age));
  progress.updated_at = change.seen.now;
}

void NoteStream(const Change& change) {
  const Observation& seen = change.seen;
  switch (change.migration.status.phase) {
    case Phase::kCatchingUp:
    case Phase::kAwaitingCutover:
      return NoteLag(change, seen.forward_publisher, seen.forward_subscriber);
    case Phase::kHypercare:
      return NoteLag(change, seen.reverse_publisher, seen.reverse_subscriber);
    default:
      return;
  }
}

// It rides on the write that new progress is, and causes none of its own. Not in AwaitingCutover: a
// person may let it wait for days, in which nothing is to be learnt from the lag.
void NoteSample(const Change& change) {
  const api::MigrationProgress& progress = change.status.progress;
  if (!progress.updated_at) return;
  if (progress.updated_at == change.migration.status.progress.updated_at) return;
  api::Sample sample{*progress.updated_at, std::nullopt, std::nullopt};
  switch (change.migration.status.phase) {
    case Phase::kCopying:
      sample.copied_bytes = progress.bytes_copied;
      break;
    case Phase::kCatchingUp:
    case Phase::kHypercare:
      sample.lag_bytes = progress.replication_lag_bytes;
      break;
    default:
      return;
  }
  AddSample(sample, change.status.samples);
}

// What was said before users were in is no longer so.
void NoteUsersWriteOnTarget(const Change& change) {
  const api::Condition* said = change.status.conditions.Find("RollbackReady");
  if (said == nullptr || (said->reason != "UsersNotIn" && said->reason != "RoutesLedBack")) return;
  change.Set("RollbackReady", ConditionStatus::kUnknown, "NotLookedAt",
             "users write on the target; whether that arrives on the source is looked at next");
}

// Decided without the stream, which says it itself once users write on the target. It stays said
// when the routes are led away again: users may have written by then.
void NoteRoutesLedBack(const Change& change) {
  const Phase phase = change.migration.status.phase;
  const bool held = change.plan.reason == "RollbackNeedsConsent" && !change.plan.guard;
  if (!held || (phase != Phase::kOpening && phase != Phase::kSmoke)) return;
  if (UsersWriteOnTarget(change.status)) return;
  change.Set("RollbackReady", ConditionStatus::kFalse, "RoutesLedBack",
             "somebody has led the routes back to the workloads before users were to come in: what "
             "they have written on the target since is lost by going back");
}

// It is ready all the same, and how much is left exactly would be another status each round.
std::string HeadroomOfWayBack(const api::TenantMigration& migration, const Observation& seen) {
  if (!seen.reverse_publisher->RunsOutOfWal()) return "";
  return "; but server " + migration.spec.target_server_name +
         " is about to throw away WAL that the way back needs, should the source fall behind: "
         "raise max_slot_wal_keep_size there";
}

// Hypercare, and the way back with it, goes on past its time until every check has passed, and as
// long as it is held.
void NoteUntilWhen(const Change& change) {
  auto& until = change.status.rollback.available_until;
  until = EnteredAt(change.migration, change.seen) +
          std::chrono::seconds(change.migration.spec.hypercare_seconds);
  if (*until <= change.seen.now) until.reset();
}

// RollbackReady as long as the way back is there to be asked about.
void NoteWayBack(const Change& change) {
  const api::TenantMigration& migration = change.migration;
  const bool gives_up = change.plan.effect == Intent::kGiveUpWayBack;
  if (!gives_up && (!UsersWriteOnTarget(change.status) || !migration.spec.online())) return;
  const Observation& seen = change.seen;
  auto& rollback = change.status.rollback;
  if (rollback.available_until && *rollback.available_until <= seen.now)
    rollback.available_until.reset();
  if (seen.reverse_sample.known() && seen.reverse_sample->taken_at) {
    rollback.sampled_at = std::chrono::floor<std::chrono::seconds>(*seen.reverse_sample->taken_at);
    rollback.sampled_rows = seen.reverse_sample->rows;
  }
  if (gives_up || WayBackIsGivenUp(migration, seen)) {
    rollback.available_until.reset();
    return change.Set("RollbackReady", ConditionStatus::kFalse, "WayBackGivenUp",
                      DescribeWayBackGivenUp(migration));
  }
  if (seen.reverse_publisher.unseen() || seen.reverse_subscriber.unseen() ||
      seen.reverse_sample.unseen() || seen.structure.unseen())
    return NoteUsersWriteOnTarget(change);
  if (WayBackIsOpen(seen)) {
    if (migration.status.phase == Phase::kHypercare) NoteUntilWhen(change);
    return change.Set("RollbackReady", ConditionStatus::kTrue, "StreamFollows",
                      "everything that users write on the target arrives on the source" +
                          (seen.reverse_sample->not_compared.empty()
                               ? std::string()
                               : "; not compared row by row, being large and without a key: " +
                                     seen.reverse_sample->not_compared) +
                          HeadroomOfWayBack(migration, seen));
  }
  rollback.available_until.reset();
  const bool differs = FollowsBack(seen) && seen.structure.known() && seen.reverse_sample.known();
  change.Set("RollbackReady", ConditionStatus::kFalse,
             StructureDiffers(seen)   ? "SchemaChanged"
             : SourceFailedOver(seen) ? "SourceFailedOver"
             : differs                ? "SampleDiffers"
                                      : "StreamBroken",
             WhyWayBackIsShut(seen));
}

// A stream that is held up carries nothing, and one that goes on again is not in step before it has
// been seen to be.
void NoteInSync(const Change& change) {
  static constexpr char kType[] = "InSync";
  const Plan& plan = change.plan;
  const Phase phase = change.migration.status.phase;
  const bool follows = phase == Phase::kCatchingUp || phase == Phase::kAwaitingCutover;
  const api::Condition* said = change.status.conditions.Find(kType);
  if (!change.migration.spec.online() || !follows || plan.guard || plan.look_at) return;
  if (plan.reason == "ApplyFails" || plan.reason == "SchemaChanged")
    return change.Set(kType, ConditionStatus::kFalse, plan.reason, plan.message);
  const auto& seen = change.seen;
  if (!said || !seen.forward_publisher.known() || !seen.forward_subscriber.known()) return;
  const bool was_held = said->reason == "ApplyFails" || said->reason == "SchemaChanged";
  if (phase == Phase::kAwaitingCutover && FollowsClosely(change.migration, seen))
    return change.Set(kType, ConditionStatus::kTrue, "Following",
                      "the target follows the source closely");
  if (!was_held) return;
  change.Set(kType, ConditionStatus::kFalse, "Behind",
             "the target follows again, and catches up by itself");
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

// What the report of an equal copy says behind that: which changes nobody has compared.
std::string LeftOut(const api::VerificationStatus& verification) {
  const size_t at = verification.report.find("; ");
  return at == std::string::npos ? "" : verification.report.substr(at);
}

// ", and for 2m11s before, when the cutover was undone": what users remember of it.
std::string PauseBefore(const api::CutoverStatus& cutover) {
  if (cutover.earlier_pause_milliseconds == 0) return "";
  const std::chrono::milliseconds earlier(cutover.earlier_pause_milliseconds);
  return ", and for " + api::FormatPause(earlier) + " before, when the cutover was undone";
}

std::string EndMessage(const api::TenantMigrationStatus& status) {
  switch (status.phase) {
    case Phase::kCompleted:
      return "moved to the target: " + std::to_string(status.verification.tables) + " tables, " +
             std::to_string(status.verification.rows) + " rows equal; doors closed for " +
             std::to_string(status.cutover.write_pause_milliseconds) + " ms" +
             PauseBefore(status.cutover) + LeftOut(status.verification);
    case Phase::kAborted:
      return "aborted, everything is as it was (" + status.failure_message + ")";
    case Phase::kFailed:
      if (status.failure_reason == "PreflightFailed" || status.failure_reason == "PlacementBusy")
        return status.failure_message;
      // Another attempt would find the same window.
      return "failed, everything is as it was: " + status.failure_message +
             (status.failure_reason == "WindowMissed"
                  ? ""
                  : "; to try again, set a new cutover.dev/retry token");
    case Phase::kRolledBack:
      return "rolled back, the tenant works on the source as before: " + status.failure_message +
             "; the copy on the target stays, fenced, until this TenantMigration is deleted";
    default:
      return "";
  }
}

// What keeps the source after its retention is no part of how the move ended.
void NoteRetention(const Change& change) {
  const Plan& plan = change.plan;
  if (plan.guard || plan.message.empty() || change.migration.meta.deleting()) return;
  change.Set("SourceReclaimed", ConditionStatus::kFalse, plan.reason.empty() ? "Kept" : plan.reason,
             plan.message);
}

// How an end is summed up is part of the record: once it is there, and of this generation, it
// stays. A later operator that words it otherwise does not write to every migration there ever was.
bool IsSummedUp(const Change& change) {
  const api::TenantMigration& before = change.migration;
  return before.status.phase == change.status.phase &&
         before.status.observed_generation == before.meta.generation &&
         before.status.conditions.Find("Ready") && before.status.conditions.Find("Succeeded");
}

void SumUpEnd(const Change& change) {
  api::TenantMigrationStatus& status = change.status;
  std::string phase_name(Name(status.phase));
  std::string message = EndMessage(status);
  status.conditions.Remove("Reconciling");
  if (status.phase == Phase::kCompleted) {
    change.Set("Ready", ConditionStatus::kTrue, phase_name, message);
    change.Set("Succeeded", ConditionStatus::kTrue, phase_name, message);
    status.conditions.Remove("Stalled");
    return;
  }
  std::string reason = status.failure_reason.empty() ? phase_name : status.failure_reason;
  change.Set("Ready", ConditionStatus::kFalse, phase_name, message);
  change.Set("Succeeded", ConditionStatus::kFalse, reason, message);
  change.Set("Stalled", ConditionStatus::kTrue, phase_name, message);
}

// kstatus (cli-utils): Reconciling and Stalled exist only while True; Stalled only where nothing
// will happen without a person. field-notes/kubernetes.md section 2 has the table.
void SetSummary(const Change& change) {
  api::TenantMigrationStatus& status = change.status;
  const Plan& plan = change.plan;
  Phase phase = status.phase;
  if (IsEnd(phase)) {
    if (!IsSummedUp(change)) SumUpEnd(change);
    if (phase == Phase::kCompleted) NoteRetention(change);
    return;
  }
  std::string reason = plan.reason.empty() || plan.guard ? std::string(Name(phase)) : plan.reason;
  change.Set("Ready", ConditionStatus::kFalse, reason, status.message);
  change.Set("Succeeded", ConditionStatus::kUnknown, "Running", status.message);
  change.Set("Reconciling", ConditionStatus::kTrue,
             plan.trouble ? "ProgressingWithRetry" : "Progressing", status.message);
  status.conditions.Remove("Stalled");
  if (phase == Phase::kPreflight && plan.reason == "PreflightFailed")
    change.Set("PreflightPassed", ConditionStatus::kFalse, "PreflightFailed", plan.message);
  // Nothing stands in the way any more, and somebody holds it all the same.
  if (phase == Phase::kPreflight && plan.reason == "Suspended")
    change.Set("PreflightPassed", ConditionStatus::kTrue, "Passed", "every check passed");
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
  NoteCopy(change);
  NoteDoorsClosed(change);
  NoteWaitWithDoorsOpen(change);
  NoteFenceOfTarget(change);
  NoteDoorsOpen(change);
  NoteStream(change);
  NoteSample(change);
  NoteWayBack(change);
  NoteRoutesLedBack(change);
  NoteInSync(change);
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
