// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/tally.h"

#include <algorithm>
#include <string>
#include <utility>

namespace cutover::migration {
namespace {

using api::CheckResult;
using api::CheckStatus;

const api::Check* FindSpec(const api::TenantMigration& migration, std::string_view name) {
  for (const api::Check& check : migration.spec.checks)
    if (check.name == name) return &check;
  return nullptr;  // The profile's own.
}

CheckStatus& EntryOf(std::vector<CheckStatus>& checks, const std::string& name) {
  for (CheckStatus& check : checks)
    if (check.name == name) return check;
  checks.emplace_back();
  checks.back().name = name;
  return checks.back();
}

std::string Milliseconds(int64_t milliseconds) { return std::to_string(milliseconds) + " ms"; }

// "in 61 ms, median of 5, and in 40 ms before the move"
std::string DescribeLatency(const CheckOutcome& outcome, const CheckStatus& before) {
  std::string text = "in " + Milliseconds(outcome.latency->count());
  if (outcome.samples > 1) text += ", median of " + std::to_string(outcome.samples);
  if (before.baseline_milliseconds)
    text += ", and in " + Milliseconds(*before.baseline_milliseconds) + " before the move";
  return text;
}

// What a latency breaks, or an empty string. A bound that is met exactly holds.
std::string SlownessOf(const api::Check& spec, int64_t latency, const CheckStatus& before) {
  if (spec.max_latency_milliseconds > 0 && latency > spec.max_latency_milliseconds)
    return "slower than maxLatencyMilliseconds (" + Milliseconds(spec.max_latency_milliseconds) +
           ")";
  int percent = spec.max_latency_over_baseline_percent;
  if (percent == 0 || !before.baseline_milliseconds) return "";
  int64_t baseline = *before.baseline_milliseconds;
  bool noticeable = latency - baseline > kLatencyNoise.count();
  if (noticeable && latency * 100 > baseline * (100 + percent))
    return "slower by more than " + std::to_string(percent) + " %";
  return "";
}

// The right answer is a failure when it took too long.
void Judge(const api::Check* spec, const CheckOutcome& outcome, CheckStatus& check) {
  check.result = outcome.verdict == Verdict::kPassed   ? CheckResult::kPassed
                 : outcome.verdict == Verdict::kFailed ? CheckResult::kFailed
                                                       : CheckResult::kUnknown;
  check.message = outcome.message;
  check.latency_milliseconds.reset();
  if (spec == nullptr || !outcome.latency) return;
  int64_t latency = outcome.latency->count();
  check.latency_milliseconds = latency;
  if (outcome.verdict != Verdict::kPassed) return;
  std::string slow = SlownessOf(*spec, latency, check);
  if (!slow.empty()) check.result = CheckResult::kFailed;
  check.message += " " + DescribeLatency(outcome, check) + (slow.empty() ? "" : ": " + slow);
}

void Count(CheckStatus& check, WallTime now) {
  if (check.result == CheckResult::kUnknown) return;
  check.runs += 1;
  if (check.result == CheckResult::kPassed) {
    check.consecutive_failures = 0;
    check.failing_since.reset();
    return;
  }
  if (check.consecutive_failures == 0) check.failing_since = now;
  check.consecutive_failures += 1;
}

}  // namespace

const CheckStatus* FindCheck(const std::vector<CheckStatus>& checks, std::string_view name) {
  for (const CheckStatus& check : checks)
    if (check.name == name) return &check;
  return nullptr;
}

bool IsDue(const std::vector<CheckStatus>& checks, std::string_view name, int interval_seconds,
           WallTime now) {
  const CheckStatus* check = FindCheck(checks, name);
  if (check == nullptr || !check->last_run_at) return true;
  // A clock that was set back must not keep a check from running until it has caught up.
  return now < *check->last_run_at ||
         now - *check->last_run_at >= std::chrono::seconds(interval_seconds);
}

bool LacksBaseline(const std::vector<CheckStatus>& checks, const api::Check& check) {
  if (!check.WantsBaseline()) return false;
  const CheckStatus* known = FindCheck(checks, check.name);
  return known == nullptr || !known->baseline_milliseconds;
}

std::vector<CheckStatus> NoteBaselines(const api::TenantMigration& migration,
                                       const Observation& seen) {
  std::vector<CheckStatus> checks = migration.status.checks;
  if (!seen.baselines.known()) return checks;
  for (const CheckOutcome& outcome : *seen.baselines)
    if (outcome.verdict == Verdict::kPassed && outcome.latency)
      EntryOf(checks, outcome.name).baseline_milliseconds = outcome.latency->count();
  return checks;
}

std::vector<CheckStatus> CountRuns(const api::TenantMigration& migration, const Observation& seen) {
  std::vector<CheckStatus> checks = migration.status.checks;
  if (!seen.checks.known()) return checks;
  for (const CheckOutcome& outcome : *seen.checks) {
    if (!outcome.IsOver()) continue;
    CheckStatus& check = EntryOf(checks, outcome.name);
    if (check.last_run_at == seen.now) continue;  // Counted already.
    check.failure_threshold = outcome.failure_threshold;
    Judge(FindSpec(migration, outcome.name), outcome, check);
    Count(check, seen.now);
    check.last_run_at = seen.now;
  }
  return checks;
}

std::string Describe(const CheckStatus& check) {
  std::string text = "check " + check.name + ": " + check.message;
  if (check.consecutive_failures == 0) return text;
  const bool once = check.consecutive_failures == 1;
  text += once ? " (failed once"
               : " (failed " + std::to_string(check.consecutive_failures) + " times in a row";
  if (check.failing_since) text += (once ? ", at " : " since ") + FormatTime(*check.failing_since);
  return text + ", of " + std::to_string(check.failure_threshold) + ")";
}

}  // namespace cutover::migration
