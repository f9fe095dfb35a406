// SPDX-License-Identifier: Apache-2.0
//
// The way back of strategy Online, as decisions: what keeps its doors open, what a person is asked
// first, and what becomes of users who wait behind doors that were closed already. Rounds go
// through Decide and Advance, as in hypercare_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using std::chrono::seconds;
using testing::At;
using testing::Database;
using ::testing::HasSubstr;
using testing::MigrationIn;
using testing::Noon;

constexpr int64_t kMarker = 1'000'001;  // Of the first attempt's first closing of the doors.

/// Users work on the target by a pooler, and the stream back follows, unless a test says otherwise.
class WayBack : public ::testing::Test {
 protected:
  WayBack() {
    Enter(Phase::kHypercare);
    source_.exists = source_.enabled = source_.working = true;
    source_.heartbeat_at_seconds = target_.clock_seconds - 1;
    target_.traces = target_.published = target_.slot = true;
    poolers_.paused = false;
    poolers_.proven = true;
  }

  void Enter(Phase phase) {
    migration_ = MigrationIn(phase);
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.spec.switch_mode = api::SwitchMode::kPooler;
    migration_.spec.hypercare_seconds = 3600;
    migration_.status.cutover.attempts = 1;
    migration_.status.cutover.opened_at = Noon();
  }

