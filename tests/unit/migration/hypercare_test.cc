// SPDX-License-Identifier: Apache-2.0
//
// Hypercare and Smoke as decisions: what checks that fail, recover, stay unknown or run as Jobs
// lead to. Rounds go through Decide and Advance, so that counts pass through status as they do for
// real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using ::testing::HasSubstr;
using testing::MigrationIn;
using testing::Noon;
using ::testing::Not;

constexpr int kHypercareSeconds = 3600;

/// A migration in Hypercare that goes back when a check has failed, and the rounds of its life.
class Hypercare : public ::testing::Test {
 protected:
  Hypercare() : migration_(MigrationIn(Phase::kHypercare)) {
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.spec.hypercare_seconds = kHypercareSeconds;
    migration_.spec.on_failed_checks = api::OnFailedChecks::kRollback;
    outcome_.name = "login-page";
    outcome_.message = "answered 502";
    outcome_.failure_threshold = 3;
  }

  static PublisherFacts Published() {
    PublisherFacts facts;
    facts.traces = facts.published = facts.slot = true;
    return facts;
  }

  Observation See(int seconds) const {
    Observation seen = At(seconds);
    seen.source = testing::Database(ControlState::kJournaled, true);
    seen.target = testing::Database(ControlState::kOpen, false);
    seen.ledger_recorded = ledger_is_there_;
    seen.forward_subscriber = SubscriberFacts();
    seen.forward_publisher = PublisherFacts();
    seen.reverse_publisher = Published();
    SubscriberFacts source;
    source.exists = source.enabled = source.working = true;
    source.heartbeat_at_seconds = seen.reverse_publisher->clock_seconds - (way_back_open_ ? 1 : 60);
    seen.reverse_subscriber = source;
    SampleFacts sample = sample_;
    if (!sample.taken_at) sample.taken_at = seen.now;
    seen.reverse_sample = sample;
    seen.structure = structure_;
    seen.views = views_;
    seen.checks = std::vector<CheckOutcome>();
    return seen;
  }

  /// One round in which the check ran with that verdict; its plan.
  Plan Round(int seconds, Verdict verdict) {
    Observation seen = See(seconds);
    CheckOutcome outcome = outcome_;
    outcome.verdict = verdict;
    seen.checks = std::vector<CheckOutcome>{outcome};
    return Round(seen);
  }
  Plan Round(const Observation& seen) {
    Decision decision = Decide(migration_, seen);
    migration_.status = Advance(migration_, seen, decision);
    return decision.plan;
  }

  void Annotate(const char* key, const char* token) { migration_.meta.annotations[key] = token; }

  api::TenantMigration migration_;
  CheckOutcome outcome_;
  bool way_back_open_ = true;
  bool ledger_is_there_ = true;
  ViewFacts views_;
  SampleFacts sample_;  ///< Taken this moment, unless it says when.
  StructureFacts structure_;
};

TEST_F(Hypercare, GoesBackWhenACheckHasFailedOftenEnoughInARowAndNotBefore) {
  EXPECT_FALSE(Round(0, Verdict::kFailed).guard);
  Plan second = Round(60, Verdict::kFailed);
  EXPECT_FALSE(second.guard);
  EXPECT_TRUE(second.trouble);
  EXPECT_THAT(second.message, HasSubstr("answered 502 (failed 2 times in a row"));
  Plan third = Round(120, Verdict::kFailed);
  EXPECT_EQ(third.guard, Guard::kRollBack);
  EXPECT_EQ(third.reason, "HypercareCheckFailed");
  EXPECT_EQ(migration_.status.phase, Phase::kRollingBack);
  EXPECT_FALSE(migration_.status.rollback.fenced_at) << "the doors are not closed yet";
}

// What has begun without it would stand there, with the check that failed for ever.
TEST_F(Hypercare, GoesBackByItselfOnlyWithTheLedgerThatSaysWhatThereWas) {
  ledger_is_there_ = false;
  Round(0, Verdict::kFailed);
  Round(60, Verdict::kFailed);
  const Plan held = Round(120, Verdict::kFailed);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "LedgerMissing");
  EXPECT_THAT(held.message, HasSubstr("answered 502"));
  EXPECT_THAT(held.message, ::testing::Not(HasSubstr("cutover.dev/rollback")));
  ledger_is_there_ = true;
  EXPECT_EQ(Round(180, Verdict::kFailed).guard, Guard::kRollBack);
}

TEST_F(Hypercare, StaysWhenACheckRecoversOneRunBeforeItHasFailed) {
  Round(0, Verdict::kFailed);
  Round(60, Verdict::kFailed);
  EXPECT_FALSE(Round(120, Verdict::kPassed).trouble);
  Round(180, Verdict::kFailed);
  Round(240, Verdict::kFailed);
  EXPECT_FALSE(Round(300, Verdict::kPassed).guard);
  EXPECT_EQ(Round(kHypercareSeconds, Verdict::kPassed).guard, Guard::kHypercareOver);
}

TEST_F(Hypercare, RoundsBetweenTwoRunsCountNothing) {
  Round(0, Verdict::kFailed);
  for (int seconds = 2; seconds < 60; seconds += 2) EXPECT_FALSE(Round(See(seconds)).guard);
  EXPECT_EQ(migration_.status.checks.at(0).consecutive_failures, 1);
}

TEST_F(Hypercare, ARunIsCountedOnceWhenItsRoundsEffectFails) {
  Observation seen = See(0);
  CheckOutcome outcome = outcome_;
  seen.checks = std::vector<CheckOutcome>{outcome};
  Round(seen);
  // What RunOnce records when the heartbeat could not be written, over the same observation.
  Decision again;
  again.plan = Plan::Unknown({Disposition::kRetry, "ConnectionFailed", "the target is away"});
  again.handled = migration_.status.handled;
  migration_.status = Advance(migration_, seen, again);
  EXPECT_EQ(migration_.status.checks.at(0).consecutive_failures, 1);
}

