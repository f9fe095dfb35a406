// SPDX-License-Identifier: Apache-2.0
#include "operator/api/tenant_migration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "operator/api/field_reader.h"
#include "operator/api/field_writer.h"
#include "operator/api/migration_status_reader.h"

namespace cutover::api {
namespace {

constexpr EnumNames<Phase, 22> kPhaseNames{{{Phase::kPending, "Pending"},
                                            {Phase::kPreflight, "Preflight"},
                                            {Phase::kBackingUp, "BackingUp"},
                                            {Phase::kPreparing, "Preparing"},
                                            {Phase::kCatchingUp, "CatchingUp"},
                                            {Phase::kAwaitingCutover, "AwaitingCutover"},
                                            {Phase::kFencing, "Fencing"},
                                            {Phase::kCopying, "Copying"},
                                            {Phase::kFinalizing, "Finalizing"},
                                            {Phase::kVerifying, "Verifying"},
                                            {Phase::kSwitching, "Switching"},
                                            {Phase::kOpening, "Opening"},
                                            {Phase::kSmoke, "Smoke"},
                                            {Phase::kAdmitting, "Admitting"},
                                            {Phase::kHypercare, "Hypercare"},
                                            {Phase::kCompleting, "Completing"},
                                            {Phase::kCompleted, "Completed"},
                                            {Phase::kUndoing, "Undoing"},
                                            {Phase::kAborted, "Aborted"},
                                            {Phase::kFailed, "Failed"},
                                            {Phase::kRollingBack, "RollingBack"},
                                            {Phase::kRolledBack, "RolledBack"}}};
constexpr EnumNames<Strategy, 2> kStrategyNames{
    {{Strategy::kOffline, "Offline"}, {Strategy::kOnline, "Online"}}};
constexpr EnumNames<SwitchMode, 2> kSwitchModeNames{
    {{SwitchMode::kRestart, "Restart"}, {SwitchMode::kPooler, "Pooler"}}};
constexpr EnumNames<ReplicaIdentity, 2> kReplicaIdentityNames{
    {{ReplicaIdentity::kRefuse, "Refuse"}, {ReplicaIdentity::kSetFull, "SetFull"}}};
constexpr EnumNames<OnSchemaChange, 2> kOnSchemaChangeNames{
    {{OnSchemaChange::kHold, "Hold"}, {OnSchemaChange::kCopyAgain, "CopyAgain"}}};
constexpr EnumNames<OnFailedChecks, 2> kOnFailedChecksNames{
    {{OnFailedChecks::kHold, "Hold"}, {OnFailedChecks::kRollback, "Rollback"}}};
constexpr EnumNames<BackupMode, 2> kBackupModeNames{
    {{BackupMode::kRequired, "Required"}, {BackupMode::kSkip, "Skip"}}};
constexpr EnumNames<VerificationLevel, 2> kVerificationLevelNames{
    {{VerificationLevel::kCounts, "Counts"}, {VerificationLevel::kRows, "Rows"}}};
constexpr EnumNames<Approval, 2> kApprovalNames{
    {{Approval::kAutomatic, "Automatic"}, {Approval::kManual, "Manual"}}};
constexpr EnumNames<ReclaimPolicy, 2> kReclaimPolicyNames{
    {{ReclaimPolicy::kRetain, "Retain"}, {ReclaimPolicy::kDelete, "Delete"}}};
constexpr EnumNames<CheckWhen, 3> kCheckWhenNames{{{CheckWhen::kPreflight, "Preflight"},
                                                   {CheckWhen::kSmoke, "Smoke"},
                                                   {CheckWhen::kHypercare, "Hypercare"}}};
constexpr EnumNames<CheckResult, 3> kCheckResultNames{{{CheckResult::kUnknown, "Unknown"},
                                                       {CheckResult::kPassed, "Passed"},
                                                       {CheckResult::kFailed, "Failed"}}};
constexpr EnumNames<PreflightResult, 4> kPreflightResultNames{
    {{PreflightResult::kPassed, "Passed"},
     {PreflightResult::kWarning, "Warning"},
     {PreflightResult::kBlocking, "Blocking"},
     {PreflightResult::kHopeless, "Hopeless"}}};

HttpCheck ReadHttpCheck(FieldReader fields) {
  HttpCheck check;
  check.url = fields.RequiredString("url");
  check.host = fields.String("host");
  check.expected_status = fields.Count("expectedStatus", check.expected_status);
  check.expected_text = fields.String("expectedText");
  return check;
}

SqlCheck ReadSqlCheck(FieldReader fields) {
  SqlCheck check;
  check.query = fields.RequiredString("query");
  if (!fields.Has("expected")) fields.Fail("expected", "must be set");
  check.expected = fields.String("expected");
  return check;
}

JobCheck ReadJobCheck(FieldReader fields) {
  return {fields.RequiredObject("cronJobRef").RequiredString("name")};
}

// Numbers of this kind come as texts, as Kubernetes has them: not every client keeps a fraction.
std::optional<double> ReadDecimal(FieldReader& fields, std::string_view key) {
  std::string text = fields.String(key);
  if (text.empty()) return std::nullopt;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number))
    fields.Fail(key, "must be a decimal number in quotes, such as \"0.05\"");
  return number;
}

