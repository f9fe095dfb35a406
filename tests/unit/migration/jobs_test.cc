// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::migration {
namespace {

using ::testing::ElementsAre;

TEST(CopyOrder, SaysWhatTheMigrationSaysOfTheCopy) {
  api::TenantMigrationSpec migration;
  migration.copy_jobs = 7;
  migration.copy_rate_mebibytes_per_second_max = 50;
  migration.copy_throttle_query = "SELECT false";
  migration.copy_accept = {"tablespace fast"};
  migration.verification_level = api::VerificationLevel::kCounts;
  mover::JobSpec order;
  OrderCopy(migration, order);
  EXPECT_EQ(order.jobs, 7);
  EXPECT_EQ(order.max_rate_mebibytes_per_second, 50);
  EXPECT_EQ(order.throttle_query, "SELECT false");
  EXPECT_THAT(order.accept, ElementsAre("tablespace fast"));
  EXPECT_EQ(order.verification_level, mover::VerificationLevel::kCounts);
}

TEST(CopyOrder, AcceptsThatRowsOfExcludedTablesStayBehindAndSaysItOnce) {
  api::TenantMigrationSpec migration;
  migration.copy_exclude_tables = {"public.a", "public.b"};
  migration.copy_accept = {"rows of public.a"};
  mover::JobSpec order;
  OrderCopy(migration, order);
  EXPECT_THAT(order.exclude_tables, ElementsAre("public.a", "public.b"));
  EXPECT_THAT(order.accept, ElementsAre("rows of public.a", "rows of public.b"));
  mover::JobSpec again = order;
  OrderCopy(migration, again);
  EXPECT_EQ(again, order) << "an order that is current must be recognized as such";
}

}  // namespace
}  // namespace cutover::migration
