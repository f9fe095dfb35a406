// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/decide.h"

#include "operator/api/write_pause.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

using api::Phase;

// A phase behind closed doors that does not come to its end within this is given up: users wait.
// Copying has no bound of its own (it depends on the size); api::WritePauseSecondsMax() bounds all.
constexpr std::chrono::minutes kClosedPhaseBound{10};

constexpr char kRollbackRequested[] = "RollbackRequested";  // As PlanRollbackCommand() gives it.

bool IsNew(const std::string& token, const std::string& handled) {
  return !token.empty() && token != handled;
}

Plan PlanPhase(const api::TenantMigration& migration, const Observation& seen) {
  switch (migration.status.phase) {
    case Phase::kPending:
      return PlanPending(migration, seen);
    case Phase::kPreflight:
      return PlanPreflight(migration, seen);
    case Phase::kBackingUp:
      return PlanBackingUp(migration, seen);
    case Phase::kPreparing:
      return PlanPreparing(migration, seen);
    case Phase::kCatchingUp:
      return PlanCatchingUp(migration, seen);
    case Phase::kAwaitingCutover:
      return PlanAwaitingCutover(migration, seen);
    case Phase::kFencing:
      return PlanFencing(migration, seen);
    case Phase::kCopying:
      return PlanCopying(migration, seen);
    case Phase::kFinalizing:
      return PlanFinalizing(migration, seen);
    case Phase::kVerifying:
      return PlanVerifying(migration, seen);
    case Phase::kSwitching:
      return PlanSwitching(migration, seen);
    case Phase::kOpening:
      return PlanOpening(migration, seen);
    case Phase::kSmoke:
      return PlanSmoke(migration, seen);
    case Phase::kAdmitting:
      return PlanAdmitting(migration, seen);
    case Phase::kHypercare:
      return PlanHypercare(migration, seen);
    case Phase::kCompleting:
      return PlanCompleting(migration, seen);
    case Phase::kUndoing:
      return PlanUndoing(migration, seen);
    case Phase::kRollingBack:
      return PlanRollingBack(migration, seen);
    case Phase::kCompleted:
    case Phase::kAborted:
    case Phase::kFailed:
    case Phase::kRolledBack:
      return PlanEnd(migration, seen);
  }
  return Plan::Wait(std::chrono::seconds(30), "unknown phase");
}

// The journal decides what may still be undone, and it lives in the source database. While
// Switching, status may lag behind it, so there only the database's own word counts.
std::optional<Plan> UndoUnlessJournaled(const api::TenantMigration& migration,
                                        const Observation& seen, Plan undo) {
  if (migration.status.phase == Phase::kSwitching) {
    NEED(seen.source);
    if (seen.source->state == ControlState::kJournaled) return std::nullopt;
  }
  return undo;
}

std::optional<Plan> PlanAbort(const api::TenantMigration& migration, const Observation& seen,
                              api::HandledTokens& handled) {
  std::string token = migration.meta.Annotation(api::kAbortAnnotation);
  if (!IsNew(token, handled.abort)) return std::nullopt;
  if (!CanUndo(migration.status.phase)) {
    handled.abort =
        token;  // Too late or nothing to abort; answered, so that it is not kept for later.
    return std::nullopt;
  }
  auto plan =
      UndoUnlessJournaled(migration, seen, Plan::Undo("AbortRequested", "a person aborted"));
  if (!plan || plan->guard) handled.abort = token;
  return plan;
}

Plan AwaitingConsent(Plan plan) {
  plan.awaits_consent = true;
  return plan;
}

// Whether the rollback that is asked for now may lose what users wrote. What was accepted for one
// that has been answered counts for no other.
bool AcceptsLoss(const api::TenantMigration& migration) {
  const std::string asked = migration.meta.Annotation(api::kRollbackAnnotation);
  return IsNew(asked, migration.status.handled.rollback) &&
         migration.meta.Annotation(api::kAcceptDataLossAnnotation) == asked;
}

