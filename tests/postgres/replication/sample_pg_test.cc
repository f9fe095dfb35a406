// SPDX-License-Identifier: Apache-2.0
// Rows of both sides compared while users write on the target and the stream brings it back.
#include "postgres/sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/postgres/replication/streaming.h"
#include "tests/postgres/traps/tenants_code.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::Soon;
using testing::Streaming;
using testing::WaitUntil;
using enum Direction;

constexpr const char* kTable = "CREATE TABLE public.t (id bigint PRIMARY KEY, word text)";
constexpr const char* kHundredRows =
    "INSERT INTO public.t SELECT n, 'word ' || n FROM generate_series(1, 100) n";

/// A move in Hypercare: the target publishes, the source follows.
class SampleTest : public ::testing::Test {
 protected:
  void Follow(const std::vector<std::string>& structure) {
    move_.OnBoth(structure);
    move_.Follow(kReverse);
  }
  void OnTarget(const std::string& sql) {
    MustExec(move_.target, {sql});
    move_.Settle(kReverse);
  }
  SampledStream Stream() const {
    const std::string name = StreamName(move_.uid, kReverse);
    return {name, name};
  }
  SampleRound Take(const SampleTerms& terms = {}) {
    auto round = TakeSample({}, Soon(), move_.source, move_.target, move_.target_claim, Stream(),
                            RealClock().WallNow(), terms);
    EXPECT_TRUE(round) << round.error().message;
    return round ? *round : SampleRound();
  }
  Sample Settle() {
    Must(WriteHeartbeat({}, Soon(), move_.target, move_.target_claim), "heartbeat");
    Must(SettleSample({}, Soon(), move_.source, move_.target, move_.target_claim, Stream()),
         "settle");
    return Known();
  }
  Sample Known() {
    auto sample = ReadSample({}, Soon(), move_.target);
    EXPECT_TRUE(sample) << sample.error().message;
    return sample ? *sample : Sample();
  }
  /// Until every row that differed is one that differs, or is none.
  Sample Decided() {
    WaitUntil([this] { return Settle().undecided() == 0; }, "every suspect is looked at again");
    return Known();
  }

  Streaming move_;
};

TEST_F(SampleTest, BeforeTheFirstOneNothingIsSaid) {
  Follow({kTable});
  EXPECT_FALSE(Known().taken_at);
  EXPECT_EQ(Known().rows, 0);
}