TEST_F(Hypercare, HoldsWithTheChecksWordsWhereGoingBackWasNotAskedFor) {
  migration_.spec.on_failed_checks = api::OnFailedChecks::kHold;
  Round(0, Verdict::kFailed);
  Round(60, Verdict::kFailed);
  Plan plan = Round(120, Verdict::kFailed);
  EXPECT_FALSE(plan.guard);
  EXPECT_EQ(plan.reason, "HypercareCheckFailed");
  EXPECT_THAT(plan.message, HasSubstr("holding: check login-page: answered 502"));
  EXPECT_EQ(plan.effect, Intent::kWatchReverseStream) << "the way back is kept open meanwhile";
  Plan long_after = Round(See(kHypercareSeconds * 2));
  EXPECT_EQ(long_after.reason, "HypercareCheckFailed") << "a person is waited for";
  EXPECT_EQ(Round(kHypercareSeconds * 2 + 60, Verdict::kPassed).guard, Guard::kHypercareOver);
}

/// A rollback whose stream back has just been lost sight of, at the door that it may not close.
Observation GoingBackBlindly(Observation seen) {
  SubscriberFacts source = *seen.reverse_subscriber;
  source.working = false;
  seen.reverse_subscriber = source;
  seen.ledger_recorded = true;
  seen.target = testing::Database(ControlState::kOpen, false);
  seen.routes = RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
  seen.workloads = WorkloadFacts();
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.tenant_known_back = true;
  return seen;
}

TEST_F(Hypercare, ALossThatWasAcceptedForARollbackThatCouldNotBeIsNotAcceptedForALaterOne) {
  migration_.status.phase = Phase::kFencing;
  Annotate(api::kRollbackAnnotation, "in a fright");
  Annotate(api::kAcceptDataLossAnnotation, "in a fright");
  EXPECT_EQ(Decide(migration_, See(0)).handled.rollback, "in a fright")
      << "nothing to go back from";
  migration_.status.handled.rollback = "in a fright";
  migration_.status.phase = Phase::kHypercare;
  migration_.status.cutover.opened_at = Noon();
  for (int seconds : {0, 60, 120}) Round(seconds, Verdict::kFailed);
  ASSERT_EQ(migration_.status.phase, Phase::kRollingBack);
  Observation seen = GoingBackBlindly(See(121));
  EXPECT_EQ(Decide(migration_, seen).plan.reason, "AwaitingWayBack") << "users work on";

  Annotate(api::kRollbackAnnotation, "now I mean it");
  Annotate(api::kAcceptDataLossAnnotation, "now I mean it");
  Round(seen);
  EXPECT_EQ(migration_.status.rollback.token, "now I mean it");
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kFlipRoutes) << "the doors close";
}

TEST_F(Hypercare, ALossIsAcceptedForTheRollbackThatTheSameTokenAsksFor) {
  Annotate(api::kRollbackAnnotation, "back");
  Annotate(api::kAcceptDataLossAnnotation, "back");
  Observation seen = GoingBackBlindly(See(0));
  Round(seen);
  ASSERT_EQ(migration_.status.phase, Phase::kRollingBack);
  EXPECT_EQ(migration_.status.rollback.token, "back");
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kFlipRoutes);
}

// By hand, or by a failover to a standby that had not heard of the journal, or of the fence.
TEST_F(Hypercare, ASourceThatIsOpenAgainIsClosedInEitherStrategy) {
  for (api::Strategy strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    migration_.spec.strategy = strategy;
    for (ControlState state :
         {ControlState::kJournaled, ControlState::kFenced, ControlState::kOpen}) {
      Observation seen = See(0);
      seen.source = testing::Database(state, false);
      EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kCloseSourceAgain) << Name(state);
    }
  }
}

// A token that waits, for consent or for its way back, or a suspension, may last for days.
TEST_F(Hypercare, ASourceThatIsOpenAgainIsClosedWhateverIsHeld) {
  for (const bool suspended : {false, true})
    for (api::Strategy strategy : {api::Strategy::kOffline, api::Strategy::kOnline})
      for (ControlState state :
           {ControlState::kJournaled, ControlState::kFenced, ControlState::kOpen}) {
        migration_.spec.strategy = strategy;
        migration_.spec.suspend = suspended;
        if (!suspended) Annotate(api::kRollbackAnnotation, "back");
        way_back_open_ = false;
        Observation seen = See(0);
        const Decision held = Decide(migration_, seen);
        EXPECT_NE(held.plan.effect, Intent::kCloseSourceAgain);
        EXPECT_GT(held.plan.wait.count(), 0) << "it is looked at again";
        seen.source = testing::Database(state, false);
        const Decision closes = Decide(migration_, seen);
        EXPECT_EQ(closes.plan.effect, Intent::kCloseSourceAgain) << Name(state) << suspended;
        EXPECT_EQ(closes.plan.reason, held.plan.reason) << "which is not over by that";
        EXPECT_EQ(closes.handled.rollback, "");
        migration_.meta.annotations.clear();
      }
}

// What waits for a rollback is not kept from it: a stream that is to follow needs its heartbeat.
TEST_F(Hypercare, ASourceThatCannotBeClosedKeepsAHeldRollbackFromNothing) {
  Annotate(api::kRollbackAnnotation, "back");
  way_back_open_ = false;
  Observation seen = See(0);
  DatabaseFacts open = testing::Database(ControlState::kOpen, false);
  open.prepared_transactions = 1;
  open.prepared = "order-42";
  seen.source = open;
  const Plan held = Round(seen);
  EXPECT_EQ(held.effect, Intent::kWatchReverseStream);
  EXPECT_EQ(held.reason, "AwaitingWayBack");
  EXPECT_THAT(held.message, HasSubstr("the source database is open as well"));
  EXPECT_THAT(held.message, HasSubstr("order-42"));
  const api::TenantMigrationStatus told = migration_.status;
  Round(seen);
  EXPECT_EQ(migration_.status, told) << "nothing new is nothing to write";

  seen.source = testing::Database(ControlState::kOpen, false);
  EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain);
  migration_.status.message = "CloseSourceAgain: it is locked";  // As a failed effect is told.
  EXPECT_EQ(Round(seen).effect, Intent::kWatchReverseStream);
  EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain) << "and tried again";
}