// Nothing that a person accepts makes up for a source that is not there. Users work on meanwhile.
std::optional<Plan> RefuseWithoutSource(const api::TenantMigration& migration,
                                        const Observation& seen) {
  ASK(seen.source);
  if (!SourceIsGone(seen)) return std::nullopt;
  Plan hold = Plan::Wait(std::chrono::seconds(5),
                         "rollback refused: " + WhySourceIsGone(migration) +
                             "; users go on on the target; to stay, remove cutover.dev/rollback",
                         "SourceGone");
  hold.trouble = true;
  if (!migration.spec.online()) return AwaitingConsent(std::move(hold));
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  hold.effect = Intent::kWatchReverseStream;
  return AwaitingConsent(std::move(hold));
}

// Nor for what says how everything was, and whose the target is: no door that is closed without it
// could be opened again. Where it is put back, the rollback goes on by itself.
std::optional<Plan> RefuseWithoutLedger(const api::TenantMigration& migration,
                                        const Observation& seen) {
  NEED(seen.ledger_recorded);
  ASK(seen.target);
  const std::string why = !*seen.ledger_recorded ? WhyNothingCanBeRestored(seen)
                                                 : WhyTargetCannotBeClosed(migration, seen);
  if (why.empty()) return std::nullopt;
  const bool is_asked_for =
      IsNew(migration.meta.Annotation(api::kRollbackAnnotation), migration.status.handled.rollback);
  Plan hold = Plan::Wait(std::chrono::seconds(5),
                         "rollback refused: " + why + "; users go on on the target" +
                             (is_asked_for ? "; to stay, remove cutover.dev/rollback" : ""),
                         "LedgerMissing");
  hold.trouble = true;
  if (!migration.spec.online()) return AwaitingConsent(std::move(hold));
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  if (!*seen.ledger_recorded && !WayBackIsGivenUp(migration, seen))
    hold.effect = KeepWayBackOpen(seen);
  return AwaitingConsent(std::move(hold));
}

// Before users are in (Opening, Smoke) going back costs them nothing, and Online it does so only
// where the way back is shut. Otherwise a person must accept the loss in so many words; until then,
// or until the annotation is taken back, the token stays unanswered and the migration holds, rather
// than closing the way back that somebody is asking for.
std::optional<Plan> PlanRollbackCommand(const api::TenantMigration& migration,
                                        const Observation& seen, api::HandledTokens& handled) {
  std::string token = migration.meta.Annotation(api::kRollbackAnnotation);
  if (!IsNew(token, handled.rollback)) return std::nullopt;
  Phase phase = migration.status.phase;
  if (phase == Phase::kAdmitting)
    return std::nullopt;  // Users are half in: asked again when all are.
  // What is deleted finishes instead, unless it waits for a target to finish on.
  bool finishes = migration.meta.deleting();
  if (finishes && phase == Phase::kHypercare) {
    ASK(seen.target);
    finishes = !HoldForTenantOnTarget(migration, seen);
  }
  if (phase == Phase::kHypercare && !finishes) {
    if (auto plan = RefuseWithoutSource(migration, seen)) return plan;
    if (auto plan = RefuseWithoutLedger(migration, seen)) return plan;
  }
  if (phase == Phase::kHypercare && !finishes && !migration.spec.online() &&
      !AcceptsLoss(migration))
    return AwaitingConsent(
        Plan::Wait(std::chrono::seconds(5),
                   "rollback refused: users write on the target and the strategy Offline has no "
                   "reverse stream; to go back and lose those writes, also set cutover.dev/"
                   "accept-data-loss to the same token; to stay, remove cutover.dev/rollback",
                   "RollbackNeedsConsent"));
  const bool in_use = UsersWriteOnTarget(migration.status) && !finishes;
  if (in_use && migration.spec.online() && !AcceptsLoss(migration)) {
    if (auto plan = HoldForWayBack(migration, seen,
                                   "also set cutover.dev/accept-data-loss to the same token; to "
                                   "stay, remove cutover.dev/rollback"))
      return plan;
  } else if (in_use) {
    if (auto plan = HoldForFence(migration, seen)) return plan;
  }
  handled.rollback = token;
  if (phase == Phase::kOpening || phase == Phase::kSmoke)
    return Plan::RollBack("RollbackRequested", "a person asked to go back");
  if (phase == Phase::kHypercare && !finishes)
    return Plan::RollBack("RollbackRequested",
                          migration.spec.online()
                              ? "a person asked to go back, with what was written since"
                              : "a person asked to go back and accepted to lose what was written "
                                "since");
  return std::nullopt;  // Nothing to go back from; answered, so that it is not kept for later.
}