  /// In RollingBack, with the token that asked for it.
  void GoBack() {
    Enter(Phase::kRollingBack);
    migration_.status.rollback.fenced_at = Noon();
    migration_.status.handled.rollback = migration_.status.rollback.token = "back";
    migration_.status.failure_reason = "RollbackRequested";
    Ask();
  }
  void Ask() { migration_.meta.annotations[api::kRollbackAnnotation] = "back"; }
  void Consent() { migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back"; }
  void CloseDoors() {
    poolers_.paused = true;
    poolers_.resumed = false;
    target_database_ = Database(ControlState::kFenced, true);
  }

  Observation See(int second) const {
    Observation seen = At(second);
    seen.source = Database(ControlState::kJournaled, true);
    seen.target = target_database_;
    seen.ledger_recorded = true;
    seen.forward_subscriber = SubscriberFacts();
    seen.forward_publisher = PublisherFacts();
    seen.reverse_publisher = target_;
    seen.reverse_subscriber = source_;
    seen.reverse_sample = SampleFacts{.taken_at = seen.now, .words = "", .not_compared = ""};
    seen.structure = StructureFacts{.settled = settled_ ? kMarker : 0, .changes = ""};
    seen.views = ViewFacts();
    seen.poolers = poolers_;
    seen.tenant_known_back = true;
    seen.requests_outdated = true;
    seen.checks = checks_;
    return seen;
  }
  Plan Round(const Observation& seen) {
    Decision decision = Decide(migration_, seen);
    migration_.status = Advance(migration_, seen, decision);
    return decision.plan;
  }
  Plan Round(int second) { return Round(See(second)); }
  /// What a round records whose effect has failed.
  void Fail(int second, std::string reason, std::string message) {
    Decision failed;
    failed.handled = migration_.status.handled;
    failed.plan = Plan::Unknown({Disposition::kTerminal, std::move(reason), std::move(message)});
    migration_.status = Advance(migration_, See(second), failed);
  }

  std::string Reason(const char* type) const {
    const api::Condition* condition = migration_.status.conditions.Find(type);
    return condition == nullptr ? "" : condition->reason;
  }

  api::TenantMigration migration_;
  SubscriberFacts source_;
  PublisherFacts target_;
  PoolerFacts poolers_;
  DatabaseFacts target_database_ = Database(ControlState::kOpen, false);
  std::vector<CheckOutcome> checks_;
  bool settled_ = false;
};

// --- what is said of it
// ---------------------------------------------------------------------------

TEST_F(WayBack, IsNoLongerSaidToLoseNothingOnceUsersAreIn) {
  Enter(Phase::kOpening);
  migration_.status.cutover.fenced_at = Noon();
  migration_.status.cutover.opened_at.reset();
  api::Condition said;
  said.type = "RollbackReady";
  said.status = api::ConditionStatus::kTrue;
  said.reason = "UsersNotIn";
  migration_.status.conditions.Set(said, Noon());
  Observation seen = See(1);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  PlacementFacts placement;
  placement.exists = true;
  placement.server_name = "pg-target";
  seen.placement = placement;
  seen.reverse_publisher = At(1).reverse_publisher;  // Opening does not look at it.
  Round(seen);
  ASSERT_TRUE(migration_.status.cutover.opened_at);
  EXPECT_EQ(Reason("RollbackReady"), "NotLookedAt");
}

TEST_F(WayBack, IsKeptAliveAndSaidInSmokeBehindAPooler) {
  Enter(Phase::kSmoke);
  CheckOutcome outcome;
  outcome.name = "login-page";
  outcome.message = "answered 502";
  checks_ = {outcome};
  EXPECT_EQ(Round(2).effect, Intent::kWatchReverseStream);
  EXPECT_EQ(Reason("RollbackReady"), "StreamFollows");
  Observation away = See(4);
  away.reverse_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  Round(away);
  EXPECT_EQ(Reason("RollbackReady"), "StreamBroken");
  away.now += seconds(120);
  Plan held = Round(away);
  EXPECT_FALSE(held.guard) << "users would be stopped for a way back that is shut";
  EXPECT_THAT(held.message, HasSubstr("check login-page: answered 502"));
  EXPECT_EQ(Round(126).guard, Guard::kRollBack);
  EXPECT_EQ(migration_.status.failure_reason, "SmokeFailed");
}

// --- asked for in Hypercare ----------------------------------------------------------------------

// Before version 15 there is no count of errors.
TEST_F(WayBack, OfASourceThatCountsNoErrorsIsBrokenOnceItsWorkerIsAwayAndNothingHasArrivedForLong) {
  Ask();
  source_.apply_errors = -1;
  source_.working = false;
  source_.heartbeat_at_seconds = target_.clock_seconds - 20;
  EXPECT_EQ(Round(2).reason, "AwaitingWayBack") << "a worker may be started again meanwhile";
  source_.heartbeat_at_seconds = target_.clock_seconds - 31;
  const Plan held = Round(4);
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
  EXPECT_THAT(held.message, HasSubstr("the source cannot apply what comes from the target"));
  source_.working = true;
  EXPECT_EQ(Round(6).reason, "AwaitingWayBack") << "it catches up";
}

// Trap 84: everything arrives, and what was confirmed by the server before is not sent again.
TEST_F(WayBack, OfASourceThatHasFailedOverIsShutForGoodThoughItFollows) {
  target_.subscriber_timeline = 1;
  source_.timeline = 1;
  Round(2);
  EXPECT_EQ(Reason("RollbackReady"), "StreamFollows");
  source_.timeline = 2;
  Round(4);
  EXPECT_EQ(Reason("RollbackReady"), "SourceFailedOver");
  Ask();
  const Plan held = Round(6);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
  EXPECT_THAT(held.message, HasSubstr("its timeline was 1, and is 2"));
  Consent();
  EXPECT_EQ(Round(8).guard, Guard::kRollBack);

  GoBack();
  CloseDoors();
  settled_ = true;
  source_.marker = kMarker;
  EXPECT_EQ(Round(10).effect, Intent::kReopenTarget) << "found behind the doors: users stay";
}

TEST_F(WayBack, ATokenWhileTheStreamIsBrokenAsksForConsentAndClosesNothing) {
  Ask();
  target_.slot_lost = true;
  Plan held = Round(2);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.effect, Intent::kWatchReverseStream) << "which closes nothing";
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
  EXPECT_THAT(held.message, HasSubstr("has thrown away WAL that the way back needs"));
  EXPECT_THAT(held.message, HasSubstr("also set cutover.dev/accept-data-loss to the same token"));
  EXPECT_EQ(migration_.status.handled.rollback, "");
  EXPECT_EQ(Reason("RollbackReady"), "StreamBroken");

  target_.slot_lost = false;
  source_.working = false;
  source_.apply_errors = 3;
  source_.last_error = "duplicate key value violates unique constraint";
  EXPECT_THAT(Round(4).message, HasSubstr("duplicate key value"));
  source_ = SubscriberFacts();
  EXPECT_THAT(Round(6).message, HasSubstr("the subscription of the way back is gone"));