// For as long as a person takes to end what somebody has prepared there.
TEST_F(Hypercare, ASourceThatCannotBeClosedKeepsChecksAndTheWayBackFromNothing) {
  Observation seen = See(0);
  DatabaseFacts open = testing::Database(ControlState::kOpen, false);
  open.prepared_transactions = 1;
  open.prepared = "order-42";
  seen.source = open;
  const Plan watched = Round(seen);
  EXPECT_EQ(watched.effect, Intent::kWatchReverseStream);
  EXPECT_EQ(watched.reason, "PreparedTransactions");
  EXPECT_TRUE(watched.trouble);
  EXPECT_THAT(watched.message, HasSubstr("the source database is open as well, and cannot be "));
  EXPECT_THAT(watched.message, HasSubstr("order-42"));

  outcome_.verdict = Verdict::kFailed;
  for (int minute = 1; minute <= 3; ++minute) {
    Observation failing = See(60 * minute);
    failing.source = open;
    failing.checks = std::vector<CheckOutcome>{outcome_};
    Round(failing);
  }
  EXPECT_EQ(migration_.status.checks.at(0).consecutive_failures, 3) << "checks are counted on";
  EXPECT_EQ(migration_.status.phase, Phase::kHypercare) << "two sides are open";
  EXPECT_FALSE(Round(240, Verdict::kPassed).guard) << "and by then it is well again";
}

// What was refreshed on a side that nobody should have written to is no news of the tenant's.
TEST_F(Hypercare, NothingIsTakenFromASourceThatIsOpenNorAppliedToIt) {
  views_.stale = {"public.total"};
  Observation seen = See(0);
  SubscriberFacts source = *seen.reverse_subscriber;
  source.enabled = false;
  seen.reverse_subscriber = source;
  DatabaseFacts open = testing::Database(ControlState::kOpen, false);
  open.superuser_owner = true;
  seen.source = open;
  EXPECT_EQ(Round(seen).effect, Intent::kWatchReverseStream);
  seen.source = testing::Database(ControlState::kJournaled, true);
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kStartReverseStream);
  source.enabled = true;
  seen.reverse_subscriber = source;
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kRefreshViews);
}

// The words of what failed stay beside what else there is to say, and so does their reason.
TEST_F(Hypercare, AFailureToCloseTheSourceIsToldOnWhileOtherThingsGoOn) {
  Observation seen = See(0);
  seen.source = testing::Database(ControlState::kOpen, false);
  EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain);
  migration_.status.message = "CloseSourceAgain: it is locked";  // As a failed effect is told.
  api::Condition refused;
  refused.type = "Ready";
  refused.status = api::ConditionStatus::kFalse;
  refused.reason = "Locked";
  migration_.status.conditions.Set(refused, Noon());
  const Plan between = Round(seen);
  EXPECT_EQ(between.effect, Intent::kWatchReverseStream);
  EXPECT_EQ(between.reason, "Locked");
  EXPECT_THAT(between.message, HasSubstr("CloseSourceAgain: it is locked"));
  EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain) << "and tried again";
}

TEST_F(Hypercare, IsNotOverWhileTheSourceIsOpenAndItsStreamBackIsKeptMeanwhile) {
  for (const bool deleted : {false, true}) {
    Observation seen = See(kHypercareSeconds + 1);
    DatabaseFacts open = testing::Database(ControlState::kOpen, false);
    open.superuser_owner = true;
    seen.source = open;
    if (deleted) migration_.meta.deletion_timestamp = Noon();
    const Plan held = Round(seen);
    EXPECT_FALSE(held.guard);
    EXPECT_EQ(held.effect, Intent::kWatchReverseStream);
    EXPECT_EQ(held.reason, "SuperuserOwner");
    seen.source = testing::Database(ControlState::kJournaled, true);
    EXPECT_EQ(Decide(migration_, seen).plan.guard, Guard::kHypercareOver);
  }
}

TEST_F(Hypercare, ASourceThatIsClosedAwayOrSomebodyElsesIsLeftAlone) {
  DatabaseFacts foreign = testing::Database(ControlState::kOpen, false);
  foreign.foreign = true;
  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  const Fact<DatabaseFacts> others[] = {foreign, DatabaseFacts{}, away,
                                        testing::Database(ControlState::kNone, false),
                                        testing::Database(ControlState::kJournaled, true)};
  for (const Fact<DatabaseFacts>& source : others) {
    Observation seen = See(0);
    seen.source = source;
    EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kWatchReverseStream);
  }
}

TEST_F(Hypercare, GoesBackOnlyOnceThatLosesNothingAndSaysWhatItWaitsFor) {
  way_back_open_ = false;
  Round(0, Verdict::kFailed);
  Round(60, Verdict::kFailed);
  Plan plan = Round(120, Verdict::kFailed);
  EXPECT_FALSE(plan.guard);
  EXPECT_EQ(plan.reason, "HypercareCheckFailed");
  EXPECT_THAT(plan.message, HasSubstr("the stream back to the source does not follow"));
  EXPECT_THAT(plan.message, HasSubstr("answered 502"));
  Observation source_away = See(122);
  source_away.reverse_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  EXPECT_THAT(Round(source_away).message, HasSubstr("the source cannot be asked: no route"));
  way_back_open_ = true;
  EXPECT_EQ(Round(See(124)).guard, Guard::kRollBack) << "no further failure is needed";
}

TEST_F(Hypercare, DoesNotEndWhileACheckFailsThatHasNotFailedYet) {
  Plan plan = Round(kHypercareSeconds, Verdict::kFailed);
  EXPECT_FALSE(plan.guard);
  EXPECT_EQ(plan.reason, "AwaitingChecks");
  EXPECT_EQ(Round(kHypercareSeconds + 60, Verdict::kPassed).guard, Guard::kHypercareOver);
}

TEST_F(Hypercare, WhatIsUnknownNeitherGoesBackNorEndsIt) {
  for (int run = 0; run < 40; ++run)
    EXPECT_FALSE(Round(run * 60, Verdict::kUnknown).guard)
        << "an answer that is missing, run " << run;
  Plan plan = Round(kHypercareSeconds, Verdict::kUnknown);
  EXPECT_FALSE(plan.guard);
  EXPECT_EQ(plan.reason, "AwaitingChecks");
  EXPECT_THAT(plan.message, HasSubstr("not known, check login-page"));
  EXPECT_EQ(Round(kHypercareSeconds + 60, Verdict::kPassed).guard, Guard::kHypercareOver);
}

TEST_F(Hypercare, EndsAtItsTimeAndNotBeforeWhenEveryCheckPasses) {
  EXPECT_FALSE(Round(0, Verdict::kPassed).guard);
  EXPECT_FALSE(Round(See(kHypercareSeconds - 1)).guard);
  EXPECT_EQ(Round(See(kHypercareSeconds)).guard, Guard::kHypercareOver);
}

