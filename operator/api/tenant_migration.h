// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/conditions.h"
#include "operator/api/meta.h"
#include "operator/base/json.h"

namespace cutover::api {

/// The life of a migration; docs/state-machine.md has the picture,
/// reconcilers/migration/transitions.cc the table. The order here is the order of the pipeline.
enum class Phase {
  kPending,
  kPreflight,
  kBackingUp,
  kPreparing,
  kCatchingUp,
  kAwaitingCutover,
  kFencing,
  kCopying,
  kFinalizing,
  kVerifying,
  kSwitching,
  kOpening,
  kSmoke,
  kAdmitting,
  kHypercare,
  kCompleting,
  kCompleted,
  kUndoing,
  kAborted,
  kFailed,
  kRollingBack,
  kRolledBack,
};
std::string_view Name(Phase phase);
std::optional<Phase> ParsePhase(std::string_view name);

enum class Strategy { kOffline, kOnline };
enum class SwitchMode { kRestart, kPooler };
/// What is done about a table that can be published only with replica identity FULL.
enum class ReplicaIdentity { kRefuse, kSetFull };
/// What is done when the structure of the source changes while it is followed.
enum class OnSchemaChange { kHold, kCopyAgain };
enum class OnFailedChecks { kHold, kRollback };
enum class BackupMode { kRequired, kSkip };
enum class VerificationLevel { kCounts, kRows };
enum class Approval { kAutomatic, kManual };
enum class ReclaimPolicy { kRetain, kDelete };
enum class CheckWhen { kPreflight, kSmoke, kHypercare };
/// What the last run of a check found. Unknown: nobody could be asked who would know.
enum class CheckResult { kUnknown, kPassed, kFailed };
/// What one line of the preflight came to: in nobody's way, in the way until somebody mends it, or
/// in the way of this very migration for ever.
enum class PreflightResult { kPassed, kWarning, kBlocking, kHopeless };
std::string_view Name(Strategy strategy);
std::string_view Name(SwitchMode mode);
std::string_view Name(BackupMode mode);
std::string_view Name(VerificationLevel level);
std::string_view Name(Approval approval);
std::string_view Name(ReclaimPolicy policy);
std::string_view Name(CheckWhen when);
std::string_view Name(CheckResult result);
std::string_view Name(PreflightResult result);

/// Asks the workload itself: within the cluster, past the route.
struct HttpCheck {
  std::string url;   ///< http://service.namespace.svc:port/path; never https.
  std::string host;  ///< Host header, or empty for the URL's own.
  int expected_status = 200;
  std::string expected_text;  ///< Must occur in the body; empty: not asked.

  friend bool operator==(const HttpCheck&, const HttpCheck&) = default;
};

/// Asks the tenant's database, as the tenant's own role, in a read-only transaction.
struct SqlCheck {
  std::string query;     ///< Returns one value.
  std::string expected;  ///< Its text.

  friend bool operator==(const SqlCheck&, const SqlCheck&) = default;
};

/// A Job made of the template of a CronJob in the tenant's namespace; it is told the tenant's place
/// in the variables of libpq. Whoever may make such a CronJob may run its pods: a migration adds
/// no right to that.
struct JobCheck {
  std::string cron_job_name;

  friend bool operator==(const JobCheck&, const JobCheck&) = default;
};

/// An instant query whose every value must lie within the bounds.
struct PrometheusCheck {
  std::string url;  ///< http://host:port[/prefix]
  std::string query;
  std::optional<double> min;  ///< At least one of the two.
  std::optional<double> max;

  friend bool operator==(const PrometheusCheck&, const PrometheusCheck&) = default;
};

/// The defaults are the runbooks' (requirements 205 and 208): not reachable for fifteen minutes,
/// which sixteen runs a minute apart span, or half as slow again as before the move.
struct Check {
  std::string name;
  /// Exactly one of these.
  std::optional<HttpCheck> http;
  std::optional<SqlCheck> sql;
  std::optional<JobCheck> job;
  std::optional<PrometheusCheck> prometheus;
  /// In Smoke: how long a check may go on failing before it counts as failed. Any run of a Job.
  int timeout_seconds = 60;
  // In Hypercare:
  int interval_seconds = 60;                   ///< From one run to the next.
  int failure_threshold = 16;                  ///< It has failed after so many failures in a row.
  int max_latency_milliseconds = 0;            ///< http and sql; 0: no bound.
  int max_latency_over_baseline_percent = 50;  ///< http and sql; 0: not compared.
  std::vector<CheckWhen> when;

  bool At(CheckWhen moment) const {
    for (CheckWhen w : when)
      if (w == moment) return true;
    return false;
  }
  /// Whether how long it takes is compared with how long it took before the move.
  bool WantsBaseline() const {
    return (http || sql) && At(CheckWhen::kHypercare) && max_latency_over_baseline_percent > 0;
  }

