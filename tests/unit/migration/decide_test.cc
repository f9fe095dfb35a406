// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/decide.h"

#include <gtest/gtest.h>

#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using testing::kAllPhases;
using testing::MigrationIn;
using testing::Noon;
using testing::NothingReadableAt;

void Annotate(api::TenantMigration& migration, const char* key, const char* token) {
  migration.meta.annotations[key] = token;
}

Decision Aborting(Phase phase, const Observation& seen) {
  api::TenantMigration migration = MigrationIn(phase);
  Annotate(migration, api::kAbortAnnotation, "now");
  return Decide(migration, seen);
}

api::TenantMigration PooledIn(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  return migration;
}

// --- facts ---------------------------------------------------------------------------------------

TEST(Decide, UnknownFactsAreWaitedForAndNeverActedUpon) {
  for (Phase phase : kAllPhases) {
    for (const Observation& seen : {At(1), NothingReadableAt(1)}) {
      api::TenantMigration migration = MigrationIn(phase);
      migration.spec.approval = api::Approval::kManual;
      Plan plan = Decide(migration, seen).plan;
      EXPECT_FALSE(plan.effect) << Name(phase) << " does " << Name(*plan.effect);
      EXPECT_FALSE(plan.guard) << Name(phase) << " goes on: " << Describe(*plan.guard);
    }
  }
}

TEST(Decide, WhatCannotBeReadIsNotAskedForInTheSameRoundAgain) {
  for (Phase phase : kAllPhases)
    EXPECT_FALSE(Decide(PooledIn(phase), NothingReadableAt(1)).plan.look_at) << Name(phase);
}

TEST(Decide, AsksForOneFactAfterTheOtherAndForNoneThatItsEffectDoesNotRestOn) {
  api::TenantMigration migration = PooledIn(Phase::kFencing);
  Observation seen = At(1);
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kPoolers);
  seen.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = ""};
  EXPECT_EQ(Decide(migration, seen).plan.look_at, std::nullopt);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kPausePoolers);
  seen.poolers = PoolerFacts{.paused = true, .resumed = false, .since = {}, .detail = ""};
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kSource);
}

TEST(Decide, APoolerThatWasRestartedWhilePausedIsAskedWhereItLeadsBeforeUsersCountAsIn) {
  api::TenantMigration migration = PooledIn(Phase::kOpening);
  Observation seen = At(1);
  seen.target = Database(ControlState::kOpen, false);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  PoolerFacts poolers{.paused = false, .resumed = true, .since = {}, .detail = ""};
  seen.poolers = poolers;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kResumePoolers);
  poolers.proven = true;
  seen.poolers = poolers;
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kForwardSubscriber) << "and goes on";
  poolers.proven = false;
  seen.poolers = poolers;
  migration.status.cutover.opened_at = Noon();
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kForwardSubscriber) << "once is enough";
}

TEST(Decide, ClientsThatAreNotSeenToWorkOnTheTargetGoBack) {
  api::TenantMigration migration = PooledIn(Phase::kOpening);
  Observation seen = At(60 * 9);
  seen.target = Database(ControlState::kOpen, false);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  seen.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = "p: open"};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kResumePoolers);
  seen.now = At(60 * 11).now;
  const Plan plan = Decide(migration, seen).plan;
  EXPECT_EQ(plan.guard, Guard::kRollBack);
  EXPECT_EQ(plan.reason, "PoolersNotProven");
}

TEST(Decide, ASuspendedHypercareKeepsItsWayBackAlive) {
  api::TenantMigration migration = PooledIn(Phase::kHypercare);
  migration.spec.suspend = true;
  Observation seen = At(1);
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kReversePublisher);
  seen.reverse_publisher = PublisherFacts();
  seen.reverse_subscriber = SubscriberFacts();
  seen.structure = StructureFacts();
  seen.reverse_sample = SampleFacts();
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kSource) << "is it closed still?";
  seen.source = Database(ControlState::kJournaled, true);
  Plan plan = Decide(migration, seen).plan;
  EXPECT_EQ(plan.effect, Intent::kWatchReverseStream);
  EXPECT_GT(plan.wait.count(), 0) << "a heartbeat has a pace";
  EXPECT_EQ(plan.reason, "Suspended");
}

TEST(Decide, AnUnreadableSourceNeitherJournalsNorUndoes) {
  Observation seen = At(1);
  seen.target = Database(ControlState::kVerified, true);
  seen.source = Error{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  Plan plan = Decide(MigrationIn(Phase::kSwitching), seen).plan;
  EXPECT_FALSE(plan.effect);
  EXPECT_FALSE(plan.guard);
  EXPECT_TRUE(plan.trouble);
  EXPECT_EQ(plan.message, "no route to host");
}

// --- abort ---------------------------------------------------------------------------------------

TEST(Abort, UndoesInEveryPhaseBeforeTheJournal) {
  for (Phase phase : kAllPhases) {
    if (SideOf(phase) != Side::kBeforeJournal || phase == Phase::kUndoing) continue;
    Observation seen = At(1);
    seen.source = Database(ControlState::kFenced, true);
    Decision decision = Aborting(phase, seen);
    EXPECT_EQ(decision.plan.guard, Guard::kUndo) << Name(phase);
    EXPECT_EQ(decision.plan.reason, "AbortRequested") << Name(phase);
    EXPECT_EQ(decision.handled.abort, "now") << Name(phase);
  }
}

TEST(Abort, WaitsWhileItCannotBeKnownWhetherTheJournalIsWritten) {
  Decision decision = Aborting(Phase::kSwitching, At(1));
  EXPECT_FALSE(decision.plan.guard);
  EXPECT_EQ(decision.handled.abort, "") << "the command must stay open until it is obeyed";
}

TEST(Abort, ComesTooLateOnceTheJournalIsWritten) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  Decision decision = Aborting(Phase::kSwitching, seen);
  EXPECT_EQ(decision.plan.guard, Guard::kJournaled);
  EXPECT_EQ(decision.handled.abort, "now");
}

