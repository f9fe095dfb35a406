// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::MigrationIn;
using testing::NothingReadableAt;

TEST(Completed, ASourceThatIsAwayWhenItIsToBeDroppedIsAskedAgainWithinSeconds) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleted);
  migration.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
  migration.spec.retention_seconds = 0;
  const Plan plan = Decide(migration, NothingReadableAt(3600)).plan;
  EXPECT_FALSE(plan.effect);
  EXPECT_GT(plan.wait, std::chrono::seconds(0));
  EXPECT_LE(plan.wait, std::chrono::seconds(15));
}

// As a PAUSE that a deposed leader had sent leaves them.
PoolerFacts Paused() { return {.paused = true, .resumed = false, .since = {}, .detail = ""}; }

api::TenantMigration Pooled(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status.cutover.attempts = 1;
  return migration;
}

Observation TenantOn(const char* server, int seconds) {
  Observation seen = testing::At(seconds);
  seen.placement = PlacementFacts{.exists = true, .server_name = server, .rival_migration = ""};
  seen.poolers = Paused();
  return seen;
}

TEST(Ended, ClientsWhomALatePauseHasStoppedGoOn) {
  EXPECT_EQ(Decide(Pooled(Phase::kCompleted), TenantOn("pg-target", 60)).plan.effect,
            Intent::kResumePoolers);
  EXPECT_EQ(Decide(Pooled(Phase::kAborted), TenantOn("pg-source", 60)).plan.effect,
            Intent::kResumePoolers);
  Observation open = TenantOn("pg-target", 60);
  open.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = ""};
  const Plan plan = Decide(Pooled(Phase::kCompleted), open).plan;
  EXPECT_FALSE(plan.effect);
  EXPECT_GT(plan.wait.count(), 0) << "it may come yet";
}

TEST(Ended, APauseThatIsSomebodyElsesIsLeftAlone) {
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), TenantOn("pg-target", 3600)).plan.effect)
      << "a person's, long after";
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), TenantOn("pg-source", 60)).plan.effect)
      << "the tenant has moved on";
  Observation seen = TenantOn("pg-target", 60);
  seen.placement =
      PlacementFacts{.exists = true, .server_name = "pg-target", .rival_migration = "the-next-one"};
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), seen).plan.effect);
  api::TenantMigration never_closed = Pooled(Phase::kAborted);
  never_closed.status.cutover.attempts = 0;
  EXPECT_FALSE(Decide(never_closed, TenantOn("pg-source", 60)).plan.effect);
}

}  // namespace
}  // namespace cutover::migration
