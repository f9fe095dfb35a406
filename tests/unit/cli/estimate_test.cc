// SPDX-License-Identifier: Apache-2.0
#include "cli/view/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using std::chrono::seconds;
using ::testing::HasSubstr;
using namespace cutover::cli::testing;

constexpr int64_t kMegabyte = 1'000'000;

/// A move whose copy took `bytes` in `span`, and ended so long before Night().
MigrationView Copied(int64_t bytes, seconds span, seconds before = seconds(0),
                     const std::string& target = "pg-dedicated") {
  api::TenantMigration migration = Typical(Phase::kCompleted);
  migration.spec.target_server_name = target;
  migration.status.progress.bytes_copied = migration.status.progress.bytes_total = bytes;
  for (api::Stage& stage : migration.status.stages) {
    if (stage.name != "Copying") continue;
    stage.completed_at = Night() - before;
    stage.started_at = *stage.completed_at - span;
  }
  return ViewOf(ObjectOf(migration));
}

MigrationView Paused(int64_t milliseconds, const char* switch_mode = "Restart") {
  MigrationView move = Copied(100 * kMegabyte, seconds(10));
  move.strategy = "Online";
  move.switch_mode = switch_mode;
  move.cutover.write_pause_milliseconds = milliseconds;
  return move;
}

EstimateFacts FactsOf(std::vector<MigrationView> migrations) {
  EstimateFacts facts;
  facts.database_bytes = 1000 * kMegabyte;
  facts.target_server_name = "pg-dedicated";
  facts.strategy = "Offline";
  facts.switch_by = "Restart";
  facts.migrations = std::move(migrations);
  return facts;
}

TEST(EstimateCopy, IsUnknownWhereNothingTells) {
  EXPECT_EQ(EstimateCopy(FactsOf({})),
            "unknown: no earlier copy in this cluster tells how fast one is");
  EstimateFacts unsized = FactsOf({Copied(100 * kMegabyte, seconds(10))});
  unsized.database_bytes = 0;
  EXPECT_THAT(EstimateCopy(unsized), HasSubstr("does not say how big"));
}

TEST(EstimateCopy, HoldsTheRatesOfTheLastCopiesToTheSameServer) {
  EXPECT_EQ(EstimateCopy(
                FactsOf({Copied(100 * kMegabyte, seconds(10)), Copied(100 * kMegabyte, seconds(5)),
                         Copied(900 * kMegabyte, seconds(1), seconds(0), "pg-elsewhere")})),
            "about 50s to 1m40s, at 10.0 MB/s to 20.0 MB/s as the last 2 copies to pg-dedicated "
            "were; the size counts indexes, which are built and not copied");
}

TEST(EstimateCopy, OfAServerThatWasNeverCopiedToSaysWhoseRatesItHas) {
  EXPECT_THAT(
      EstimateCopy(FactsOf({Copied(100 * kMegabyte, seconds(10), seconds(0), "pg-elsewhere")})),
      HasSubstr("about 1m40s, at 10.0 MB/s as the last copy in this cluster, none of them to "
                "pg-dedicated, was;"));
}

TEST(EstimateCopy, TakesNoRateFromACopyThatWasHeldBackFailedGoesOnOrWasTooSmall) {
  MigrationView held_back = Copied(100 * kMegabyte, seconds(10));
  held_back.copy_held_back = true;
  MigrationView small = Copied(kMegabyte, seconds(10));
  const MigrationView failed = ViewOf(ObjectOf(Typical(Phase::kFailed)));
  const MigrationView going_on = ViewOf(ObjectOf(Typical(Phase::kCopying)));
  EXPECT_THAT(EstimateCopy(FactsOf({held_back, small, failed, going_on})),
              HasSubstr("unknown: no earlier copy"));
}

TEST(EstimateCopy, LooksAtTheLastFiveAlone) {
  std::vector<MigrationView> migrations{Copied(100 * kMegabyte, seconds(1000), seconds(3600))};
  for (int i = 0; i < 5; ++i)
    migrations.push_back(Copied(100 * kMegabyte, seconds(10), seconds(60 * i)));
  EXPECT_THAT(EstimateCopy(FactsOf(migrations)),
              HasSubstr("about 1m40s, at 10.0 MB/s as the last 5 copies"));
}

// 1000 MB at 5 MiB/s are 190.7 s.
TEST(EstimateCopy, ALimitThatBitesIsSaidToBeTheRateAndNotThatOfTheLastCopy) {
  EstimateFacts facts = FactsOf({Copied(100 * kMegabyte, seconds(10))});
  facts.rate_mebibytes_per_second_max = 5;
  EXPECT_EQ(EstimateCopy(facts),
            "about 3m10s, at the 5 MiB/s that are ordered (the last copy to pg-dedicated ran at "
            "10.0 MB/s); the size counts indexes, which are built and not copied");
}

TEST(EstimateCopy, ALimitThatBitesTheFastestAloneLeavesTheOthersAsTheyWere) {
  EstimateFacts facts =
      FactsOf({Copied(100 * kMegabyte, seconds(10)), Copied(100 * kMegabyte, seconds(20))});
  facts.rate_mebibytes_per_second_max = 8;
  EXPECT_THAT(EstimateCopy(facts),
              HasSubstr("about 1m59s to 3m20s, at 5.0 MB/s to the 8 MiB/s that are ordered (the "
                        "last 2 copies to pg-dedicated ran at 5.0 MB/s to 10.0 MB/s);"));
}

TEST(EstimateCopy, ALimitMakesNothingQuickerAndAloneBoundsFromBelow) {
  EstimateFacts facts = FactsOf({Copied(100 * kMegabyte, seconds(10))});
  facts.rate_mebibytes_per_second_max = 50;
  EXPECT_THAT(EstimateCopy(facts), HasSubstr("about 1m40s, at 10.0 MB/s as the last copy"));
  facts.migrations.clear();
  EXPECT_EQ(EstimateCopy(facts),
            "at least 19s, since no more than 50 MiB/s are ordered; no earlier copy in this "
            "cluster tells more");
}

TEST(EstimatePause, OfflineIsThatOfTheCopyAtLeast) {
  EXPECT_EQ(EstimatePause(FactsOf({Copied(100 * kMegabyte, seconds(10))})),
            "as long as the copy takes, and what comes before and after it");
}

TEST(EstimatePause, OnlineIsThatOfMovesOfTheSameKind) {
  EstimateFacts facts = FactsOf({Paused(640), Paused(1200), Paused(90, "Pooler")});
  facts.strategy = "Online";
  EXPECT_THAT(EstimatePause(facts), HasSubstr("about 0.6s to 1.2s, as in the last 2 moves"));
  facts.switch_by = "Pooler";
  EXPECT_THAT(EstimatePause(facts), HasSubstr("about 0.1s, as in the last move"));
  facts.migrations.clear();
  EXPECT_THAT(EstimatePause(facts), HasSubstr("unknown"));
}

}  // namespace
}  // namespace cutover::cli