TEST(Abort, IsAnsweredAndNotObeyedAfterTheJournal) {
  for (Phase phase : {Phase::kOpening, Phase::kHypercare, Phase::kCompleted, Phase::kRolledBack}) {
    Decision decision = Aborting(phase, At(1));
    EXPECT_FALSE(decision.plan.guard) << Name(phase);
    EXPECT_EQ(decision.handled.abort, "now") << Name(phase);
  }
}

TEST(Abort, IsObeyedOncePerToken) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  Annotate(migration, api::kAbortAnnotation, "now");
  migration.status.handled.abort = "now";
  EXPECT_FALSE(Decide(migration, At(1)).plan.guard);
}

// --- rollback ------------------------------------------------------------------------------------

TEST(Rollback, NeedsNoConsentBeforeUsersAreIn) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRollbackAnnotation, "back");
    Observation seen = At(1);
    EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kRoutes) << Name(phase);
    seen.routes = RouteFacts{true, false, ""};
    Decision decision = Decide(migration, seen);
    EXPECT_EQ(decision.plan.guard, Guard::kRollBack) << Name(phase);
    EXPECT_EQ(decision.handled.rollback, "back");
  }
}

// Users would be let in, and going back would cost what they write: the free rollback be lost.
TEST(Rollback, IsNotAnsweredByARoundThatCannotSeeWhetherUsersAreIn) {
  const Error away{Disposition::kRetry, "Timeout", "no answer"};
  for (const auto strategy : {api::Strategy::kOffline, api::Strategy::kOnline})
    for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
      api::TenantMigration migration = MigrationIn(phase);
      migration.spec.strategy = strategy;
      Annotate(migration, api::kRollbackAnnotation, "back");
      Observation seen = NothingReadableAt(1);
      seen.target = Database(ControlState::kOpen, false);
      const Decision in_vain = Decide(migration, seen);
      EXPECT_FALSE(in_vain.plan.guard || in_vain.plan.look_at) << Name(phase);
      EXPECT_EQ(in_vain.plan.reason, "ConnectionFailed");
      EXPECT_EQ(in_vain.handled.rollback, "") << Name(phase) << ": it stands";
      seen.routes = RouteFacts{true, false, ""};
      seen.workloads = away;
      if (strategy == api::Strategy::kOnline) {
        EXPECT_EQ(Decide(migration, seen).handled.rollback, "") << Name(phase);
      }
      seen.workloads = WorkloadFacts();
      const Decision answered = Decide(migration, seen);
      EXPECT_EQ(answered.plan.guard, Guard::kRollBack) << Name(phase);
      EXPECT_EQ(answered.handled.rollback, "back");
    }
}

// The source is there, and closed, as a move leaves it; the rest, too.
Observation WithSource(int at_seconds) {
  Observation seen = At(at_seconds);
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.ledger_recorded = true;
  return seen;
}

TEST(Rollback, IsObeyedOncePerToken) {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  Annotate(migration, api::kRollbackAnnotation, "back");
  Annotate(migration, api::kAcceptDataLossAnnotation, "back");
  Decision first = Decide(migration, WithSource(1));
  EXPECT_EQ(first.plan.guard, Guard::kRollBack);
  migration.status.handled.rollback = first.handled.rollback;
  EXPECT_FALSE(Decide(migration, WithSource(2)).plan.guard);
}

TEST(Rollback, IsNotBegunWhereNothingSaysWhatThereWasWhateverIsAccepted) {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  Annotate(migration, api::kRollbackAnnotation, "back");
  Annotate(migration, api::kAcceptDataLossAnnotation, "back");
  Observation seen = WithSource(1);
  seen.ledger_recorded = false;
  const Decision refused = Decide(migration, seen);
  EXPECT_FALSE(refused.plan.guard);
  EXPECT_EQ(refused.plan.reason, "LedgerMissing");
  EXPECT_EQ(refused.handled.rollback, "") << "it stands until the ledger is back, or it is not";
  seen.ledger_recorded = Error{Disposition::kRetry, "Timeout", "no answer"};
  EXPECT_FALSE(Decide(migration, seen).plan.guard) << "unknown is not there";
  migration.meta.annotations.clear();
  EXPECT_NE(Decide(migration, seen).plan.reason, "LedgerMissing") << "it was taken back";
}

// A GitOps sync has put the routes back: users may be writing on the target.
TEST(Rollback, NeedsConsentOnceTheRoutesAreBackWhoeverPutThemThere) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRollbackAnnotation, "back");
    Observation seen = WithSource(1);
    seen.routes = RouteFacts{false, true, ""};
    Decision held = Decide(migration, seen);
    EXPECT_FALSE(held.plan.guard) << Name(phase);
    EXPECT_EQ(held.plan.reason, "RollbackNeedsConsent");
    EXPECT_TRUE(held.plan.awaits_consent);
    EXPECT_EQ(held.handled.rollback, "") << "what waits for consent is not answered";

    Annotate(migration, api::kAcceptDataLossAnnotation, "back");
    EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kRollBack) << Name(phase);
  }
}