  Consent();
  EXPECT_EQ(Round(8).guard, Guard::kRollBack);
}

TEST_F(WayBack, ATokenWhileTheSourceIsAwayWaitsWithDoorsOpenUntilItFollowsAgain) {
  Ask();
  Observation away = See(2);
  away.reverse_subscriber = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
  Plan held = Round(away);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "AwaitingWayBack");
  EXPECT_EQ(held.effect, Intent::kWatchReverseStream);
  EXPECT_THAT(held.message, HasSubstr("the source cannot be asked: no route"));
  source_.heartbeat_at_seconds = target_.clock_seconds - 7200;  // It is back, and hours behind.
  EXPECT_FALSE(Round(4).guard);
  source_.heartbeat_at_seconds = target_.clock_seconds - 1;
  EXPECT_EQ(Round(6).guard, Guard::kRollBack);
}

TEST_F(WayBack, ATokenWhileTheSourceIsFarBehindWaitsWithDoorsOpen) {
  Ask();
  target_.lag_bytes = migration_.spec.replication_lag_bytes_max + 1;
  Plan held = Round(2);
  EXPECT_FALSE(held.guard);
  EXPECT_EQ(held.reason, "AwaitingWayBack");
  EXPECT_THAT(held.message, HasSubstr("16.8 MB behind"));
  EXPECT_THAT(held.message, HasSubstr("spec.cutover.maxReplicationLagBytes"));
  target_.lag_bytes -= 1;
  EXPECT_EQ(Round(4).guard, Guard::kRollBack);
}

TEST_F(WayBack, AStreamThatHasNotBegunIsBegunRatherThanWaitedFor) {
  Ask();
  source_.enabled = source_.working = false;
  EXPECT_EQ(Round(2).effect, Intent::kStartReverseStream);
  EXPECT_EQ(migration_.status.handled.rollback, "") << "and the token is asked again";
}

// --- in RollingBack, doors open ------------------------------------------------------------------

// The target's DatabaseServer was edited: what the source's subscription dials is no longer there.
TEST_F(WayBack, TheSourceIsToldWhereTheTargetIsByNowAndHypercareEndsAllTheSame) {
  source_.address_current = false;
  EXPECT_EQ(Round(1).effect, Intent::kReaddressWayBack);
  EXPECT_EQ(Round(3600).guard, Guard::kHypercareOver) << "though the source could not be told";
}

TEST_F(WayBack, ATokenWhileTheSourceDialsWhereTheTargetWasWaitsUntilItFollowsAgain) {
  source_.working = false;
  source_.heartbeat_at_seconds = target_.clock_seconds - 40;
  source_.address_current = false;
  Ask();
  const Plan waiting = Round(1);
  EXPECT_EQ(waiting.effect, Intent::kReaddressWayBack);
  EXPECT_FALSE(waiting.guard);
  EXPECT_THAT(waiting.message, HasSubstr("address"));
  source_.address_current = source_.working = true;
  source_.heartbeat_at_seconds = target_.clock_seconds;
  EXPECT_EQ(Round(2).guard, Guard::kRollBack);
}

TEST_F(WayBack, BehindClosedDoorsTheSourceIsToldOnlyWhereItHasLostTheTarget) {
  GoBack();
  CloseDoors();
  source_.address_current = false;
  EXPECT_EQ(Round(1).effect, Intent::kDrainReverse) << "its connection lives";
  source_.working = false;
  EXPECT_EQ(Round(2).effect, Intent::kReaddressWayBack);
}

// Nobody can tell then what to restore, so that doors that are closed would stay closed.
TEST_F(WayBack, IsNotTakenWithoutTheLedgerHoweverItIsAskedForAndIsTakenOnceThatIsBack) {
  for (bool consent : {false, true}) {
    Enter(Phase::kHypercare);
    Ask();
    if (consent) Consent();
    Observation seen = See(1);
    seen.ledger_recorded = false;
    seen.ledger_secret = "Secret ledger in namespace cutover-system";
    const Plan refused = Round(seen);
    EXPECT_FALSE(refused.guard);
    EXPECT_EQ(refused.reason, "LedgerMissing");
    EXPECT_THAT(refused.message, HasSubstr("Secret ledger"));
    EXPECT_THAT(refused.message, HasSubstr("remove cutover.dev/rollback"));
    EXPECT_TRUE(refused.effect) << "the way back is kept open";
    EXPECT_EQ(migration_.status.phase, Phase::kHypercare);
    EXPECT_EQ(migration_.status.handled.rollback, "") << "it stands";
    EXPECT_EQ(Round(2).guard, Guard::kRollBack);
  }
}

