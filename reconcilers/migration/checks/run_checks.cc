// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <utility>

#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/checks/http_check.h"
#include "reconcilers/migration/checks/sql_check.h"

namespace cutover::migration {
namespace {

// One try of one check. Whether it may go on failing is decided by its timeout, over many tries.
constexpr std::chrono::seconds kTryBound{10};

struct Try {
  std::string name;
  int timeout_seconds;
  std::function<Result<std::string>(std::stop_token, Deadline)> run;
};

Result<std::string> RunUserCheck(std::stop_token stop, Deadline deadline,
                                 const CheckContext& context, const api::Check& check) {
  if (check.http) {
    TRY(AsksOwnNamespace(check.http->url, context.namespace_name));
    TRY(RunHttpCheck(stop, deadline, context.http, *check.http));
  } else if (check.sql) {
    if (!context.tenant.known()) return tl::make_unexpected(context.tenant.error());
    TRY(RunSqlCheck(stop, deadline, *context.tenant, *check.sql));
  } else {
    return TerminalError("InvalidCheck", "the check says neither http nor sql");
  }
  return "as expected";
}

std::vector<Try> TriesOf(api::CheckWhen moment, const CheckContext& context) {
  std::vector<Try> tries;
  for (const BuiltinCheck& check : context.builtin) {
    if (std::find(check.when.begin(), check.when.end(), moment) == check.when.end()) continue;
    tries.push_back({check.name, check.timeout_seconds,
                     [&check, &context](std::stop_token stop, Deadline deadline) {
                       return check.run(stop, deadline, context);
                     }});
  }
  for (const api::Check& check : context.checks) {
    if (!check.At(moment)) continue;
    tries.push_back({check.name, check.timeout_seconds,
                     [&check, &context](std::stop_token stop, Deadline deadline) {
                       return RunUserCheck(stop, deadline, context, check);
                     }});
  }
  return tries;
}

CheckOutcome OutcomeOf(const Try& attempt, Result<std::string> result) {
  CheckOutcome outcome;
  outcome.name = attempt.name;
  outcome.timeout_seconds = attempt.timeout_seconds;
  outcome.passed = result.has_value();
  outcome.message = result ? *result : result.error().message;
  return outcome;
}

}  // namespace

Fact<std::vector<CheckOutcome>> RunChecks(std::stop_token stop, Deadline deadline,
                                          api::CheckWhen moment, const CheckContext& context) {
  std::vector<CheckOutcome> outcomes;
  std::vector<Try> tries = TriesOf(moment, context);
  for (size_t i = 0; i < tries.size(); ++i) {
    auto share = deadline.Remaining() / static_cast<int64_t>(tries.size() - i);
    Deadline own = deadline.OrAfter(std::min<std::chrono::milliseconds>(share, kTryBound));
    outcomes.push_back(OutcomeOf(tries[i], tries[i].run(stop, own)));
    // What was cut short says nothing about the tenant.
    if (stop.stop_requested())
      return Error{Disposition::kRetry, "Stopped", "the checks were cut short"};
  }
  return outcomes;
}

}  // namespace cutover::migration
