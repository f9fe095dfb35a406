// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "tests/unit/kube/fake_client.h"

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

// Jobs and orders of a migration, in an API server in memory.
class MoverJobs : public ::testing::Test {
 protected:
  MoverJobs() {
    migration_.meta.uid = "0a1b2c3d-0000";
    migration_.status.attempt = 2;
  }

  void Start(int64_t attempt) {
    api::TenantMigration migration = migration_;
    migration.status.attempt = attempt;
    MoverJob job;
    job.namespace_name = "acme";
    job.spec.kind = mover::JobKind::kBackup;
    ASSERT_TRUE(CreateMoverJob({}, Deadline::Never(), client_, {}, migration, job));
  }
  size_t Count(const kube::Resource& resource) {
    return client_.List({}, Deadline::Never(), resource, {})->items.size();
  }
  JobFacts Observe() {
    return *ObserveJob({}, Deadline::Never(), client_, "acme", migration_, mover::JobKind::kBackup);
  }

  kube::FakeClient client_;
  api::TenantMigration migration_;
};

TEST_F(MoverJobs, GoAfterTheirOrdersSoThatWhoeverIsCutShortComesBackForTheRest) {
  Start(2);
  int deletions = 0;
  client_.fault = [&](kube::FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "delete" || ++deletions < 2) return std::nullopt;
    return Error{Disposition::kRetry, "Unreachable", "the operator died here"};
  };
  EXPECT_FALSE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", migration_));
  EXPECT_EQ(Count(kube::kConfigMap), 0u);
  EXPECT_EQ(Count(kube::kJob), 1u);
  EXPECT_TRUE(Observe().exists);
  client_.fault = nullptr;
  EXPECT_TRUE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", migration_));
  EXPECT_EQ(Count(kube::kJob), 0u);
}

TEST_F(MoverJobs, OfOthersAndWhatIsNoJobOfOursStay) {
  Start(2);
  Json labelled = kube::NewObject(kube::kConfigMap, {"acme", "by-somebody"});
  labelled.MutableAt("metadata").Set("labels", Json::Object({{"cutover.dev/job", "backup"}}));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kConfigMap, labelled));
  api::TenantMigration other = migration_;
  other.meta.uid = "another";
  EXPECT_TRUE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", other));
  EXPECT_EQ(Count(kube::kConfigMap), 2u);
  EXPECT_EQ(ListMoverObjects({}, Deadline::Never(), client_, "")->size(), 2u);
}

// A request of a leader that was deposed during the first attempt arrives during the second: were
// it taken for the second's Job, that would wait for it without end.
TEST_F(MoverJobs, OfAnEarlierAttemptAreNotTakenForThisOnes) {
  Start(1);
  EXPECT_TRUE(Observe().exists);
  EXPECT_TRUE(Observe().earlier);
  Start(2);
  EXPECT_FALSE(Observe().earlier);
}

}  // namespace
}  // namespace cutover::migration
