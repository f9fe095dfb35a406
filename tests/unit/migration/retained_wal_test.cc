// SPDX-License-Identifier: Apache-2.0
//
// What slots keep of two servers' disks, as decisions: each is judged and dropped whatever the
// other server does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using ::testing::HasSubstr;
using testing::MigrationIn;
using testing::Noon;
using testing::NothingReadableAt;

api::TenantMigration OnlineIn(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  return migration;
}

PublisherFacts Publishing(int64_t retained_bytes = 0) {
  PublisherFacts facts;
  facts.traces = facts.published = facts.slot = true;
  facts.retained_bytes = retained_bytes;
  return facts;
}

/// The source cannot be asked; everything else can, and nothing but streams is left of the move.
Observation SourceAwayAt(int seconds) {
  Observation seen = NothingReadableAt(seconds);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts{};
  seen.target = Database(ControlState::kOpen, false);
  seen.forward_subscriber = SubscriberFacts{};
  seen.reverse_publisher = Publishing();
  return seen;
}

// --- what is dropped without waiting for a server that is away -----------------------------------

TEST(Completing, DropsTheTargetsSlotWhileTheSourceIsAway) {
  Observation seen = SourceAwayAt(1);
  EXPECT_EQ(Decide(OnlineIn(Phase::kCompleting), seen).plan.effect, Intent::kDropReversePublisher);
  seen.reverse_publisher = PublisherFacts{};
  Plan plan = Decide(OnlineIn(Phase::kCompleting), seen).plan;
  EXPECT_FALSE(plan.effect) << "the rest is the source's";
  EXPECT_FALSE(plan.guard);
  EXPECT_TRUE(plan.trouble);
}

TEST(Completing, DropsTheSourcesSlotWhileTheTargetIsAway) {
  Observation seen = SourceAwayAt(1);
  std::swap(seen.forward_publisher, seen.reverse_publisher);
  std::swap(seen.forward_subscriber, seen.reverse_subscriber);
  EXPECT_EQ(Decide(OnlineIn(Phase::kCompleting), seen).plan.effect, Intent::kDropForwardPublisher);
}

TEST(RollingBack, DropsTheSourcesSlotWhileTheTargetIsAway) {
  Observation seen = SourceAwayAt(1);
  std::swap(seen.forward_publisher, seen.reverse_publisher);
  std::swap(seen.forward_subscriber, seen.reverse_subscriber);
  seen.source = Database(ControlState::kReopened, false);
  seen.wiring_restored = true;
  seen.placement = PlacementFacts{};
  seen.workloads = WorkloadFacts{};
  seen.routes = RouteFacts{};
  EXPECT_EQ(Decide(OnlineIn(Phase::kRollingBack), seen).plan.effect, Intent::kDropForwardPublisher);
}

TEST(Undoing, DropsTheTargetsSlotWhileTheSourceIsAway) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "AbortRequested";
  Observation seen = SourceAwayAt(1);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropReversePublisher);
  seen.reverse_publisher = PublisherFacts{};
  EXPECT_FALSE(Decide(migration, seen).plan.effect) << "the rest waits for the source";
  EXPECT_FALSE(Decide(migration, seen).plan.guard);
}

TEST(Undoing, KeepsTheWayBackAsLongAsTheJournalMayHaveBeenWritten) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "AbortRequested";
  migration.status.cutover.fenced_at = Noon();
  EXPECT_FALSE(Decide(migration, SourceAwayAt(1)).plan.effect);
  migration.status.cutover.opened_at = Noon();
  EXPECT_EQ(Decide(migration, SourceAwayAt(1)).plan.effect, Intent::kDropReversePublisher)
      << "users have been seen on the source since";
}

TEST(Undoing, KeepsTheWayBackOfACutoverThatIsTriedAgain) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "WritePauseExceeded";
  migration.status.cutover.fenced_at = migration.status.cutover.opened_at = Noon();
  EXPECT_FALSE(Decide(migration, SourceAwayAt(1)).plan.effect)
      << "its slot tells who else writes to the target";
}

// --- though a Job's pod never goes ---------------------------------------------------------------

/// Both servers can be asked, and each keeps its log for a slot.
Observation WithSlots() {
  Observation seen = SourceAwayAt(1);
  seen.forward_publisher = Publishing();
  seen.reverse_subscriber = SubscriberFacts{};
  seen.workloads = WorkloadFacts{};
  seen.routes = RouteFacts{};
  seen.wiring_restored = true;
  seen.placement = PlacementFacts{};
  return seen;
}

