// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mover/contract/job_spec.h"
#include "mover/job.h"
#include "mover/verify/report.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover::cli {

/// What every verb's help says below its flags.
extern const char kConnectionsHelp[];
extern const char kExitCodesHelp[];

/// Flags that several verbs have.
void AddJobsFlag(CLI::App& command, int& jobs);
void AddLockFlag(CLI::App& command, int& lock_seconds_max);

struct ComparisonFlags {
  std::string level = "rows";
  int seconds_max = 0;
  std::vector<std::string> exclude_tables;
  std::string report_file;
  std::vector<std::string> accept;
  std::vector<std::string> role_names;  ///< For ParseRoleNames().

  void AddTo(CLI::App& command);
  VerificationLevel Level() const;
};

/// From a URI, a conninfo string or "service=NAME"; `password_variable` names the environment
/// variable whose value, where it is set, wins over any password in there.
Result<pg::ConnectOptions> ParseConnection(const std::string& conninfo,
                                           const char* password_variable);

/// "SOURCE=TARGET" items as a map. Terminal "InvalidArguments".
Result<std::map<std::string, std::string>> ParseRoleNames(const std::vector<std::string>& items);

/// The outcome of a comparison. Where `report_file` is named and cannot be written, the summary
/// says so ("reportError"), and equality alone is no success.
Outcome OutcomeOfReport(std::stop_token stop, std::string_view kind, const Result<Report>& report,
                        const std::string& report_file);

}  // namespace cutover::mover::cli
