// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "mover/contract/job_spec.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "operator/base/json.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// How a run ended: the process's exit code and what the termination message says.
struct Outcome {
  int exit_code = 2;
  Json summary;
};

/// Runs a Job as its spec orders, with passwords from the environment.
///
/// Before a Clone or Verify writes, the target's control row must name this migration, in a state
/// in which a copy may be made or compared, and no later attempt may have begun ("NotAuthorized",
/// "Superseded"): a Job that outlived its leader does nothing. The outcome is written to
/// cutover.result, also when it is an error, as far as the target can be reached.
///
/// `reread`, where given, reads the spec again, or nothing when it cannot: the throttle of a
/// running Job follows it. As a supervisor's worker (supervisor.h) a Clone reads under that one's
/// snapshot.
using RereadSpec = std::function<std::optional<JobSpec>()>;
Outcome RunJob(std::stop_token stop, const PgPrograms& programs, const JobSpec& spec,
               const RereadSpec& reread, Reporter& reporter);

/// The same for a Clone, by worker processes that run this program with its own arguments. With a
/// slot it is made here, once it is certain that no other supervisor works for the same target, and
/// that this one may: what it would drop and make again is another one's otherwise.
Outcome SuperviseClone(std::stop_token stop, const JobSpec& spec);

/// The outcome of an error: exit code and {kind, verdict "Unproven", error}.
Outcome OutcomeOf(std::stop_token stop, std::string_view kind, const Error& error);

/// Writes the summary where Kubernetes looks for a container's last words, cut to what fits there
/// (4096 bytes) by leaving out mismatches and warnings first. Does nothing where the file cannot be
/// written: outside of a Pod there is none.
void WriteTerminationMessage(const Json& summary);

}  // namespace cutover::mover