void ExpectSlotsToGoThoughAPodDoesNot(Phase phase, Observation seen) {
  const api::TenantMigration migration = OnlineIn(phase);
  JobFacts job;
  job.exists = job.going = true;
  seen.copy_job = job;
  Plan plan = Decide(migration, seen).plan;
  EXPECT_FALSE(plan.effect) << "its mover may be at work";
  EXPECT_GT(plan.wait.count(), 0);
  job.abandoned = true;
  seen.copy_job = job;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropForwardPublisher);
  seen.forward_publisher = PublisherFacts{};
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropReversePublisher);
}

TEST(Undoing, DropsTheSlotsThoughAJobsPodNeverGoes) {
  Observation seen = WithSlots();
  seen.source = Database(ControlState::kOpen, false);
  ExpectSlotsToGoThoughAPodDoesNot(Phase::kUndoing, seen);
}

TEST(RollingBack, DropsTheSlotsThoughAJobsPodNeverGoes) {
  Observation seen = WithSlots();
  seen.source = Database(ControlState::kReopened, false);
  ExpectSlotsToGoThoughAPodDoesNot(Phase::kRollingBack, seen);
}

TEST(Completing, DropsTheSlotsThoughAJobsPodNeverGoes) {
  ExpectSlotsToGoThoughAPodDoesNot(Phase::kCompleting, WithSlots());
}

// --- before the switch ---------------------------------------------------------------------------

constexpr Phase kFollowing[] = {Phase::kCopying, Phase::kCatchingUp, Phase::kAwaitingCutover};

int64_t PastTheBound() { return api::TenantMigrationSpec().retained_wal_bytes_max + 1; }

TEST(RetainedWal, EndsTheMoveOnWhicheverServerItIsTooMuchWhileTheOtherIsAway) {
  for (Phase phase : kFollowing) {
    Observation seen = NothingReadableAt(1);
    seen.forward_publisher = Publishing(PastTheBound());
    Plan plan = Decide(OnlineIn(phase), seen).plan;
    EXPECT_EQ(plan.guard, Guard::kUndo) << Name(phase);
    EXPECT_EQ(plan.reason, "WalRetentionExceeded");
    EXPECT_THAT(plan.message, HasSubstr("server pg-source keeps"));
    std::swap(seen.forward_publisher, seen.reverse_publisher);
    plan = Decide(OnlineIn(phase), seen).plan;
    EXPECT_EQ(plan.guard, Guard::kUndo) << Name(phase);
    EXPECT_EQ(plan.reason, "WalRetentionExceeded");
    EXPECT_THAT(plan.message, HasSubstr("server pg-target keeps"));
  }
}

TEST(RetainedWal, WithinItsBoundEndsNothing) {
  for (Phase phase : kFollowing) {
    Observation seen = NothingReadableAt(1);
    seen.forward_publisher = seen.reverse_publisher = Publishing(PastTheBound() - 1);
    EXPECT_FALSE(Decide(OnlineIn(phase), seen).plan.guard) << Name(phase);
  }
}

TEST(RetainedWal, EndsTheMoveBeforeAServerThrowsItAway) {
  PublisherFacts side = Publishing();
  side.safe_wal_bytes = 1;
  Observation seen = NothingReadableAt(1);
  seen.forward_publisher = side;
  EXPECT_EQ(Decide(OnlineIn(Phase::kCopying), seen).plan.reason, "WalRetentionExceeded");
  side.slot_lost = true;
  seen.forward_publisher = side;
  EXPECT_EQ(Decide(OnlineIn(Phase::kCopying), seen).plan.reason, "SlotLost");
}

TEST(RetainedWal, EndsASuspendedMoveToo) {
  for (Phase phase : kFollowing) {
    api::TenantMigration migration = OnlineIn(phase);
    migration.spec.suspend = true;
    Observation seen = NothingReadableAt(1);
    seen.forward_publisher = Publishing(PastTheBound());
    EXPECT_EQ(Decide(migration, seen).plan.reason, "WalRetentionExceeded") << Name(phase);
  }
  api::TenantMigration migration = OnlineIn(Phase::kCopying);
  migration.spec.suspend = true;
  EXPECT_GT(Decide(migration, NothingReadableAt(1)).plan.wait.count(), 0) << "it is looked again";
}