TEST_F(SampleTest, RowsThatTheStreamHasCarriedAreEqualAndCounted) {
  Follow({kTable,
          "CREATE TABLE public.\"Odd \"\"one\" (\"Key, 1\" text, at timestamptz, n numeric,"
          " raw bytea, c char(5), PRIMARY KEY (\"Key, 1\", at, n, raw, c))"});
  OnTarget(kHundredRows);
  OnTarget(R"(INSERT INTO public."Odd ""one" VALUES ('a ", b', now(), 1.50, '\x00ff', 'ab'))");
  const SampleRound round = Take();
  EXPECT_EQ(round.tables, 2);
  EXPECT_EQ(round.rows, 101);
  EXPECT_EQ(round.passed_over, "");
  EXPECT_EQ(Known().rows, 101);
  EXPECT_TRUE(Known().taken_at);
  EXPECT_TRUE(Known().suspects.empty()) << Known().suspects[0].words;
}

TEST_F(SampleTest, ARowChangedOnTheSourceBehindTheStreamIsFoundUntilItIsMended) {
  Follow({kTable});
  OnTarget(kHundredRows);
  MustExec(move_.source, {"UPDATE public.t SET word = 'tampered' WHERE id = 50"});
  Take();
  EXPECT_EQ(Known().undecided(), 1);
  EXPECT_EQ(Known().differences(), 0) << "it might have been on its way";
  EXPECT_EQ(Decided().DescribeDifferences(), "public.t (id)=(50) differs");
  Take();
  EXPECT_EQ(Known().differences(), 1) << "it stays found, and once";
  MustExec(move_.source, {"UPDATE public.t SET word = 'word 50' WHERE id = 50"});
  Take();
  EXPECT_TRUE(Known().suspects.empty());
}

TEST_F(SampleTest, RowsThatOneSideLacksAreFoundWhicheverItIs) {
  Follow({kTable});
  OnTarget(kHundredRows);
  MustExec(move_.source,
           {"DELETE FROM public.t WHERE id = 1", "INSERT INTO public.t VALUES (1000, 'x')"});
  Take();
  EXPECT_EQ(Decided().differences(), 2);
  EXPECT_THAT(Known().DescribeDifferences(), HasSubstr("(id)=(1) is missing on the source"));
  EXPECT_THAT(Known().DescribeDifferences(), HasSubstr("(id)=(1000) is on the source only"));
}

TEST_F(SampleTest, RowsInFlightAreNoDifferenceHoweverLongTheyTake) {
  Follow({kTable});
  OnTarget(kHundredRows);
  Must(DisableSubscription({}, Soon(), move_.source, move_.source_claim, kReverse), "disable");
  MustExec(move_.target, {"UPDATE public.t SET word = 'new' WHERE id <= 40",
                          "DELETE FROM public.t WHERE id > 90"});
  Take();
  EXPECT_EQ(Known().undecided(), 50);
  EXPECT_EQ(Settle().undecided(), 50) << "the source has confirmed nothing";
  move_.Enable(kReverse);
  EXPECT_EQ(Decided().differences(), 0);
}

// What counts is a row at rest: the same keys come, change and go all the time.
TEST_F(SampleTest, UnderLoadNoRowIsEverTakenForADifference) {
  Follow({kTable});
  OnTarget(kHundredRows);
  std::atomic<bool> done = false;
  std::thread users([&] {
    Connection session = MustConnect(move_.target_database.Options());
    while (!done)
      MustExec(session, {"DELETE FROM public.t WHERE id % 2 = 0",
                         "INSERT INTO public.t SELECT n, 'again' FROM generate_series(2, 100, 2) n"
                         " ON CONFLICT DO NOTHING",
                         "UPDATE public.t SET word = word || '.' WHERE id % 3 = 0",
                         "UPDATE public.t SET word = 'short' WHERE length(word) > 20"});
  });
  int64_t in_flight = 0;
  for (int round = 0; round < 30; ++round) {
    Take();
    in_flight += Known().undecided();
    for (int look = 0; look < 5; ++look) EXPECT_EQ(Settle().differences(), 0);
  }
  done = true;
  users.join();
  EXPECT_GT(in_flight, 0) << "or nothing was tried";
  EXPECT_EQ(Decided().differences(), 0);
}

TEST_F(SampleTest, TablesTakeTurnsSoThatAllAreLookedAt) {
  std::vector<std::string> structure;
  for (const char* name : {"a", "b", "c"})
    structure.push_back("CREATE TABLE public." + std::string(name) + " (id int PRIMARY KEY)");
  Follow(structure);
  for (const char* name : {"a", "b", "c"})
    OnTarget("INSERT INTO public." + std::string(name) + " SELECT generate_series(1, 10)");
  const SampleTerms one_table{.rows_max = 10};
  for (const char* name : {"a", "b", "c", "a"}) {
    EXPECT_EQ(Take(one_table).rows, 10);
    EXPECT_EQ(Known().last_table, TableName("public", name));
  }
  EXPECT_EQ(Known().rows, 40);
}

TEST_F(SampleTest, OfALargeTableAFewRowsAreTakenFromAnywhere) {
  Follow({kTable});
  OnTarget("INSERT INTO public.t SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n");
  const SampleRound round = Take({.rows_per_table_max = 20});
  EXPECT_GT(round.rows, 0);
  EXPECT_LE(round.rows, 40) << "twenty of each side";
  EXPECT_TRUE(Known().suspects.empty());
}

TEST_F(SampleTest, ASmallTableWithoutAKeyIsComparedAsAWhole) {
  Follow({"CREATE TABLE public.keyless (a int, b text)"});
  OnTarget("INSERT INTO public.keyless SELECT n % 3, 'same' FROM generate_series(1, 50) n");
  EXPECT_EQ(Take().rows, 50);
  EXPECT_TRUE(Known().suspects.empty()) << "in whatever order its rows are";
  MustExec(move_.source, {"DELETE FROM public.keyless WHERE ctid = '(0,7)'"});
  Take();
  EXPECT_EQ(Known().differences(), 0) << "it might have been on its way";
  EXPECT_EQ(Decided().DescribeDifferences(), "public.keyless as a whole differs");
  MustExec(move_.source, {"TRUNCATE public.keyless",
                          "INSERT INTO public.keyless SELECT n % 3, 'same' FROM "
                          "generate_series(1, 50) n"});
  EXPECT_EQ(Decided().differences(), 0);
}

TEST_F(SampleTest, ALargeTableWithoutAKeyIsNamedUntilItIsSmall) {
  Follow({"CREATE TABLE public.log (a int, b text)"});
  OnTarget("INSERT INTO public.log SELECT n, repeat('x', 500) FROM generate_series(1, 5000) n");
  EXPECT_EQ(Take().rows, 0);
  EXPECT_EQ(Known().DescribeNotCompared(), "public.log");
  OnTarget("TRUNCATE public.log");
  Take();
  EXPECT_EQ(Known().DescribeNotCompared(), "");
}

TEST_F(SampleTest, ATableThatCannotBeLookedAtIsSaidAndHoldsUpNobody) {
  Follow({"CREATE TABLE public.a (id int PRIMARY KEY)", kTable,
          "CREATE TABLE public.keyless (a int)"});
  OnTarget(kHundredRows);
  Connection other = MustConnect(move_.target_database.Options());
  MustExec(other, {"BEGIN", "LOCK TABLE public.a"});
  MustExec(move_.source, {"DROP TABLE public.keyless"});
  const auto began = std::chrono::steady_clock::now();
  const SampleRound round = Take();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 40s);
  EXPECT_EQ(round.rows, 100);
  EXPECT_THAT(round.passed_over, HasSubstr("public.a: the target says"));
  EXPECT_THAT(round.passed_over, HasSubstr("public.keyless: it is not on the source"));
  MustExec(other, {"ROLLBACK"});
}