PrometheusCheck ReadPrometheusCheck(FieldReader fields) {
  PrometheusCheck check;
  check.url = fields.RequiredString("url");
  check.query = fields.RequiredString("query");
  check.min = ReadDecimal(fields, "min");
  check.max = ReadDecimal(fields, "max");
  if (!check.min && !check.max) fields.Fail("max", "must be set, or min");
  return check;
}

void ReadQuestion(FieldReader& fields, Check& check) {
  int questions = 0;
  for (const char* kind : {"http", "sql", "job", "prometheus"}) questions += fields.Has(kind);
  if (questions != 1)
    fields.Fail("http", "exactly one of http, sql, job and prometheus must be set");
  if (fields.Has("http")) check.http = ReadHttpCheck(fields.Object("http"));
  if (fields.Has("sql")) check.sql = ReadSqlCheck(fields.Object("sql"));
  if (fields.Has("job")) check.job = ReadJobCheck(fields.Object("job"));
  if (fields.Has("prometheus")) check.prometheus = ReadPrometheusCheck(fields.Object("prometheus"));
}

Check ReadCheck(FieldReader& fields) {
  Check check;
  check.name = fields.RequiredString("name");
  ReadQuestion(fields, check);
  check.timeout_seconds = fields.Count("timeoutSeconds", check.timeout_seconds);
  check.interval_seconds = fields.Count("intervalSeconds", check.interval_seconds);
  check.failure_threshold = fields.Count("failureThreshold", check.failure_threshold);
  // A check that fails before it has run would pass for one that was asked.
  if (check.failure_threshold < 1) fields.Fail("failureThreshold", "must be at least 1");
  check.max_latency_milliseconds = fields.Count("maxLatencyMilliseconds", 0);
  check.max_latency_over_baseline_percent =
      fields.Count("maxLatencyOverBaselinePercent", check.max_latency_over_baseline_percent);
  check.when = fields.Enums("when", kCheckWhenNames);
  // A check that is never asked would pass for one that succeeded.
  if (check.when.empty()) fields.Fail("when", "must name at least one moment");
  if (check.job && check.At(CheckWhen::kPreflight))
    fields.Fail("when", "a job asks the tenant's new place, which is not there in Preflight");
  return check;
}

MaintenancePage ReadMaintenancePage(FieldReader fields) {
  MaintenancePage page;
  page.title = fields.String("title", page.title);
  page.message = fields.String("message", page.message);
  page.retry_after_seconds = fields.Count("retryAfterSeconds", page.retry_after_seconds);
  return page;
}

void ReadBackup(FieldReader fields, TenantMigrationSpec& spec) {
  spec.backup_mode = fields.Enum("mode", kBackupModeNames, spec.backup_mode);
  spec.backup_claim_name = fields.String("claimName");
  if (spec.backup_mode == BackupMode::kRequired && spec.backup_claim_name.empty())
    fields.Fail("claimName", "must be set, since backup.mode is Required");
}