TEST(RetainedWal, NoSlotYetIsNoTroubleOfACopy) {
  Observation seen = NothingReadableAt(1);
  seen.forward_publisher = seen.reverse_publisher = PublisherFacts{};
  EXPECT_FALSE(Decide(OnlineIn(Phase::kCopying), seen).plan.guard);
}

TEST(RetainedWal, IsNothingToAMoveWithoutAStream) {
  EXPECT_NE(Decide(MigrationIn(Phase::kCopying), At(1)).plan.look_at, Subject::kForwardPublisher);
  EXPECT_EQ(Decide(OnlineIn(Phase::kCopying), At(1)).plan.look_at, Subject::kForwardPublisher);
}

// --- in hypercare --------------------------------------------------------------------------------

/// Hypercare with the source away, and the rounds of its life.
class WayBackWithoutASource : public ::testing::Test {
 protected:
  WayBackWithoutASource() : migration_(OnlineIn(Phase::kHypercare)) {
    migration_.spec.hypercare_seconds = 3600;
  }

  static Observation See(int seconds, const PublisherFacts& target) {
    Observation seen = SourceAwayAt(seconds);
    seen.reverse_publisher = target;
    seen.views = ViewFacts{};
    seen.checks = std::vector<CheckOutcome>();
    return seen;
  }
  Plan Round(const Observation& seen) {
    Decision decision = Decide(migration_, seen);
    migration_.status = Advance(migration_, seen, decision);
    return decision.plan;
  }
  const api::Condition& WayBack() const {
    return *migration_.status.conditions.Find("RollbackReady");
  }

  api::TenantMigration migration_;
  PublisherFacts gone_ = [] {
    PublisherFacts facts = Publishing();
    facts.slot = false;
    return facts;
  }();
};

TEST_F(WayBackWithoutASource, IsKeptAsLongAsItKeepsLittle) {
  EXPECT_EQ(Round(See(1, Publishing(PastTheBound() - 1))).effect, Intent::kWatchReverseStream);
  EXPECT_EQ(WayBack().reason, "StreamBroken");
}

