// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "mover/contract/progress.h"
#include "mover/job.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;

/// The target database as the operator has prepared it: created, fenced, claimed.
class JobTest : public ::testing::Test {
 protected:
  JobTest() : tenant_(Servers().target) {
    setenv(kSourcePasswordVariable, Servers().source.password.c_str(), 1);
    setenv(kTargetPasswordVariable, Servers().target.password.c_str(), 1);
    spec_.kind = JobKind::kClone;
    spec_.migration_uid = "job-" + tenant_.copy_name();
    spec_.epoch = 3;
    spec_.source = EndpointOf(tenant_.Source());
    spec_.target = EndpointOf(tenant_.Copy());
    pg::Connection source = MustConnect(tenant_.Source());
    auto properties = pg::FindDatabase({}, Soon(), source, tenant_.Source().database);
    if (!properties || !*properties) std::abort();
    (*properties)->name = tenant_.copy_name();
    Status created = pg::CreateTargetDatabase({}, Soon(), Servers().target, **properties,
                                              {spec_.migration_uid, 3, pg::Side::kTarget});
    if (!created) ADD_FAILURE() << created.error().message;
  }

  Outcome Run() {
    Reporter silent(Reporter::Output::kSilent);
    return RunJob({}, Programs(), spec_, {}, silent);
  }

  std::optional<Json> ResultOf(const JobSpec& spec) {
    pg::Connection target = MustConnect(tenant_.Copy());
    auto result = ReadResult({}, Soon(), target, spec.migration_uid, spec.attempt, spec.kind);
    if (!result) ADD_FAILURE() << result.error().message;
    return result ? *result : std::nullopt;
  }

  TrapTenant tenant_;
  JobSpec spec_;
};

TEST_F(JobTest, ACloneReportsProgressLedgerAndResultInTheTarget) {
  Outcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, kExitProven) << outcome.summary.DumpPretty();
  std::optional<Json> result = ResultOf(spec_);
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, outcome.summary);
  EXPECT_EQ((*result)["verdict"].AsString(), "Equal");
  EXPECT_EQ((*result)["epoch"].AsInt(), 3);
  pg::Connection target = MustConnect(tenant_.Copy());
  auto progress = ReadProgress({}, Soon(), target, spec_.migration_uid);
  ASSERT_TRUE(progress && *progress);
  ASSERT_EQ((*progress)->stages.size(), std::size(kStages));
  for (size_t i = 0; i < std::size(kStages); ++i) {
    EXPECT_EQ((*progress)->stages[i].stage, kStages[i]);
    EXPECT_TRUE((*progress)->stages[i].finished) << kStages[i];
  }
  EXPECT_EQ((*progress)->stages[1].tables_done, 23);
  auto chunks = ReadChunks({}, Soon(), target, spec_.migration_uid, 1);
  ASSERT_TRUE(chunks);
  EXPECT_EQ(chunks->size(), 22u) << "one table holds no row, and is not asked for any";
  for (const Chunk& chunk : *chunks) EXPECT_TRUE(chunk.committed) << chunk.table;
}

// Behind the fence nobody may connect, so that whoever was let in as preflight asks looks left out.
TEST_F(JobTest, AsksForNoMembersOfGroupsSincePreflightHas) {
  const pg::testing::TestRole alice(Servers().source, "", "alice");
  pg::Connection source = MustConnect(Servers().source);
  pg::testing::MustExec(
      source, {"GRANT " + pg::QuoteIdentifier(tenant_.reader()) + " TO " + alice.quoted()});
  const Outcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, kExitProven) << outcome.summary.DumpPretty();
}

TEST_F(JobTest, TheTargetStaysFenced) {
  ASSERT_EQ(Run().exit_code, kExitProven);
  pg::Connection admin = MustConnect(Servers().target);
  EXPECT_EQ(MustRead(admin,
                     "SELECT datconnlimit || pg_get_userbyid(datdba) FROM pg_database"
                     " WHERE datname = $1",
                     {pg::Param(tenant_.copy_name())})[0],
            "0" + Servers().target.user);
}

TEST_F(JobTest, TheSameJobOnceMoreMakesTheSameCopy) {
  ASSERT_EQ(Run().exit_code, kExitProven);
  Outcome again = Run();
  EXPECT_EQ(again.exit_code, kExitProven) << again.summary.DumpPretty();
}

TEST_F(JobTest, AVerifyComparesAndKeepsTheClonesProgress) {
  ASSERT_EQ(Run().exit_code, kExitProven);
  JobSpec verify = spec_;
  verify.kind = JobKind::kVerify;
  Reporter silent(Reporter::Output::kSilent);
  Outcome outcome = RunJob({}, Programs(), verify, {}, silent);
  EXPECT_EQ(outcome.exit_code, kExitProven) << outcome.summary.DumpPretty();
  EXPECT_TRUE(ResultOf(verify));
  EXPECT_TRUE(ResultOf(spec_));
}

TEST_F(JobTest, AJobOfAnEarlierAttemptDoesNothing) {
  spec_.attempt = 2;
  ASSERT_EQ(Run().exit_code, kExitProven);
  JobSpec stale = spec_;
  stale.attempt = 1;
  Reporter silent(Reporter::Output::kSilent);
  Outcome outcome = RunJob({}, Programs(), stale, {}, silent);
  EXPECT_EQ(outcome.exit_code, kExitUnproven);
  EXPECT_EQ(outcome.summary["error"]["reason"].AsString(), "Superseded");
  EXPECT_FALSE(ResultOf(stale));
  EXPECT_EQ((*ResultOf(spec_))["verdict"].AsString(), "Equal");
}

TEST_F(JobTest, AJobOfAnotherMigrationDoesNothing) {
  JobSpec other = spec_;
  other.migration_uid = "other";
  Reporter silent(Reporter::Output::kSilent);
  Outcome outcome = RunJob({}, Programs(), other, {}, silent);
  EXPECT_EQ(outcome.exit_code, kExitUnproven);
  EXPECT_EQ(outcome.summary["error"]["reason"].AsString(), "NotAuthorized");
}

TEST_F(JobTest, AnOpenedTargetIsNeverCopiedInto) {
  pg::Connection target = MustConnect(tenant_.Copy());
  const pg::Claim claim{spec_.migration_uid, 4, pg::Side::kTarget};
  using enum pg::ControlState;
  ASSERT_TRUE(pg::CompareAndSetState({}, Soon(), target, claim, kPreparing, kCopied));
  Outcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, kExitUnproven);
  EXPECT_EQ(outcome.summary["error"]["reason"].AsString(), "NotAuthorized");
}

TEST_F(JobTest, AHigherEpochIsNoReasonToStop) {
  pg::Connection target = MustConnect(tenant_.Copy());
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), target, {spec_.migration_uid, 9, pg::Side::kTarget}));
  EXPECT_EQ(Run().exit_code, kExitProven) << "a new leader adopts the Job of the one before";
}

}  // namespace
}  // namespace cutover::mover::testing