TEST_F(WayBack, IsNotTakenFromATargetThatNobodyCouldClose) {
  Ask();
  Consent();
  for (bool foreign : {false, true}) {
    target_database_ = Database(foreign ? ControlState::kOpen : ControlState::kNone, false);
    target_database_.foreign = foreign;
    const Plan refused = Round(1);
    EXPECT_FALSE(refused.guard);
    EXPECT_EQ(refused.reason, "LedgerMissing");
    EXPECT_FALSE(refused.effect) << "nor can anything be written there";
    EXPECT_EQ(migration_.status.handled.rollback, "");
  }
  target_database_ = Database(ControlState::kOpen, false);
  EXPECT_EQ(Round(2).guard, Guard::kRollBack);
}

// Gone only when going back had begun: no door is closed for it, and users stay where they are.
TEST_F(WayBack, EndsOnATargetThatNobodyCanCloseAnyMore) {
  GoBack();
  Consent();
  target_database_ = Database(ControlState::kNone, false);
  Observation seen = See(1);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  PlacementFacts placement;
  placement.exists = true;
  placement.server_name = migration_.spec.target_server_name;
  seen.placement = placement;
  const Plan stays = Round(seen);
  EXPECT_EQ(stays.guard, Guard::kRollbackRefused);
  EXPECT_EQ(stays.reason, "LedgerMissing");
}

TEST_F(WayBack, ASourceThatComesBackHasToFollowBeforeTheDoorsClose) {
  GoBack();
  source_.heartbeat_at_seconds = target_.clock_seconds - 7200;
  Plan waiting = Round(60);
  EXPECT_EQ(waiting.effect, Intent::kWatchReverseStream);
  EXPECT_EQ(waiting.reason, "AwaitingWayBack");
  EXPECT_FALSE(migration_.status.rollback.fenced_at) << "nobody waits";
  source_.heartbeat_at_seconds = target_.clock_seconds - 1;
  EXPECT_EQ(Round(300).effect, Intent::kPausePoolers);
  EXPECT_EQ(migration_.status.rollback.fenced_at, Noon() + seconds(300));
}

// Else users would count as stopped, and the WAL that is kept for the way back be without a bound.
TEST_F(WayBack, WaitsForASilentPoolerWithUsersAtWork) {
  for (const bool consent : {false, true}) {
    GoBack();
    if (consent) Consent();
    poolers_.silent = Error{Disposition::kRetry, "PoolerUnreachable", "PgBouncer 10.0.0.10:6432"};
    const Plan waits = Round(1);
    EXPECT_EQ(waits.reason, "PoolerUnreachable") << waits.message;
    EXPECT_EQ(waits.effect, Intent::kWatchReverseStream) << "which goes on meanwhile";
    EXPECT_FALSE(migration_.status.rollback.fenced_at) << "nobody is stopped";
    poolers_.silent.reset();
    EXPECT_EQ(Round(2).effect, Intent::kPausePoolers);
  }
}

// It is opened by hand, or by a failover that has lost the fence, while users work on the target.
TEST_F(WayBack, WhileItWaitsASourceThatIsOpenAgainIsClosed) {
  GoBack();
  source_.heartbeat_at_seconds = target_.clock_seconds - 7200;
  for (ControlState state :
       {ControlState::kJournaled, ControlState::kFenced, ControlState::kOpen}) {
    Observation seen = See(50);
    seen.source = Database(state, false);
    EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain) << Name(state);
    seen.target = Error{Disposition::kRetry, "ConnectionFailed", "no route"};
    if (state == ControlState::kOpen) continue;  // What a late claim leaves when all is over.
    EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain) << "users may be on the target";
  }
  EXPECT_EQ(Round(52).effect, Intent::kWatchReverseStream);
  CloseDoors();
  settled_ = true;
  source_.marker = kMarker;
  source_.heartbeat_at_seconds = target_.clock_seconds - 1;
  Observation fenced = See(54);
  fenced.source = Database(ControlState::kJournaled, false);
  EXPECT_EQ(Round(fenced).effect, Intent::kReopenSource) << "it is about to be opened anyway";
}