TEST(Rollback, OfATargetThatNeverOpenedNeedsNoLookAtTheRoutes) {
  api::TenantMigration migration = MigrationIn(Phase::kOpening);
  Annotate(migration, api::kRollbackAnnotation, "back");
  Observation seen = At(1);
  seen.target = Database(ControlState::kVerified, true);
  seen.routes = RouteFacts{false, true, ""};
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kRollBack);
}

TEST(Rollback, OfATargetThatIsNotAsOpenedButLetsPeopleInNeedsConsent) {
  api::TenantMigration migration = MigrationIn(Phase::kOpening);
  Annotate(migration, api::kRollbackAnnotation, "back");
  Observation seen = WithSource(1);
  seen.target = Database(ControlState::kNone, false);
  seen.routes = RouteFacts{false, true, ""};
  const Decision held = Decide(migration, seen);
  EXPECT_FALSE(held.plan.guard);
  EXPECT_EQ(held.plan.reason, "RollbackNeedsConsent");
}

TEST(Rollback, IsRefusedOnceUsersWriteUnlessTheLossIsAccepted) {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  Annotate(migration, api::kRollbackAnnotation, "back");
  const Decision refused = Decide(migration, WithSource(1));
  EXPECT_FALSE(refused.plan.guard);
  EXPECT_EQ(refused.plan.reason, "RollbackNeedsConsent");
  EXPECT_TRUE(refused.plan.awaits_consent);
  EXPECT_EQ(refused.handled.rollback, "");

  Annotate(migration, api::kAcceptDataLossAnnotation, "another token");
  EXPECT_FALSE(Decide(migration, WithSource(1)).plan.guard);

  Annotate(migration, api::kAcceptDataLossAnnotation, "back");
  EXPECT_EQ(Decide(migration, WithSource(1)).plan.guard, Guard::kRollBack);
}

TEST(Rollback, DoesNothingBeforeTheJournal) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  Annotate(migration, api::kRollbackAnnotation, "back");
  Decision decision = Decide(migration, At(1));
  EXPECT_FALSE(decision.plan.guard);
  EXPECT_EQ(decision.handled.rollback, "back");
}

// --- retry ---------------------------------------------------------------------------------------

TEST(Retry, StartsOverFromFailedAndAborted) {
  for (Phase phase : {Phase::kFailed, Phase::kAborted}) {
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRetryAnnotation, "again");
    Decision decision = Decide(migration, At(1));
    EXPECT_EQ(decision.plan.guard, Guard::kRetryRequested) << Name(phase);
    EXPECT_EQ(decision.handled.retry, "again");
  }
}

TEST(Retry, IsObeyedOncePerToken) {
  for (Phase phase : {Phase::kFailed, Phase::kAborted}) {
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRetryAnnotation, "again");
    migration.status.handled.retry = Decide(migration, At(1)).handled.retry;
    EXPECT_FALSE(Decide(migration, At(2)).plan.guard) << Name(phase) << ": it must not loop";
    Annotate(migration, api::kRetryAnnotation, "once more");
    EXPECT_EQ(Decide(migration, At(3)).plan.guard, Guard::kRetryRequested) << Name(phase);
  }
}

TEST(Retry, GivenWhileAnAttemptGoesOnIsNotKeptForWhenItFails) {
  for (Phase phase : kAllPhases) {
    if (IsEnd(phase)) continue;
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRetryAnnotation, "again");
    const Decision decision = Decide(migration, At(1));
    EXPECT_EQ(decision.handled.retry, phase == Phase::kUndoing ? "" : "again") << Name(phase);
    EXPECT_NE(decision.plan.guard, Guard::kRetryRequested) << Name(phase);
  }
}

TEST(Retry, DoesNothingWhereTheTenantHasMovedOrCameBack) {
  for (Phase phase : {Phase::kCompleted, Phase::kRolledBack}) {
    api::TenantMigration migration = MigrationIn(phase);
    Annotate(migration, api::kRetryAnnotation, "again");
    EXPECT_FALSE(Decide(migration, At(1)).plan.guard) << Name(phase);
  }
}

TEST(Retry, DoesNotReviveWhatIsBeingDeleted) {
  api::TenantMigration migration = MigrationIn(Phase::kFailed);
  Annotate(migration, api::kRetryAnnotation, "again");
  migration.meta.deletion_timestamp = Noon();
  EXPECT_EQ(Decide(migration, At(1)).plan.effect, Intent::kRemoveFinalizer);
}

// --- suspend -------------------------------------------------------------------------------------

TEST(Suspend, HoldsWhileUsersWork) {
  for (Phase phase :
       {Phase::kBackingUp, Phase::kPreparing, Phase::kAwaitingCutover, Phase::kHypercare}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.spec.suspend = true;
    Observation seen = At(1);
    seen.source = Database(ControlState::kJournaled, true);
    Plan plan = Decide(migration, seen).plan;
    EXPECT_EQ(plan.reason, "Suspended") << Name(phase);
    EXPECT_FALSE(plan.guard || plan.effect) << Name(phase);
  }
}