void ReadCopy(FieldReader fields, TenantMigrationSpec& spec) {
  spec.copy_jobs = fields.Count("jobs", spec.copy_jobs);
  spec.copy_rate_mebibytes_per_second_max =
      fields.Count("maxRateMebibytesPerSecond", spec.copy_rate_mebibytes_per_second_max);
  spec.copy_throttle_query = fields.String("throttleQuery");
  spec.copy_exclude_tables = fields.Strings("excludeTables");
  spec.copy_accept = fields.Strings("accept");
  spec.retained_wal_bytes_max = fields.Int("maxRetainedWalBytes", spec.retained_wal_bytes_max);
  spec.replica_identity =
      fields.Enum("replicaIdentity", kReplicaIdentityNames, spec.replica_identity);
  spec.on_schema_change =
      fields.Enum("onSchemaChange", kOnSchemaChangeNames, spec.on_schema_change);
}

void ReadCutover(FieldReader fields, TenantMigrationSpec& spec) {
  spec.approval = fields.Enum("approval", kApprovalNames, spec.approval);
  FieldReader window = fields.Object("window");
  spec.window_start = window.Time("start");
  spec.window_end = window.Time("end");
  if (spec.window_start.has_value() != spec.window_end.has_value())
    fields.Fail("window", "start and end must both be set");
  spec.switch_mode = fields.Enum("switch", kSwitchModeNames, spec.switch_mode);
  if (spec.by_pooler() && !spec.online())
    fields.Fail("switch", "Pooler needs strategy Online, since clients wait meanwhile");
  spec.replication_lag_bytes_max =
      fields.Int("maxReplicationLagBytes", spec.replication_lag_bytes_max);
  spec.max_write_pause_seconds = fields.Count("maxWritePauseSeconds", spec.max_write_pause_seconds);
  spec.maintenance_page = ReadMaintenancePage(fields.Object("maintenancePage"));
}

TenantMigrationSpec ReadSpec(FieldReader fields) {
  TenantMigrationSpec spec;
  spec.placement_name = fields.RequiredObject("placementRef").RequiredString("name");
  spec.target_server_name = fields.RequiredObject("target").RequiredString("serverName");
  spec.strategy = fields.Enum("strategy", kStrategyNames, spec.strategy);
  ReadBackup(fields.RequiredObject("backup"), spec);
  ReadCopy(fields.Object("copy"), spec);
  spec.verification_level =
      fields.Object("verification").Enum("level", kVerificationLevelNames, spec.verification_level);
  ReadCutover(fields.Object("cutover"), spec);
  fields.ForEach("checks", [&](FieldReader& item) { spec.checks.push_back(ReadCheck(item)); });
  FieldReader hypercare = fields.Object("hypercare");
  spec.hypercare_seconds = hypercare.Count("durationSeconds", spec.hypercare_seconds);
  spec.on_failed_checks =
      hypercare.Enum("onFailedChecks", kOnFailedChecksNames, spec.on_failed_checks);
  if (spec.on_failed_checks == OnFailedChecks::kRollback && !spec.online())
    hypercare.Fail("onFailedChecks", "Rollback needs strategy Online, which carries writes back");
  FieldReader source = fields.Object("source");
  spec.source_server_name = source.String("serverName");
  spec.retention_seconds = source.Count("retentionSeconds", spec.retention_seconds);
  spec.reclaim_policy = source.Enum("reclaimPolicy", kReclaimPolicyNames, spec.reclaim_policy);
  spec.suspend = fields.Bool("suspend", spec.suspend);
  return spec;
}

Stage ReadStage(FieldReader& fields) {
  Stage stage;
  stage.name = fields.RequiredString("name");
  stage.state = fields.RequiredString("state");
  stage.started_at = fields.Time("startedAt");
  stage.completed_at = fields.Time("completedAt");
  stage.message = fields.String("message");
  FieldReader progress = fields.Object("progress");
  stage.done = progress.Int("done");
  stage.total = progress.Int("total");
  stage.unit = progress.String("unit");
  return stage;
}