TEST_F(WayBack, ASourceThatIsOpenAgainIsClosedBeforeTheTargetIsOpenedAgain) {
  GoBack();
  CloseDoors();
  target_.slot_lost = true;
  Observation seen = See(1);
  DatabaseFacts open = Database(ControlState::kJournaled, false);
  seen.source = open;
  EXPECT_EQ(Round(seen).effect, Intent::kCloseSourceAgain);
  open.prepared_transactions = 1;
  seen.source = open;
  EXPECT_EQ(Round(seen).effect, Intent::kReopenTarget) << "users are not shut out for that";
}

TEST_F(WayBack, HeldInSmokeBehindAPoolerClosesASourceThatIsOpenAgain) {
  Enter(Phase::kSmoke);
  CheckOutcome outcome;
  outcome.name = "login-page";
  checks_ = {outcome};
  target_.slot_lost = true;
  Observation seen = See(120);
  seen.source = Database(ControlState::kOpen, false);
  const Plan held = Round(seen);
  EXPECT_EQ(held.effect, Intent::kCloseSourceAgain);
  EXPECT_EQ(held.reason, "RollbackNeedsConsent");
}

// No fence ends it, and no consent does: users would be stopped for nothing.
TEST_F(WayBack, IsNotTakenOverAPreparedTransactionWhateverIsAccepted) {
  for (const auto strategy : {api::Strategy::kOnline, api::Strategy::kOffline})
    for (const bool consent : {false, true}) {
      Enter(Phase::kHypercare);
      migration_.spec.strategy = strategy;
      if (strategy == api::Strategy::kOffline)
        migration_.spec.switch_mode = api::SwitchMode::kRestart;
      if (strategy == api::Strategy::kOffline && !consent) continue;  // Asked for consent first.
      Ask();
      if (consent) Consent();
      target_database_.prepared_transactions = 1;
      target_database_.prepared = "order-42";
      const Plan held = Round(1);
      EXPECT_FALSE(held.guard);
      EXPECT_EQ(held.reason, "PreparedTransactions") << held.message;
      EXPECT_THAT(held.message, HasSubstr("order-42"));
      EXPECT_EQ(migration_.status.handled.rollback, "") << "it stands";
      if (strategy == api::Strategy::kOnline) {
        EXPECT_EQ(Reason("RollbackReady"), "PreparedTransactions") << "nor is said to be ready";
      }
      target_database_.prepared_transactions = 0;
      EXPECT_EQ(Round(2).guard, Guard::kRollBack);
    }
}

TEST_F(WayBack, OfACheckThatFailsWaitsForAPreparedTransaction) {
  target_database_.prepared_transactions = 1;
  EXPECT_FALSE(MayGoBack(migration_, See(1)));
  EXPECT_THAT(WhyNotBackNow(migration_, See(1)), HasSubstr("COMMIT PREPARED"));
  target_database_.prepared_transactions = 0;
  EXPECT_TRUE(MayGoBack(migration_, See(1)));
}

// It was prepared after the last look.
TEST_F(WayBack, ARefusedFenceHasTheDoorsOpenedAgainAtOnceAndSaysWhy) {
  for (const bool consent : {false, true})
    for (const char* reason : {"PreparedTransactions", "SuperuserOwner"}) {
      GoBack();
      if (consent) Consent();
      poolers_.paused = true;
      poolers_.resumed = false;
      target_database_ = Database(ControlState::kOpen, false);
      target_database_.prepared_transactions = reason[0] == 'P' ? 1 : 0;
      target_database_.superuser_owner = reason[0] == 'S';
      EXPECT_EQ(Round(1).effect, Intent::kFenceTarget) << "which is patient for a moment";
      Fail(2, reason, "FenceTarget: refused");
      EXPECT_EQ(Round(4).effect, Intent::kResumePoolers) << reason;
      poolers_.paused = false;
      poolers_.resumed = true;
      const Plan refused = Round(5);
      EXPECT_EQ(refused.guard, Guard::kRollbackRefused);
      EXPECT_EQ(Reason("RollbackReady"), reason);
    }
}

