// SPDX-License-Identifier: Apache-2.0
//
// status.reasonSince: since when the phase and the reason of condition Ready are what they are.
#include <gtest/gtest.h>

#include <deque>

#include "reconcilers/migration/status.h"
#include "reconcilers/migration/step.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using std::chrono::seconds;
using testing::At;
using testing::MigrationIn;

class ReasonSince : public ::testing::Test {
 protected:
  /// What status says after a round at this second that decided so.
  std::optional<WallTime> After(int second, Plan plan) {
    Decision decision;
    decision.plan = std::move(plan);
    decision.handled = migration_.status.handled;
    migration_.status = Advance(migration_, At(second), decision);
    return migration_.status.reason_since;
  }
  static Plan Waiting(const char* reason, const char* message = "waiting") {
    return Plan::Wait(seconds(1), message, reason);
  }

  api::TenantMigration migration_ = MigrationIn(Phase::kAwaitingCutover);
};

TEST_F(ReasonSince, IsWhenTheWaitBeganHoweverLongThePhaseHadLasted) {
  After(0, Waiting("AwaitingWindow"));
  EXPECT_EQ(After(7200, Waiting("AwaitingApproval")), At(7200).now);
}

TEST_F(ReasonSince, StaysWhileNothingButTheWordsChange) {
  After(10, Waiting("AwaitingApproval", "ready"));
  EXPECT_EQ(After(20, Waiting("AwaitingApproval", "still ready")), At(10).now);
  migration_.meta.generation += 1;
  EXPECT_EQ(After(30, Waiting("AwaitingApproval", "a new spec")), At(10).now);
}

TEST_F(ReasonSince, BeginsAnewWithAnotherReasonAlsoWhenAnEarlierOneComesBack) {
  After(10, Waiting("AwaitingApproval"));
  EXPECT_EQ(After(20, Waiting("AwaitingWindow")), At(20).now);
  EXPECT_EQ(After(30, Waiting("AwaitingApproval")), At(30).now) << "it was interrupted";
}

TEST_F(ReasonSince, BeginsAnewWhenNothingIsWaitedForAnyMore) {
  After(10, Waiting("AwaitingApproval"));
  EXPECT_EQ(After(20, Waiting("")), At(20).now);
  EXPECT_EQ(After(30, Waiting("")), At(20).now) << "since then nothing is";
}

TEST_F(ReasonSince, BeginsAnewWithAnotherPhaseAlsoWhenTheReasonIsTheSame) {
  After(10, Waiting("Suspended"));
  api::TenantMigrationStatus next = migration_.status;
  next.phase = Phase::kCatchingUp;
  EXPECT_EQ(migration::ReasonSince(migration_.status, next, At(20).now), At(20).now);
}

TEST_F(ReasonSince, OfAnEndIsWhenItEnded) {
  migration_ = MigrationIn(Phase::kCompleting);
  After(10, Waiting(""));
  EXPECT_EQ(After(20, Plan::Go(Guard::kCleanedUp)), At(20).now);
  EXPECT_EQ(After(30, Waiting("ConnectionFailed")), At(20).now)
      << "what keeps the source from going is no part of how it ended";
}

TEST_F(ReasonSince, OfARetryIsWhenItBegan) {
  migration_ = MigrationIn(Phase::kFailed);
  After(10, Waiting(""));
  EXPECT_EQ(After(20, Plan::Go(Guard::kRetryRequested)), At(20).now);
}

// An operator that did not keep it has written the status, or the CRD is as old and has dropped it.
TEST_F(ReasonSince, ThatNobodyKeptCausesNoWriteAndBeginsWithTheNext) {
  for (const Phase phase : testing::kAllPhases) {
    migration_ = MigrationIn(phase);
    After(10, Waiting("AwaitingApproval"));
    migration_.status.reason_since.reset();
    const api::TenantMigrationStatus before = migration_.status;
    After(20, Waiting("AwaitingApproval"));
    EXPECT_EQ(migration_.status, before) << Name(phase);
    migration_.meta.generation += 1;
    EXPECT_EQ(After(30, Waiting("AwaitingApproval")), At(30).now) << Name(phase);
    EXPECT_EQ(After(40, Waiting("AwaitingApproval")), At(30).now) << Name(phase);
  }
}