Json EncodePreflight(const PreflightStatus& preflight) {
  if (preflight.lines.empty()) return Json();
  Json lines = Json::Array();
  for (size_t i = 0; i < std::min(preflight.lines.size(), kPreflightLinesMax); ++i) {
    const PreflightLine& line = preflight.lines[i];
    FieldWriter fields;
    fields.Text("name", line.name)
        .Text("result", Name(line.result))
        .Text("message", line.message, kStageMessageLengthMax);
    lines.Append(fields.Take());
  }
  FieldWriter fields;
  fields.Time("lookedAt", preflight.looked_at).Value("checks", std::move(lines));
  return fields.Take();
}

std::optional<int64_t> ReadOptionalInt(FieldReader& fields, std::string_view key) {
  return fields.Has(key) ? std::optional(fields.Int(key)) : std::nullopt;
}

TenantMigrationStatus ReadStatus(FieldReader fields) {
  TenantMigrationStatus status;
  status.phase = fields.Enum("phase", kPhaseNames, status.phase);
  status.message = fields.String("message");
  status.reason_since = fields.Time("reasonSince");
  status.observed_generation = fields.Int("observedGeneration");
  status.source_server_name = fields.String("sourceServerName");
  status.placement_generation = fields.Int("placementGeneration");
  status.attempt = fields.Int("attempt");
  status.failure_reason = fields.String("failureReason");
  status.failure_message = fields.String("failureMessage");
  status.conditions = ReadConditions(fields);
  status.preflight = ReadPreflight(fields.Object("preflight"));
  fields.ForEach("stages", [&](FieldReader& item) { status.stages.push_back(ReadStage(item)); });
  status.progress = ReadProgress(fields.Object("progress"));
  status.samples = ReadSamples(fields);
  status.cutover = ReadCutoverStatus(fields.Object("cutover"));
  status.rollback = ReadRollback(fields.Object("rollback"));
  status.verification = ReadVerification(fields.Object("verification"));
  status.checks = ReadCheckStatuses(fields);
  status.handled = ReadHandled(fields.Object("handled"));
  return status;
}

Json EncodeStage(const Stage& stage) {
  FieldWriter fields;
  fields.Text("name", stage.name)
      .Text("state", stage.state)
      .PreciseTime("startedAt", stage.started_at)
      .PreciseTime("completedAt", stage.completed_at)
      .Text("message", stage.message, kStageMessageLengthMax);
  if (!stage.unit.empty()) {
    FieldWriter progress;
    progress.Count("done", stage.done).Count("total", stage.total).Text("unit", stage.unit, 32);
    fields.Value("progress", progress.Take());
  }
  return fields.Take();
}

Json EncodeStages(const std::vector<Stage>& stages) {
  // Many attempts make many stages; people want the latest.
  size_t first = stages.size() - std::min(stages.size(), kStagesMax);
  Json encoded = Json::Array();
  for (size_t i = first; i < stages.size(); ++i) encoded.Append(EncodeStage(stages[i]));
  return encoded;
}

Json EncodeProgress(const MigrationProgress& progress) {
  if (progress == MigrationProgress()) return Json();
  FieldWriter fields;
  fields.Count("bytesCopied", progress.bytes_copied)
      .Count("bytesTotal", progress.bytes_total)
      .Count("tablesCopied", progress.tables_copied)
      .Count("tablesTotal", progress.tables_total)
      .Count("rowsCopied", progress.rows_copied)
      .Count("etaSeconds", progress.eta_seconds)
      .Text("summary", Summary(progress));
  if (progress.eta_seconds > 0)
    fields.Text("eta", FormatDuration(std::chrono::seconds(progress.eta_seconds)));
  // A lag of 0 is worth saying, so these are present or absent by themselves.
  if (progress.replication_lag_bytes)
    fields.Value("replicationLagBytes", Json(*progress.replication_lag_bytes));
  if (progress.replication_lag_seconds)
    fields.Value("replicationLagSeconds", Json(*progress.replication_lag_seconds));
  fields.PreciseTime("updatedAt", progress.updated_at);
  return fields.Take();
}

