// SPDX-License-Identifier: Apache-2.0
//
// For how long a round behind closed doors may look, and do, before spec.cutover.
// maxWritePauseSeconds is judged again.
#include <gtest/gtest.h>

#include <map>

#include "reconcilers/migration/step.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Database;
using testing::Noon;

/// A world in which both sides stand as in Fencing by pooler, and which notes what time it is
/// given.
class Patient final : public World {
 public:
  Observation Observe(std::stop_token, Deadline, const api::TenantMigration&) override {
    Observation seen = testing::NothingReadableAt(0);
    seen.now = now;
    seen.source = Fact<DatabaseFacts>(Subject::kSource);
    seen.poolers = Fact<PoolerFacts>(Subject::kPoolers);
    seen.ledger_recorded = true;
    return seen;
  }
  void LookAt(std::stop_token, Deadline deadline, const api::TenantMigration&, Subject subject,
              Observation& seen) override {
    looked_for[subject] = deadline.Remaining();
    seen.source = Database(fenced ? ControlState::kFenced : ControlState::kOpen, fenced);
    PoolerFacts poolers{.paused = paused, .resumed = !paused, .since = {}, .detail = ""};
    if (paused) poolers.tried_since = poolers.since = paused_at;
    seen.poolers = poolers;
  }
  Status Perform(std::stop_token, Deadline deadline, const api::TenantMigration&,
                 Intent intent) override {
    performed[intent] = deadline.Remaining();
    return Ok();
  }
  Result<std::string> Record(std::stop_token, Deadline deadline, const api::TenantMigration&,
                             const api::TenantMigrationStatus&) override {
    recorded = deadline.Remaining();
    return std::string("8");
  }

  WallTime now = Noon();
  WallTime paused_at = Noon();
  bool paused = false, fenced = false;
  std::map<Subject, milliseconds> looked_for;
  std::map<Intent, milliseconds> performed;
  milliseconds recorded{0};
};

class WritePause : public ::testing::Test {
 protected:
  WritePause() {
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.spec.switch_mode = api::SwitchMode::kPooler;
    migration_.spec.max_write_pause_seconds = 5;
    migration_.status.cutover.fenced_at = Noon();
  }
  Result<StepResult> Round(int second) {
    world_.now = Noon() + seconds(second);
    return RunOnce(world_, {}, Deadline::After(seconds(60)), migration_, migration_.status);
  }

  api::TenantMigration migration_ = testing::MigrationIn(Phase::kFencing);
  Patient world_;
};

TEST_F(WritePause, BoundsWhatIsLookedAtAndDoneBehindClosedDoorsAndNotThePauseItself) {
  ASSERT_TRUE(Round(2));
  EXPECT_GT(world_.performed[Intent::kPausePoolers], seconds(50)) << "nobody waits yet";
  world_.paused = true;
  world_.paused_at = Noon() + seconds(2);
  ASSERT_TRUE(Round(3));
  EXPECT_GT(world_.performed[Intent::kFenceSource], milliseconds(4'500)) << "2 + 5 + 1 - 3";
  EXPECT_LE(world_.performed[Intent::kFenceSource], milliseconds(5'000));
  EXPECT_LE(world_.looked_for[Subject::kSource], milliseconds(5'000));
}

TEST_F(WritePause, IsGivenUpWithAllTheTimeThatThatTakes) {
  world_.paused = world_.fenced = true;
  const auto round = Round(6);
  ASSERT_TRUE(round);
  EXPECT_EQ(round->status.phase, Phase::kUndoing);
  EXPECT_GT(world_.looked_for[Subject::kPoolers], seconds(50));
  EXPECT_GT(world_.recorded, seconds(50));
}

TEST_F(WritePause, BoundsNothingOfTheWayBackOut) {
  migration_.status.phase = Phase::kUndoing;
  ASSERT_TRUE(Round(2));
  for (const auto& [subject, time] : world_.looked_for) EXPECT_GT(time, seconds(50));
}

}  // namespace
}  // namespace cutover::migration
