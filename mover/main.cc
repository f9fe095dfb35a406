// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "mover/backup/backup.h"
#include "mover/clone.h"
#include "mover/contract/job_spec.h"
#include "mover/job.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/supervisor.h"
#include "mover/verify/verify.h"

namespace cutover::mover {
namespace {

constexpr char kFooter[] =
    "Connections are URIs or conninfo strings as libpq takes them; passwords come best from\n"
    "CUTOVER_SOURCE_PASSWORD and CUTOVER_TARGET_PASSWORD, a service file or a password file.\n"
    "Exit codes: 0 proven, 1 the sides differ (or a backup is damaged), 2 nothing is proven "
    "because\n"
    "of an error, 64 wrong arguments, 75 interrupted (running it again is safe).";

struct Flags {
  std::string source;
  std::string target;
  std::string database;
  std::string directory;
  std::string check_directory;
  std::string migration_uid;
  std::string spec_file;
  std::string pg_bindir;
  std::string level = "rows";
  int jobs = 2;
  int seconds_max = 0;
  bool existing = false;
  std::vector<std::string> exclude_tables;
};

/// Turns SIGTERM and SIGINT into a stop request. The signals must be blocked in every thread before
/// it is made, since it takes them by waiting for them.
class SignalStop {
 public:
  SignalStop()
      : thread_([this](std::stop_token ended) {
          const timespec tick = {0, 100'000'000};
          while (!ended.stop_requested()) {
            if (sigtimedwait(&Signals(), nullptr, &tick) > 0) source_.request_stop();
          }
        }) {}
  std::stop_token token() const { return source_.get_token(); }

  static const sigset_t& Signals() {
    static const sigset_t signals = [] {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGTERM);
      sigaddset(&set, SIGINT);
      return set;
    }();
    return signals;
  }

 private:
  std::stop_source source_;
  std::jthread thread_;
};

Result<pg::ConnectOptions> ParseConnection(const std::string& conninfo, const char* password) {
  TRY_ASSIGN(pg::ConnectOptions options, pg::ConnectOptions::Parse(conninfo));
  if (const char* value = std::getenv(password)) options.password = value;
  options.application_name = "cutover-mover";
  return options;
}

/// The same for the same move, so that a run recognizes what an interrupted one has left.
std::string UidOfMove(const pg::ConnectOptions& source, const pg::ConnectOptions& target) {
  const std::string text = source.Describe() + " " + target.Describe();
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), hash, &size, EVP_sha256(), nullptr) != 1) std::abort();
  std::string uid = "cli-";
  for (int i = 0; i < 8; ++i) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned>(hash[i]));
    uid += pair;
  }
  return uid;
}

Result<VerificationLevel> LevelOf(const Flags& flags) {
  if (auto level = ParseLevel(flags.level)) return *level;
  return TerminalError("InvalidArguments", "--level must be counts or rows");
}

Outcome OutcomeOf(std::stop_token stop, const char* kind, Result<Report> report) {
  if (!report) return mover::OutcomeOf(stop, kind, report.error());
  return {report->equal() ? kExitProven : kExitDifferent, EncodeReport(*report)};
}

Result<Report> RunClone(std::stop_token stop, const Flags& flags, Reporter& reporter) {
  CloneOptions options;
  TRY_ASSIGN(options.source, ParseConnection(flags.source, kSourcePasswordVariable));
  TRY_ASSIGN(pg::ConnectOptions admin, ParseConnection(flags.target, kTargetPasswordVariable));
  options.target = admin.WithDatabase(flags.database);
  if (!flags.existing) options.admin = admin;
  options.migration_uid = UidOfMove(options.source, options.target);
  options.jobs = flags.jobs;
  options.exclude_tables = flags.exclude_tables;
  TRY_ASSIGN(options.level, LevelOf(flags));
  options.verification_seconds_max = flags.seconds_max;
  return CloneDatabase(stop, PgPrograms::In(flags.pg_bindir), options, reporter);
}

Result<Report> RunVerify(std::stop_token stop, const Flags& flags, Reporter& reporter) {
  VerifyOptions options;
  TRY_ASSIGN(options.source, ParseConnection(flags.source, kSourcePasswordVariable));
  TRY_ASSIGN(options.target, ParseConnection(flags.target, kTargetPasswordVariable));
  options.jobs = flags.jobs;
  options.seconds_max = flags.seconds_max;
  options.exclude_tables = flags.exclude_tables;
  TRY_ASSIGN(options.level, LevelOf(flags));
  return VerifyDatabases(stop, PgPrograms::In(flags.pg_bindir), options, std::nullopt, reporter);
}

Result<Manifest> RunBackup(std::stop_token stop, const Flags& flags, Reporter& reporter) {
  const PgPrograms programs = PgPrograms::In(flags.pg_bindir);
  if (!flags.check_directory.empty()) return CheckBackup(stop, programs, flags.check_directory);
  BackupOptions options;
  TRY_ASSIGN(options.source, ParseConnection(flags.source, kSourcePasswordVariable));
  options.directory = flags.directory;
  options.migration_uid = flags.migration_uid;
  options.jobs = flags.jobs;
  return TakeBackup(stop, programs, options, reporter);
}