TEST(Suspend, HoldsInPreflightOnceNothingStandsInTheWayAndFindsOutWhetherAnythingDoes) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  migration.spec.suspend = true;
  Observation seen = At(1);
  seen.placement = PlacementFacts();
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kPreflight);
  seen.preflight = std::vector<Finding>{{Severity::kBlocking, "TargetExists", "drop it"}};
  EXPECT_EQ(Decide(migration, seen).plan.reason, "PreflightFailed");
  seen.preflight = std::vector<Finding>{{Severity::kWarning, "Autoscaler", "it may scale"}};
  const Plan held = Decide(migration, seen).plan;
  EXPECT_EQ(held.reason, "Suspended");
  EXPECT_FALSE(held.guard || held.effect || held.trouble);
  EXPECT_EQ(held.wait, std::chrono::minutes(10)) << "what is found may change";
  migration.spec.suspend = false;
  EXPECT_TRUE(Decide(migration, seen).plan.guard);
}

TEST(Suspend, LeavesAMigrationThatMayNotBeginToBeRefusedInPending) {
  api::TenantMigration migration = MigrationIn(Phase::kPending);
  migration.spec.suspend = true;
  Observation seen = At(1);
  PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-source";
  seen.placement = placement;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kMayStart) << "preflight holds it";
  placement.rival_migration = "another";
  seen.placement = placement;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kPlacementBusy);
}

TEST(Suspend, NeverHoldsUsersOutsideClosedDoors) {
  for (Phase phase : kAllPhases) {
    if (!DoorsClosed(phase, api::Strategy::kOffline) && phase != Phase::kUndoing &&
        phase != Phase::kRollingBack)
      continue;
    api::TenantMigration migration = MigrationIn(phase);
    migration.spec.suspend = true;
    EXPECT_NE(Decide(migration, At(1)).plan.reason, "Suspended") << Name(phase);
  }
}

// Else what is shown of it would stand still, and be taken for a copy that does.
TEST(Suspend, ACopyGoesOnAndIsLookedAt) {
  api::TenantMigration migration = PooledIn(Phase::kCopying);
  migration.spec.suspend = true;
  Observation seen = At(1);
  seen.forward_publisher = seen.reverse_publisher = PublisherFacts();
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kCopyJob);
  JobFacts job;
  job.exists = true;
  seen.copy_job = job;
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kCopyProgress);
  seen.copy_progress = std::optional<CopyProgress>();
  const Plan held = Decide(migration, seen).plan;
  EXPECT_EQ(held.reason, "Suspended");
  EXPECT_FALSE(held.look_at || held.effect || held.guard);
  EXPECT_EQ(held.message.find("failed"), std::string::npos);
  job.failed = true;
  job.message = "disk full";
  seen.copy_job = job;
  const Plan failed = Decide(migration, seen).plan;
  EXPECT_EQ(failed.reason, "Suspended") << "what becomes of it is decided once it goes on";
  EXPECT_NE(failed.message.find("the copy has failed: disk full"), std::string::npos);
}

TEST(Suspend, DoesNotKeepAnAbortFromHappening) {
  api::TenantMigration migration = MigrationIn(Phase::kPreparing);
  migration.spec.suspend = true;
  Annotate(migration, api::kAbortAnnotation, "now");
  EXPECT_EQ(Decide(migration, At(1)).plan.guard, Guard::kUndo);
}

// --- approval and window -------------------------------------------------------------------------

Observation ReadyAt(int seconds) {
  Observation seen = At(seconds);
  seen.maintenance_page = MaintenancePageFacts{.exists = true, .ready = true};
  seen.source = Database(ControlState::kOpen, false);
  seen.tenant_known = true;
  return seen;
}

TEST(AwaitingCutover, GoesOnByItselfWhenNothingIsToBeWaitedFor) {
  EXPECT_EQ(Decide(MigrationIn(Phase::kAwaitingCutover), ReadyAt(1)).plan.guard,
            Guard::kDoorsMayClose);
}

TEST(AwaitingCutover, UsersStayWhileTheTargetWouldNotLetTheTenantIn) {
  const api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  Observation seen = ReadyAt(1);
  seen.tenant_known = At(1).tenant_known;
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kTenantLogin);
  seen.tenant_known = Error{Disposition::kRetry, "TenantLoginRefused", "no pg_hba.conf entry"};
  const Plan held = Decide(migration, seen).plan;
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "TenantLoginRefused");
}

TEST(AwaitingCutover, APasswordThatWasChangedMeanwhileIsBroughtToTheTarget) {
  Observation seen = ReadyAt(1);
  seen.tenant_known = false;
  EXPECT_EQ(Decide(MigrationIn(Phase::kAwaitingCutover), seen).plan.effect, Intent::kPrepareTarget);
}

TEST(AwaitingCutover, WaitsForAFreshTokenWhenApprovalIsManual) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.approval = api::Approval::kManual;
  EXPECT_EQ(Decide(migration, At(1)).plan.reason, "AwaitingApproval");

  Annotate(migration, api::kApproveAnnotation, "yes");
  migration.status.handled.approve = "yes";
  EXPECT_EQ(Decide(migration, At(1)).plan.reason, "AwaitingApproval") << "an old approval";

  Annotate(migration, api::kApproveAnnotation, "yes, again");
  Decision decision = Decide(migration, ReadyAt(1));
  EXPECT_EQ(decision.plan.guard, Guard::kDoorsMayClose);
  EXPECT_EQ(decision.handled.approve, "yes, again");
}