/// A world in which an effect fails as often as a test says; it keeps what is recorded.
class Reluctant final : public World {
 public:
  Observation Observe(std::stop_token, Deadline, const api::TenantMigration&) override {
    Observation seen = testing::NothingReadableAt(second);
    seen.source = testing::Database(ControlState::kNone, false);
    seen.copy_job = JobFacts{};
    return seen;
  }
  void LookAt(std::stop_token, Deadline, const api::TenantMigration&, Subject,
              Observation&) override {}
  Status Perform(std::stop_token, Deadline, const api::TenantMigration&, Intent) override {
    if (!fails) return Ok();
    return tl::make_unexpected(why);
  }
  Result<std::string> Record(std::stop_token, Deadline, const api::TenantMigration&,
                             const api::TenantMigrationStatus& status) override {
    recorded.push_back(status);
    return std::string("8");
  }

  int second = 0;
  bool fails = true;
  Error why{Disposition::kRetry, "Forbidden", "no Job may be made here"};
  std::deque<api::TenantMigrationStatus> recorded;
};

// Of a leader with the lease, not of one that is deposed, who writes nothing.
TEST_F(ReasonSince, WhoLeadsWithTooLowAnEpochSaysSoAndKeepsTrying) {
  migration_ = MigrationIn(Phase::kCopying);
  migration_.spec.strategy = api::Strategy::kOnline;
  Reluctant world;
  world.second = 10;
  world.why = {Disposition::kRetry, "EpochBehind", "the lease counts from too low"};
  auto done = RunOnce(world, {}, Deadline::After(seconds(60)), migration_, migration_.status);
  ASSERT_TRUE(done);
  EXPECT_GT(done->wait.count(), 0);
  EXPECT_EQ(done->status.message, "CreateCopyJob: " + world.why.message);
  EXPECT_EQ(done->status.conditions.Find("Ready")->reason, "EpochBehind");
  EXPECT_EQ(done->status.conditions.Find("Reconciling")->reason, "ProgressingWithRetry");
  world.recorded.clear();
  world.why.reason = "Deposed";
  migration_.status = done->status;
  EXPECT_FALSE(RunOnce(world, {}, Deadline::After(seconds(60)), migration_, migration_.status));
  for (const api::TenantMigrationStatus& status : world.recorded)
    EXPECT_EQ(status.conditions.Find("Ready")->reason, "Copying");
}

TEST_F(ReasonSince, OfATroubleThatIsTriedAgainInVainIsWhenItBegan) {
  migration_ = MigrationIn(Phase::kCopying);
  migration_.spec.strategy = api::Strategy::kOnline;
  Reluctant world;
  const auto round = [&](int second) {
    world.second = second;
    auto done = RunOnce(world, {}, Deadline::After(seconds(60)), migration_, migration_.status);
    EXPECT_TRUE(done) << done.error().message;
    if (done) migration_.status = done->status;
    return migration_.status.conditions.Find("Ready")->reason;
  };
  EXPECT_EQ(round(10), "Forbidden");
  EXPECT_EQ(migration_.status.reason_since, At(10).now);
  for (int second = 20; second < 60; second += 10) {
    world.recorded.clear();
    EXPECT_EQ(round(second), "Forbidden");
    ASSERT_EQ(world.recorded.size(), 2u) << "it says that it is tried again, and then that in vain";
    EXPECT_EQ(migration_.status.reason_since, At(10).now) << "that it was tried has mended nothing";
  }
  world.fails = false;
  EXPECT_EQ(round(60), "Copying");
  EXPECT_EQ(migration_.status.reason_since, At(60).now);
}

// For each try all who want the table stand in line for a moment.
TEST_F(ReasonSince, OfATableThatIsInUseMakesItTriedTheLessOftenTheLongerThatIs) {
  migration_ = MigrationIn(Phase::kCopying);
  migration_.spec.strategy = api::Strategy::kOnline;
  Reluctant world;
  const auto wait = [&](int second, const char* reason) {
    world.second = second;
    world.why.reason = reason;
    auto done = RunOnce(world, {}, Deadline::After(seconds(60)), migration_, migration_.status);
    EXPECT_TRUE(done) << done.error().message;
    if (!done) return std::chrono::milliseconds(0);
    migration_.status = done->status;
    return done->wait;
  };
  EXPECT_EQ(wait(10, "TableInUse"), seconds(2));
  EXPECT_EQ(wait(12, "TableInUse"), seconds(2));
  EXPECT_EQ(wait(18, "TableInUse"), seconds(8));
  EXPECT_EQ(wait(26, "TableInUse"), seconds(16));
  EXPECT_EQ(wait(300, "TableInUse"), seconds(60));
  EXPECT_EQ(wait(302, "Forbidden"), seconds(2)) << "what nobody stands in line for";
  EXPECT_EQ(wait(304, "TableInUse"), seconds(2)) << "it begins anew";
}

}  // namespace
}  // namespace cutover::migration