// A session that ends as the doors close may leave one behind.
TEST_F(WayBack, AFenceThatAPreparedTransactionOutlivesIsTakenDownAgain) {
  GoBack();
  Consent();
  CloseDoors();
  target_database_.prepared_transactions = 1;
  EXPECT_EQ(Round(1).effect, Intent::kReopenTarget);
}

TEST_F(WayBack, ConsentGivenWhileItWaitsIsTaken) {
  GoBack();
  source_.heartbeat_at_seconds = target_.clock_seconds - 7200;
  Round(60);
  migration_.meta.annotations[api::kRollbackAnnotation] = "now";
  migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "now";
  Round(62);
  EXPECT_EQ(Round(64).effect, Intent::kPausePoolers);
}

TEST_F(WayBack, APoolerThatCannotBePausedIsLeftAloneForAWhile) {
  GoBack();
  EXPECT_EQ(Round(0).effect, Intent::kPausePoolers);
  Fail(2, "PoolerNotPaused", "PausePoolers: transactions did not end; one is held by psql");
  EXPECT_FALSE(migration_.status.rollback.fenced_at) << "users work again";
  for (int second = 4; second < 32; second += 2) {
    Plan plan = Round(second);
    EXPECT_EQ(plan.effect, Intent::kWatchReverseStream) << "which keeps the way back alive";
    EXPECT_EQ(plan.reason, "PoolerNotPaused");
    EXPECT_THAT(migration_.status.message, HasSubstr("one is held by psql"));
  }
  EXPECT_EQ(Round(32).effect, Intent::kPausePoolers);
  Fail(100, "PoolerNotPaused", "again");
  EXPECT_EQ(migration_.status.cutover.retry_at, Noon() + seconds(200)) << "as long again";
  Consent();
  EXPECT_EQ(Round(102).effect, Intent::kPausePoolers) << "whose clients may see an error then";
}

// --- in RollingBack, doors closed ----------------------------------------------------------------

TEST_F(WayBack, BehindClosedDoorsAStreamThatIsGoneHasTheTargetOpenedAgain) {
  GoBack();
  CloseDoors();
  target_.slot_lost = true;
  EXPECT_EQ(Round(1).effect, Intent::kReopenTarget);
  target_database_ = Database(ControlState::kOpen, false);
  EXPECT_EQ(Round(2).effect, Intent::kResumePoolers);
  poolers_.paused = false;
  poolers_.resumed = true;
  Plan refused = Round(3);
  EXPECT_EQ(refused.guard, Guard::kRollbackRefused);
  EXPECT_EQ(migration_.status.phase, Phase::kHypercare);
  EXPECT_EQ(Reason("RollbackReady"), "StreamBroken");
  EXPECT_EQ(Round(4).reason, "RollbackNeedsConsent") << "the token is asked again";
}

// A standby that had not heard of the opening, and has no slot: no consent protects anything there.
TEST_F(WayBack, OverATargetThatIsOlderThanItsOpeningNobodyIsAsked) {
  for (const bool were_in : {false, true})
    for (const ControlState state :
         {ControlState::kPreparing, ControlState::kCopied, ControlState::kVerified}) {
      Enter(Phase::kRollingBack);
      migration_.status.failure_reason = "TargetChanged";
      if (!were_in) migration_.status.cutover.opened_at.reset();
      CloseDoors();
      target_ = PublisherFacts{};
      target_database_ = Database(state, true);
      Plan plan = Round(3600);
      if (state == ControlState::kVerified) {
        EXPECT_EQ(plan.effect, Intent::kPrepareAgain) << "which nobody opens";
        target_database_ = Database(ControlState::kPreparing, true);
        plan = Round(3601);
      }
      EXPECT_EQ(plan.effect, Intent::kReopenSource) << Name(state) << ": " << plan.message;
      // One whose fence could be that of an open one is asked about.
      target_database_ = Database(ControlState::kFenced, true);
      EXPECT_NE(Round(3602).effect, Intent::kReopenSource);
    }
}

