// SPDX-License-Identifier: Apache-2.0
#include "mover/job.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>

#include "mover/backup/backup.h"
#include "mover/clone.h"
#include "mover/contract/progress.h"
#include "mover/process/throttle_watch.h"
#include "mover/supervisor.h"
#include "mover/verify/verify.h"
#include "operator/base/log.h"
#include "postgres/changes.h"
#include "postgres/control.h"
#include "postgres/snapshot.h"

namespace cutover::mover {
namespace {

constexpr auto kTargetTimeout = std::chrono::seconds(30);
/// Longer than a server needs to notice that the node of the mover before us is dead.
constexpr auto kLockTimeout = std::chrono::seconds(90);
/// The movers' own lock has the same first key (target_database.cc).
constexpr char kLockForSupervisors[] = "SELECT pg_catalog.pg_advisory_lock(7233970, 2)";
constexpr size_t kTerminationBytesMax = 4096;  // Kubernetes cuts what is longer.

std::string FromEnvironment(const char* name, const char* fallback = nullptr) {
  const char* value = std::getenv(name);
  if (value == nullptr && fallback != nullptr) value = std::getenv(fallback);
  return value == nullptr ? "" : value;
}

pg::ConnectOptions Connect(const Endpoint& endpoint, std::string password) {
  pg::ConnectOptions options;
  options.host = endpoint.host;
  options.port = endpoint.port;
  options.database = endpoint.database;
  options.user = endpoint.user;
  options.ssl_mode = endpoint.ssl_mode;
  options.ca_file = endpoint.ca_file;
  options.password = std::move(password);
  options.application_name = "cutover-mover";
  return options;
}

/// To the supervisor, which reads our standard output.
void SayCopied() {
  std::printf("%s\n", kCopiedLine);
  std::fflush(stdout);
}

bool MayWork(JobKind kind, pg::ControlState state) {
  if (state == pg::ControlState::kPreparing) return true;
  return kind == JobKind::kVerify &&
         (state == pg::ControlState::kCopied || state == pg::ControlState::kVerified);
}

/// A higher epoch in the row is no reason to stop: a new leader adopts the Job of the one before.
/// Another migration, another state or a later attempt is.
Status Authorize(std::stop_token stop, pg::Connection& target, const JobSpec& spec) {
  const Deadline deadline = Deadline::After(kTargetTimeout);
  TRY_ASSIGN(auto control, pg::ReadControl(stop, deadline, target));
  if (!control || control->migration_uid != spec.migration_uid ||
      control->side != pg::Side::kTarget || control->epoch < spec.epoch ||
      !MayWork(spec.kind, control->state))
    return TerminalError("NotAuthorized",
                         "the target database's control row does not order this work (" +
                             (control ? "migration " + control->migration_uid + ", state " +
                                            std::string(pg::Name(control->state))
                                      : std::string("there is none")) +
                             "); let the operator start a new Job");
  TRY_ASSIGN(auto progress, ReadProgress(stop, deadline, target, spec.migration_uid));
  if (!progress || progress->attempt <= spec.attempt) return Ok();
  return TerminalError("Superseded",
                       "a later attempt has begun in the target database; this Job is done");
}

Json Identify(Json summary, const JobSpec& spec) {
  summary.Set("kind", Name(spec.kind));
  summary.Set("migrationUid", spec.migration_uid);
  summary.Set("attempt", spec.attempt);
  summary.Set("epoch", spec.epoch);
  return summary;
}

Outcome OutcomeOfReport(const Report& report) {
  return {report.equal() ? kExitProven : kExitDifferent, EncodeReport(report)};
}

ThrottleSettings ThrottleOf(const JobSpec& spec) {
  return {int64_t{spec.max_rate_mebibytes_per_second} << 20, spec.throttle_query};
}

/// A worker has its snapshot from the slot that its supervisor has made. The slot must be that very
/// one when the copy is said to be proven, or there would be a gap between copy and stream.
Status Follow(const JobSpec& spec, CloneOptions& clone) {
  const std::string begin = FromEnvironment(kSlotBeginVariable);
  if (clone.snapshot.empty() || begin.empty())
    return TerminalError("NoSlot",
                         "a copy with a slot is made by a supervisor; run 'job' without " +
                             std::string(kSnapshotVariable));
  clone.followed = true;
  clone.confirm = [source = clone.source, slot = spec.slot, begin](std::stop_token stop) -> Status {
    const Deadline deadline = Deadline::After(kTargetTimeout);
    TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(stop, deadline, source));
    TRY(pg::CheckSlotUnread(stop, deadline, connection, slot, begin));
    return pg::CheckSlotUnread(stop, deadline, connection, pg::WatchSlotName(slot), begin);
  };
  return Ok();
}

Result<Report> RunClone(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                        const RereadSpec& reread, Reporter& reporter) {
  Throttle throttle;
  CloneOptions clone;
  clone.source = Connect(spec.source, FromEnvironment(kSourcePasswordVariable));
  clone.target = Connect(*spec.target, FromEnvironment(kTargetPasswordVariable));
  clone.migration_uid = spec.migration_uid;
  clone.attempt = spec.attempt;
  clone.epoch = spec.epoch;
  clone.keep_traces = true;
  clone.jobs = spec.jobs;
  clone.throttle = &throttle;
  clone.exclude_tables = spec.exclude_tables;
  clone.archive_directory = spec.archive_directory;
  clone.accept = spec.accept;
  clone.preflight_passed = true;
  clone.withhold_powers = spec.withhold_powers;
  clone.distrust_superusers = spec.distrust_superusers;
  clone.level = spec.verification_level;
  clone.verification_seconds_max = spec.verification_seconds_max;
  clone.authorize = [&spec](std::stop_token s, pg::Connection& connection) {
    return Authorize(s, connection, spec);
  };
  clone.snapshot = FromEnvironment(kSnapshotVariable);
  if (!spec.slot.empty()) TRY(Follow(spec, clone));
  if (!clone.snapshot.empty()) clone.on_copied = [] { SayCopied(); };
  auto settings = [&reread]() -> std::optional<ThrottleSettings> {
    std::optional<JobSpec> now = reread ? reread() : std::nullopt;
    if (!now) return std::nullopt;
    return ThrottleOf(*now);
  };
  TRY_ASSIGN(auto watch,
             ThrottleWatch::Start(stop, clone.source, ThrottleOf(spec), settings, throttle));
  return CloneDatabase(stop, programs, clone, reporter);
}

/// A session in the target database that keeps other supervisors of this move away while it lasts.
Result<pg::Connection> LockOutSupervisors(std::stop_token stop, const JobSpec& spec) {
  const Deadline deadline = Deadline::After(kLockTimeout);
  TRY_ASSIGN(pg::Connection target,
             pg::Connection::Open(stop, deadline,
                                  Connect(*spec.target, FromEnvironment(kTargetPasswordVariable))));
  Status locked = target.Exec(stop, deadline, kLockForSupervisors);
  if (!locked && locked.error().reason == "DeadlineExceeded")
    return RetryError("MoverBusy",
                      "another Job copies into the target database; wait until it has "
                      "ended");
  TRY(locked);
  TRY(Authorize(stop, target, spec));
  return target;
}

Result<Report> RunVerify(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                         Reporter& reporter) {
  const pg::ConnectOptions source = Connect(spec.source, FromEnvironment(kSourcePasswordVariable));
  const pg::ConnectOptions target = Connect(*spec.target, FromEnvironment(kTargetPasswordVariable));
  const Deadline deadline = Deadline::After(kTargetTimeout);
  TRY_ASSIGN(pg::Connection ledger, pg::Connection::Open(stop, deadline, target));
  TRY(Authorize(stop, ledger, spec));
  TRY(CreateLedger(stop, deadline, ledger));
  TRY(ForgetRun(stop, deadline, ledger, spec.migration_uid, spec.attempt, spec.kind));
  reporter.AttachLedger(std::move(ledger), spec.migration_uid, spec.attempt);
  VerifyOptions verify;
  verify.source = source;
  verify.target = target;
  verify.level = spec.verification_level;
  verify.jobs = spec.jobs;
  verify.seconds_max = spec.verification_seconds_max;
  verify.exclude_tables = spec.exclude_tables;
  verify.compare_access = false;  // Both sides are fenced.
  return VerifyDatabases(stop, programs, verify, std::nullopt, reporter);
}

/// An unauthorized Job must not overwrite what an authorized one says; everybody else reports.
Status RecordResult(const JobSpec& spec, const Json& summary) {
  const std::string reason = summary["error"]["reason"].AsString();
  if (reason == "NotAuthorized" || reason == "Superseded") return Ok();
  // No stop token: being stopped is a result, too.
  const Deadline deadline = Deadline::After(kTargetTimeout);
  TRY_ASSIGN(pg::Connection target,
             pg::Connection::Open({}, deadline,
                                  Connect(*spec.target, FromEnvironment(kTargetPasswordVariable))));
  TRY(Authorize({}, target, spec));
  TRY(CreateLedger({}, deadline, target));
  return WriteResult({}, deadline, target, summary);
}

Outcome RunCloneOrVerify(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                         const RereadSpec& reread, Reporter& reporter) {
  Result<Report> report = spec.kind == JobKind::kClone
                              ? RunClone(stop, programs, spec, reread, reporter)
                              : RunVerify(stop, programs, spec, reporter);
  reporter.DetachLedger();
  Outcome outcome =
      report ? OutcomeOfReport(*report) : OutcomeOf(stop, Name(spec.kind), report.error());
  outcome.summary = Identify(std::move(outcome.summary), spec);
  Status recorded = RecordResult(spec, outcome.summary);
  if (recorded) return outcome;
  LogError("the result could not be written to the target", recorded.error());
  // The operator reads results there. Without one it must not see success elsewhere.
  if (!report) return outcome;
  Outcome failed = OutcomeOf(stop, Name(spec.kind), recorded.error());
  failed.summary = Identify(std::move(failed.summary), spec);
  return failed;
}

Outcome RunBackup(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                  Reporter& reporter) {
  BackupOptions options;
  options.source = Connect(spec.source, FromEnvironment(kSourcePasswordVariable, "PGPASSWORD"));
  options.directory = spec.backup_directory;
  options.migration_uid = spec.migration_uid;
  options.jobs = spec.jobs;
  Result<Manifest> manifest = TakeBackup(stop, programs, options, reporter);
  Outcome outcome;
  if (manifest) {
    outcome.exit_code = kExitProven;
    outcome.summary = Json::Object({{"verdict", "Complete"},
                                    {"directory", spec.backup_directory},
                                    {"database", manifest->database},
                                    {"bytes", manifest->bytes()},
                                    {"files", manifest->files.size()},
                                    {"tocEntries", manifest->toc_entries},
                                    {"takenAt", FormatTime(manifest->taken_at)},
                                    {"serverVersion", manifest->server_version}});
  } else {
    outcome = OutcomeOf(stop, Name(spec.kind), manifest.error());
  }
  outcome.summary = Identify(std::move(outcome.summary), spec);
  return outcome;
}

/// With what to do next, where the error itself cannot know it.
std::string MessageOf(std::stop_token stop, const Error& error) {
  if (stop.stop_requested() && error.reason == "Stopped") return "it was interrupted; run it again";
  if (stop.stop_requested()) return "it was interrupted (" + error.message + "); run it again";
  if (error.reason != "ConnectionLost") return error.message;
  return error.message + "; look whether the server runs, then run it again";
}

}  // namespace

