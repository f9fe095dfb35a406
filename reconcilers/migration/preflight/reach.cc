// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/reach.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cutover::migration {
namespace {

// Long enough for a page that is made for the first time since a start; it is asked again anyway.
constexpr std::chrono::seconds kPageBound{10};

bool IsUp(const wiring::WorkloadObservation& workload) {
  return workload.exists && workload.wanted_replicas > 0 && workload.unfinished.empty();
}

// CronJobs serve no pages.
bool AllAreUp(const std::vector<wiring::WorkloadObservation>& workloads) {
  return std::all_of(workloads.begin(), workloads.end(), [](const auto& workload) {
    return workload.ref.kind == "CronJob" || IsUp(workload);
  });
}

bool IsAskedNow(const BuiltinCheck& check) {
  return std::find(check.when.begin(), check.when.end(), api::CheckWhen::kPreflight) !=
         check.when.end();
}

Finding FindingOf(const PreflightInputs& inputs, const Error& error) {
  if (error.reason == "Unreachable" || error.reason == "Timeout")
    return {Severity::kBlocking, "WorkloadNotReachable",
            "the operator does not reach the workload, and after the switch could not see that it "
            "works (" +
                error.message + "): let namespace " + inputs.access.operator_namespace +
                " reach namespace " + inputs.placement.meta.namespace_name +
                " at that port, by a NetworkPolicy there, and in a mesh without mTLS"};
  return {Severity::kBlocking, "PageNotServed",
          "the workload does not serve the page by which it is known to work after the switch, "
          "where the move would go back for that: " +
              error.message};
}

}  // namespace

Result<std::vector<Finding>> FindUnreachable(std::stop_token stop, Deadline deadline,
                                             const PreflightInputs& inputs,
                                             const PreflightFacts& facts) {
  std::vector<Finding> findings;
  const api::DatabasePlacement& placement = inputs.placement;
  if (placement.spec.routes.empty() || !facts.routes.known()) return findings;
  if (!facts.workloads.known() || !AllAreUp(*facts.workloads)) return findings;
  CheckContext context;
  context.namespace_name = placement.meta.namespace_name;
  context.http = inputs.http;
  for (const BuiltinCheck& check : inputs.profile.Checks(Json())) {
    if (!IsAskedNow(check)) continue;
    if (!context.backends.known()) {
      kube::Client& client = inputs.access.client;
      TRY_ASSIGN(const Json record, wiring::RecordRoutes(stop, deadline, client, placement));
      TRY_ASSIGN(auto backends,
                 wiring::OriginalBackends(stop, deadline, client, placement, record));
      context.backends = std::move(backends);
    }
    const auto served = check.run(stop, deadline.OrAfter(kPageBound), context);
    if (!served) findings.push_back(FindingOf(inputs, served.error()));
  }
  return findings;
}

}  // namespace cutover::migration