TEST_F(Hypercare, StartsAJobThatIsDueAndWaitsForItsEnd) {
  EXPECT_EQ(Round(0, Verdict::kNotStarted).effect, Intent::kStartCheckJobs);
  EXPECT_EQ(Round(1, Verdict::kRunning).effect, Intent::kWatchReverseStream);
  Plan over = Round(kHypercareSeconds, Verdict::kRunning);
  EXPECT_FALSE(over.guard) << "its answer is not there yet";
  EXPECT_EQ(over.reason, "AwaitingChecks");
}

TEST_F(Hypercare, AJobThatCannotBeMadeLeavesTheHeartbeatItsTurn) {
  bool started = false, watched = false;
  for (int seconds = 0; seconds < 10; seconds += 2) {
    auto effect = Round(seconds, Verdict::kNotStarted).effect;
    started |= effect == Intent::kStartCheckJobs;
    watched |= effect == Intent::kWatchReverseStream;
  }
  EXPECT_TRUE(started);
  EXPECT_TRUE(watched);
}

TEST_F(Hypercare, AFailedCheckByJobIsAskedAgainWhileItHolds) {
  migration_.spec.on_failed_checks = api::OnFailedChecks::kHold;
  outcome_.failure_threshold = 1;
  Round(0, Verdict::kFailed);
  Plan again = Round(64, Verdict::kNotStarted);
  EXPECT_EQ(again.effect, Intent::kStartCheckJobs);
  EXPECT_EQ(again.reason, "HypercareCheckFailed") << "conditions do not flap";
  EXPECT_EQ(Round(kHypercareSeconds, Verdict::kPassed).guard, Guard::kHypercareOver);
}

TEST_F(Hypercare, ItsRollbackHasAPauseOfItsOwn) {
  migration_.spec.switch_mode = api::SwitchMode::kPooler;
  migration_.status.cutover.fenced_at = Noon() - std::chrono::seconds(60);
  migration_.status.cutover.opened_at = Noon() - std::chrono::seconds(59);
  migration_.status.cutover.write_pause_milliseconds = 1000;
  outcome_.failure_threshold = 1;
  Round(100, Verdict::kFailed);
  ASSERT_EQ(migration_.status.phase, Phase::kRollingBack);
  Observation seen = At(101);
  PoolerFacts poolers;
  poolers.resumed = false;
  poolers.since = seen.now;
  seen.poolers = poolers;
  seen.source = testing::Database(ControlState::kReopened, false);
  Decision decision;
  decision.plan = Plan::Wait(std::chrono::seconds(1), "on the way");
  migration_.status = Advance(migration_, seen, decision);
  EXPECT_EQ(migration_.status.rollback.fenced_at, seen.now) << "when they began to wait";
  EXPECT_FALSE(migration_.status.rollback.opened_at);
  seen.now += std::chrono::milliseconds(1250);
  poolers.paused = false;
  poolers.resumed = true;
  poolers.since = seen.now;
  seen.poolers = poolers;
  migration_.status = Advance(migration_, seen, decision);
  EXPECT_EQ(migration_.status.rollback.write_pause_milliseconds, 1250);
  EXPECT_EQ(migration_.status.cutover.write_pause_milliseconds, 1000) << "that of the way there";
}

// --- rows of the way back ------------------------------------------------------------------------

api::Condition WayBack(const api::TenantMigration& migration) {
  const api::Condition* condition = migration.status.conditions.Find("RollbackReady");
  return condition == nullptr ? api::Condition() : *condition;
}

TEST_F(Hypercare, ComparesRowsEveryMinuteAndThoseThatDifferAgainSooner) {
  Observation first = See(0);
  first.reverse_sample = SampleFacts();
  EXPECT_EQ(Round(first).effect, Intent::kTakeSample);
  sample_.taken_at = Noon();
  EXPECT_EQ(Round(See(59)).effect, Intent::kWatchReverseStream);
  EXPECT_EQ(Round(See(60)).effect, Intent::kTakeSample);
  sample_.undecided = 3;
  EXPECT_EQ(Round(See(2)).effect, Intent::kSettleSample);
  way_back_open_ = false;
  EXPECT_EQ(Round(See(60)).effect, Intent::kWatchReverseStream) << "nothing arrives anyway";
}

TEST_F(Hypercare, AWayBackWhoseWalIsAboutToBeThrownAwayIsReadyAndSaysSo) {
  sample_.taken_at = Noon();
  Observation seen = See(2);
  PublisherFacts target = *seen.reverse_publisher;
  target.safe_wal_bytes = PublisherFacts::kSafeWalBytesMin;
  seen.reverse_publisher = target;
  Round(seen);
  EXPECT_THAT(WayBack(migration_).message, Not(HasSubstr("max_slot_wal_keep_size")));
  target.safe_wal_bytes -= 1;
  seen.reverse_publisher = target;
  Round(seen);
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue);
  EXPECT_EQ(WayBack(migration_).reason, "StreamFollows");
  EXPECT_THAT(WayBack(migration_).message,
              HasSubstr("server pg-target is about to throw away WAL that the way back needs"));
  EXPECT_THAT(WayBack(migration_).message, HasSubstr("raise max_slot_wal_keep_size"));
  const api::TenantMigrationStatus said = migration_.status;
  target.safe_wal_bytes = 1;
  seen.reverse_publisher = target;
  Round(seen);
  EXPECT_EQ(migration_.status, said) << "how much is left is not written each round";
}

TEST_F(Hypercare, IsAvailableUntilItsEndWhileTheWayBackIsOpen) {
  sample_.taken_at = Noon();
  Round(See(2));
  const auto end = Noon() + std::chrono::seconds(migration_.spec.hypercare_seconds);
  EXPECT_EQ(migration_.status.rollback.available_until, end);
  way_back_open_ = false;
  Round(See(4));
  EXPECT_FALSE(migration_.status.rollback.available_until);
  way_back_open_ = true;
  Round(See(6));
  EXPECT_EQ(migration_.status.rollback.available_until, end);
}