// A superuser looks at the failover, or an exporter does: no fence is made of such a row, and what
// is written there by then comes back to nobody.
TEST_F(WayBack, OverATargetThatIsOlderThanItsOpeningNoSessionThereKeepsUsersOut) {
  for (const ControlState state : {ControlState::kPreparing, ControlState::kCopied}) {
    Enter(Phase::kRollingBack);
    migration_.status.failure_reason = "TargetChanged";
    CloseDoors();
    target_ = PublisherFacts{};
    target_database_ = Database(state, true);
    target_database_.other_sessions = 1;
    target_database_.prepared_transactions = 1;
    EXPECT_EQ(Round(3600).effect, Intent::kReopenSource) << Name(state);
  }
  target_database_ = Database(ControlState::kFenced, true);
  target_database_.other_sessions = 1;
  Consent();
  migration_.status.rollback.token = "back";
  EXPECT_EQ(Round(3601).effect, Intent::kFenceTarget) << "one that was open is to be proven";
}

TEST_F(WayBack, WhoeverStaysHoldsTheTargetUnderHisOwnEpochFirst) {
  GoBack();
  source_.working = false;
  CloseDoors();
  target_database_ = Database(ControlState::kOpen, false);
  target_database_.admits_former_leader = true;  // Who is on his way to fence it, perhaps.
  EXPECT_EQ(Round(61).effect, Intent::kReopenTarget);
  target_database_.admits_former_leader = false;
  EXPECT_EQ(Round(62).effect, Intent::kResumePoolers);
}

TEST_F(WayBack, BehindClosedDoorsAnAcceptedLossGoesOn) {
  GoBack();
  Consent();
  CloseDoors();
  target_.slot_lost = true;
  EXPECT_EQ(Round(1).effect, Intent::kReopenSource);
}

TEST_F(WayBack, UsersDoNotWaitLongerThanTheSpecAllows) {
  GoBack();
  CloseDoors();
  migration_.spec.max_write_pause_seconds = 20;
  source_.working = false;
  EXPECT_EQ(Round(20).effect, Intent::kDrainReverse);
  Plan given_up = Round(21);
  EXPECT_EQ(given_up.effect, Intent::kReopenTarget);
  EXPECT_THAT(given_up.message, HasSubstr("spec.cutover.maxWritePauseSeconds (20 s)"));
  target_database_ = Database(ControlState::kOpen, false);
  poolers_.paused = false;
  poolers_.resumed = true;
  EXPECT_EQ(Round(22).guard, Guard::kRollbackRefused);
  EXPECT_EQ(Reason("RollbackReady"), "WritePauseExceeded");
  source_.working = true;
  EXPECT_EQ(Round(30).reason, "AwaitingWayBack") << "not at once again";
  EXPECT_EQ(Round(120).guard, Guard::kRollBack);
}

TEST_F(WayBack, AFailedSmokeTestIsNotForgottenWhereGoingBackWasPutOff) {
  GoBack();
  migration_.status.failure_reason = "SmokeFailed";
  CloseDoors();
  source_.working = false;
  EXPECT_EQ(Round(61).effect, Intent::kReopenTarget);
  target_database_ = Database(ControlState::kOpen, false);
  poolers_.paused = false;
  poolers_.resumed = true;
  EXPECT_EQ(Round(62).guard, Guard::kRollbackRefused);
  migration_.meta.annotations.clear();
  EXPECT_EQ(Round(70).reason, "SmokeFailed") << "the checks of hypercare may not ask the same";
  source_.working = true;
  const Plan back = Round(300);
  EXPECT_EQ(back.guard, Guard::kRollBack);
  EXPECT_EQ(migration_.status.failure_reason, "SmokeFailed");
}

