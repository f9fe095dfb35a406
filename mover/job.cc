// SPDX-License-Identifier: Apache-2.0
#include "mover/job.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>

#include "mover/backup/backup.h"
#include "mover/clone.h"
#include "mover/contract/progress.h"
#include "mover/verify/verify.h"
#include "operator/base/log.h"
#include "postgres/control.h"

namespace cutover::mover {
namespace {

constexpr auto kTargetTimeout = std::chrono::seconds(30);
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

Result<Report> CloneOrVerify(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                             Reporter& reporter) {
  const pg::ConnectOptions source = Connect(spec.source, FromEnvironment(kSourcePasswordVariable));
  const pg::ConnectOptions target = Connect(*spec.target, FromEnvironment(kTargetPasswordVariable));
  if (spec.kind == JobKind::kClone) {
    CloneOptions clone;
    clone.source = source;
    clone.target = target;
    clone.migration_uid = spec.migration_uid;
    clone.attempt = spec.attempt;
    clone.epoch = spec.epoch;
    clone.keep_traces = true;
    clone.jobs = spec.jobs;
    clone.exclude_tables = spec.exclude_tables;
    clone.level = spec.verification_level;
    clone.verification_seconds_max = spec.verification_seconds_max;
    clone.authorize = [&spec](std::stop_token s, pg::Connection& connection) {
      return Authorize(s, connection, spec);
    };
    return CloneDatabase(stop, programs, clone, reporter);
  }
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
                         Reporter& reporter) {
  Result<Report> report = CloneOrVerify(stop, programs, spec, reporter);
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
                                            {"message", error.message},
                                            {"disposition", Name(error.disposition)}})}});
  return outcome;
}

Outcome RunJob(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
               Reporter& reporter) {
  LogContext context({{"migrationUID", spec.migration_uid}, {"attempt", spec.attempt}});
  if (spec.kind == JobKind::kBackup) return RunBackup(stop, programs, spec, reporter);
  return RunCloneOrVerify(stop, programs, spec, reporter);
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