// Hypercare goes on past its time, and the way back with it.
TEST_F(Hypercare, NamesNoTimeThatIsOverForAWayBackThatIsOpen) {
  migration_.spec.on_failed_checks = api::OnFailedChecks::kHold;
  outcome_.failure_threshold = 1;
  Round(0, Verdict::kFailed);
  EXPECT_TRUE(migration_.status.rollback.available_until);
  const api::TenantMigration before = migration_;

  EXPECT_EQ(Round(See(kHypercareSeconds)).reason, "HypercareCheckFailed");
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue);
  EXPECT_FALSE(migration_.status.rollback.available_until);

  migration_ = before;
  migration_.spec.suspend = true;
  Observation seen = See(kHypercareSeconds + 5);
  seen.reverse_publisher = Observation().reverse_publisher;
  EXPECT_TRUE(Decide(migration_, seen).plan.look_at);
  Round(seen);
  EXPECT_FALSE(migration_.status.rollback.available_until) << "nor before it is looked at";
}

TEST_F(Hypercare, RowsInFlightLeaveTheWayBackOpenAndRowsThatDifferShutIt) {
  sample_.taken_at = Noon();
  sample_.rows = 1000;
  sample_.undecided = 3;
  Round(See(2));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue);
  EXPECT_EQ(migration_.status.rollback.sampled_at, Noon());
  EXPECT_EQ(migration_.status.rollback.sampled_rows, 1000);
  EXPECT_TRUE(migration_.status.rollback.available_until);

  sample_.differences = 1;
  sample_.words = "public.orders (id)=(42) differs";
  Round(See(4));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kFalse);
  EXPECT_EQ(WayBack(migration_).reason, "SampleDiffers");
  EXPECT_THAT(WayBack(migration_).message, HasSubstr("public.orders (id)=(42) differs"));
  EXPECT_FALSE(migration_.status.rollback.available_until);

  sample_.differences = 0;
  Round(See(6));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue) << "somebody has mended it";
}

TEST_F(Hypercare, SaysWhichTablesTheWayBackWasNotComparedOf) {
  sample_.not_compared = "public.log";
  Round(See(2));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue);
  EXPECT_THAT(WayBack(migration_).message, HasSubstr("without a key: public.log"));
}

TEST_F(Hypercare, GoesBackToRowsThatDifferOnlyOnceAPersonAcceptsThem) {
  sample_.differences = 1;
  sample_.words = "public.orders (id)=(42) differs";
  migration_.meta.annotations[api::kRollbackAnnotation] = "back";
  Plan held = Round(See(2));
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
  EXPECT_EQ(held.effect, Intent::kSettleSample)
      << "the way back lives on, and a mended row is seen";
  EXPECT_THAT(held.message, HasSubstr("public.orders (id)=(42) differs"));
  EXPECT_EQ(migration_.status.handled.rollback, "");

  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  EXPECT_EQ(Round(See(4)).guard, Guard::kRollBack);
}

TEST_F(Hypercare, AHeldRollbackGoesOnOnceTheRowsAreMended) {
  sample_.differences = 1;
  migration_.meta.annotations[api::kRollbackAnnotation] = "back";
  EXPECT_FALSE(Round(See(2)).guard);
  sample_.differences = 0;
  EXPECT_EQ(Round(See(4)).guard, Guard::kRollBack);
}

TEST_F(Hypercare, DoesNotGoBackByItselfToRowsThatDiffer) {
  outcome_.failure_threshold = 1;
  sample_.differences = 1;
  sample_.words = "public.orders (id)=(42) differs";
  Plan plan = Round(0, Verdict::kFailed);
  EXPECT_FALSE(plan.guard);
  EXPECT_THAT(plan.message, HasSubstr("public.orders (id)=(42) differs"));
}

// Who accepts that a row is wrong has not accepted to lose what is still on its way.
TEST_F(Hypercare, AnAcceptedLossStillWaitsForAStreamThatWorks) {
  migration_ = MigrationIn(Phase::kRollingBack);
  migration_.spec.strategy = api::Strategy::kOnline;
  migration_.spec.switch_mode = api::SwitchMode::kPooler;
  migration_.status.handled.rollback = migration_.status.rollback.token = "back";
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  Observation seen = See(0);
  seen.source = testing::Database(ControlState::kJournaled, true);
  seen.target = testing::Database(ControlState::kFenced, true);
  seen.ledger_recorded = true;
  seen.poolers = PoolerFacts{.paused = true, .resumed = false, .since = {}, .detail = ""};
  migration_.status.cutover.attempts = 1;
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kDrainReverse);
  SubscriberFacts stuck = *seen.reverse_subscriber;
  stuck.heartbeat_at_seconds = seen.reverse_publisher->clock_seconds - 60;
  seen.reverse_subscriber = stuck;
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kReopenSource) << "it stood still before";
  seen.reverse_subscriber = SubscriberFacts();
  EXPECT_EQ(Decide(migration_, seen).plan.effect, Intent::kReopenSource) << "it cannot come";
  Observation late = See(600);
  late.source = seen.source;
  late.target = seen.target;
  late.ledger_recorded = true;
  late.poolers = *seen.poolers;
  EXPECT_EQ(Decide(migration_, late).plan.effect, Intent::kReopenSource) << "it does not come";
}

// --- the structure of the target -----------------------------------------------------------------

constexpr char kNewTable[] = "table public.later is new";

TEST_F(Hypercare, DdlOnTheTargetShutsTheWayBackUntilItIsUndone) {
  structure_.changes = kNewTable;
  sample_.differences = 1;
  Round(See(2));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kFalse);
  EXPECT_EQ(WayBack(migration_).reason, "SchemaChanged") << "what differs may follow from it";
  EXPECT_THAT(WayBack(migration_).message, HasSubstr(kNewTable));
  EXPECT_FALSE(migration_.status.rollback.available_until);
  structure_.changes.clear();
  sample_.differences = 0;
  Round(See(4));
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kTrue);
}

TEST_F(Hypercare, AStructureThatCannotBeReadLeavesTheWayBackShut) {
  Observation seen = See(2);
  seen.structure = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  Round(seen);
  EXPECT_EQ(WayBack(migration_).status, api::ConditionStatus::kFalse);
  EXPECT_THAT(WayBack(migration_).message, HasSubstr("the target cannot be asked: no route"));
}

TEST_F(Hypercare, GoesBackWithoutWhatDdlMadeOnlyOnceAPersonAcceptsIt) {
  structure_.changes = kNewTable;
  migration_.meta.annotations[api::kRollbackAnnotation] = "back";
  Plan held = Round(See(2));
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
  EXPECT_EQ(held.effect, Intent::kWatchReverseStream) << "and what is undone is seen";
  EXPECT_THAT(held.message, HasSubstr(kNewTable));
  EXPECT_EQ(WayBack(migration_).reason, "SchemaChanged") << "also while it waits";
  EXPECT_EQ(migration_.status.handled.rollback, "");
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  EXPECT_EQ(Round(See(4)).guard, Guard::kRollBack);
}

