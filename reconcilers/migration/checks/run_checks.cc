// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/checks/http_check.h"
#include "reconcilers/migration/checks/prometheus_check.h"
#include "reconcilers/migration/checks/sql_check.h"
#include "reconcilers/migration/tally.h"

namespace cutover::migration {
namespace {

using std::chrono::milliseconds;

// One try of one check. Whether it may go on failing is decided by its timeout, or by how often it
// may fail in a row, over many tries.
constexpr std::chrono::seconds kTryBound{10};

struct Found {
  Verdict verdict = Verdict::kPassed;
  std::string message = "as expected";
  std::optional<milliseconds> latency{};
  int samples = 0;
};

struct Try {
  CheckOutcome outcome;  ///< As far as it is known beforehand.
  std::function<Result<Found>(std::stop_token, Deadline)> run;
};

// How long `ask` takes: the median of `samples` times, rounded up to milliseconds. Another is only
// begun while there is time for one as long as the longest.
Result<Found> MedianTime(Deadline deadline, const Clock& clock, int samples,
                         const std::function<Status()>& ask) {
  std::vector<milliseconds> times;
  while (static_cast<int>(times.size()) < samples) {
    if (!times.empty() && deadline.Remaining() < *std::max_element(times.begin(), times.end()))
      break;
    SteadyTime began = clock.SteadyNow();
    TRY(ask());
    times.push_back(std::chrono::ceil<milliseconds>(clock.SteadyNow() - began));
  }
  auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  Found found;
  found.latency = *middle;
  found.samples = static_cast<int>(times.size());
  return found;
}

// A session is opened once: what is measured is the query, which a workload with a pool of its own
// asks just so.
Result<Found> AskSqlTimed(std::stop_token stop, Deadline deadline, const CheckContext& context,
                          const api::SqlCheck& check, int samples) {
  if (!context.tenant.known()) return tl::make_unexpected(context.tenant.error());
  TRY_ASSIGN(pg::Connection tenant, ConnectForCheck(stop, deadline, *context.tenant));
  return MedianTime(deadline, *context.clock, samples,
                    [&] { return AskSql(stop, deadline, tenant, check); });
}

Result<Found> AskHttpTimed(std::stop_token stop, Deadline deadline, const CheckContext& context,
                           const api::HttpCheck& check, int samples) {
  TRY(AsksOwnNamespace(check.url, context.namespace_name));
  return MedianTime(deadline, *context.clock, samples,
                    [&] { return RunHttpCheck(stop, deadline, context.http, check); });
}

Result<Found> RunUserCheck(std::stop_token stop, Deadline deadline, const CheckContext& context,
                           const api::Check& check, int samples) {
  if (check.http) return AskHttpTimed(stop, deadline, context, *check.http, samples);
  if (check.sql) return AskSqlTimed(stop, deadline, context, *check.sql, samples);
  if (!check.prometheus)
    return TerminalError("InvalidCheck", "the check says none of http, sql, job and prometheus");
  TRY_ASSIGN(PrometheusVerdict said,
             RunPrometheusCheck(stop, deadline, context, *check.prometheus));
  return Found{said.verdict, std::move(said.message)};
}

CheckOutcome OutcomeOf(std::string name, int timeout_seconds, int failure_threshold) {
  CheckOutcome outcome;
  outcome.name = std::move(name);
  outcome.timeout_seconds = timeout_seconds;
  outcome.failure_threshold = failure_threshold;
  return outcome;
}

Try TryOf(const BuiltinCheck& check, const CheckContext& context) {
  return {OutcomeOf(check.name, check.timeout_seconds, check.failure_threshold),
          [&check, &context](std::stop_token stop, Deadline deadline) -> Result<Found> {
            Found found;
            TRY_ASSIGN(found.message, check.run(stop, deadline, context));
            return found;
          }};
}

Try TryOf(const api::Check& check, const CheckContext& context, int samples) {
  return {OutcomeOf(check.name, check.timeout_seconds, check.failure_threshold),
          [&check, &context, samples](std::stop_token stop, Deadline deadline) {
            return RunUserCheck(stop, deadline, context, check, samples);
          }};
}

std::vector<Try> TriesOf(api::CheckWhen moment, const CheckContext& context) {
  std::vector<Try> tries;
  bool repeated = moment == api::CheckWhen::kHypercare;
  auto waits = [&](const auto& check) {
    return repeated &&
           !IsDue(context.so_far, check.name, check.interval_seconds, context.clock->WallNow());
  };
  for (const BuiltinCheck& check : context.builtin) {
    if (std::find(check.when.begin(), check.when.end(), moment) == check.when.end()) continue;
    if (check.needs_users_out && context.users_are_in) continue;
    if (!waits(check)) tries.push_back(TryOf(check, context));
  }
  for (const api::Check& check : context.checks) {
    if (!check.At(moment) || check.job || waits(check)) continue;
    bool bounded = check.max_latency_milliseconds > 0 || check.WantsBaseline();
    tries.push_back(TryOf(check, context, repeated && bounded ? kLatencySamples : 1));
  }
  return tries;
}

CheckOutcome OutcomeOf(const Try& attempt, Result<Found> result) {
  CheckOutcome outcome = attempt.outcome;
  outcome.verdict = result ? result->verdict : Verdict::kFailed;
  outcome.message = result ? result->message : result.error().message;
  if (!result) return outcome;
  outcome.latency = result->latency;
  outcome.samples = result->samples;
  return outcome;
}

Fact<std::vector<CheckOutcome>> RunAll(const std::stop_token& stop, Deadline deadline,
                                       const std::vector<Try>& tries) {
  std::vector<CheckOutcome> outcomes;
  for (size_t i = 0; i < tries.size(); ++i) {
    auto share = deadline.Remaining() / static_cast<int64_t>(tries.size() - i);
    Deadline own = deadline.OrAfter(std::min<milliseconds>(share, kTryBound));
    outcomes.push_back(OutcomeOf(tries[i], tries[i].run(stop, own)));
    // What was cut short says nothing about the tenant.
    if (stop.stop_requested())
      return Error{Disposition::kRetry, "Stopped", "the checks were cut short"};
  }
  return outcomes;
}

}  // namespace

Fact<std::vector<CheckOutcome>> RunChecks(std::stop_token stop, Deadline deadline,
                                          api::CheckWhen moment, const CheckContext& context) {
  return RunAll(stop, deadline, TriesOf(moment, context));
}

Fact<std::vector<CheckOutcome>> MeasureBaselines(std::stop_token stop, Deadline deadline,
                                                 const CheckContext& context) {
  std::vector<Try> tries;
  for (const api::Check& check : context.checks)
    if (LacksBaseline(context.so_far, check))
      tries.push_back(TryOf(check, context, kLatencySamples));
  return RunAll(stop, deadline, tries);
}

}  // namespace cutover::migration