  friend bool operator==(const Check&, const Check&) = default;
};

struct MaintenancePage {
  std::string title = "Down for maintenance";
  std::string message = "We are moving your data to a new home. Please come back in a few minutes.";
  int retry_after_seconds = 60;

  friend bool operator==(const MaintenancePage&, const MaintenancePage&) = default;
};

struct TenantMigrationSpec {
  std::string placement_name;
  std::string target_server_name;
  Strategy strategy = Strategy::kOffline;
  BackupMode backup_mode = BackupMode::kRequired;
  std::string backup_claim_name;  ///< PersistentVolumeClaim in the migration's namespace.
  int copy_jobs = 2;
  /// These two may change while the copy runs.
  int copy_rate_mebibytes_per_second_max = 0;    ///< 0: no limit.
  std::string copy_throttle_query;               ///< Name of one of the operator's; empty: none.
  std::vector<std::string> copy_exclude_tables;  ///< "schema.table": structure comes, rows do not.
  std::vector<std::string> copy_accept;  ///< Objects that may stay behind, as they are refused.
  ReplicaIdentity replica_identity = ReplicaIdentity::kRefuse;  ///< Online only.
  OnSchemaChange on_schema_change = OnSchemaChange::kHold;      ///< Online only.
  int64_t retained_wal_bytes_max = int64_t{10} << 30;           ///< Online only.
  VerificationLevel verification_level = VerificationLevel::kRows;
  Approval approval = Approval::kAutomatic;
  std::optional<WallTime> window_start;  ///< Both or neither of the two.
  std::optional<WallTime> window_end;
  SwitchMode switch_mode = SwitchMode::kRestart;
  int64_t replication_lag_bytes_max = 16 << 20;  ///< Online: the doors close below this only.
  int max_write_pause_seconds = 0;               ///< 0: no bound; Online: 60.
  MaintenancePage maintenance_page;
  std::vector<Check> checks;
  int hypercare_seconds = 0;
  OnFailedChecks on_failed_checks = OnFailedChecks::kHold;
  std::string source_server_name;  ///< Where the tenant has to be; empty: anywhere.
  int retention_seconds = 86400;
  ReclaimPolicy reclaim_policy = ReclaimPolicy::kRetain;
  bool suspend = false;

  bool online() const { return strategy == Strategy::kOnline; }
  bool by_pooler() const { return switch_mode == SwitchMode::kPooler; }

  friend bool operator==(const TenantMigrationSpec&, const TenantMigrationSpec&) = default;
};

/// One line of status.stages: the pipeline as people read it.
struct Stage {
  std::string name;   ///< The phase's name.
  std::string state;  ///< Running, Succeeded, Failed
  std::optional<WallTime> started_at;
  std::optional<WallTime> completed_at;
  std::string message;
  int64_t done = 0, total = 0;
  std::string unit;  ///< "bytes" or empty: no progress.

  friend bool operator==(const Stage&, const Stage&) = default;
};

/// The encoder adds `summary` and `eta`, the same in words, for `kubectl get`.
struct MigrationProgress {
  int64_t bytes_copied = 0, bytes_total = 0;
  int64_t tables_copied = 0, tables_total = 0;
  int64_t rows_copied = 0;
  int64_t eta_seconds = 0;
  /// How far the side that follows is behind; absent while nothing is followed.
  std::optional<int64_t> replication_lag_bytes;
  std::optional<int64_t> replication_lag_seconds;
  std::optional<WallTime> updated_at;  ///< When this was read.

  friend bool operator==(const MigrationProgress&, const MigrationProgress&) = default;
};

/// One point of the curves of a move. Either value is absent when it was not to be had.
struct Sample {
  WallTime time;                        ///< To the microsecond: rates are computed from it.
  std::optional<int64_t> copied_bytes;  ///< Since the copy began; only while it runs.
  /// How far the side that follows is behind: the target in CatchingUp, the source in Hypercare.
  std::optional<int64_t> lag_bytes;

  friend bool operator==(const Sample&, const Sample&) = default;
};

/// "512/596 MB", or an empty string while the total is unknown.
std::string Summary(const MigrationProgress& progress);

/// "4.2s", and from a minute on "1m05s".
std::string FormatPause(std::chrono::milliseconds pause);

/// Times are kept to the microsecond, since durations are computed from them. The encoder adds
/// `writePause`, DescribePause() of it, for `kubectl get`.
struct CutoverStatus {
  std::optional<WallTime> fenced_at;     ///< First effect that stopped the users.
  std::optional<WallTime> journaled_at;  ///< The point of no return.
  std::optional<WallTime> opened_at;     ///< The users were let in again.
  int64_t write_pause_milliseconds = 0;
  int64_t attempts = 0;
  std::optional<WallTime> retry_at;  ///< Before this no further attempt closes the doors.
  /// Of all tries before this one, which were undone; write_pause_milliseconds is of this one.
  int64_t earlier_pause_milliseconds = 0;

