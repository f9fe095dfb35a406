// SPDX-License-Identifier: Apache-2.0
#include "cli/view/assessment.h"

#include <algorithm>
#include <optional>

#include "cli/view/command.h"
#include "cli/view/outlook.h"
#include "cli/view/phases.h"
#include "cli/view/words.h"
#include "operator/api/waits_for_person.h"

namespace cutover::cli {
namespace {

using api::ConditionStatus;
using std::chrono::seconds;

// The operator asks the mover every two seconds while it copies (reconcilers/migration/status.cc);
// so long without a word is no longer the interval.
constexpr seconds kSilenceMax{60};
// An operator that is there looks at a new object or a changed spec within a second or two.
constexpr seconds kUnseenMax{30};
// Beyond the lease's own duration, for clocks that differ by a little.
constexpr seconds kLeaseTolerance{10};

Stretch StretchOf(const MigrationView& migration) {
  return cli::StretchOf(migration.phase, migration.Journaled());
}

bool OperatorRetries(const MigrationView& migration) {
  return migration.ReasonOf("Reconciling", ConditionStatus::kTrue) == "ProgressingWithRetry";
}

// Since when the object has been waiting to be looked at for the first time, if it still is.
bool Unseen(const MigrationView& migration, WallTime now) {
  return migration.phase.empty() && migration.meta.creation_timestamp &&
         now - *migration.meta.creation_timestamp > kUnseenMax;
}

// How the copy is not heard of, if so: since its last word, or at all. Else an empty string.
std::string SilenceOfCopy(const MigrationView& migration, WallTime now) {
  if (migration.phase != "Copying") return "";
  const std::optional<WallTime>& heard = migration.progress.updated_at;
  const std::optional<WallTime> since = heard ? heard : migration.PhaseSince();
  if (!since || now - *since <= kSilenceMax) return "";
  const std::string span = FormatSpan(now - *since);
  return heard ? "the copy was last heard of " + span + " ago"
               : "nothing has been heard of the copy since it was ordered " + span + " ago";
}

// Why nobody may be working on it, by the operator's lease; empty when somebody leads or the lease
// cannot be read.
std::string NobodyLeads(const Snapshot& seen) {
  if (!seen.lease || !*seen.lease) return "";
  const OperatorLease& lease = **seen.lease;
  if (lease.holder.empty()) return "no operator leads at the moment";
  if (!lease.renewed_at) return "";
  auto age = seen.now - *lease.renewed_at;
  if (age <= lease.duration + kLeaseTolerance) return "";
  return "the operator's lease was last renewed " + FormatSpan(age) +
         " ago by this machine's clock";
}

std::string Command(const MigrationView& migration, std::string_view verb) {
  return "kubectl cutover " + std::string(verb) + " " + migration.meta.name + " -n " +
         migration.meta.namespace_name;
}

std::string SourceName(const MigrationView& migration) {
  return migration.source_server_name.empty() ? "the source" : migration.source_server_name;
}

std::string DescribeNow(const MigrationView& migration) {
  if (migration.phase.empty()) return "No operator has looked at it yet.";
  const PhaseFacts* phase = FindPhase(migration.phase);
  std::string now = phase
                        ? std::string(phase->doing)
                        : "Phase " + migration.phase +
                              ", which this plugin does not know: use one as new as the operator.";
  if (migration.phase == "Completed" && !migration.target_server_name.empty())
    now = "The tenant has moved to " + migration.target_server_name + ".";
  if (migration.meta.deleting())
    now += IsEnd(migration.phase) ? " It is being deleted."
                                  : " It is being deleted, which waits until this is over.";
  return now;
}

// "0.6s, and for 2m11s before, when the cutover was undone"
std::string PauseOfCutover(const MigrationView& migration) {
  using std::chrono::milliseconds;
  std::string text = api::FormatPause(milliseconds(migration.cutover.write_pause_milliseconds));
  if (const int64_t earlier = migration.cutover.earlier_pause_milliseconds; earlier > 0)
    text += ", and for " + api::FormatPause(milliseconds(earlier)) +
            " before, when the cutover was undone";
  return text;
}

// What was so when it ended, which may be long ago: where users are now, other moves decide.
std::string DescribeUsersAtEnd(const MigrationView& migration) {
  if (migration.phase == "RolledBack") {
    std::string text = "were let in on " + SourceName(migration) + " again";
    if (migration.rollback.opened_at)
      text +=
          "; going back shut them out for " +
          api::FormatPause(std::chrono::milliseconds(migration.rollback.write_pause_milliseconds));
    return text;
  }
  if (!migration.cutover.fenced_at) return "were not stopped by this move";
  return "were let in again; they were shut out for " + PauseOfCutover(migration);
}

// Whether they had been let in on the target before going back began.
bool WereInOnTarget(const MigrationView& migration) {
  const auto& opened_at = migration.cutover.opened_at;
  const std::optional<WallTime> since = migration.PhaseSince();
  return migration.FindStage("Hypercare") || (opened_at && since && *opened_at < *since);
}

// Going back waits with its doors open for a source that has to catch up, and, once users are in
// again, for servers that have to be cleaned up.
std::string DescribeUsersGoingBack(const MigrationView& migration, WallTime now) {
  if (const auto since = migration.ShutOutSince())
    return "kept out until the source is open again (for " + FormatSpan(now - *since) + " so far)";
  if (!migration.rollback.opened_at && WereInOnTarget(migration))
    return "work on " + migration.target_server_name + " until the doors close to go back to " +
           SourceName(migration);
  const std::chrono::milliseconds pause(migration.rollback.write_pause_milliseconds);
  return "work on " + SourceName(migration) + " again; they were shut out for " +
         (migration.rollback.opened_at ? api::FormatPause(pause) : PauseOfCutover(migration));
}

// Whether they can work there is for the checks to say.
std::string DescribeUsersOnTarget(const MigrationView& migration) {
  if (migration.ReadyReason() == "TargetGone")
    return "cannot work: their database is no longer on " + migration.target_server_name;
  const std::string failing = FailingChecks(migration);
  return "let in on " + migration.target_server_name +
         (failing.empty() ? "" : ", but perhaps they cannot work, since " + failing + " fails") +
         "; they were shut out for " + PauseOfCutover(migration) + " before";
}

std::string DescribeUsers(const MigrationView& migration, WallTime now) {
  if (migration.phase == "RollingBack") return DescribeUsersGoingBack(migration, now);
  if (migration.phase == "Hypercare" || migration.phase == "Completing")
    return DescribeUsersOnTarget(migration);
  if (migration.DoorsClosed()) {
    std::string text = migration.phase == "Fencing"
                           ? "being shut out, and some may work on for a moment; for "
                           : "shut out for ";
    text += FormatSpan(now - *migration.cutover.fenced_at);
    if (const int64_t earlier = migration.cutover.earlier_pause_milliseconds; earlier > 0)
      text += " (and for " + api::FormatPause(std::chrono::milliseconds(earlier)) + " before)";
    if (migration.max_write_pause_seconds > 0 && StretchOf(migration) == Stretch::kBeforeJournal)
      text += "; after " + FormatSpan(seconds(migration.max_write_pause_seconds)) +
              " the source is opened again";
    if (migration.phase == "Copying" && migration.progress.eta_seconds > 0)
      text += "; about " + FormatSpan(seconds(migration.progress.eta_seconds)) +
              " of copying are left, before it is verified and switched";
    return text;
  }
  if (IsEnd(migration.phase)) return DescribeUsersAtEnd(migration);
  if (migration.cutover.fenced_at)
    return "work again; they were shut out for " + PauseOfCutover(migration);
  return "work; this move has not stopped them";
}

std::string DescribeWayBack(const MigrationView& migration, WallTime now) {
  switch (StretchOf(migration)) {
    case Stretch::kBeforeJournal:
      return migration.phase == "Switching"
                 ? "abort, unless the journal is written by then; the operator asks the database"
                 : "abort puts everything back as it was";
    case Stretch::kGoingBack:
      return "it is under way already";
    case Stretch::kEnd:
      if (migration.phase == "Completed")
        return "closed; going back would be another move, to " + SourceName(migration);
      if (migration.phase == "RolledBack")
        return "it was taken: the tenant is back on " + SourceName(migration);
      return "nothing to go back from" +
             (migration.source_server_name.empty()
                  ? std::string()
                  : ": the tenant was left on " + migration.source_server_name);
    case Stretch::kAfterJournal:
      break;
  }
  const api::Condition* ready = migration.conditions.Find("RollbackReady");
  if (!ready) return "unknown: the status has no condition RollbackReady";
  std::string text = ready->status == ConditionStatus::kTrue    ? "open: "
                     : ready->status == ConditionStatus::kFalse ? "not without a loss: "
                                                                : "unknown: ";
  text += ready->message.empty() ? ready->reason : ready->message;
  if (const auto& until = migration.rollback.available_until)
    text += "; until " + FormatTime(*until) + " (" + FormatDistance(*until, now) + ")";
  if (const auto& at = migration.rollback.sampled_at)
    text += "; " + std::to_string(migration.rollback.sampled_rows) +
            " rows compared so far, last " + FormatDistance(*at, now);
  return text;
}

// A token that stands, and that the operator has not answered.
bool IsOpen(const MigrationView& migration, const char* annotation, const std::string& handled) {
  const std::string token = migration.meta.Annotation(annotation);
  return !token.empty() && token != handled;
}

// Why an approval that stands is answered later: it is known of, and needs nobody.
std::string DescribeKept(const MigrationView& migration, WallTime now) {
  if (!IsOpen(migration, api::kApproveAnnotation, migration.handled.approve)) return "";
  return WhyApprovalWaits(migration, now);
}

std::vector<std::string> DescribeAsked(const MigrationView& migration, WallTime now) {
  struct Asked {
    const char* annotation;
    const char* verb;
    const std::string& handled;
  };
  const bool kept = !DescribeKept(migration, now).empty();
  std::vector<std::string> asked;
  for (const Asked& command :
       {Asked{api::kApproveAnnotation, "approve", migration.handled.approve},
        Asked{api::kAbortAnnotation, "abort", migration.handled.abort},
        Asked{api::kRollbackAnnotation, "rollback", migration.handled.rollback},
        Asked{api::kRetryAnnotation, "retry", migration.handled.retry}}) {
    if (kept && std::string_view(command.verb) == "approve") continue;
    if (IsOpen(migration, command.annotation, command.handled)) asked.emplace_back(command.verb);
  }
  return asked;
}

// The verdict and its sentence, in the order of what outweighs what.
struct Verdict {
  Health health;
  std::string stuck;
};

Verdict JudgeEnd(const MigrationView& migration) {
  if (migration.phase == "Completed") return {Health::kGood, "It is over, and went well."};
  std::string text = "It is over; nothing more happens by itself.";
  if (!migration.failure_reason.empty()) text += " Reason: " + migration.failure_reason + ".";
  return {Health::kNotMoved, text};
}

// "It has waited for you for 12m", however long its phase had lasted before that.
std::string WaitsForYou(const MigrationView& migration, WallTime now) {
  if (!migration.reason_since) return "It waits for you";
  return "It has waited for you for " + FormatSpan(now - *migration.reason_since);
}

// As long as the reason is the phase's own, it is older than what is wrong.
std::optional<WallTime> WrongSince(const MigrationView& migration) {
  std::optional<WallTime> since;
  for (const api::CheckStatus& check : migration.checks)
    if (check.failing_since && (!since || *check.failing_since < *since))
      since = check.failing_since;
  if (since || migration.ReadyReason() == migration.phase) return since;
  return migration.reason_since;
}

std::string FailingFor(const MigrationView& migration, WallTime now) {
  const auto since = WrongSince(migration);
  return since ? ", for " + FormatSpan(now - *since) + " so far" : "";
}

std::string SomethingIsWrong(const MigrationView& migration, WallTime now) {
  const auto since = WrongSince(migration);
  if (!since) return "something is wrong";
  return "something has been wrong for " + FormatSpan(now - *since);
}

std::optional<Verdict> JudgeWaiting(const MigrationView& migration, WallTime now) {
  const std::string reason = migration.ReadyReason();
  if (migration.ReasonOf("Stalled", ConditionStatus::kTrue) != "")
    return Verdict{Health::kAsksYou, "Yes: nothing happens until somebody changes something (" +
                                         migration.ReasonOf("Stalled", ConditionStatus::kTrue) +
                                         ")."};
  if (const api::WaitForPerson* wait = api::FindWaitForPerson(reason)) {
    std::string task(wait->task);
    const std::string when =
        reason == "AwaitingApproval" ? WhenUsersAreStopped(migration, now) : std::string();
    if (when != " now") task += when;
    return Verdict{Health::kAsksYou, WaitsForYou(migration, now) + ": " + task + "."};
  }
  return std::nullopt;
}

Verdict JudgeGoing(const MigrationView& migration, WallTime now) {
  if (Unseen(migration, now))
    return {Health::kTrouble,
            "Perhaps: no operator has looked at it for " +
                FormatSpan(now - *migration.meta.creation_timestamp) +
                " since it was created. Does one run, and does it watch this namespace?"};
  if (const std::string failing = FailingChecks(migration);
      !failing.empty() && migration.phase == "Hypercare")
    return {Health::kTrouble, "Perhaps: " + failing + " fails" + FailingFor(migration, now) +
                                  ", and only you can mend what it checks."};
  if (OperatorRetries(migration))
    return {Health::kTrouble,
            "Perhaps: " + SomethingIsWrong(migration, now) + ", and is tried again by itself."};
  if (std::string silence = SilenceOfCopy(migration, now); !silence.empty())
    return {Health::kTrouble, "Perhaps: " + silence + "."};
  if (migration.ReadyReason() == "AwaitingWindow" && migration.window_start)
    return {Health::kGood, "No: it waits for its window, which starts at " +
                               FormatTime(*migration.window_start) + " (" +
                               FormatDistance(*migration.window_start, now) + ")."};
  if (const auto& retry = migration.cutover.retry_at; retry && *retry > now)
    return {Health::kGood, "No: the last attempt was undone, and the next does not begin before " +
                               FormatTime(*retry) + " (" + FormatDistance(*retry, now) + ")."};
  std::string text = "No";
  if (migration.phase == "Copying" && migration.progress.updated_at)
    text +=
        ": the copy was last heard of " + FormatSpan(now - *migration.progress.updated_at) + " ago";
  else if (auto since = migration.PhaseSince())
    text += ": phase " + migration.phase + " has gone on for " + FormatSpan(now - *since) +
            ", and nothing is wrong with it";
  return {Health::kGood, text + "."};
}

Verdict Judge(const MigrationView& migration, WallTime now) {
  if (IsEnd(migration.phase)) return JudgeEnd(migration);
  if (auto waiting = JudgeWaiting(migration, now)) return *waiting;
  return JudgeGoing(migration, now);
}

void AdviseBeforeJournal(const MigrationView& migration, WallTime now,
                         std::vector<Advice>& advice) {
  const std::string reason = migration.ReadyReason();
  if (reason == "AwaitingApproval")
    advice.push_back(
        {Command(migration, "approve"),
         "stops the users" + WhenUsersAreStopped(migration, now) + CostOfCutover(migration), true});
  if (migration.suspend)
    advice.push_back({Command(migration, "resume"), "goes on", reason == "Suspended"});
  advice.push_back({Command(migration, "abort"),
                    "undoes everything; the tenant stays on " + SourceName(migration) +
                        (migration.DoorsClosed() ? ", and users are let in again there first"
                                                 : ", and users notice nothing"),
                    false});
  if (!migration.suspend && !migration.DoorsClosed() && reason != "AwaitingApproval")
    advice.push_back({Command(migration, "suspend"),
                      "holds it before its next phase, until " + Command(migration, "resume") +
                          "; users notice nothing",
                      false});
}

// How to ask for a rollback in Opening, Smoke or Hypercare, and what it would cost, as far as the
// operator would carry it out or wait for what lets it.
std::optional<Advice> AdviseRollback(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  const std::string shut_for = migration.ReasonOf("RollbackReady", ConditionStatus::kFalse);
  if (reason == "SourceGone" || shut_for == "SourceGone") return std::nullopt;
  if (reason == "LedgerMissing" || RollbackAwaitsFence(migration)) return std::nullopt;
  const std::string back = "goes back to " + SourceName(migration);
  const std::string plainly = Command(migration, "rollback");
  const std::string with_consent = plainly + " --accept-data-loss";
  const bool held = reason == "RollbackNeedsConsent", waits = reason == "AwaitingWayBack";
  const bool asked_for = held || reason == "HypercareCheckFailed";
  const bool online = migration.strategy == "Online";
  if (reason == "TargetGone" && migration.phase == "Hypercare")
    return Advice{with_consent, back + " without what has not arrived there", true};
  if (GoesBackWithoutLoss(migration))
    return Advice{plainly,
                  back + " without losing a write; users are " +
                      (migration.cutover.opened_at ? "stopped once more for that"
                                                   : "out until they are there"),
                  asked_for};
  if (migration.phase != "Hypercare" && !held && !waits) return std::nullopt;
  if (shut_for == "SampleDiffers")
    return Advice{with_consent, back + " with the rows there that differ as they are", asked_for};
  if (shut_for == "SourceFailedOver")
    return Advice{with_consent, back + " without what a failover of its server may have lost there",
                  asked_for};
  if (shut_for == "SchemaChanged")
    return Advice{with_consent, back + " without what was made in the changed structure",
                  asked_for};
  if (online && (held || waits) && shut_for != "RoutesLedBack")
    return Advice{with_consent, back + " without what has not arrived there", asked_for};
  if (online && shut_for != "WayBackGivenUp" && shut_for != "RoutesLedBack")
    return Advice{plainly, back + "; the way back is not open now, so it waits for that",
                  asked_for};
  return Advice{with_consent,
                back +
                    " and loses what users wrote since the switch; they are stopped "
                    "once more for that",
                asked_for};
}

void AdviseAfterJournal(const MigrationView& migration, std::vector<Advice>& advice) {
  const std::string reason = migration.ReadyReason();
  if (reason == "SmokeFailedNoWayBack")
    advice.push_back({Command(migration, "approve"),
                      "the tenant stays on " + migration.target_server_name +
                          ", though its smoke test had failed",
                      true});
  const bool may_go_back = migration.phase != "Completing" && migration.phase != "Admitting";
  if (auto rollback = may_go_back ? AdviseRollback(migration) : std::nullopt)
    advice.push_back(*std::move(rollback));
  const bool refused = reason == "RollbackNeedsConsent" || reason == "AwaitingWayBack" ||
                       reason == "SourceGone" || reason == "LedgerMissing" ||
                       RollbackAwaitsFence(migration);
  // One that the operator itself wanted cannot be taken back.
  if (refused && IsOpen(migration, api::kRollbackAnnotation, migration.handled.rollback))
    advice.push_back({"kubectl annotate tm " + migration.meta.name + " -n " +
                          migration.meta.namespace_name + " " + api::kRollbackAnnotation + "-",
                      "takes the rollback back; the tenant stays on the target", true});
  if (migration.suspend)
    advice.push_back({Command(migration, "resume"), "goes on", reason == "Suspended"});
}

void AdviseAtEnd(const MigrationView& migration, WallTime now, std::vector<Advice>& advice) {
  const bool may_retry = Foresee(cli::Command::kRetry, migration, false, now).refusal.empty();
  if (may_retry)
    advice.push_back({Command(migration, "retry"),
                      "tries again from the beginning, so mend first what failed; users work until "
                      "its cutover, which " +
                          std::string(migration.approval == "Manual" ? "asks for your approval"
                                                                     : "comes by itself"),
                      false});
  advice.push_back({Command(migration, "report"), "writes it all down for a ticket", false});
  if (migration.phase == "RolledBack")
    advice.push_back(
        {"kubectl delete tm " + migration.meta.name + " -n " + migration.meta.namespace_name,
         "drops the copy that is left on " + migration.target_server_name +
             ", which cannot be undone; users notice nothing",
         false});
}

std::vector<Advice> Advise(const MigrationView& migration, Health health, WallTime now) {
  std::vector<Advice> advice;
  switch (StretchOf(migration)) {
    case Stretch::kBeforeJournal:
      AdviseBeforeJournal(migration, now, advice);
      break;
    case Stretch::kAfterJournal:
      AdviseAfterJournal(migration, advice);
      break;
    case Stretch::kEnd:
      AdviseAtEnd(migration, now, advice);
      break;
    case Stretch::kGoingBack:
      if (AwaitsConsentWhileGoingBack(migration))
        advice.push_back({Command(migration, "rollback") + " --accept-data-loss",
                          "goes back without what has not arrived there",
                          migration.ReadyReason() == "NoWayBack" ||
                              migration.ReadyReason() == "RollbackNeedsConsent"});
      break;
  }
  std::stable_sort(advice.begin(), advice.end(),
                   [](const Advice& a, const Advice& b) { return a.awaited > b.awaited; });
  const bool users_wait = migration.ShutOutSince() && !IsEnd(migration.phase);
  if (health == Health::kTrouble || users_wait)
    advice.push_back(
        {Command(migration, "logs"), "shows what operator and Jobs have to say", false});
  return advice;
}

// The operator's words, unless they only repeat what is said here with a command of its own.
std::string Words(const MigrationView& migration) {
  if (migration.ReadyReason() == "AwaitingApproval") return "";
  constexpr std::string_view kRetryByHand = "; to try again, set a new cutover.dev/retry token";
  if (!DescribeCause(migration).empty() && IsEnd(migration.phase)) return "";  // Said as such.
  const std::string& said = migration.message;
  if (said.ends_with(kRetryByHand)) return said.substr(0, said.size() - kRetryByHand.size());
  return said;
}

}  // namespace

Health HealthOf(const MigrationView& migration, WallTime now) {
  return Judge(migration, now).health;
}

Assessment Assess(const Snapshot& seen) {
  const MigrationView& migration = seen.migration;
  Assessment assessment;
  Verdict verdict = Judge(migration, seen.now);
  // Whatever else holds: without an operator nothing goes on.
  if (std::string nobody = NobodyLeads(seen); !nobody.empty() && !IsEnd(migration.phase)) {
    verdict.health = Health::kTrouble;
    verdict.stuck = "Perhaps: " + nobody + ", and nothing is done until one leads.";
  }
  assessment.health = verdict.health;
  assessment.stuck = std::move(verdict.stuck);
  assessment.now = DescribeNow(migration);
  assessment.cause = DescribeCause(migration);
  assessment.words = Words(migration);
  assessment.next = DescribeNext(migration, seen.now);
  assessment.users = DescribeUsers(migration, seen.now);
  assessment.way_back = DescribeWayBack(migration, seen.now);
  assessment.asked = DescribeAsked(migration, seen.now);
  assessment.kept = DescribeKept(migration, seen.now);
  assessment.advice = Advise(migration, assessment.health, seen.now);
  return assessment;
}

}  // namespace cutover::cli