Result<JobSpec> ReadSpec(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return TerminalError("InvalidJobSpec", "cannot read " + path);
  TRY_ASSIGN(Json json, Json::Parse(text));
  return DecodeJobSpec(json);
}

Outcome RunSpec(std::stop_token stop, const Flags& flags, const JobSpec& spec, Reporter& reporter) {
  if (spec.kind == JobKind::kClone && std::getenv(kSnapshotVariable) == nullptr)
    return SuperviseClone(stop, spec);
  const RereadSpec reread = [&flags]() -> std::optional<JobSpec> {
    Result<JobSpec> now = ReadSpec(flags.spec_file);
    if (!now) return std::nullopt;
    return std::move(*now);
  };
  return RunJob(stop, PgPrograms::In(flags.pg_bindir), spec, reread, reporter);
}

Outcome RunJobFile(std::stop_token stop, const Flags& flags, Reporter& reporter) {
  Result<JobSpec> spec = ReadSpec(flags.spec_file);
  Outcome outcome;
  if (spec) {
    outcome = RunSpec(stop, flags, *spec, reporter);
  } else {
    outcome = mover::OutcomeOf(stop, "Job", spec.error());
    outcome.exit_code = kExitUsage;
  }
  WriteTerminationMessage(outcome.summary);
  return outcome;
}

Outcome Run(std::stop_token stop, const CLI::App& app, const Flags& flags) {
  Reporter reporter(isatty(STDERR_FILENO) ? Reporter::Output::kTerminal
                                          : Reporter::Output::kJsonLines);
  if (app.got_subcommand("clone")) return OutcomeOf(stop, "Clone", RunClone(stop, flags, reporter));
  if (app.got_subcommand("verify"))
    return OutcomeOf(stop, "Verify", RunVerify(stop, flags, reporter));
  if (app.got_subcommand("job")) return RunJobFile(stop, flags, reporter);
  Result<Manifest> manifest = RunBackup(stop, flags, reporter);
  if (!manifest) return mover::OutcomeOf(stop, "Backup", manifest.error());
  return {kExitProven, EncodeManifest(*manifest)};
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.require_subcommand(1);
  app.footer(kFooter);
  app.add_option("--pg-bindir", flags.pg_bindir,
                 "Directory of pg_dump and pg_restore, of the newest major in play "
                 "(default: CUTOVER_PG_BINDIR, then PATH)");
  auto common = [&flags](CLI::App* command) {
    command->add_option("--jobs", flags.jobs, "Tables and indexes worked on at once")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    return command;
  };
  auto comparing = [&flags](CLI::App* command) {
    command
        ->add_option("--level", flags.level,
                     "counts: rows per table, sequences; rows: every byte, and the structure")
        ->check(CLI::IsMember({"counts", "rows"}))
        ->capture_default_str();
    command
        ->add_option("--max-seconds", flags.seconds_max,
                     "Give up verifying after so long; nothing is proven then")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--exclude-table", flags.exclude_tables,
                        "schema.table whose rows do not matter; may be given several times");
  };
  CLI::App* clone = common(app.add_subcommand("clone", "Copy a database and prove the copy"));
  clone->add_option("--source", flags.source, "The database to copy")->required();
  clone->add_option("--target", flags.target, "An admin database of the target's server")
      ->required();
  clone->add_option("--database", flags.database, "Name of the copy")->required();
  clone->add_flag(
      "--existing", flags.existing,
      "The database was created already and is empty; leave owner and access to others");
  comparing(clone);
  CLI::App* verify = common(app.add_subcommand("verify", "Compare two databases at rest"));
  verify->add_option("--source", flags.source, "One database")->required();
  verify->add_option("--target", flags.target, "The other one")->required();
  comparing(verify);
  CLI::App* backup = common(app.add_subcommand("backup", "Take a backup, or check one"));
  auto* check =
      backup->add_option("--check", flags.check_directory, "Read a backup to its last byte");
  auto* directory = backup->add_option("--directory", flags.directory, "Where the backup will be");
  auto* source = backup->add_option("--source", flags.source, "The database to back up");
  source->needs(directory)->excludes(check);
  directory->needs(source)->excludes(check);
  backup->add_option("--migration-uid", flags.migration_uid,
                     "Whose backup it is; one of the same is not taken twice");
  backup->callback([&flags] {
    if (flags.check_directory.empty() && flags.directory.empty())
      throw CLI::RequiredError("--check, or --source and --directory");
  });
  CLI::App* job = app.add_subcommand("job", "Do what the operator's Job spec says");
  job->add_option("--spec", flags.spec_file, "The spec, as JSON")->required();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Moves PostgreSQL databases between servers and proves that nothing was lost."};
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitProven : kExitUsage;
  }
  sigprocmask(SIG_BLOCK, &SignalStop::Signals(), nullptr);
  signal(SIGPIPE, SIG_IGN);
  SignalStop signals;
  const Outcome outcome = Run(signals.token(), app, flags);
  std::printf("%s\n", outcome.summary.DumpPretty().c_str());
  if (outcome.summary.Contains("error"))
    std::fprintf(stderr, "cutover-mover: %s\n",
                 outcome.summary["error"]["message"].AsString().c_str());
  return outcome.exit_code;
}

}  // namespace
}  // namespace cutover::mover

int main(int argc, char** argv) { return cutover::mover::Main(argc, argv); }