TEST(AwaitingCutover, AnApprovalIsNotKeptForAnotherAttempt) {
  api::TenantMigration migration = MigrationIn(Phase::kPreparing);
  migration.spec.approval = api::Approval::kManual;
  Annotate(migration, api::kApproveAnnotation, "early");
  EXPECT_EQ(Decide(migration, At(1)).handled.approve, "") << "it is for the cutover that comes";
  Annotate(migration, api::kAbortAnnotation, "now");
  EXPECT_EQ(Decide(migration, At(1)).handled.approve, "early");
}

TEST(AwaitingCutover, KeepsToItsWindow) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.window_start = Noon() + std::chrono::seconds(60);
  migration.spec.window_end = Noon() + std::chrono::seconds(120);
  Plan early = Decide(migration, At(50)).plan;
  EXPECT_EQ(early.reason, "AwaitingWindow");
  EXPECT_EQ(early.wait, std::chrono::seconds(10));
  EXPECT_EQ(Decide(migration, ReadyAt(60)).plan.guard, Guard::kDoorsMayClose);
  Plan late = Decide(migration, At(120)).plan;
  EXPECT_EQ(late.guard, Guard::kUndo);
  EXPECT_EQ(late.reason, "WindowMissed");
}

TEST(AwaitingCutover, WhoeverIsAskedForAnApprovalIsToldOfTheWindowThatItWaitsFor) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.approval = api::Approval::kManual;
  migration.spec.window_start = Noon() + std::chrono::seconds(60);
  migration.spec.window_end = Noon() + std::chrono::seconds(120);
  const auto says_when = [](const Plan& plan) {
    return plan.message.find(FormatTime(Noon() + std::chrono::seconds(60))) != std::string::npos;
  };
  const Plan early = Decide(migration, At(50)).plan;
  EXPECT_EQ(early.reason, "AwaitingApproval");
  EXPECT_TRUE(says_when(early)) << early.message;
  const Plan open = Decide(migration, At(60)).plan;
  EXPECT_EQ(open.reason, "AwaitingApproval");
  EXPECT_FALSE(says_when(open)) << open.message;
}

TEST(AwaitingCutover, AnApprovalDoesNotOpenAWindowThatIsOver) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.approval = api::Approval::kManual;
  migration.spec.window_start = Noon();
  migration.spec.window_end = Noon() + std::chrono::seconds(10);
  Annotate(migration, api::kApproveAnnotation, "yes");
  EXPECT_EQ(Decide(migration, At(11)).plan.reason, "WindowMissed");
}

TEST(AwaitingCutover, OnlineTheWayBackIsTriedOnceMoreAfterAllElseThatIsWaitedFor) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.approval = api::Approval::kManual;
  Observation seen = ReadyAt(1);
  PublisherFacts publisher;
  publisher.slot = publisher.published = true;
  SubscriberFacts subscriber;
  subscriber.exists = subscriber.enabled = subscriber.working = true;
  subscriber.heartbeat_at_seconds = publisher.clock_seconds;
  seen.forward_publisher = seen.reverse_publisher = publisher;
  seen.forward_subscriber = seen.reverse_subscriber = subscriber;
  seen.schema_change = std::string();
  EXPECT_EQ(Decide(migration, seen).plan.reason, "AwaitingApproval") << "it may take days";

  Annotate(migration, api::kApproveAnnotation, "yes");
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kRehearsal);
  seen.way_back_rehearsed = false;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kRehearseWayBack);
  seen.way_back_rehearsed = Error{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  EXPECT_EQ(Decide(migration, seen).plan.guard, std::nullopt);
  seen.way_back_rehearsed = true;
  seen.tenant_known = true;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kDoorsMayClose);

  subscriber.address_current = false;
  seen.reverse_subscriber = subscriber;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kRehearseWayBack)
      << "the target has another address since it was tried";
  subscriber.address_current = true;
  seen.reverse_subscriber = subscriber;

  seen.maintenance_page = MaintenancePageFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kEnsureMaintenancePage);
  seen.maintenance_page = MaintenancePageFacts{.exists = true};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kWatchStream) << "the target follows on";
}

// It was ready when it was made, and approval may take days: users are sent to no page that is
// gone.
TEST(AwaitingCutover, ClosesNoDoorsUntilThePageIsReady) {
  const api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  EXPECT_EQ(Decide(migration, At(1)).plan.look_at, Subject::kMaintenancePage);
  Observation seen = At(1);
  seen.maintenance_page = MaintenancePageFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kEnsureMaintenancePage);
  seen.maintenance_page = MaintenancePageFacts{.exists = true};
  EXPECT_FALSE(Decide(migration, seen).plan.guard || Decide(migration, seen).plan.effect);
  seen.maintenance_page =
      MaintenancePageFacts{.exists = true, .hindrance = PodHindrance{"exceeded quota", Noon()}};
  Plan plan = Decide(migration, seen).plan;
  EXPECT_EQ(plan.reason, "PodCannotStart");
  EXPECT_EQ(plan.message, "exceeded quota");
  EXPECT_TRUE(plan.trouble);
}

TEST(AwaitingCutover, ByPoolerAsksForNoPage) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  Observation seen = ReadyAt(1);
  seen.maintenance_page = At(1).maintenance_page;
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kPoolers);
}

// --- bounds --------------------------------------------------------------------------------------