TEST_F(Hypercare, AHeldRollbackGoesOnOnceTheDdlIsUndone) {
  structure_.changes = kNewTable;
  migration_.meta.annotations[api::kRollbackAnnotation] = "back";
  EXPECT_FALSE(Round(See(2)).guard);
  structure_.changes.clear();
  EXPECT_EQ(Round(See(4)).guard, Guard::kRollBack);
}

TEST_F(Hypercare, DoesNotGoBackByItselfFromWhatDdlMade) {
  outcome_.failure_threshold = 1;
  structure_.changes = kNewTable;
  Plan plan = Round(0, Verdict::kFailed);
  EXPECT_FALSE(plan.guard);
  EXPECT_THAT(plan.message, HasSubstr(kNewTable));
}

/// A rollback behind closed doors, with the target fenced.
class GoingBack : public Hypercare {
 protected:
  GoingBack() {
    migration_ = MigrationIn(Phase::kRollingBack);
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.spec.hypercare_seconds = kHypercareSeconds;
    migration_.spec.switch_mode = api::SwitchMode::kPooler;
    migration_.status.cutover.attempts = 1;
    migration_.status.cutover.opened_at = Noon();
    migration_.status.rollback.fenced_at = Noon();
    migration_.status.handled.rollback = migration_.status.rollback.token = "back";
    migration_.status.failure_reason = "RollbackRequested";
    migration_.meta.annotations[api::kRollbackAnnotation] = "back";
    marker_ = 1'000'001;  // Of the first attempt's first closing of the doors.
  }

  Observation Behind(int seconds) const {
    Observation seen = See(seconds);
    seen.source = testing::Database(ControlState::kJournaled, true);
    seen.target = testing::Database(reopened_ ? ControlState::kOpen : ControlState::kFenced, true);
    seen.ledger_recorded = true;
    SubscriberFacts source = *seen.reverse_subscriber;
    source.marker = arrived_ ? marker_ : 0;
    seen.reverse_subscriber = source;
    PoolerFacts poolers;
    poolers.paused = !resumed_;
    poolers.resumed = resumed_;
    seen.poolers = poolers;
    seen.requests_outdated = true;
    return seen;
  }

  int64_t marker_ = 0;
  bool arrived_ = false, reopened_ = false, resumed_ = false;
};

TEST_F(GoingBack, OpensTheSourceOnlyOnceTheStructureIsSettledBehindTheseDoors) {
  EXPECT_EQ(Round(Behind(1)).effect, Intent::kDrainReverse);
  arrived_ = true;
  structure_.settled = marker_ - 1;  // Another closing of the doors: users have been in since.
  EXPECT_EQ(Round(Behind(2)).effect, Intent::kDrainReverse);
  Observation seen = Behind(3);
  seen.structure = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  EXPECT_NE(Round(seen).effect, Intent::kReopenSource) << "unknown is not equal";
  structure_.settled = marker_;
  EXPECT_EQ(Round(Behind(4)).effect, Intent::kReopenSource);
}

TEST_F(GoingBack, OpensTheTargetAgainWhereDdlCameTooLateToBeSeenBeforeTheDoorsClosed) {
  structure_ = {.settled = marker_, .changes = kNewTable};
  Plan plan = Round(Behind(1));
  EXPECT_EQ(plan.effect, Intent::kReopenTarget) << "whether or not the marker arrives";
  EXPECT_THAT(plan.message, HasSubstr(kNewTable));
  reopened_ = true;
  EXPECT_EQ(Round(Behind(2)).effect, Intent::kResumePoolers);
  resumed_ = true;
  EXPECT_EQ(Round(Behind(3)).guard, Guard::kRollbackRefused);

  EXPECT_EQ(migration_.status.phase, Phase::kHypercare);
  EXPECT_EQ(WayBack(migration_).reason, "SchemaChanged");
  EXPECT_EQ(migration_.status.rollback.write_pause_milliseconds, 3000);
  EXPECT_EQ(migration_.status.cutover.attempts, 2) << "the next marker is another one";
  EXPECT_EQ(migration_.status.failure_reason, "");
  Observation asked = See(4);
  asked.poolers = Behind(4).poolers;
  EXPECT_EQ(Round(asked).reason, "RollbackNeedsConsent") << "the token is asked again";
  structure_.changes.clear();
  EXPECT_EQ(Round(See(6)).guard, Guard::kRollBack);
  EXPECT_FALSE(migration_.status.rollback.opened_at) << "a pause of its own";
}

TEST_F(GoingBack, ARefusalDoesNotBringBackATokenThatWasAnsweredBefore) {
  migration_.status.failure_reason = "HypercareCheckFailed";
  structure_ = {.settled = marker_, .changes = kNewTable};
  reopened_ = resumed_ = true;
  EXPECT_EQ(Round(Behind(1)).guard, Guard::kRollbackRefused);
  EXPECT_EQ(migration_.status.handled.rollback, "back");
  EXPECT_FALSE(Round(See(2)).guard);
  EXPECT_EQ(migration_.status.phase, Phase::kHypercare);
}

TEST_F(GoingBack, LeavesBehindWhatDdlMadeOnceAPersonHasAcceptedIt) {
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
  structure_ = {.settled = marker_, .changes = kNewTable};
  EXPECT_EQ(Round(Behind(1)).effect, Intent::kDrainReverse) << "the rest is not thrown away";
  arrived_ = true;
  EXPECT_EQ(Round(Behind(2)).effect, Intent::kReopenSource);
}

// An application may change its structure when it starts, and Smoke may find that it does not work.
TEST_F(GoingBack, BeforeUsersWereInDdlOfTheWorkloadsDoesNotKeepThemOnTheTarget) {
  migration_.spec.switch_mode = api::SwitchMode::kRestart;
  migration_.status.cutover.opened_at.reset();
  migration_.status.rollback.fenced_at.reset();
  structure_ = {.settled = marker_, .changes = kNewTable};
  way_back_open_ = false;
  Observation seen = Behind(100);
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts();
  seen.maintenance_page = MaintenancePageFacts{true, true};
  SubscriberFacts stuck = *seen.reverse_subscriber;
  stuck.working = false;
  seen.reverse_subscriber = stuck;
  EXPECT_EQ(Round(seen).effect, Intent::kReopenSource);
}

