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

}  // namespace
}  // namespace cutover::migration