TEST_F(WayBackWithoutASource, IsGivenUpPastTheBoundAndSaidToBeForGood) {
  migration_.status.rollback.available_until = Noon();
  EXPECT_EQ(Round(See(1, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
  EXPECT_EQ(WayBack().status, api::ConditionStatus::kFalse);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
  EXPECT_THAT(WayBack().message, HasSubstr("copy.maxRetainedWalBytes (10737.4 MB)"));
  EXPECT_THAT(WayBack().message, HasSubstr("cutover.dev/accept-data-loss"));
  EXPECT_FALSE(migration_.status.rollback.available_until);
  const std::string said = WayBack().message;

  Plan after = Round(See(3, gone_));
  EXPECT_FALSE(after.effect) << "there is nothing left to keep open";
  EXPECT_GT(after.wait.count(), 0);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
  EXPECT_EQ(WayBack().message, said);
  EXPECT_EQ(migration_.status.phase, Phase::kHypercare) << "users and checks are watched on";
  EXPECT_EQ(Round(See(3600, gone_)).guard, Guard::kHypercareOver);
}

TEST_F(WayBackWithoutASource, OnceGivenUpIsNotTakenUpAgainWhenTheSourceIsBack) {
  Round(See(1, Publishing(PastTheBound())));
  Observation seen = See(3, gone_);
  SubscriberFacts source;
  source.exists = source.enabled = true;
  seen.reverse_subscriber = source;
  EXPECT_EQ(Round(seen).effect, Intent::kDropReverseSubscriber);
  source.enabled = false;
  seen.reverse_subscriber = source;
  EXPECT_EQ(Round(seen).effect, Intent::kDropReverseSubscriber) << "nor begun";
  seen.reverse_subscriber = SubscriberFacts{};
  EXPECT_FALSE(Round(seen).effect);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
}

TEST_F(WayBackWithoutASource, IsSaidToBeGivenUpAlsoWhenThatHasToBeTriedAgain) {
  Observation seen = See(1, Publishing(PastTheBound()));
  Round(seen);
  Decision again;  // What RunOnce records when the effect has failed.
  again.plan = Plan::Unknown({Disposition::kRetry, "ConnectionFailed", "the target is away"});
  migration_.status = Advance(migration_, seen, again);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
  EXPECT_EQ(Round(See(3, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
}

TEST_F(WayBackWithoutASource, IsNotGivenUpForASlotThatSomebodyElseHasDropped) {
  Round(See(1, gone_));
  EXPECT_EQ(WayBack().reason, "StreamBroken");
}

TEST_F(WayBackWithoutASource, IsGivenUpWhileSuspendedAndWhileARollbackWaits) {
  migration_.spec.suspend = true;
  EXPECT_EQ(Round(See(1, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
  Plan after = Round(See(3, gone_));
  EXPECT_EQ(after.reason, "Suspended");
  EXPECT_FALSE(after.effect);
  migration_.spec.suspend = false;
  migration_.meta.annotations[api::kRollbackAnnotation] = "back";
  Observation seen = See(5, Publishing(PastTheBound()));
  SampleFacts sample;
  sample.differences = 1;
  seen.reverse_sample = sample;
  EXPECT_EQ(Round(seen).effect, Intent::kGiveUpWayBack);
}

// With a pooler users are in before anybody knows whether the target is any good.
TEST_F(WayBackWithoutASource, IsGivenUpInSmokeOnceUsersAreIn) {
  migration_ = OnlineIn(Phase::kSmoke);
  migration_.spec.switch_mode = api::SwitchMode::kPooler;
  EXPECT_NE(Round(See(1, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
  migration_.status.cutover.opened_at = Noon();
  EXPECT_EQ(Round(See(2, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
  Observation seen = See(3, gone_);
  SubscriberFacts source;
  source.exists = true;
  seen.reverse_subscriber = source;
  seen.structure = StructureFacts{};
  seen.reverse_sample = SampleFacts{};
  EXPECT_NE(Round(seen).effect, Intent::kStartReverseStream) << "it has no slot to read";
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
}

TEST_F(WayBackWithoutASource, IsGivenUpWhileGoingBackWaitsAndUsersWorkOn) {
  for (const bool accepted : {false, true}) {
    migration_ = OnlineIn(Phase::kRollingBack);
    migration_.status.cutover.opened_at = Noon();
    migration_.status.rollback.token = "back";
    if (accepted) migration_.meta.annotations[api::kAcceptDataLossAnnotation] = "back";
    EXPECT_EQ(Round(See(1, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack);
    EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
    EXPECT_FALSE(Round(See(3, gone_)).effect) << "the source is waited for";
    EXPECT_EQ(WayBack().reason, "WayBackGivenUp");

    migration_.status.rollback.fenced_at = Noon();
    EXPECT_NE(Round(See(5, Publishing(PastTheBound()))).effect, Intent::kGiveUpWayBack)
        << "the doors are closed, and what is kept may be all that users have written";
    migration_.status.rollback.fenced_at.reset();
    Observation seen = See(7, Publishing(PastTheBound()));
    seen.target = Database(ControlState::kFenced, true);
    EXPECT_NE(Round(seen).effect, Intent::kGiveUpWayBack) << "closed by somebody who then died";
  }
}

TEST_F(WayBackWithoutASource, OnceGivenUpWhileGoingBackUsersStayAndAreToldWhy) {
  migration_ = OnlineIn(Phase::kRollingBack);
  migration_.status.cutover.opened_at = Noon();
  Round(See(1, Publishing(PastTheBound())));
  Observation seen = See(3, gone_);
  seen.source = Database(ControlState::kJournaled, true);
  seen.reverse_subscriber = SubscriberFacts{};
  seen.structure = StructureFacts{};
  seen.workloads = WorkloadFacts();
  seen.routes = RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
  seen.requests_outdated = true;
  const Plan plan = Round(seen);
  EXPECT_EQ(plan.guard, Guard::kRollbackRefused);
  EXPECT_EQ(migration_.status.phase, Phase::kHypercare);
  EXPECT_EQ(WayBack().reason, "WayBackGivenUp");
}

TEST_F(WayBackWithoutASource, OnceGivenUpNothingIsSaidToWaitForIt) {
  migration_.spec.on_failed_checks = api::OnFailedChecks::kRollback;
  Round(See(1, Publishing(PastTheBound())));
  Observation seen = See(3, gone_);
  CheckOutcome failed;
  failed.name = "login-page";
  failed.failure_threshold = 1;
  seen.checks = std::vector<CheckOutcome>{failed};
  EXPECT_THAT(Round(seen).message, HasSubstr("holding: check login-page"));
}

}  // namespace
}  // namespace cutover::migration