TEST_F(GoingBack, ByAPoolerNobodyKnowsThatClientsWereNotInSoAPersonIsAsked) {
  migration_.status.cutover.opened_at.reset();
  structure_ = {.settled = marker_, .changes = kNewTable};
  Plan plan = Round(Behind(1));
  EXPECT_FALSE(plan.effect);
  EXPECT_EQ(plan.reason, "RollbackNeedsConsent");
}

// --- materialized views --------------------------------------------------------------------------

TEST_F(Hypercare, RefreshesViewsThatWereRefreshedTooLateForTheDoorsBeforeItEnds) {
  views_.stale = {"\"public\".\"totals\""};
  views_.refreshed_at = Noon();
  EXPECT_EQ(Round(See(kHypercareSeconds)).effect, Intent::kRefreshViews);
  views_.stale.clear();
  views_.refreshed = 1;
  views_.trouble = "\"public\".\"huge\": canceling statement due to statement timeout";
  Plan plan = Round(See(1));
  EXPECT_THAT(plan.message, HasSubstr("are so on the target (1)"));
  EXPECT_THAT(plan.message, HasSubstr("\"public\".\"huge\": canceling statement"));
  EXPECT_EQ(Round(See(kHypercareSeconds)).guard, Guard::kHypercareOver);
  EXPECT_THAT(migration_.status.message, HasSubstr("\"public\".\"huge\"")) << "it is not lost";
}

TEST_F(Hypercare, ASourceThatCannotBeAskedForItsViewsHoldsUpNothing) {
  Observation seen = See(kHypercareSeconds);
  seen.views = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  EXPECT_EQ(Round(seen).guard, Guard::kHypercareOver);
}

TEST(CatchingUp, JudgesAHeartbeatByTheClockThatWroteItAndByNoOther) {
  PublisherFacts publisher;
  SubscriberFacts subscriber;
  EXPECT_EQ(subscriber.HeartbeatAgeSeconds(publisher), -1) << "none has arrived";
  for (double clock : {0.0, 1e9, 3e9}) {  // Whatever the subscriber's, or ours, says.
    publisher.clock_seconds = clock;
    subscriber.heartbeat_at_seconds = clock - 2;
    EXPECT_EQ(subscriber.HeartbeatAgeSeconds(publisher), 2);
    subscriber.heartbeat_at_seconds = clock + 0.1;  // It was written between the two looks.
    EXPECT_EQ(subscriber.HeartbeatAgeSeconds(publisher), 0);
  }
}

TEST(CatchingUp, HoldsForWhatNoStreamCarriesAndSaysWhatThatIs) {
  api::TenantMigration migration = MigrationIn(Phase::kCatchingUp);
  migration.spec.strategy = api::Strategy::kOnline;
  Observation seen = At(1);
  PublisherFacts published;
  published.traces = published.published = published.slot = true;
  seen.forward_publisher = seen.reverse_publisher = published;
  seen.forward_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  seen.schema_change = std::string("large objects were made");
  Plan plan = Decide(migration, seen).plan;
  EXPECT_EQ(plan.reason, "SchemaChanged");
  EXPECT_THAT(plan.message, HasSubstr("large objects were made"));
  EXPECT_EQ(plan.effect, Intent::kWatchStream) << "the stream goes on meanwhile";
  migration.spec.on_schema_change = api::OnSchemaChange::kCopyAgain;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndo);
}

// The source's DatabaseServer was edited: what the target's subscription dials is no longer there.
TEST(CatchingUp, TellsTheTargetWhereTheSourceIsByNowAlsoWhileTheMoveIsHeld) {
  for (Phase phase : {Phase::kCatchingUp, Phase::kAwaitingCutover})
    for (bool suspend : {false, true}) {
      api::TenantMigration migration = MigrationIn(phase);
      migration.spec.strategy = api::Strategy::kOnline;
      migration.spec.suspend = suspend;
      migration.spec.approval = api::Approval::kManual;
      PublisherFacts published;
      published.traces = published.published = published.slot = true;
      SubscriberFacts target;
      target.exists = target.enabled = true;
      target.apply_errors = -1;
      target.address_current = false;
      Observation seen = At(600);
      seen.forward_publisher = seen.reverse_publisher = published;
      seen.forward_subscriber = target;
      EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kStartForwardStream) << Name(phase);
    }
}

// Trap 84. What is laid anew on such a target would hide what it lacks.
TEST(CatchingUp, OfATargetThatHasFailedOverIsGivenUpBeforeAnythingIsLaidThereAnew) {
  for (Phase phase : {Phase::kCatchingUp, Phase::kAwaitingCutover}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.spec.strategy = api::Strategy::kOnline;
    Observation seen = At(600);
    seen.forward_publisher =
        PublisherFacts{.traces = true, .published = true, .slot = true, .subscriber_timeline = 1};
    seen.reverse_publisher = PublisherFacts{};
    SubscriberFacts target;
    target.exists = target.enabled = true;
    target.timeline = 2;
    target.address_current = false;
    seen.forward_subscriber = target;
    const Plan plan = Decide(migration, seen).plan;
    EXPECT_EQ(plan.guard, Guard::kUndo) << Name(phase);
    EXPECT_EQ(plan.reason, "TargetFailedOver");
  }
}

// Before the subscription is there, it is the copy's own last word that tells.
TEST(CatchingUp, BeginsOnlyOnATargetThatHoldsTheResultOfItsCopyAndLaysTheWayBackOnce) {
  api::TenantMigration migration = MigrationIn(Phase::kCatchingUp);
  migration.spec.strategy = api::Strategy::kOnline;
  Observation seen = At(1);
  seen.forward_publisher = PublisherFacts{.traces = true, .published = true, .slot = true};
  seen.reverse_publisher = PublisherFacts{};
  seen.schema_change = std::string();
  seen.target = testing::Database(ControlState::kPreparing, true);
  SubscriberFacts none;
  none.timeline = 1;
  SubscriberFacts there = none;
  there.exists = there.enabled = true;
  seen.forward_subscriber = none;
  seen.copy_result = std::optional<CopyResult>();
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndo);
  CopyResult result;
  result.attempt = 1;
  result.equal = true;
  seen.copy_result = std::optional<CopyResult>(result);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kStartForwardStream);

  seen.forward_subscriber = there;
  seen.reverse_subscriber = none;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kLayWayBack);
  seen.reverse_subscriber = there;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kUndo) << "its slot was there before";
}