TEST(Bounds, TheWritePauseIsKeptBeforeTheJournal) {
  for (Phase phase : {Phase::kFencing, Phase::kCopying, Phase::kFinalizing, Phase::kVerifying,
                      Phase::kSwitching}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.spec.max_write_pause_seconds = 30;
    migration.status.cutover.fenced_at = Noon();
    Observation seen = At(31);
    seen.source = Database(ControlState::kFenced, true);
    EXPECT_EQ(Decide(migration, seen).plan.reason, "WritePauseExceeded") << Name(phase);
    seen.now = Noon() + std::chrono::seconds(30);
    EXPECT_NE(Decide(migration, seen).plan.reason, "WritePauseExceeded") << Name(phase);
  }
}

// The stream is read to its end before the pause, for as long as that takes.
TEST(Bounds, ByPoolerThePauseBeginsWithThePause) {
  api::TenantMigration migration = MigrationIn(Phase::kFencing);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.spec.max_write_pause_seconds = 5;
  migration.status.cutover.fenced_at = Noon();
  auto reason = [&](PoolerFacts poolers) {
    Observation seen = At(20);
    seen.source = Database(ControlState::kFenced, true);
    seen.poolers = std::move(poolers);
    return Decide(migration, seen).plan.reason;
  };
  PoolerFacts poolers{.paused = false, .resumed = true, .since = {}, .detail = ""};
  EXPECT_NE(reason(poolers), "WritePauseExceeded") << "nobody waits";
  poolers = {.paused = true, .resumed = false, .since = At(15).now, .detail = ""};
  poolers.tried_since = poolers.since;
  EXPECT_NE(reason(poolers), "WritePauseExceeded") << "5 s";
  poolers.tried_since = poolers.since = At(14).now;
  EXPECT_EQ(reason(poolers), "WritePauseExceeded") << "6 s";
  poolers.tried_since = poolers.since = std::nullopt;
  EXPECT_EQ(reason(poolers), "WritePauseExceeded")
      << "paused by a leader before, nobody knows when";
  poolers.paused = false;
  EXPECT_EQ(reason(poolers), "WritePauseExceeded") << "one of several still is";
}

TEST(Bounds, TheWritePauseNeverUndoesWhatIsJournaled) {
  api::TenantMigration migration = MigrationIn(Phase::kSwitching);
  migration.spec.max_write_pause_seconds = 30;
  migration.status.cutover.fenced_at = Noon();
  Observation seen = At(3000);
  seen.source = Database(ControlState::kJournaled, true);
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kJournaled);
  migration.status.phase = Phase::kSmoke;
  EXPECT_NE(Decide(migration, seen).plan.guard, Guard::kUndo);
}

TEST(Bounds, AClosedPhaseThatHangsIsGivenUpAndACopyIsNot) {
  Observation seen = At(601);
  Plan fencing = Decide(MigrationIn(Phase::kFencing), seen).plan;
  EXPECT_EQ(fencing.guard, Guard::kUndo);
  EXPECT_EQ(fencing.reason, "StageTimedOut");
  seen.source = Database(ControlState::kFenced, true);
  EXPECT_FALSE(Decide(MigrationIn(Phase::kCopying), seen).plan.guard);
}

// --- preparing, backing up -----------------------------------------------------------------------

TEST(Preparing, AMaintenancePageThatWasMadeInPartIsMadeWhole) {
  Observation seen = At(1);
  seen.ledger_recorded = true;
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kPreparing, true);
  seen.maintenance_page = MaintenancePageFacts{.exists = true, .ready = false, .half = true};
  EXPECT_EQ(Decide(MigrationIn(Phase::kPreparing), seen).plan.effect,
            Intent::kEnsureMaintenancePage);
  seen.maintenance_page = MaintenancePageFacts{.exists = true, .ready = false, .half = false};
  EXPECT_FALSE(Decide(MigrationIn(Phase::kPreparing), seen).plan.effect);
}

TEST(Preparing, APageThatCannotStartIsSaid) {
  Observation seen = At(1);
  seen.ledger_recorded = true;
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kPreparing, true);
  seen.maintenance_page =
      MaintenancePageFacts{.exists = true, .hindrance = PodHindrance{"exceeded quota", Noon()}};
  Plan plan = Decide(MigrationIn(Phase::kPreparing), seen).plan;
  EXPECT_EQ(plan.reason, "PodCannotStart");
  EXPECT_EQ(plan.message, "exceeded quota");
}

TEST(BackingUp, DoesNotWaitForAJobOfAnEarlierAttempt) {
  Observation seen = At(1);
  JobFacts job;
  job.exists = job.earlier = true;
  seen.backup_job = job;
  EXPECT_EQ(Decide(MigrationIn(Phase::kBackingUp), seen).plan.effect, Intent::kCreateBackupJob);
}

// --- deletion ------------------------------------------------------------------------------------

Plan Deleting(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.meta.deletion_timestamp = Noon();
  Observation seen = At(1);
  seen.source = Database(ControlState::kFenced, true);
  seen.target = DatabaseFacts();
  seen.ledger_recorded = false;
  seen.routes = RouteFacts{true, false, ""};
  return Decide(migration, seen).plan;
}