// The API's bound is the one that a series is kept within; what is beyond it is the oldest.
Json EncodeSamples(const std::vector<Sample>& samples) {
  Json encoded = Json::Array();
  for (size_t i = samples.size() - std::min(samples.size(), kSamplesMax); i < samples.size(); ++i) {
    FieldWriter fields;
    fields.PreciseTime("time", samples[i].time);
    if (samples[i].copied_bytes) fields.Count("copiedBytes", *samples[i].copied_bytes);
    if (samples[i].lag_bytes) fields.Count("lagBytes", *samples[i].lag_bytes);
    encoded.Append(fields.Take());
  }
  return encoded;
}

Json EncodeCutover(const CutoverStatus& cutover) {
  if (cutover == CutoverStatus()) return Json();
  FieldWriter fields;
  fields.PreciseTime("fencedAt", cutover.fenced_at)
      .PreciseTime("journaledAt", cutover.journaled_at)
      .PreciseTime("openedAt", cutover.opened_at)
      .Count("writePauseMilliseconds", cutover.write_pause_milliseconds);
  if (std::string pause = DescribePause(cutover); !pause.empty()) fields.Text("writePause", pause);
  if (cutover.earlier_pause_milliseconds > 0)
    fields.Count("earlierPauseMilliseconds", cutover.earlier_pause_milliseconds);
  fields.Count("attempts", cutover.attempts).Time("retryAt", cutover.retry_at);
  return fields.Take();
}

Json EncodeRollback(const RollbackStatus& rollback) {
  FieldWriter fields;
  fields.Time("availableUntil", rollback.available_until).Time("sampledAt", rollback.sampled_at);
  if (rollback.sampled_at) fields.Count("sampledRows", rollback.sampled_rows);
  fields.Text("reason", rollback.reason, kMessageLengthMax)
      .Time("completedAt", rollback.completed_at)
      .PreciseTime("fencedAt", rollback.fenced_at)
      .PreciseTime("openedAt", rollback.opened_at);
  if (rollback.write_pause_milliseconds > 0)
    fields.Count("writePauseMilliseconds", rollback.write_pause_milliseconds);
  fields.Text("token", rollback.token);  // Never shortened: see EncodeHandled().
  return fields.Take();
}

Json EncodeCheckStatus(const CheckStatus& check) {
  FieldWriter fields;
  fields.Text("name", check.name)
      .Text("result", Name(check.result))
      .Text("message", check.message, kStageMessageLengthMax)
      .Count("runs", check.runs)
      .PreciseTime("lastRunAt", check.last_run_at)
      .Count("consecutiveFailures", check.consecutive_failures)
      .Count("failureThreshold", check.failure_threshold)
      .Time("failingSince", check.failing_since);
  if (check.latency_milliseconds) fields.Count("latencyMilliseconds", *check.latency_milliseconds);
  if (check.baseline_milliseconds)
    fields.Count("baselineMilliseconds", *check.baseline_milliseconds);
  return fields.Take();
}

Json EncodeCheckStatuses(const std::vector<CheckStatus>& checks) {
  Json encoded = Json::Array();
  for (size_t i = 0; i < std::min(checks.size(), kCheckStatusesMax); ++i)
    encoded.Append(EncodeCheckStatus(checks[i]));
  return encoded;
}

Json EncodeVerification(const VerificationStatus& verification) {
  if (verification == VerificationStatus()) return Json();
  FieldWriter fields;
  fields.Text("level", verification.level)
      .Count("tables", verification.tables)
      .Count("rows", verification.rows)
      .Count("mismatches", verification.mismatches)
      .Time("finishedAt", verification.finished_at)
      .Text("report", verification.report, kReportLengthMax);
  return fields.Take();
}

Json EncodeHandled(const HandledTokens& handled) {
  // Never shortened: a token that differs from its annotation would be a new command for ever. The
  // schema's bound is that of all annotations together.
  FieldWriter fields;
  fields.Text("approve", handled.approve)
      .Text("abort", handled.abort)
      .Text("rollback", handled.rollback)
      .Text("retry", handled.retry);
  return fields.Take();
}

}  // namespace

PreflightStatus ReadPreflight(FieldReader fields) {
  PreflightStatus preflight;
  preflight.looked_at = fields.Time("lookedAt");
  fields.ForEach("checks", [&](FieldReader& item) {
    PreflightLine line;
    line.name = item.RequiredString("name");
    // A word of a later version is no reason to think that nothing is in the way.
    line.result = item.Enum("result", kPreflightResultNames, PreflightResult::kBlocking);
    line.message = item.String("message");
    preflight.lines.push_back(std::move(line));
  });
  return preflight;
}

