// SPDX-License-Identifier: Apache-2.0
#include "cli/view/checks.h"

#include <algorithm>

#include "cli/view/words.h"

namespace cutover::cli {
namespace {

using api::CheckResult;
using api::CheckStatus;

// The rule by which the operator itself counts (reconcilers/migration/tally.h).
bool HasFailed(const CheckStatus& check) {
  return check.consecutive_failures > 0 && check.consecutive_failures >= check.failure_threshold;
}

CheckState StateOf(const CheckStatus& check) {
  if (!check.last_run_at) return CheckState::kNotRun;
  if (HasFailed(check)) return CheckState::kFailed;
  switch (check.result) {
    case CheckResult::kPassed:
      return CheckState::kPassed;
    case CheckResult::kFailed:
      return CheckState::kFailing;
    case CheckResult::kUnknown:
      break;
  }
  return CheckState::kUnknown;
}

std::string_view Word(CheckResult result) {
  switch (result) {
    case CheckResult::kPassed:
      return "passed";
    case CheckResult::kFailed:
      return "failed";
    case CheckResult::kUnknown:
      break;
  }
  return "unknown";
}

std::string TextOf(const CheckStatus& check, WallTime now) {
  if (!check.last_run_at) {
    std::string text = "not run yet";
    if (check.baseline_milliseconds)
      text += "; " + std::to_string(*check.baseline_milliseconds) + " ms before the move";
    return text;
  }
  std::string text(Word(check.result));
  text += " " + FormatDistance(*check.last_run_at, now);
  if (check.consecutive_failures > 0)
    text += ", " + Counted(check.consecutive_failures, "time") + " in a row (" +
            std::to_string(check.failure_threshold) + " are too many)";
  if (check.failing_since) text += ", failing for " + FormatSpan(now - *check.failing_since);
  if (!check.message.empty()) text += ": " + check.message;
  return text;
}

// "login-page" or "login-page and 2 more"
std::string Naming(const std::vector<const CheckStatus*>& checks) {
  std::string text = checks.front()->name;
  if (checks.size() > 1) text += " and " + std::to_string(checks.size() - 1) + " more";
  return text;
}

std::string LeadTo(const std::vector<const CheckStatus*>& failed, bool goes_back) {
  const std::string have = Naming(failed) + (failed.size() == 1 ? " has" : " have") + " failed. ";
  const std::string mend = "Mend what is found, and hypercare goes on by itself";
  if (goes_back)
    return have + "The tenant goes back as soon as that loses nothing. " + mend +
           " if it passes before.";
  return have + "The migration holds for you. " + mend + " once it passes; or go back.";
}

std::string MayLeadTo(const std::vector<const CheckStatus*>& failing, bool goes_back) {
  const CheckStatus* next = *std::min_element(
      failing.begin(), failing.end(), [](const CheckStatus* a, const CheckStatus* b) {
        return a->failure_threshold - a->consecutive_failures <
               b->failure_threshold - b->consecutive_failures;
      });
  const int64_t left = next->failure_threshold - next->consecutive_failures;
  return Naming(failing) + (failing.size() == 1 ? " fails" : " fail") +
         ". Mend what is found, and the count begins again; after " +
         Counted(left, "more failure") + " of " + next->name + " in a row " +
         (goes_back ? "the tenant goes back by itself." : "the migration holds for you.");
}

}  // namespace

std::vector<CheckLine> ChecksOf(const MigrationView& migration, WallTime now) {
  std::vector<CheckLine> lines;
  const bool any = std::any_of(migration.checks.begin(), migration.checks.end(),
                               [](const CheckStatus& check) { return check.last_run_at; });
  if (!any) return lines;
  for (const CheckStatus& check : migration.checks)
    lines.push_back({check.name, StateOf(check), TextOf(check, now)});
  return lines;
}

std::string WhatChecksLeadTo(const MigrationView& migration) {
  if (migration.phase != "Hypercare") return "";
  std::vector<const CheckStatus*> failed, failing, unknown;
  for (const CheckStatus& check : migration.checks) {
    const CheckState state = StateOf(check);
    if (state == CheckState::kFailed) failed.push_back(&check);
    // One that was failing when it became unknown goes on from its count.
    else if (check.consecutive_failures > 0)
      failing.push_back(&check);
    else if (state == CheckState::kUnknown)
      unknown.push_back(&check);
  }
  const bool goes_back = migration.on_failed_checks == "Rollback";
  if (!failed.empty()) return LeadTo(failed, goes_back);
  if (!failing.empty()) return MayLeadTo(failing, goes_back);
  if (unknown.empty()) return "";
  return Naming(unknown) +
         " found nothing out. That is no failure, but hypercare does not end before every check "
         "has passed at its last run.";
}

}  // namespace cutover::cli
