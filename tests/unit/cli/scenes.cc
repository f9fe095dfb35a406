// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/scenes.h"

#include <algorithm>

#include "cli/view/phases.h"

namespace cutover::cli::testing {
namespace {

using api::ConditionStatus;
using api::Phase;
using std::chrono::seconds;

constexpr int64_t kBytes = 596'000'000;

// CatchingUp is of the strategy Online alone.
std::string_view StrategyOf(Phase phase) {
  return Name(phase) == "CatchingUp" ? "Online" : "Offline";
}

size_t PlaceOf(std::string_view phase, std::string_view strategy = "Offline") {
  const auto pipeline = Pipeline(strategy);
  return static_cast<size_t>(std::find(pipeline.begin(), pipeline.end(), phase) - pipeline.begin());
}

bool Reached(const api::TenantMigration& migration, std::string_view phase) {
  for (const api::Stage& stage : migration.status.stages)
    if (stage.name == phase) return true;
  return false;
}

void Set(api::TenantMigration& migration, const char* type, ConditionStatus status,
         const std::string& reason, const std::string& message) {
  migration.status.conditions.Set({type, status, reason, message, migration.meta.generation, {}},
                                  Night() - seconds(42));
}

void AddStage(api::TenantMigration& migration, std::string_view name, WallTime start,
              std::optional<WallTime> end) {
  api::Stage stage;
  stage.name = name;
  stage.started_at = start;
  stage.completed_at = end;
  stage.state = end ? "Succeeded" : "Running";
  migration.status.stages.push_back(stage);
}

// The last phase of the pipeline before a phase that is not in it.
size_t LastForward(Phase phase) {
  switch (phase) {
    case Phase::kUndoing:
    case Phase::kAborted:
    case Phase::kFailed:
      return PlaceOf("Copying");
    case Phase::kRollingBack:
    case Phase::kRolledBack:
      return PlaceOf("Smoke");
    default:
      return PlaceOf("Completing");
  }
}

std::vector<std::string_view> Path(Phase phase, std::string_view strategy) {
  const auto pipeline = Pipeline(strategy);
  std::vector<std::string_view> path{"Pending"};
  const size_t place = PlaceOf(Name(phase), strategy);
  if (phase == Phase::kPending) return path;
  const size_t last = place < pipeline.size() ? place : LastForward(phase);
  for (size_t i = 0; i <= last; ++i) path.push_back(pipeline[i]);
  if (phase == Phase::kAborted || phase == Phase::kFailed) path.push_back("Undoing");
  if (phase == Phase::kRolledBack) path.push_back("RollingBack");
  if (place >= pipeline.size()) path.push_back(Name(phase));
  return path;
}

void Measure(api::TenantMigration& migration) {
  auto& status = migration.status;
  if (!Reached(migration, "Copying")) return;
  const bool catching_up = Reached(migration, "CatchingUp");
  if (catching_up) {
    status.progress.replication_lag_bytes = 12'400'000;
    status.progress.replication_lag_seconds = 3;
  }
  const bool copying = !catching_up && !Reached(migration, "Finalizing");
  status.progress.bytes_total = kBytes;
  status.progress.bytes_copied = copying ? 512'000'000 : kBytes;
  status.progress.tables_total = 412;
  status.progress.tables_copied = copying ? 377 : 412;
  status.progress.rows_copied = copying ? 2'990'416 : 3'481'220;
  status.progress.eta_seconds = copying ? 7 : 0;
  status.progress.updated_at = Night() - seconds(2);
  for (api::Stage& stage : status.stages) {
    if (stage.name != "Copying") continue;
    stage.done = status.progress.bytes_copied;
    stage.total = kBytes;
    stage.unit = "bytes";
  }
}

void TimeTheDoors(api::TenantMigration& migration) {
  auto& status = migration.status;
  for (const api::Stage& stage : status.stages) {
    if (stage.name == "Fencing") {
      status.cutover.fenced_at = stage.started_at;
      status.cutover.attempts = 1;
    }
    if (stage.name == "Opening") status.cutover.journaled_at = stage.started_at;
    if (stage.name == "Hypercare" || stage.name == "Aborted" || stage.name == "Failed" ||
        stage.name == "RolledBack")
      status.cutover.opened_at = stage.started_at;
  }
  const auto& [fenced_at, opened_at] =
      std::pair(status.cutover.fenced_at, status.cutover.opened_at);
  if (fenced_at && opened_at)
    status.cutover.write_pause_milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(*opened_at - *fenced_at).count();
}

void Prove(api::TenantMigration& migration) {
  if (!Reached(migration, "Finalizing")) return;
  migration.status.verification = {"rows", 412, 3'481'220, 0, Night() - seconds(60), "equal"};
}

void SayWhatHolds(api::TenantMigration& migration) {
  const Phase phase = migration.status.phase;
  if (phase == Phase::kOpening || phase == Phase::kSmoke || phase == Phase::kAdmitting)
    Set(migration, "RollbackReady", ConditionStatus::kTrue, "UsersNotIn",
        "going back loses nothing: users are not in yet");
  if (phase == Phase::kHypercare || phase == Phase::kCompleting || phase == Phase::kCompleted)
    Set(migration, "RollbackReady", ConditionStatus::kFalse, "NoReverseStream",
        "users write on the target; strategy Offline carries nothing back");
}

void End(api::TenantMigration& migration, const std::string& reason, const std::string& failure,
         const std::string& message) {
  auto& status = migration.status;
  const std::string phase(Name(status.phase));
  status.message = message;
  status.failure_reason = reason;
  status.failure_message = failure;
  const bool good = status.phase == Phase::kCompleted;
  Set(migration, "Ready", good ? ConditionStatus::kTrue : ConditionStatus::kFalse, phase, message);
  Set(migration, "Succeeded", good ? ConditionStatus::kTrue : ConditionStatus::kFalse,
      good ? phase : reason, message);
  if (!good) Set(migration, "Stalled", ConditionStatus::kTrue, phase, message);
  status.conditions.Remove("Reconciling");
  for (api::Stage& stage : status.stages)
    if (!good && stage.name == (status.phase == Phase::kRolledBack ? "Smoke" : "Copying"))
      stage.state = "Failed";
}

void GoBackFor(api::TenantMigration& migration, const std::string& reason,
               const std::string& failure) {
  auto& status = migration.status;
  status.failure_reason = reason;
  status.failure_message = failure;
  for (api::Stage& stage : status.stages)
    if (stage.name == (status.phase == Phase::kUndoing ? "Copying" : "Smoke"))
      stage.state = "Failed";
}

const char* MessageOf(Phase phase) {
  switch (phase) {
    case Phase::kCopying:
      return "copying 512/596 MB, 377 of 412 tables";
    case Phase::kBackingUp:
      return "backing up to claim backups";
    case Phase::kFencing:
      return "Deployment odoo: 1 pod still running";
    case Phase::kHypercare:
      return "users are in; watching until 2026-11-21T03:13:23Z";
    case Phase::kUndoing:
      return "opening the source database again";
    case Phase::kRollingBack:
      return "fencing the target database";
    default:
      return "";
  }
}

}  // namespace

WallTime Night() { return *ParseTime("2026-11-21T03:04:05Z"); }

namespace {

api::TenantMigration MigrationOf(Phase phase, std::string_view strategy) {
  api::TenantMigration migration;
  migration.meta.name = "acme-to-dedicated";
  migration.meta.namespace_name = "acme";
  migration.meta.uid = "6e1f0c1e-0a52-4c52-9a3b-5d8f2f6f9a11";
  migration.meta.resource_version = "4711";
  migration.meta.generation = 1;
  migration.spec.placement_name = "acme";
  migration.spec.target_server_name = "pg-dedicated";
  if (strategy == "Online") migration.spec.strategy = api::Strategy::kOnline;
  migration.status.phase = phase;
  migration.status.observed_generation = 1;
  if (phase != Phase::kPending) {
    migration.status.attempt = 1;
    migration.status.source_server_name = "pg-shared";
  }
  const auto path = Path(phase, strategy);
  WallTime at = Night() - seconds(42) - seconds(10) * static_cast<int>(path.size() - 1);
  migration.meta.creation_timestamp = at;
  for (size_t i = 0; i < path.size(); ++i, at += seconds(10)) {
    const bool last = i + 1 == path.size();
    AddStage(migration, path[i], at,
             !last || IsEnd(path[i]) ? std::optional(last ? at : at + seconds(10)) : std::nullopt);
  }
  return migration;
}

}  // namespace

api::TenantMigration MigrationIn(Phase phase) { return MigrationOf(phase, StrategyOf(phase)); }

void GoOn(api::TenantMigration& migration, const std::string& reason, const std::string& message,
          bool trouble) {
  migration.status.message = message;
  migration.status.reason_since = Night() - seconds(12);
  Set(migration, "Ready", ConditionStatus::kFalse, reason, message);
  Set(migration, "Succeeded", ConditionStatus::kUnknown, "Running", message);
  Set(migration, "Reconciling", ConditionStatus::kTrue,
      trouble ? "ProgressingWithRetry" : "Progressing", message);
}

Json ObjectOf(const api::TenantMigration& migration) {
  const auto& meta = migration.meta;
  Json annotations = Json::Object();
  for (const auto& [key, value] : meta.annotations) annotations.Set(key, value);
  Json metadata = Json::Object({{"name", meta.name},
                                {"namespace", meta.namespace_name},
                                {"uid", meta.uid},
                                {"resourceVersion", meta.resource_version},
                                {"generation", meta.generation},
                                {"creationTimestamp", FormatTime(*meta.creation_timestamp)},
                                {"annotations", annotations}});
  if (meta.deletion_timestamp)
    metadata.Set("deletionTimestamp", FormatTime(*meta.deletion_timestamp));
  const auto& spec = migration.spec;
  Json cutover = Json::Object({{"approval", Name(spec.approval)},
                               {"switch", Name(spec.switch_mode)},
                               {"maxWritePauseSeconds", spec.max_write_pause_seconds}});
  if (spec.window_start)
    cutover.Set("window", Json::Object({{"start", FormatTime(*spec.window_start)},
                                        {"end", FormatTime(*spec.window_end)}}));
  Json hypercare = Json::Object({{"durationSeconds", spec.hypercare_seconds}});
  if (spec.on_failed_checks == api::OnFailedChecks::kRollback)
    hypercare.Set("onFailedChecks", "Rollback");
  return Json::Object(
      {{"apiVersion", api::kApiVersion},
       {"kind", "TenantMigration"},
       {"metadata", metadata},
       {"spec",
        Json::Object({{"placementRef", Json::Object({{"name", spec.placement_name}})},
                      {"target", Json::Object({{"serverName", spec.target_server_name}})},
                      {"strategy", Name(spec.strategy)},
                      {"backup", Json::Object({{"mode", Name(spec.backup_mode)}})},
                      {"verification", Json::Object({{"level", Name(spec.verification_level)}})},
                      {"cutover", cutover},
                      {"hypercare", hypercare},
                      {"source", Json::Object({{"retentionSeconds", spec.retention_seconds},
                                               {"reclaimPolicy", Name(spec.reclaim_policy)}})},
                      {"suspend", spec.suspend}})},
       {"status", api::EncodeStatus(migration.status)}});
}

Snapshot Seen(const api::TenantMigration& migration) {
  Snapshot seen;
  seen.now = Night();
  seen.migration = ViewOf(ObjectOf(migration));
  auto server = [](const std::string& name, const std::string& version) {
    api::DatabaseServer made;
    made.meta.name = name;
    made.status.version = version;
    made.status.conditions.Set({"Ready", ConditionStatus::kTrue, "Probed", "", 1, {}}, Night());
    return std::optional(made);
  };
  seen.source = server("pg-shared", "15.20");
  seen.target = server("pg-dedicated", "17.11");
  api::DatabasePlacement placement;
  placement.meta.name = "acme";
  placement.spec.database_name = "acme";
  const bool is_there = Reached(migration, "Smoke") && !Reached(migration, "RolledBack");
  placement.status.server_name = is_there ? "pg-dedicated" : "pg-shared";
  placement.status.database_size_bytes = kBytes;
  placement.status.conditions.Set({"Ready", ConditionStatus::kTrue, "Placed", "", 1, {}}, Night());
  seen.placement = std::optional(placement);
  seen.lease = std::optional(
      OperatorLease{"cutover-operator-6b8d4c9f7-x2x5k_9f3a", Night() - seconds(3), seconds(15)});
  return seen;
}

api::TenantMigration Typical(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  Measure(migration);
  TimeTheDoors(migration);
  Prove(migration);
  SayWhatHolds(migration);
  if (phase == Phase::kHypercare) migration.spec.hypercare_seconds = 600;
  switch (phase) {
    case Phase::kAwaitingCutover:
      migration.spec.approval = api::Approval::kManual;
      GoOn(migration, "AwaitingApproval",
           "ready to close the doors; answer with: kubectl annotate tm acme-to-dedicated");
      break;
    case Phase::kCompleted:
      End(migration, "", "",
          "moved to the target: 412 tables, 3481220 rows equal; doors closed for 48300 ms");
      break;
    case Phase::kAborted:
      End(migration, "AbortRequested", "a person aborted",
          "aborted, everything is as it was (a person aborted)");
      break;
    case Phase::kFailed:
      End(migration, "CopyFailed", "the target's disk is full",
          "failed, everything is as it was: the target's disk is full; to try again, set a new "
          "cutover.dev/retry token");
      break;
    case Phase::kRolledBack:
      End(migration, "SmokeFailed", "check login-page: HTTP 502",
          "rolled back, the tenant works on the source as before: check login-page: HTTP 502; the "
          "copy on the target stays, fenced, until this TenantMigration is deleted");
      break;
    case Phase::kUndoing:
    case Phase::kRollingBack:
      GoOn(migration, std::string(Name(phase)), MessageOf(phase));
      GoBackFor(
          migration, phase == Phase::kUndoing ? "CopyFailed" : "SmokeFailed",
          phase == Phase::kUndoing ? "the target's disk is full" : "check login-page: HTTP 502");
      break;
    default:
      GoOn(migration, std::string(Name(phase)), MessageOf(phase));
  }
  return migration;
}

api::TenantMigration OnlineInHypercare() {
  api::TenantMigration migration = MigrationOf(Phase::kHypercare, "Online");
  Measure(migration);
  TimeTheDoors(migration);
  Prove(migration);
  migration.status.cutover.write_pause_milliseconds = 640;
  migration.status.progress.replication_lag_bytes = 720'000;
  migration.status.rollback.available_until = Night() + std::chrono::hours(24);
  Set(migration, "RollbackReady", ConditionStatus::kTrue, "StreamFollows",
      "everything that users write on the target arrives on the source");
  GoOn(migration, "Hypercare", "users are in; watching until 2026-11-22T03:04:05Z");
  return migration;
}

api::CheckStatus CheckThat(const std::string& name, api::CheckResult result, int64_t failures,
                           const std::string& message) {
  api::CheckStatus check;
  check.name = name;
  check.result = result;
  check.message = message;
  check.runs = 40;
  check.last_run_at = Night() - seconds(12);
  check.failure_threshold = 16;
  check.consecutive_failures = failures;
  if (failures > 0) check.failing_since = Night() - seconds(12 + 10 * (failures - 1));
  return check;
}

std::vector<Phase> AllPhases() {
  std::vector<Phase> phases;
  // Enumerators are consecutive; the order may change, and what comes last.
  for (int i = 0; i < 64; ++i)
    for (const char* name :
         {"Pending", "Preflight", "BackingUp",   "Preparing",  "CatchingUp", "AwaitingCutover",
          "Fencing", "Copying",   "Finalizing",  "Verifying",  "Switching",  "Opening",
          "Smoke",   "Admitting", "Hypercare",   "Completing", "Completed",  "Undoing",
          "Aborted", "Failed",    "RollingBack", "RolledBack"})
      if (auto phase = api::ParsePhase(name); phase && static_cast<int>(*phase) == i)
        phases.push_back(*phase);
  return phases;
}

}  // namespace cutover::cli::testing
