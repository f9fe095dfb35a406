// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/cluster.h"
#include "cli/exit_code.h"
#include "operator/base/result.h"

namespace cutover::cli {

/// One verb of the program: a subcommand with its flags, and what it does.
class Verb {
 public:
  Verb(CLI::App& app, const char* name, const char* purpose, const char* examples);
  virtual ~Verb() = default;
  Verb(const Verb&) = delete;
  Verb& operator=(const Verb&) = delete;

  /// After the arguments were parsed: whether this is the verb that was named.
  bool chosen() const { return command_->parsed(); }
  /// How the program ends, or what is to be said to the person who called it.
  virtual Result<ExitCode> Run(const ClusterFlags& flags) = 0;

 protected:
  CLI::App* command() const { return command_; }

 private:
  CLI::App* command_;  ///< Owned by the program's CLI::App.
};

/// Each adds its subcommand to `app`, which must outlive it.
std::unique_ptr<Verb> MakeStatusVerb(CLI::App& app);
std::unique_ptr<Verb> MakeApproveVerb(CLI::App& app);
std::unique_ptr<Verb> MakeAbortVerb(CLI::App& app);
std::unique_ptr<Verb> MakeRollbackVerb(CLI::App& app);
std::unique_ptr<Verb> MakeRetryVerb(CLI::App& app);
std::unique_ptr<Verb> MakeSuspendVerb(CLI::App& app);
std::unique_ptr<Verb> MakeResumeVerb(CLI::App& app);
std::unique_ptr<Verb> MakeMoveVerb(CLI::App& app);
std::unique_ptr<Verb> MakePlanVerb(CLI::App& app);
std::unique_ptr<Verb> MakeHistoryVerb(CLI::App& app);
std::unique_ptr<Verb> MakeVersionVerb(CLI::App& app);
std::unique_ptr<Verb> MakeReportVerb(CLI::App& app);
std::unique_ptr<Verb> MakeLogsVerb(CLI::App& app);
std::unique_ptr<Verb> MakeSupportBundleVerb(CLI::App& app);
std::unique_ptr<Verb> MakeCompletionVerb(CLI::App& app);

/// Says how long: "90s", "10m", "2h", "1h30m". Terminal "InvalidArguments".
Result<std::chrono::seconds> ParseSpan(const std::string& text);

}  // namespace cutover::cli