MigrationProgress ReadProgress(FieldReader fields) {
  MigrationProgress progress;
  progress.bytes_copied = fields.Int("bytesCopied");
  progress.bytes_total = fields.Int("bytesTotal");
  progress.tables_copied = fields.Int("tablesCopied");
  progress.tables_total = fields.Int("tablesTotal");
  progress.rows_copied = fields.Int("rowsCopied");
  progress.eta_seconds = fields.Int("etaSeconds");
  progress.replication_lag_bytes = ReadOptionalInt(fields, "replicationLagBytes");
  progress.replication_lag_seconds = ReadOptionalInt(fields, "replicationLagSeconds");
  progress.updated_at = fields.Time("updatedAt");
  return progress;
}

std::vector<Sample> ReadSamples(FieldReader& status) {
  std::vector<Sample> samples;
  status.ForEach("samples", [&](FieldReader& fields) {
    const std::optional<WallTime> time = fields.Time("time");
    if (!time) return fields.Fail("time", "must be set");
    samples.push_back(
        {*time, ReadOptionalInt(fields, "copiedBytes"), ReadOptionalInt(fields, "lagBytes")});
  });
  return samples;
}

CutoverStatus ReadCutoverStatus(FieldReader fields) {
  CutoverStatus cutover;
  cutover.fenced_at = fields.Time("fencedAt");
  cutover.journaled_at = fields.Time("journaledAt");
  cutover.opened_at = fields.Time("openedAt");
  cutover.write_pause_milliseconds = fields.Int("writePauseMilliseconds");
  cutover.earlier_pause_milliseconds = fields.Int("earlierPauseMilliseconds");
  cutover.attempts = fields.Int("attempts");
  cutover.retry_at = fields.Time("retryAt");
  return cutover;
}

RollbackStatus ReadRollback(FieldReader fields) {
  RollbackStatus rollback;
  rollback.available_until = fields.Time("availableUntil");
  rollback.sampled_at = fields.Time("sampledAt");
  rollback.sampled_rows = fields.Int("sampledRows");
  rollback.reason = fields.String("reason");
  rollback.completed_at = fields.Time("completedAt");
  rollback.fenced_at = fields.Time("fencedAt");
  rollback.opened_at = fields.Time("openedAt");
  rollback.write_pause_milliseconds = fields.Int("writePauseMilliseconds");
  rollback.token = fields.String("token");
  return rollback;
}

std::vector<CheckStatus> ReadCheckStatuses(FieldReader& status) {
  std::vector<CheckStatus> checks;
  status.ForEach("checks", [&](FieldReader& fields) {
    CheckStatus check;
    check.name = fields.RequiredString("name");
    check.result = fields.Enum("result", kCheckResultNames, check.result);
    check.message = fields.String("message");
    check.runs = fields.Int("runs");
    check.last_run_at = fields.Time("lastRunAt");
    check.consecutive_failures = fields.Int("consecutiveFailures");
    check.failure_threshold = fields.Int("failureThreshold");
    check.failing_since = fields.Time("failingSince");
    check.latency_milliseconds = ReadOptionalInt(fields, "latencyMilliseconds");
    check.baseline_milliseconds = ReadOptionalInt(fields, "baselineMilliseconds");
    checks.push_back(std::move(check));
  });
  return checks;
}

VerificationStatus ReadVerification(FieldReader fields) {
  VerificationStatus verification;
  verification.level = fields.String("level");
  verification.tables = fields.Int("tables");
  verification.rows = fields.Int("rows");
  verification.mismatches = fields.Int("mismatches");
  verification.finished_at = fields.Time("finishedAt");
  verification.report = fields.String("report");
  return verification;
}

HandledTokens ReadHandled(FieldReader fields) {
  HandledTokens handled;
  handled.approve = fields.String("approve");
  handled.abort = fields.String("abort");
  handled.rollback = fields.String("rollback");
  handled.retry = fields.String("retry");
  return handled;
}

