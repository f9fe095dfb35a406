// SPDX-License-Identifier: Apache-2.0
#include "mover/cli/flags.h"

#include <cstdlib>
#include <utility>

namespace cutover::mover::cli {

const char kConnectionsHelp[] =
    "CONNECTIONS\n"
    "  A URI (postgresql://user@host:port/database), a conninfo string (\"host=… dbname=…\") or\n"
    "  \"service=NAME\"; what it leaves out comes from libpq's PG* variables, and TLS is as libpq\n"
    "  does it (sslmode, sslrootcert, …). Passwords come best from the environment:\n"
    "    CUTOVER_SOURCE_PASSWORD, CUTOVER_TARGET_PASSWORD   of either side\n"
    "    PGPASSFILE, PGSERVICEFILE                          libpq's own files\n"
    "  Name the primary itself: a pooler or a balancer cannot hold a snapshot for several "
    "sessions.\n"
    "ENVIRONMENT\n"
    "  CUTOVER_PG_BINDIR   directory of pg_dump and pg_restore (or --pg-bindir; or PATH)\n"
    "  TMPDIR              where the structure is kept while it is worked on";

const char kExitCodesHelp[] =
    "EXIT CODES\n"
    "  0   proven: it is done, and what was promised was verified\n"
    "  1   the sides differ, or a backup is damaged: the report says where\n"
    "  2   nothing is proven: an error, or the end of --max-seconds; the message says what to do\n"
    "  64  wrong arguments\n"
    "  75  interrupted by SIGINT or SIGTERM; running it again is safe";

void AddJobsFlag(CLI::App& command, int& jobs) {
  command.add_option("--jobs", jobs, "Tables and indexes worked on at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void AddLockFlag(CLI::App& command, int& lock_seconds_max) {
  command
      .add_option("--max-lock-seconds", lock_seconds_max,
                  "How long another session's lock on a table of the source may be waited for; "
                  "then that session is named, and nothing was changed")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

void ComparisonFlags::AddTo(CLI::App& command) {
  command
      .add_option("--level", level,
                  "counts: rows per table, sequences; rows: every byte, and the structure")
      ->check(CLI::IsMember({"counts", "rows"}))
      ->capture_default_str();
  command
      .add_option("--max-seconds", seconds_max,
                  "Give up verifying after so long; nothing is proven as a whole then")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--exclude-table", exclude_tables,
                     "schema.table whose rows do not matter; may be given several times");
  command.add_option("--accept", accept,
                     "An object that may stay behind or differ, as the refusal or the report names "
                     "it; may be given several times");
  command.add_option("--map-role", role_names,
                     "SOURCE=TARGET: a role that has another name on the target; may be given "
                     "several times");
  command.add_option("--report", report_file,
                     "Also write the result to this file, as a page of text to be filed");
}

VerificationLevel ComparisonFlags::Level() const {
  return ParseLevel(level).value_or(VerificationLevel::kRows);  // CLI11 has checked it.
}

Result<pg::ConnectOptions> ParseConnection(const std::string& conninfo,
                                           const char* password_variable) {
  TRY_ASSIGN(pg::ConnectOptions options, pg::ConnectOptions::Parse(conninfo));
  if (const char* value = std::getenv(password_variable)) options.password = value;
  options.application_name = "cutover-mover";
  return options;
}

Result<std::map<std::string, std::string>> ParseRoleNames(const std::vector<std::string>& items) {
  std::map<std::string, std::string> names;
  for (const std::string& item : items) {
    const size_t at = item.find('=');
    if (at == std::string::npos || at == 0 || at + 1 == item.size())
      return TerminalError(
          "InvalidArguments",
          "--map-role takes SOURCE=TARGET, two names of roles, not '" + item + "'");
    if (!names.emplace(item.substr(0, at), item.substr(at + 1)).second)
      return TerminalError("InvalidArguments", "--map-role names role '" + item.substr(0, at) +
                                                   "' twice; give each its one name");
  }
  return names;
}

Outcome OutcomeOfReport(std::stop_token stop, std::string_view kind, const Result<Report>& report,
                        const std::string& report_file) {
  if (!report) return OutcomeOf(stop, kind, report.error());
  Outcome outcome{report->equal() ? kExitProven : kExitDifferent, EncodeReport(*report)};
  outcome.summary.Set("kind", kind);
  if (report_file.empty()) return outcome;
  Status written = WriteReportPage(*report, report_file);
  if (written) return outcome;
  outcome.summary.Set("reportError", written.error().message);
  if (outcome.exit_code == kExitProven) outcome.exit_code = kExitUnproven;
  return outcome;
}

}  // namespace cutover::mover::cli