TEST_F(WayBack, AFailedSmokeTestWithoutAWayBackWaitsForAPersonWhoMayApproveThatTheTenantStays) {
  struct Row {
    const char* what;
    std::function<void(Observation&)> breaks;
    const char* says;
  };
  const Row rows[] = {{"the source is gone",
                       [](Observation& seen) {
                         seen.source = DatabaseFacts();
                         seen.reverse_subscriber = SubscriberFacts();
                       },
                       "there is nothing to go back to"},
                      {"the structure differs",
                       [](Observation& seen) {
                         seen.structure = StructureFacts{.settled = 0, .changes = "table invoice"};
                       },
                       "table invoice"},
                      {"the slot is lost",
                       [](Observation& seen) {
                         PublisherFacts lost = *seen.reverse_publisher;
                         lost.slot_lost = true;
                         seen.reverse_publisher = lost;
                       },
                       "WAL"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Enter(Phase::kHypercare);
    migration_.meta.annotations[api::kApproveAnnotation] = "the cutover's";
    migration_.status.handled.approve = "the cutover's";
    migration_.status.rollback.reason = "SmokeFailed";
    Observation seen = See(10);
    row.breaks(seen);
    const Plan held = Round(seen);
    EXPECT_EQ(held.reason, "SmokeFailedNoWayBack");
    EXPECT_THAT(held.message, HasSubstr(row.says));
    EXPECT_THAT(held.message, HasSubstr("cutover.dev/approve="));

    migration_.meta.annotations[api::kApproveAnnotation] = "it is well";
    EXPECT_NE(Round(seen).reason, "SmokeFailedNoWayBack");
    EXPECT_EQ(migration_.status.handled.approve, "it is well");
    EXPECT_EQ(migration_.status.rollback.reason, "");
    EXPECT_FALSE(Round(See(20)).guard) << "and it is not gone back later";
  }
}

TEST_F(WayBack, AnApprovalFromBeforeTheSmokeTestFailedIsNoAnswerToIt) {
  GoBack();
  migration_.status.failure_reason = "SmokeFailed";
  migration_.meta.annotations[api::kApproveAnnotation] = "while it was fenced";
  CloseDoors();
  source_.working = false;
  EXPECT_EQ(Round(61).effect, Intent::kReopenTarget);
  target_database_ = Database(ControlState::kOpen, false);
  poolers_.paused = false;
  poolers_.resumed = true;
  EXPECT_EQ(Round(62).guard, Guard::kRollbackRefused);
  migration_.meta.annotations.erase(api::kRollbackAnnotation);
  EXPECT_EQ(Round(70).reason, "SmokeFailed");
}

TEST_F(WayBack, EachFenceOfTheTargetHasAMarkerOfItsOwn) {
  GoBack();
  settled_ = true;
  source_.marker = kMarker;  // Of a fence that was given up: users have written since.
  poolers_.paused = true;
  poolers_.resumed = false;
  EXPECT_EQ(Round(1).effect, Intent::kFenceTarget);
  CloseDoors();
  EXPECT_EQ(Round(2).effect, Intent::kDrainReverse);
}

TEST_F(WayBack, APauseThatIsOverEndsOnTheTargetThoughTheLastWriteArrivesMeanwhile) {
  GoBack();
  CloseDoors();
  migration_.status.rollback.fenced_at = Noon();
  EXPECT_EQ(Round(61).effect, Intent::kReopenTarget);
  target_database_ = Database(ControlState::kOpen, false);
  settled_ = true;
  source_.marker = kMarker;
  EXPECT_EQ(Round(62).effect, Intent::kResumePoolers);
}

TEST_F(WayBack, WhatHasArrivedIsNotGivenUpForThePause) {
  GoBack();
  CloseDoors();
  settled_ = true;
  source_.marker = kMarker;
  EXPECT_EQ(Round(600).effect, Intent::kReopenSource);
}

TEST_F(WayBack, OfUsersWhoWereNeverInNothingIsWaitedForThatDoesNotCome) {
  GoBack();
  migration_.spec.switch_mode = api::SwitchMode::kRestart;
  migration_.status.cutover.opened_at.reset();
  CloseDoors();
  Observation seen = See(1);
  RouteFacts routes;
  routes.as_recorded = false;
  seen.routes = routes;
  seen.maintenance_page = MaintenancePageFacts{};
  seen.workloads = WorkloadFacts{};
  EXPECT_EQ(Round(seen).effect, Intent::kDrainReverse);
  PublisherFacts lost = target_;
  lost.slot_lost = true;
  seen.reverse_publisher = lost;
  EXPECT_EQ(Round(seen).effect, Intent::kReopenSource);
}

}  // namespace
}  // namespace cutover::migration