Outcome OutcomeOf(std::stop_token stop, std::string_view kind, const Error& error) {
  Outcome outcome;
  outcome.exit_code = kExitUnproven;
  if (error.reason == "BackupDamaged") outcome.exit_code = kExitDifferent;
  if (stop.stop_requested()) outcome.exit_code = kExitInterrupted;
  outcome.summary =
      Json::Object({{"kind", kind},
                    {"verdict", "Unproven"},
                    {"error", Json::Object({{"reason", error.reason},
                                            {"message", MessageOf(stop, error)},
                                            {"disposition", Name(error.disposition)}})}});
  return outcome;
}

Outcome RunJob(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
               const RereadSpec& reread, Reporter& reporter) {
  LogContext context({{"migrationUID", spec.migration_uid}, {"attempt", spec.attempt}});
  if (spec.kind == JobKind::kBackup) return RunBackup(stop, programs, spec, reporter);
  return RunCloneOrVerify(stop, programs, spec, reread, reporter);
}

Outcome SuperviseClone(std::stop_token stop, const JobSpec& spec) {
  LogContext context({{"migrationUID", spec.migration_uid}, {"attempt", spec.attempt}});
  auto supervise = [&]() -> Result<Outcome> {
    TRY_ASSIGN(ChildCommand worker, ThisProgram());
    const pg::ConnectOptions source =
        Connect(spec.source, FromEnvironment(kSourcePasswordVariable));
    if (spec.slot.empty()) {
      SourceSnapshot snapshot(source, {});
      return SuperviseCopy(stop, snapshot, worker);
    }
    TRY_ASSIGN(pg::Connection lock, LockOutSupervisors(stop, spec));
    TRY(pg::ForgetChanges(stop, Deadline::After(kTargetTimeout), lock));
    SourceSnapshot snapshot(source, {spec.slot, pg::WatchSlotName(spec.slot), true});
    return SuperviseCopy(stop, snapshot, worker);
  };
  Result<Outcome> done = supervise();
  if (done) return std::move(*done);
  Outcome failed = OutcomeOf(stop, Name(spec.kind), done.error());
  failed.summary = Identify(std::move(failed.summary), spec);
  // A worker that was stopped in time has written its own.
  if (Status recorded = RecordResult(spec, failed.summary); !recorded)
    LogError("the result could not be written to the target", recorded.error());
  return failed;
}

void WriteTerminationMessage(const Json& summary) {
  Json fitting = summary;
  std::string text = fitting.Dump();
  for (const char* field : {"mismatches", "warnings", "secondsByStage"}) {
    if (text.size() <= kTerminationBytesMax) break;
    fitting.Remove(field);
    text = fitting.Dump();
  }
  std::string path = FromEnvironment(kTerminationLogVariable);
  if (path.empty()) path = kTerminationLogDefault;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
}

}  // namespace cutover::mover