std::optional<Plan> PlanDeletion(const api::TenantMigration& migration, const Observation& seen) {
  if (!migration.meta.deleting()) return std::nullopt;
  Phase phase = migration.status.phase;
  if (CanUndo(phase))
    return UndoUnlessJournaled(migration, seen,
                               Plan::Undo("Deleted", "the TenantMigration was deleted"));
  // Until users are in, going back loses nothing; afterwards the migration is finished first.
  if (phase == Phase::kOpening || phase == Phase::kSmoke)
    return Plan::RollBack("Deleted", "the TenantMigration was deleted");
  return std::nullopt;
}

std::optional<Plan> PlanRetry(const api::TenantMigration& migration, api::HandledTokens& handled) {
  std::string token = migration.meta.Annotation(api::kRetryAnnotation);
  Phase phase = migration.status.phase;
  // One that is given while an attempt is being undone is for what comes after it.
  if (!IsNew(token, handled.retry) || phase == Phase::kUndoing) return std::nullopt;
  handled.retry = token;  // Nothing to try again, or not yet: answered, and not kept for later.
  if (migration.meta.deleting() || (phase != Phase::kFailed && phase != Phase::kAborted))
    return std::nullopt;
  return Plan::Go(Guard::kRetryRequested, "a person asked for another attempt");
}

// Since when users wait. By pooler they do not while the stream is read to its end before it is
// paused; where that was begun is known to whoever does it, and nobody else takes it for later.
std::optional<WallTime> DoorsClosedAt(const api::TenantMigration& migration,
                                      const Observation& seen) {
  std::optional<WallTime> since = migration.status.cutover.fenced_at;
  if (!migration.spec.by_pooler() || migration.status.phase != Phase::kFencing) return since;
  if (!seen.poolers.known()) return since;
  if (seen.poolers->tried_since) return seen.poolers->tried_since;
  return seen.poolers->resumed ? std::nullopt : since;
}

// Behind closed doors time is the users'. Both bounds give up before the journal only.
std::optional<Plan> PlanBounds(const api::TenantMigration& migration, const Observation& seen) {
  Phase phase = migration.status.phase;
  if (!DoorsClosed(phase, migration.spec.strategy) || !CanUndo(phase)) return std::nullopt;
  const std::optional<int> bound = api::WritePauseSecondsMax(migration.spec);
  if (bound && phase == Phase::kFencing && migration.spec.by_pooler()) ASK(seen.poolers);
  const std::optional<WallTime> closed_at = DoorsClosedAt(migration, seen);
  if (bound && closed_at && seen.now - *closed_at > std::chrono::seconds(*bound))
    return UndoUnlessJournaled(migration, seen,
                               Plan::Undo("WritePauseExceeded",
                                          "the doors have been closed for longer than "
                                          "spec.cutover.maxWritePauseSeconds (" +
                                              std::to_string(*bound) + " s)"));
  if (phase != Phase::kCopying && seen.now - EnteredAt(migration, seen) > kClosedPhaseBound)
    return UndoUnlessJournaled(
        migration, seen,
        Plan::Undo("StageTimedOut",
                   std::string(Name(phase)) + " took too long: " + migration.status.message));
  return std::nullopt;
}

// Suspension holds where holding costs nobody anything: while users work. Preflight holds by
// itself: it changes nothing, and whoever plans a move wants to know what it finds.
bool HeldBySuspend(const api::TenantMigration& migration) {
  Phase phase = migration.status.phase;
  return migration.spec.suspend && !migration.meta.deleting() && !IsEnd(phase) &&
         !DoorsClosed(phase, migration.spec.strategy) && phase != Phase::kPending &&
         phase != Phase::kPreflight && phase != Phase::kUndoing && phase != Phase::kRollingBack;
}