TEST(Deletion, UndoesBeforeTheJournal) {
  for (Phase phase : kAllPhases) {
    if (SideOf(phase) != Side::kBeforeJournal || phase == Phase::kUndoing) continue;
    EXPECT_EQ(Deleting(phase).guard, Guard::kUndo) << Name(phase);
    EXPECT_EQ(Deleting(phase).reason, "Deleted") << Name(phase);
  }
}

TEST(Deletion, GoesBackUntilUsersAreInAndFinishesAfterwards) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke})
    EXPECT_EQ(Deleting(phase).guard, Guard::kRollBack) << Name(phase);
  for (Phase phase : {Phase::kAdmitting, Phase::kHypercare, Phase::kCompleting}) {
    Plan plan = Deleting(phase);
    EXPECT_NE(plan.guard, Guard::kRollBack) << Name(phase);
    EXPECT_NE(plan.effect, Intent::kRemoveFinalizer) << Name(phase);
  }
}

TEST(Deletion, DoesNotWaitForHypercareToRunItsTime) {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  migration.spec.hypercare_seconds = 86400;
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.checks = std::vector<CheckOutcome>();
  EXPECT_FALSE(Decide(migration, seen).plan.guard);
  migration.meta.deletion_timestamp = Noon();
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kHypercareOver);
}

TEST(Deletion, LetsGoAtEveryEnd) {
  for (Phase phase : {Phase::kCompleted, Phase::kAborted, Phase::kFailed, Phase::kRolledBack})
    EXPECT_EQ(Deleting(phase).effect, Intent::kRemoveFinalizer) << Name(phase);
}

TEST(Deletion, DropsTheCopyOfARollbackFirstAndThenItsLedger) {
  api::TenantMigration migration = MigrationIn(Phase::kRolledBack);
  migration.meta.deletion_timestamp = Noon();
  Observation seen = At(1);
  seen.ledger_recorded = true;  // It says which database the copy is.
  seen.target = Database(ControlState::kFenced, true);
  seen.source = Database(ControlState::kNone, false);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropTarget);
  seen.target = Error{Disposition::kRetry, "ConnectionFailed", "down"};
  EXPECT_FALSE(Decide(migration, seen).plan.effect) << "unknown is not gone";
  seen.target = DatabaseFacts();
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDeleteLedger);
  seen.ledger_recorded = false;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kRemoveFinalizer);
}

TEST(Deletion, KeepsTheCopyOfARollbackWhileItMayBeAllThatIsLeftOfTheTenant) {
  api::TenantMigration migration = MigrationIn(Phase::kRolledBack);
  migration.meta.deletion_timestamp = Noon();
  Observation seen = At(1);
  seen.ledger_recorded = true;
  seen.target = Database(ControlState::kFenced, true);
  PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-source";
  seen.placement = placement;
  const Fact<DatabaseFacts> gone[] = {DatabaseFacts{},
                                      Error{Disposition::kRetry, "HalfDropped", "cut short"}};
  for (const auto& source : gone) {
    seen.source = source;
    const Plan held = Decide(migration, seen).plan;
    EXPECT_FALSE(held.effect);
    EXPECT_EQ(held.reason, "SourceGone");
    EXPECT_GT(held.wait.count(), 0);
  }
  seen.source = Error{Disposition::kRetry, "ConnectionFailed", "down"};
  EXPECT_FALSE(Decide(migration, seen).plan.effect) << "unknown is not there";
  placement.server_name = "pg-third";
  seen.placement = placement;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropTarget)
      << "another move has taken the tenant on";
}

// --- what the phases insist on -------------------------------------------------------------------

TEST(Preflight, IsNotPassedForAPlacementThatWasReplacedMeanwhile) {
  Observation seen = At(1);
  seen.preflight = std::vector<Finding>();
  seen.baselines = std::vector<CheckOutcome>();
  PlacementFacts placement;
  placement.exists = true;
  seen.placement = placement;
  const Plan adopted_later = Decide(MigrationIn(Phase::kPreflight), seen).plan;
  EXPECT_FALSE(adopted_later.guard);
  EXPECT_EQ(adopted_later.reason, "PlacementNotReady");
  placement.server_name = "pg-other";
  seen.placement = placement;
  const Plan elsewhere = Decide(MigrationIn(Phase::kPreflight), seen).plan;
  EXPECT_EQ(elsewhere.guard, Guard::kUndo);
  EXPECT_EQ(elsewhere.reason, "PlacementChanged");
  placement.server_name = "pg-source";
  seen.placement = placement;
  EXPECT_EQ(Decide(MigrationIn(Phase::kPreflight), seen).plan.guard, Guard::kBackupWanted);
}

TEST(Preflight, WaitsForWhatCanBeMendedAndEndsForWhatCannot) {
  EXPECT_EQ(Decide(MigrationIn(Phase::kPreflight), Observation{}).plan.look_at, Subject::kPlacement)
      << "which spec is it that passes?";
  Observation seen = At(1);
  seen.preflight = std::vector<Finding>{{Severity::kWarning, "Autoscaler", "it may scale back"},
                                        {Severity::kBlocking, "TargetExists", "drop it"},
                                        {Severity::kBlocking, "RouteNotFound", "create it"}};
  Plan waiting = Decide(MigrationIn(Phase::kPreflight), seen).plan;
  EXPECT_EQ(waiting.reason, "PreflightFailed");
  EXPECT_EQ(waiting.message, "drop it; create it") << "everything at once";
  EXPECT_FALSE(waiting.guard);

  seen.preflight = std::vector<Finding>{{Severity::kHopeless, "OlderMajor", "15 after 17"}};
  EXPECT_EQ(Decide(MigrationIn(Phase::kPreflight), seen).plan.guard, Guard::kHopeless);

  seen.preflight = std::vector<Finding>{{Severity::kWarning, "Autoscaler", "it may scale back"}};
  EXPECT_EQ(Decide(MigrationIn(Phase::kPreflight), seen).plan.guard, Guard::kBackupWanted);
}

