// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/tally.h"

namespace cutover::migration {
namespace {

using api::CheckResult;
using api::CheckStatus;

// Goes back with everything that users have written since: only where the spec asks for it, and
// only while that loses nothing. Otherwise holds with the check's words, for a person to judge, and
// goes on asking: a check that passes again ends that.
Plan AnswerTo(const CheckStatus& failed, const api::TenantMigration& migration,
              const Observation& seen) {
  std::string words = Describe(failed);
  bool go_back = migration.spec.on_failed_checks == api::OnFailedChecks::kRollback &&
                 !WayBackIsGivenUp(migration, seen);
  const bool two_sides = KeepSourceClosed(seen).has_value();
  if (go_back && !two_sides && MayGoBack(migration, seen))
    return Plan::RollBack("HypercareCheckFailed", words);
  std::string waiting = "holding: ";
  if (go_back && two_sides)
    waiting = "going back as soon as the source is closed: ";
  else if (go_back)
    waiting =
        "going back as soon as nothing is lost by it (now: " + WhyNotBackNow(migration, seen) +
        "): ";
  Plan plan = Plan::Wait(std::chrono::seconds(5), waiting + words, "HypercareCheckFailed");
  plan.trouble = true;
  return plan;
}

// The way back stays open until every check has passed at its last run: one that fails has not
// failed often enough yet, one that is unknown has told nothing.
std::optional<Plan> AwaitChecks(const std::vector<CheckStatus>& checks, const Observation& seen) {
  auto waiting = [](std::string words) {
    Plan plan = Plan::Wait(std::chrono::seconds(2), "the time of hypercare is over; " + words,
                           "AwaitingChecks");
    plan.trouble = true;
    return plan;
  };
  for (const CheckOutcome& outcome : *seen.checks)
    if (!outcome.IsOver()) return waiting("check " + outcome.name + ": " + outcome.message);
  for (const CheckStatus& check : checks)
    if (check.last_run_at && check.result != CheckResult::kPassed)
      return waiting((check.result == CheckResult::kUnknown ? "not known, " : "") +
                     Describe(check));
  return std::nullopt;
}

// A Job that cannot be made is tried again and again: half of the time belongs to the stream's
// heartbeat, since without one the way back would seem broken.
bool JobsMayStart(const api::TenantMigration& migration, const Observation& seen) {
  constexpr std::chrono::seconds kTurn{4};
  bool any = std::any_of(seen.checks->begin(), seen.checks->end(), [](const CheckOutcome& outcome) {
    return outcome.verdict == Verdict::kNotStarted;
  });
  return any && ((seen.now - EnteredAt(migration, seen)) / kTurn) % 2 == 0;
}

// What the checks lead to, if anything.
std::optional<Plan> JudgeChecks(const api::TenantMigration& migration, const Observation& seen,
                                const std::vector<CheckStatus>& checks) {
  auto failed = std::find_if(checks.begin(), checks.end(), HasFailed);
  std::optional<Plan> answer;
  if (failed != checks.end()) answer = AnswerTo(*failed, migration, seen);
  if (answer && answer->guard) return answer;
  if (!JobsMayStart(migration, seen)) return answer;
  // Also while holding, in whose words it is done: only another run can show that it passes again.
  if (!answer) return Plan::Do(Intent::kStartCheckJobs, "starting the Jobs of checks");
  answer->effect = Intent::kStartCheckJobs;
  answer->wait = std::chrono::milliseconds(0);
  return answer;
}

// "; check login-page: answered 502 (failed 3 times in a row since …, of 16)"
std::string Failing(const std::vector<CheckStatus>& checks) {
  std::string text;
  for (const CheckStatus& check : checks)
    if (check.consecutive_failures > 0) text += "; " + Describe(check);
  return text;
}

// Online: what is left of the stream to the target goes, since its slot would keep WAL for nothing;
// the one back is watched.
std::optional<Plan> KeepWayBack(const api::TenantMigration& migration, const Observation& seen) {
  ASK(seen.reverse_publisher);
  ASK(seen.structure);
  // A subscription without a slot would fail every few seconds.
  if (WayBackIsGivenUp(migration, seen)) {
    ASK(seen.reverse_subscriber);
    if (seen.reverse_subscriber.known() && seen.reverse_subscriber->exists)
      return Plan::Do(Intent::kDropReverseSubscriber, "removing the source's subscription");
  }
  // Nothing is applied to a database that somebody else may write to; the slot keeps it.
  if (auto plan = TurnStream(seen);
      plan && (plan->effect != Intent::kStartReverseStream || !KeepSourceClosed(seen)))
    return plan;
  ASK(seen.reverse_sample);
  ASK(seen.forward_publisher);
  // A source that is away keeps its own; that is no reason not to go on watching.
  if (!seen.forward_publisher.known()) return std::nullopt;
  return RemoveForwardStream(seen);
}

std::string StayByApproval(const api::TenantMigration& migration) {
  return "for the tenant to stay on " + migration.spec.target_server_name +
         " all the same, answer with: kubectl annotate tm " + migration.meta.name + " -n " +
         migration.meta.namespace_name + " --overwrite cutover.dev/approve=\"$(date +%s)\"";
}

// What does not come by itself is said to whoever can do something about it.
std::optional<Plan> AskAboutSmoke(const api::TenantMigration& migration, const Observation& seen) {
  std::string why;
  if (SourceIsGone(seen))
    why = WhySourceIsGone(migration);
  else if (WayBackIsGivenUp(migration, seen))
    why = DescribeWayBackGivenUp(migration);
  else if (WayBackNeedsPerson(seen))
    why = WhyNotBackNow(migration, seen) + "; mend that, or, to go back all the same, " +
          ConsentByNewToken();
  if (why.empty()) return std::nullopt;
  return Plan::Wait(std::chrono::seconds(2),
                    "the smoke test had failed, and going back was put off: " + why + "; " +
                        StayByApproval(migration),
                    "SmokeFailedNoWayBack");
}

// With a pooler users are in when the smoke test fails, and without a source they are let in all
// the same, so the rollback may have been put off.
std::optional<Plan> GoBackAfterSmoke(const api::TenantMigration& migration,
                                     const Observation& seen) {
  if (migration.status.rollback.reason != kSmokeFailed) return std::nullopt;
  if (!AnswerToStay(migration).empty()) return std::nullopt;
  const std::string words = "the smoke test had failed, and going back was put off";
  ASK(seen.source);
  ASK(seen.reverse_subscriber);
  if (MayGoBack(migration, seen)) return Plan::RollBack("SmokeFailed", words);
  std::optional<Plan> plan = AskAboutSmoke(migration, seen);
  if (!plan)
    plan =
        Plan::Wait(std::chrono::seconds(2),
                   words + " until nothing is lost by it (now: " + WhyNotBackNow(migration, seen) +
                       "); " + StayByApproval(migration),
                   kSmokeFailed);
  plan->trouble = true;
  return plan;
}

// RollbackReady is to say how it stands with that, whatever is waited for.
Plan TellOfWayBack(const api::TenantMigration& migration, const Observation& seen, Plan hold) {
  if (!migration.spec.online() || hold.look_at || hold.effect) return hold;
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  return hold;
}

Plan Watch(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.checks);
  std::vector<CheckStatus> checks = CountRuns(migration, seen);
  if (auto plan = JudgeChecks(migration, seen, checks)) return *plan;
  auto over = EnteredAt(migration, seen) + std::chrono::seconds(migration.spec.hypercare_seconds);
  if (seen.now >= over) {
    if (auto plan = AwaitChecks(checks, seen)) return *plan;
    if (auto plan = HoldForTenantOnTarget(migration, seen)) return *plan;
    return Plan::Go(Guard::kHypercareOver, "the time of hypercare is over" + DescribeViews(seen));
  }
  std::string failing = Failing(checks);
  auto left = std::chrono::ceil<std::chrono::milliseconds>(over - seen.now);
  auto pace = std::chrono::milliseconds(migration.spec.online() ? 2'000 : 5'000);
  Plan plan = Plan::Wait(std::min(left, pace), "users are in; watching until " + FormatTime(over) +
                                                   DescribeViews(seen) + failing);
  plan.trouble = !failing.empty();
  return plan;
}

// While users work on the target: the stream back, the views, and what checks say.
Plan LookAfterTenant(const api::TenantMigration& migration, const Observation& seen) {
  if (!migration.spec.online()) return Watch(migration, seen);
  if (!seen.target.known()) {
    if (auto plan = DropIdleSlotOnSource(migration, seen)) return *plan;
  }
  if (auto plan = KeepWayBack(migration, seen)) return *plan;
  // Of a source that is shut: what was refreshed there too late for the doors is known, and final.
  if (auto plan = RefreshViews(seen, std::chrono::seconds(0));
      plan && (plan->look_at || !KeepSourceClosed(seen)))
    return *plan;
  auto back = GoBackAfterSmoke(migration, seen);
  Plan plan = back ? *back : Watch(migration, seen);
  if (plan.guard || plan.effect || plan.look_at || WayBackIsGivenUp(migration, seen)) return plan;
  // Without our row no heartbeat can be written; that it is missing is what there is to say.
  if (plan.reason == "LedgerMissing") return plan;
  plan.effect = KeepWayBackOpen(seen);
  return plan;
}

// What would leave this phase waits; the way back is kept open meanwhile.
Plan InsteadOfLeaving(const api::TenantMigration& migration, const Observation& seen,
                      const Plan& leaving) {
  constexpr std::chrono::seconds kPace{2};
  Plan hold = TellOfWayBack(migration, seen, Plan::Wait(kPace, leaving.message, leaving.reason));
  const bool is_followed = migration.spec.online() && !WayBackIsGivenUp(migration, seen);
  if (!hold.look_at && is_followed) hold.effect = KeepWayBackOpen(seen);
  return hold;
}

// A source that cannot be closed keeps checks and heartbeats from nothing, for as long as a person
// takes. What awaits consent says so by itself (WhileHeld()).
Plan BesideOpenSource(const api::TenantMigration& migration, const Observation& seen, Plan plan) {
  if (plan.look_at || plan.awaits_consent || !KeepSourceClosed(seen)) return plan;
  if (plan.guard) plan = InsteadOfLeaving(migration, seen, plan);
  if (plan.look_at) return plan;
  const auto why = WhyNoFence(seen.source, migration.status.source_server_name);
  const api::Condition* told = migration.status.conditions.Find("Ready");
  if (why || told != nullptr) plan.reason = why ? why->reason : told->reason;
  plan.message =
      "the source database is open as well, and " +
      (why ? "cannot be closed: " + why->message
           : "to close it is tried again, which failed (" + migration.status.message + ")") +
      "; " + plan.message;
  plan.trouble = true;
  return plan;
}

Plan WhileUsersWork(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = HoldWithoutTarget(migration, seen)) return TellOfWayBack(migration, seen, *plan);
  if (!migration.meta.deleting()) return LookAfterTenant(migration, seen);
  if (auto plan = HoldForTenantOnTarget(migration, seen))
    return TellOfWayBack(migration, seen, *plan);
  return Plan::Go(Guard::kHypercareOver, "deleted: finishing");
}

}  // namespace