TEST_F(SampleTest, NothingThatATenantHasPlantedInHisSchemasIsRunByALook) {
  std::vector<std::string> structure = {"SET search_path = public"};
  for (const auto& part : {testing::TenantsCode(), testing::TenantsTables()})
    structure.insert(structure.end(), part.begin(), part.end());
  structure.emplace_back("RESET search_path");
  Follow(structure);
  MustExec(move_.target, {"SET search_path = public"});
  MustExec(move_.target, testing::TenantsRows());
  OnTarget("RESET search_path");
  move_.OnBoth(testing::TenantsLastTouch());
  const SampleRound round = Take();
  EXPECT_EQ(round.passed_over, "");
  EXPECT_EQ(round.tables, 2 + static_cast<int>(std::size(testing::kTenantsTables)));
  EXPECT_TRUE(Known().suspects.empty()) << Known().suspects[0].words;
  MustExec(move_.source, testing::TenantsDamages());
  MustExec(move_.source, {testing::kDamageWithoutKey});
  Take();
  const Sample sample = Decided();
  std::vector<std::string> found, expected = testing::TenantsDamagedRows();
  for (const Suspect& suspect : sample.suspects)
    if (suspect.proven) found.push_back(suspect.words);
  expected.emplace_back("public.keyless as a whole");
  EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(expected));
}

TEST_F(SampleTest, ADeposedLeaderKeepsNothing) {
  Follow({kTable});
  OnTarget(kHundredRows);
  Claim successor = move_.target_claim;
  ++successor.epoch;
  ASSERT_TRUE(ClaimEpoch({}, Soon(), move_.target, successor));
  auto round = TakeSample({}, Soon(), move_.source, move_.target, move_.target_claim, Stream(),
                          RealClock().WallNow());
  ASSERT_FALSE(round);
  EXPECT_EQ(round.error().reason, "Deposed");
  EXPECT_FALSE(Known().taken_at);
}

}  // namespace
}  // namespace cutover::pg