// A stream is followed while it is held, too: slots that nobody reads would fill the servers'
// disks, and what they keep too much of ends the move even then. The way back stays open. A copy
// goes on, and its slots are looked at.
Plan Suspended(const api::TenantMigration& migration, const Observation& seen) {
  constexpr std::chrono::seconds kLookAgain{5};
  Plan plan = Plan::Wait(std::chrono::milliseconds(0),
                         "suspended: set spec.suspend to false to go on", "Suspended");
  Phase phase = migration.status.phase;
  if (phase == Phase::kHypercare) plan.wait = kLookAgain;  // Whether the source stays closed.
  if (!migration.spec.online()) return plan;
  if (phase == Phase::kCatchingUp || phase == Phase::kAwaitingCutover) {
    if (auto trouble = TroubleOfStream(migration, seen)) return *trouble;
    // Before it is followed, the copy's slot keeps the source's WAL already: it is looked at.
    if (seen.forward_subscriber->enabled) plan.effect = Intent::kWatchStream;
  } else if (phase == Phase::kHypercare) {
    ASK(seen.reverse_publisher);
    ASK(seen.reverse_subscriber);
    ASK(seen.structure);
    ASK(seen.reverse_sample);
    if (!WayBackIsGivenUp(migration, seen)) plan.effect = KeepWayBackOpen(seen);
  } else if (phase == Phase::kCopying) {
    ASK(seen.copy_job);
    ASK(seen.copy_progress);
    if (seen.copy_job.known() && seen.copy_job->failed)
      plan.message +=
          "; meanwhile the copy has failed: " +
          (seen.copy_job->message.empty() ? "see its pod's log" : seen.copy_job->message);
  } else {
    return plan;
  }
  plan.wait = kLookAgain;
  return plan;
}

Plan Choose(const api::TenantMigration& migration, const Observation& seen,
            api::HandledTokens& handled) {
  if (auto plan = PlanDeletion(migration, seen)) return *plan;
  if (auto plan = PlanAbort(migration, seen, handled)) return *plan;
  // Before whatever holds, and waits for a person: the disk does not.
  if (auto plan = BoundRetainedWal(migration, seen)) return *plan;
  if (auto plan = PlanRollbackCommand(migration, seen, handled)) return *plan;
  if (auto plan = PlanRetry(migration, handled)) return *plan;
  if (HeldBySuspend(migration)) return Suspended(migration, seen);
  if (auto plan = PlanBounds(migration, seen)) return *plan;
  return PlanPhase(migration, seen);
}

// Opening and Smoke go back by themselves because nobody has written on the target yet. That is so
// only as long as the routes show the maintenance page: once somebody else has put them back, as a
// GitOps sync does, users may be in, and Offline carries nothing back. A deletion then finishes.
Plan UnlessUsersAreIn(const api::TenantMigration& migration, const Observation& seen, Plan plan) {
  Phase phase = migration.status.phase;
  if (plan.guard != Guard::kRollBack) return plan;
  if (phase != Phase::kOpening && phase != Phase::kSmoke) return plan;
  if (migration.spec.online() && migration.spec.by_pooler()) return plan;
  const bool is_closed = phase == Phase::kOpening && seen.target.known() && seen.target->closed &&
                         seen.target->state != ControlState::kOpen;
  if (is_closed) return plan;
  if (migration.spec.online()) {
    // Whether they are decides what of theirs is taken back, and is noted with this step.
    NEED(seen.routes);
    NEED(seen.workloads);
    ASK(seen.reverse_publisher);
    ASK(seen.reverse_subscriber);
    if (!StreamBackIsBroken(seen)) return plan;
  }
  if (AcceptsLoss(migration)) return plan;
  NEED(seen.routes);
  if (seen.routes->at_maintenance) return plan;
  if (migration.meta.deleting()) {
    Plan onwards = PlanPhase(migration, seen);
    if (onwards.guard != Guard::kRollBack) return onwards;
  }
  Plan hold = AwaitingConsent(Plan::Wait(
      std::chrono::seconds(5),
      plan.message + "; and somebody has led the routes back to the workloads already, so going "
                     "back would lose what users write on the target: mend it there, or set "
                     "cutover.dev/rollback and cutover.dev/accept-data-loss to one new token",
      "RollbackNeedsConsent"));
  hold.trouble = true;
  return hold;
}

