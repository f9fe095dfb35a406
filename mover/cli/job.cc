// SPDX-License-Identifier: Apache-2.0
#include "mover/job.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "mover/cli/flags.h"
#include "mover/cli/verb.h"
#include "mover/contract/job_spec.h"
#include "mover/supervisor.h"

namespace cutover::mover::cli {
namespace {

class JobVerb : public Verb {
 public:
  explicit JobVerb(CLI::App& app)
      : Verb(app.add_subcommand("job", "Do what the operator's Job spec says")) {
    command()->add_option("--spec", spec_file_, "The spec, as JSON")->required();
    command()->footer(kExitCodesHelp);
  }

  Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) override {
    Result<JobSpec> spec = ReadSpec();
    Outcome outcome;
    if (spec) {
      outcome = RunSpec(stop, programs, *spec, reporter);
    } else {
      outcome = OutcomeOf(stop, "Job", spec.error());
      outcome.exit_code = kExitUsage;
    }
    WriteTerminationMessage(outcome.summary);
    return outcome;
  }

 private:
  Result<JobSpec> ReadSpec() const {
    std::ifstream file(spec_file_, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    if (!file) return TerminalError("InvalidJobSpec", "cannot read " + spec_file_);
    TRY_ASSIGN(Json json, Json::Parse(text));
    return DecodeJobSpec(json);
  }

  Outcome RunSpec(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
                  Reporter& reporter) {
    if (spec.kind == JobKind::kClone && std::getenv(kSnapshotVariable) == nullptr)
      return SuperviseClone(stop, spec);
    const RereadSpec reread = [this]() -> std::optional<JobSpec> {
      Result<JobSpec> now = ReadSpec();
      if (!now) return std::nullopt;
      return std::move(*now);
    };
    return RunJob(stop, programs, spec, reread, reporter);
  }

  std::string spec_file_;
};

}  // namespace

std::unique_ptr<Verb> MakeJobVerb(CLI::App& app) { return std::make_unique<JobVerb>(app); }

}  // namespace cutover::mover::cli