// Before version 15 there is no count of errors.
TEST(CatchingUp, HoldsForATargetThatCountsNoErrorsOnceItsWorkerIsAwayAndNothingHasArrivedForLong) {
  api::TenantMigration migration = MigrationIn(Phase::kCatchingUp);
  migration.spec.strategy = api::Strategy::kOnline;
  PublisherFacts published;
  published.traces = published.published = published.slot = true;
  published.clock_seconds = 1'800'000'000;
  SubscriberFacts target;
  target.exists = target.enabled = true;
  target.apply_errors = -1;
  auto reason_at = [&](int second) {
    Observation seen = At(second);
    seen.forward_publisher = seen.reverse_publisher = published;
    seen.forward_subscriber = seen.reverse_subscriber = target;
    seen.schema_change = std::string();
    seen.target = testing::Database(ControlState::kPreparing, true);
    return Decide(migration, seen).plan.reason;
  };
  EXPECT_NE(reason_at(10), "ApplyFails");
  EXPECT_EQ(reason_at(31), "ApplyFails") << "no heartbeat has ever arrived";
  target.heartbeat_at_seconds = published.clock_seconds - 5;
  EXPECT_NE(reason_at(600), "ApplyFails");
  target.heartbeat_at_seconds = published.clock_seconds - 31;
  EXPECT_EQ(reason_at(600), "ApplyFails");
  target.working = true;
  EXPECT_NE(reason_at(600), "ApplyFails") << "it catches up";
}

TEST(CatchingUp, RefreshesViewsBeforeTheDoorsCloseButNotAgainAndAgain) {
  api::TenantMigration migration = MigrationIn(Phase::kCatchingUp);
  migration.spec.strategy = api::Strategy::kOnline;
  Observation seen = At(1000);
  PublisherFacts published;
  published.traces = published.published = published.slot = true;
  seen.forward_publisher = seen.reverse_publisher = published;
  SubscriberFacts working;
  working.exists = working.enabled = working.working = true;
  working.heartbeat_at_seconds = published.clock_seconds - 1;
  seen.forward_subscriber = working;
  seen.reverse_subscriber = working;
  seen.schema_change = std::string();
  seen.target = testing::Database(ControlState::kPreparing, true);
  EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kViews);
  ViewFacts views;
  seen.views = views;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kCaughtUp);
  views.stale = {"\"public\".\"totals\""};
  seen.views = views;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kRefreshViews);
  views.refreshed_at = seen.now - std::chrono::minutes(4);
  seen.views = views;
  EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kCaughtUp) << "the rest comes afterwards";
}

// --- Smoke ---------------------------------------------------------------------------------------

CheckOutcome ByJob(Verdict verdict) {
  CheckOutcome job;
  job.name = "acceptance";
  job.verdict = verdict;
  job.message = "its Job";
  job.timeout_seconds = 100;
  job.by_job = true;
  return job;
}

Plan InSmoke(int seconds, std::vector<CheckOutcome> checks) {
  Observation seen = At(seconds);
  seen.checks = std::move(checks);
  seen.routes = RouteFacts{true, false, ""};
  return Decide(MigrationIn(Phase::kSmoke), seen).plan;
}

CheckOutcome Page(Verdict verdict) {
  CheckOutcome page;
  page.name = "login-page";
  page.verdict = verdict;
  page.message = "answered 502";
  page.timeout_seconds = 30;
  return page;
}

TEST(Smoke, AJobBeginsWhenAllElsePassesAndHasItsWholeTimeThen) {
  EXPECT_FALSE(InSmoke(1, {Page(Verdict::kFailed), ByJob(Verdict::kNotStarted)}).effect);
  EXPECT_EQ(InSmoke(29, {Page(Verdict::kPassed), ByJob(Verdict::kNotStarted)}).effect,
            Intent::kStartCheckJobs);
  EXPECT_FALSE(InSmoke(129, {Page(Verdict::kPassed), ByJob(Verdict::kRunning)}).guard);
  EXPECT_EQ(InSmoke(130, {Page(Verdict::kPassed), ByJob(Verdict::kRunning)}).guard,
            Guard::kRollBack);
  EXPECT_EQ(InSmoke(50, {Page(Verdict::kPassed), ByJob(Verdict::kPassed)}).guard,
            Guard::kSmokePassed);
}

TEST(Smoke, AJobThatFailedIsNotTriedAgain) {
  EXPECT_EQ(InSmoke(1, {Page(Verdict::kPassed), ByJob(Verdict::kFailed)}).guard, Guard::kRollBack);
}

TEST(Smoke, WhatIsUnknownHasNotPassedAndGoesBackAtItsTimeout) {
  EXPECT_FALSE(InSmoke(29, {Page(Verdict::kUnknown)}).guard);
  EXPECT_EQ(InSmoke(30, {Page(Verdict::kUnknown)}).guard, Guard::kRollBack);
}

// --- Preflight -----------------------------------------------------------------------------------

TEST(Preflight, TakesTheBaselineBeforeItGoesOnAndWarnsWhereItCannot) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  migration.spec.backup_mode = api::BackupMode::kSkip;
  api::Check check;
  check.name = "login-page";
  check.http = api::HttpCheck{};
  check.when = {api::CheckWhen::kHypercare};
  migration.spec.checks = {check};
  Observation seen = At(1);
  seen.preflight = std::vector<Finding>();
  EXPECT_FALSE(Decide(migration, seen).plan.guard) << "it has not been measured";
  CheckOutcome measured = Page(Verdict::kPassed);
  measured.latency = std::chrono::milliseconds(40);
  seen.baselines = std::vector<CheckOutcome>{measured};
  Decision decision = Decide(migration, seen);
  EXPECT_EQ(decision.plan.guard, Guard::kNoBackupWanted);
  EXPECT_EQ(Advance(migration, seen, decision).checks.at(0).baseline_milliseconds, 40);
  seen.baselines = std::vector<CheckOutcome>{Page(Verdict::kFailed)};
  decision = Decide(migration, seen);
  EXPECT_EQ(decision.plan.guard, Guard::kNoBackupWanted);
  EXPECT_THAT(decision.plan.message, HasSubstr("does not pass before the move"));
}

}  // namespace
}  // namespace cutover::migration