std::string_view Name(Phase phase) { return NameIn(kPhaseNames, phase); }
std::optional<Phase> ParsePhase(std::string_view name) { return ValueIn(kPhaseNames, name); }
std::string_view Name(Strategy strategy) { return NameIn(kStrategyNames, strategy); }
std::string_view Name(SwitchMode mode) { return NameIn(kSwitchModeNames, mode); }
std::string_view Name(BackupMode mode) { return NameIn(kBackupModeNames, mode); }
std::string_view Name(VerificationLevel level) { return NameIn(kVerificationLevelNames, level); }
std::string_view Name(Approval approval) { return NameIn(kApprovalNames, approval); }
std::string_view Name(ReclaimPolicy policy) { return NameIn(kReclaimPolicyNames, policy); }
std::string_view Name(CheckWhen when) { return NameIn(kCheckWhenNames, when); }
std::string_view Name(CheckResult result) { return NameIn(kCheckResultNames, result); }
std::string_view Name(PreflightResult result) { return NameIn(kPreflightResultNames, result); }

std::string Summary(const MigrationProgress& progress) {
  constexpr std::array<const char*, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  if (progress.bytes_total <= 0) return "";
  double scale = 1;
  size_t unit = 0;
  while (static_cast<double>(progress.bytes_total) / scale >= 1000 && unit + 1 < kUnits.size()) {
    scale *= 1000;
    ++unit;
  }
  double copied = static_cast<double>(std::max<int64_t>(progress.bytes_copied, 0)) / scale;
  double total = static_cast<double>(progress.bytes_total) / scale;
  // "5.1/9.8 GB" but "512/596 MB": about three digits are worth reading.
  int decimals = unit > 0 && total < 100 ? 1 : 0;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f/%.*f %s", decimals, copied, decimals, total, kUnits[unit]);
  return text;
}

std::string FormatPause(std::chrono::milliseconds pause) {
  if (pause >= std::chrono::minutes(1))
    return FormatDuration(std::chrono::round<std::chrono::seconds>(pause));
  char text[16];
  std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(pause.count()) / 1000);
  return text;
}

std::string DescribePause(const CutoverStatus& cutover) {
  const std::chrono::milliseconds pause(cutover.write_pause_milliseconds);
  const std::chrono::milliseconds earlier(cutover.earlier_pause_milliseconds);
  std::string text = pause.count() > 0 ? FormatPause(pause) : "";
  if (earlier.count() > 0) text += (text.empty() ? "" : ", ") + FormatPause(earlier) + " before";
  return text;
}

Result<TenantMigration> DecodeTenantMigration(const Json& object) {
  FieldReader fields(object);
  ExpectKind(fields, "TenantMigration");
  TenantMigration migration;
  migration.meta = ReadMeta(fields.RequiredObject("metadata"));
  migration.spec = ReadSpec(fields.RequiredObject("spec"));
  migration.status = ReadStatus(fields.Object("status"));
  TRY(fields.Failure());
  return migration;
}

Json EncodeStatus(const TenantMigrationStatus& status) {
  FieldWriter fields;
  fields.Text("phase", Name(status.phase))
      .Text("message", status.message, kMessageLengthMax)
      .Time("reasonSince", status.reason_since)
      .Count("observedGeneration", status.observed_generation)
      .Text("sourceServerName", status.source_server_name)
      .Count("placementGeneration", status.placement_generation)
      .Count("attempt", status.attempt)
      .Text("failureReason", status.failure_reason, kReasonLengthMax)
      .Text("failureMessage", status.failure_message, kMessageLengthMax)
      .Value("conditions", EncodeConditions(status.conditions))
      .Value("preflight", EncodePreflight(status.preflight))
      .Value("stages", EncodeStages(status.stages))
      .Value("progress", EncodeProgress(status.progress))
      .Value("samples", EncodeSamples(status.samples))
      .Value("cutover", EncodeCutover(status.cutover))
      .Value("rollback", EncodeRollback(status.rollback))
      .Value("verification", EncodeVerification(status.verification))
      .Value("checks", EncodeCheckStatuses(status.checks))
      .Value("handled", EncodeHandled(status.handled));
  return fields.Take();
}

}  // namespace cutover::api