  friend bool operator==(const CutoverStatus&, const CutoverStatus&) = default;
};

/// "0.6s", or "0.6s, 2m11s before" after tries that were undone; empty while there was no pause.
std::string DescribePause(const CutoverStatus& cutover);

/// The pause is that of a rollback from Hypercare; before, the doors are still those of the
/// cutover.
struct RollbackStatus {
  std::optional<WallTime> available_until;
  std::string reason;
  std::optional<WallTime> completed_at;
  std::optional<WallTime> fenced_at;  ///< As in CutoverStatus, to the microsecond.
  std::optional<WallTime> opened_at;
  int64_t write_pause_milliseconds = 0;
  std::optional<WallTime> sampled_at;  ///< When rows of both sides were last compared.
  int64_t sampled_rows = 0;            ///< Compared since hypercare began.
  /// The token of cutover.dev/rollback that began this rollback, or was given while it ran; empty
  /// where none was. Accepting a loss counts for that one only.
  std::string token;

  friend bool operator==(const RollbackStatus&, const RollbackStatus&) = default;
};

struct VerificationStatus {
  std::string level;
  int64_t tables = 0, rows = 0, mismatches = 0;
  std::optional<WallTime> finished_at;
  std::string report;  ///< One sentence, or the first mismatches.

  friend bool operator==(const VerificationStatus&, const VerificationStatus&) = default;
};

/// Where one check stands. What is counted is kept here, so that whoever comes next goes on
/// counting.
struct CheckStatus {
  std::string name;
  CheckResult result = CheckResult::kUnknown;  ///< Of the last run.
  std::string message;
  int64_t runs = 0;                     ///< That came to a result.
  std::optional<WallTime> last_run_at;  ///< To the microsecond: the next is due an interval later.
  int64_t consecutive_failures = 0;     ///< What is unknown leaves this as it is.
  int64_t failure_threshold = 0;        ///< From so many on it has failed.
  std::optional<WallTime> failing_since;
  std::optional<int64_t> latency_milliseconds;   ///< Median of one run's samples.
  std::optional<int64_t> baseline_milliseconds;  ///< The same before the move.

  friend bool operator==(const CheckStatus&, const CheckStatus&) = default;
};

/// One line of the preflight, of those that the migration's spec asks for.
struct PreflightLine {
  std::string name;
  PreflightResult result = PreflightResult::kPassed;
  std::string message;  ///< What it makes sure of; what was found, and what to do, if it has not.

  friend bool operator==(const PreflightLine&, const PreflightLine&) = default;
};

/// The last preflight of this attempt.
struct PreflightStatus {
  std::optional<WallTime> looked_at;
  std::vector<PreflightLine> lines;  ///< The API keeps the first 64.

  friend bool operator==(const PreflightStatus&, const PreflightStatus&) = default;
};

/// Last token seen of each command; a command is new while its annotation differs from this.
struct HandledTokens {
  std::string approve, abort, rollback, retry;

  friend bool operator==(const HandledTokens&, const HandledTokens&) = default;
};

struct TenantMigrationStatus {
  Phase phase = Phase::kPending;
  std::string message;
  /// Since when the phase and the reason of condition Ready are what they are; absent where an
  /// operator that did not keep it was the last to change them.
  std::optional<WallTime> reason_since;
  int64_t observed_generation = 0;
  std::string source_server_name;  ///< Where the tenant was when the migration began.
  /// Of the DatabasePlacement that preflight passed, and that the whole move is made with; 0
  /// before.
  int64_t placement_generation = 0;
  int64_t attempt = 0;  ///< Counts tries from Preflight; names the Jobs.
  /// Why the migration is going back, set on entering Undoing or RollingBack.
  std::string failure_reason;
  std::string failure_message;
  Conditions conditions;
  PreflightStatus preflight;
  std::vector<Stage> stages;  ///< The API keeps the last 64.
  MigrationProgress progress;
  std::vector<Sample> samples;  ///< In the order of time; the API keeps the last 60.
  CutoverStatus cutover;
  RollbackStatus rollback;
  VerificationStatus verification;
  std::vector<CheckStatus> checks;  ///< Of Hypercare; the API keeps the first 64.
  HandledTokens handled;

  friend bool operator==(const TenantMigrationStatus&, const TenantMigrationStatus&) = default;
};

struct TenantMigration {
  ObjectMeta meta;
  TenantMigrationSpec spec;
  TenantMigrationStatus status;
};

/// Terminal error "InvalidObject" naming the field when `object` cannot be what the CRD admits.
Result<TenantMigration> DecodeTenantMigration(const Json& object);
/// The value of `.status`, in the field order of the CRD; equal statuses encode equally. Texts
/// beyond the CRD's bounds are shortened; the tokens of `handled` never are.
Json EncodeStatus(const TenantMigrationStatus& status);

}  // namespace cutover::api
