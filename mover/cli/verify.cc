// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/verify.h"

#include <optional>
#include <string>

#include "mover/cli/flags.h"
#include "mover/cli/verb.h"

namespace cutover::mover::cli {
namespace {

constexpr char kExamples[] =
    "EXAMPLES\n"
    "  Prove that a copy is a copy, and file the proof:\n"
    "    cutover-mover verify --source postgresql://admin@old/shop --target "
    "postgresql://admin@new/shop \\\n"
    "      --jobs 4 --report shop-2026-11-21.txt\n"
    "  A big pair in an hour every night, going on where the last run ended:\n"
    "    cutover-mover verify --source … --target … --max-seconds 3600 --state shop.state\n"
    "  Nobody should write to either side meanwhile: what differs may be what was just written.\n"
    "  The result is printed as JSON; where tables differ it names key ranges and rows.";

class VerifyVerb : public Verb {
 public:
  explicit VerifyVerb(CLI::App& app)
      : Verb(app.add_subcommand("verify", "Compare two databases at rest")) {
    command()->add_option("--source", source_, "One database")->required();
    command()->add_option("--target", target_, "The other one")->required();
    AddJobsFlag(*command(), jobs_);
    comparison_.AddTo(*command());
    command()->add_option("--state", state_file_,
                          "Keep in this file which tables were found equal, and which parts of big "
                          "ones were read, and go on from there; tables that were written to since "
                          "are compared again");
    command()->footer(std::string(kExamples) + "\n" + kConnectionsHelp + "\n" + kExitCodesHelp);
  }

  Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) override {
    return OutcomeOfReport(stop, "Verify", Compare(stop, programs, reporter),
                           comparison_.report_file);
  }

 private:
  Result<Report> Compare(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) {
    VerifyOptions options;
    TRY_ASSIGN(options.source, ParseConnection(source_, kSourcePasswordVariable));
    TRY_ASSIGN(options.target, ParseConnection(target_, kTargetPasswordVariable));
    options.jobs = jobs_;
    options.seconds_max = comparison_.seconds_max;
    options.exclude_tables = comparison_.exclude_tables;
    options.accept = comparison_.accept;
    TRY_ASSIGN(options.role_names, ParseRoleNames(comparison_.role_names));
    options.level = comparison_.Level();
    options.state_file = state_file_;
    return VerifyDatabases(stop, programs, options, std::nullopt, reporter);
  }

  std::string source_;
  std::string target_;
  std::string state_file_;
  int jobs_ = 2;
  ComparisonFlags comparison_;
};

}  // namespace

std::unique_ptr<Verb> MakeVerifyVerb(CLI::App& app) { return std::make_unique<VerifyVerb>(app); }

}  // namespace cutover::mover::cli