TEST(Verifying, NeverLeadsToTheSwitchWithoutPositiveProof) {
  api::TenantMigration migration = MigrationIn(Phase::kVerifying);
  CopyResult result;
  result.attempt = 1;
  result.report = "table t differs";
  Observation seen = At(1);
  seen.target = Database(ControlState::kVerified, true);

  seen.copy_result = std::optional<CopyResult>(result);
  EXPECT_EQ(Decide(migration, seen).plan.reason, "VerificationFailed");
  result.equal = true;
  result.mismatches = 1;
  seen.copy_result = std::optional<CopyResult>(result);
  EXPECT_EQ(Decide(migration, seen).plan.reason, "VerificationFailed");
  result.mismatches = 0;
  result.attempt = 7;
  seen.copy_result = std::optional<CopyResult>(result);
  EXPECT_EQ(Decide(migration, seen).plan.reason, "VerificationMissing") << "of another attempt";
  seen.copy_result = std::optional<CopyResult>();
  EXPECT_EQ(Decide(migration, seen).plan.reason, "VerificationMissing");

  result.attempt = 1;
  seen.copy_result = std::optional<CopyResult>(result);
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kVerified);
}

TEST(Smoke, AFailingCheckHasItsOwnTimeBeforeTheTenantGoesBack) {
  Observation seen = At(4);
  CheckOutcome outcome;
  outcome.name = "login";
  outcome.message = "answered 502";
  outcome.timeout_seconds = 5;
  seen.checks = std::vector<CheckOutcome>{outcome};
  seen.routes = RouteFacts{true, false, ""};
  EXPECT_FALSE(Decide(MigrationIn(Phase::kSmoke), seen).plan.guard);
  seen.now = Noon() + std::chrono::seconds(5);
  Plan plan = Decide(MigrationIn(Phase::kSmoke), seen).plan;
  EXPECT_EQ(plan.guard, Guard::kRollBack);
  EXPECT_EQ(plan.message, "check login: answered 502");

  seen.routes = RouteFacts{false, true, ""};
  seen.source = Database(ControlState::kJournaled, true);
  plan = Decide(MigrationIn(Phase::kSmoke), seen).plan;
  EXPECT_FALSE(plan.guard) << "somebody has let users in";
  EXPECT_TRUE(plan.trouble);
}

TEST(Switching, NeverJournalsOverABrokenFence) {
  Observation seen = At(1);
  seen.target = Database(ControlState::kVerified, true);
  DatabaseFacts source = Database(ControlState::kFenced, true);
  source.other_sessions = 1;
  seen.source = source;
  EXPECT_EQ(Decide(MigrationIn(Phase::kSwitching), seen).plan.guard, Guard::kUndo);
  source.other_sessions = 0;
  seen.source = source;
  EXPECT_EQ(Decide(MigrationIn(Phase::kSwitching), seen).plan.effect, Intent::kJournal);
}

// --- bad input -----------------------------------------------------------------------------------

TEST(BadInput, ALeaderWhoseClockIsBehindGivesNothingUpAndGoesOn) {
  api::TenantMigration migration = MigrationIn(Phase::kSwitching);
  migration.spec.max_write_pause_seconds = 60;
  migration.status.cutover.fenced_at = Noon();
  Observation seen = At(1);
  seen.now = Noon() - std::chrono::hours(5);
  seen.source = Database(ControlState::kFenced, true);
  seen.target = Database(ControlState::kVerified, true);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kJournal);
}

TEST(BadInput, ALeaderWhoseClockIsAheadUndoesWhatCanBeUndoneAndNothingElse) {
  api::TenantMigration migration = MigrationIn(Phase::kSwitching);
  migration.spec.max_write_pause_seconds = 60;
  migration.status.cutover.fenced_at = Noon();
  Observation seen = At(1);
  seen.now = Noon() + std::chrono::hours(5);
  seen.target = Database(ControlState::kVerified, true);
  seen.source = Database(ControlState::kFenced, true);
  EXPECT_EQ(Decide(migration, seen).plan.reason, "WritePauseExceeded");
  seen.source = Database(ControlState::kJournaled, true);
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kJournaled) << "the journal is no clock's";
}

TEST(BadInput, ATokenOfAMillionCharactersIsAnsweredAsItIs) {
  api::TenantMigration migration = MigrationIn(Phase::kPreparing);
  const std::string token(1'000'000, 'x');
  migration.meta.annotations[api::kAbortAnnotation] = token;
  Observation seen = At(1);
  Decision decision = Decide(migration, seen);
  EXPECT_EQ(decision.plan.guard, Guard::kUndo);
  EXPECT_EQ(decision.handled.abort, token);
  EXPECT_LT(decision.plan.message.size(), 100u) << "the answer does not repeat it";
  migration.status.handled = decision.handled;
  EXPECT_NE(Decide(migration, seen).plan.guard, Guard::kUndo) << "nor is it obeyed twice";
}

}  // namespace
}  // namespace cutover::migration