// What goes back by itself from Hypercare, for a check that failed, needs what one that is asked
// for needs.
Plan UnlessItCouldNotBeFinished(const api::TenantMigration& migration, const Observation& seen,
                                Plan plan) {
  if (plan.guard != Guard::kRollBack || migration.status.phase != Phase::kHypercare) return plan;
  auto refused = RefuseWithoutLedger(migration, seen);
  if (!refused) return plan;
  if (!refused->look_at) refused->message = plan.message + "; " + refused->message;
  return *refused;
}

// Done while something else holds, which it keeps from nothing, and whose words stay.
Plan Meanwhile(Plan hold, const Plan& what) {
  if (what.look_at) return what;
  hold.message += "; " + what.message;
  hold.effect = what.effect;
  hold.wait = what.wait;
  return hold;
}

// Whatever is held while users work, for as long as a person takes: of two sides that can be
// written to one is closed, or it is said why not, and nobody waits at a pooler that was left
// paused.
Plan WhileHeld(const api::TenantMigration& migration, const Observation& seen, Plan plan) {
  const bool is_suspended = HeldBySuspend(migration);
  if (plan.look_at || plan.guard || !(plan.awaits_consent || is_suspended)) return plan;
  if (plan.awaits_consent || migration.status.phase == Phase::kHypercare) {
    if (auto close = TryToCloseSource(migration, seen)) return Meanwhile(std::move(plan), *close);
    const auto why = WhyNoFence(seen.source, migration.status.source_server_name);
    if (why && KeepSourceClosed(seen)) {
      plan.message += "; the source database is open as well, and cannot be closed: ";
      plan.message += why->message;
      plan.trouble = true;
    }
  }
  if (auto go_on = LetLeftBehindGo(migration, seen)) return Meanwhile(std::move(plan), *go_on);
  return plan;
}

// A spec that changes meanwhile is told to people, wherever there is nothing to do but to wait, and
// time for it: not while the doors of an Online move are closed.
Plan WithAnEyeOnThePlacement(const api::TenantMigration& migration, const Observation& seen,
                             Plan plan) {
  Phase phase = migration.status.phase;
  bool has_time = phase == Phase::kBackingUp || phase == Phase::kCopying ||
                  phase == Phase::kCatchingUp || phase == Phase::kAwaitingCutover ||
                  phase == Phase::kHypercare;
  if (has_time && plan.wait.count() > 0 && !plan.guard) ASK(seen.placement);
  return plan;
}

}  // namespace

Decision Decide(const api::TenantMigration& migration, const Observation& seen) {
  Decision decision;
  decision.handled = migration.status.handled;
  decision.plan = Choose(migration, seen, decision.handled);
  const bool would_go_back = decision.plan.guard == Guard::kRollBack;
  decision.plan = UnlessUsersAreIn(migration, seen, std::move(decision.plan));
  decision.plan = UnlessItCouldNotBeFinished(migration, seen, std::move(decision.plan));
  decision.plan = WhileHeld(migration, seen, std::move(decision.plan));
  decision.plan = WithAnEyeOnThePlacement(migration, seen, std::move(decision.plan));
  // A token is answered by going back, or by what there is to go back from: not by a look in vain.
  const bool put_off = would_go_back && decision.plan.guard != Guard::kRollBack;
  if (put_off || decision.plan.awaits_consent)
    decision.handled.rollback = migration.status.handled.rollback;
  // What was refused is asked again, and waits in Hypercare for what would let it go on.
  const bool on_request = migration.status.failure_reason == kRollbackRequested;
  if (decision.plan.guard == Guard::kRollbackRefused && on_request)
    decision.handled.rollback.clear();
  // What was approved is this cutover, or none; another attempt needs an approval of its own.
  if (decision.plan.guard == Guard::kDoorsMayClose || decision.plan.guard == Guard::kUndo)
    decision.handled.approve = migration.meta.Annotation(api::kApproveAnnotation);
  return decision;
}

}  // namespace cutover::migration