std::optional<Plan> KeepSourceClosed(const Observation& seen) {
  ASK(seen.source);
  if (!seen.source.known()) return std::nullopt;
  const DatabaseFacts& source = *seen.source;
  const bool may_be_closed = source.state == ControlState::kJournaled ||
                             source.state == ControlState::kFenced ||
                             source.state == ControlState::kOpen;
  if (!source.exists || source.foreign || source.closed || !may_be_closed) return std::nullopt;
  return Plan::Do(Intent::kCloseSourceAgain,
                  "closing the source database, which somebody has opened since the switch");
}

std::optional<Plan> TryToCloseSource(const api::TenantMigration& migration,
                                     const Observation& seen) {
  auto plan = KeepSourceClosed(seen);
  if (!plan || plan->look_at) return plan;
  if (WhyNoFence(seen.source, migration.status.source_server_name)) return std::nullopt;
  const std::string failed = std::string(Name(Intent::kCloseSourceAgain)) + ": ";
  if (migration.status.message.starts_with(failed)) return std::nullopt;
  return plan;
}

std::string AnswerToStay(const api::TenantMigration& migration) {
  if (migration.status.rollback.reason != kSmokeFailed) return "";
  const std::string token = migration.meta.Annotation(api::kApproveAnnotation);
  return token == migration.status.handled.approve ? "" : token;
}

/// Hypercare: users work on the target, checks run on, each at its own interval, and Online the way
/// back stays open, with samples of what it has carried compared. What was counted is in status, so
/// that it outlives whoever counted.
Plan PlanHypercare(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = TryToCloseSource(migration, seen)) return *plan;
  if (auto plan = LetLeftBehindGo(migration, seen)) return *plan;
  return BesideOpenSource(migration, seen, WhileUsersWork(migration, seen));
}

}  // namespace cutover::migration
