// SPDX-License-Identifier: Apache-2.0
// What was changed on the source since the copy is found again, and compared.
#include "postgres/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "postgres/control.h"
#include "postgres/keyed_rows.h"
#include "postgres/snapshot.h"
#include "tests/postgres/servers.h"
#include "tests/postgres/traps/tenants_code.h"

namespace cutover::pg::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;
using What = RowDifference::What;

/// A source on a server that few others write to (a slot waits for all of them), and a target that
/// is brought up to date by hand, so that a case can leave out what it wants to be missed.
class ChangesTest : public ::testing::Test {
 protected:
  ChangesTest()
      : stream_(UniqueName("stream")),
        watch_{WatchSlotName(stream_), "p"},
        source_database_(Servers().OfMajor(16), Servers().OfMajor(16).user, "changes"),
        target_database_(Servers().target, Servers().target.user, "changes"),
        source_(MustConnect(source_database_.Options())),
        target_(MustConnect(target_database_.Options())) {
    EXPECT_TRUE(ClaimEpoch({}, Soon(), target_, claim_));
    Both({"CREATE TABLE t (id int PRIMARY KEY, body text)",
          "INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 100) i"});
  }

  ~ChangesTest() override {
    for (const std::string& slot : {watch_.slot, stream_})
      EXPECT_TRUE(DropIdleSlot({}, Soon(), source_, slot));
  }

  /// From now on changes of the source are watched.
  void Watch() {
    MustExec(source_, {"CREATE PUBLICATION p FOR ALL TABLES"});
    auto slot =
        SlotSnapshot::Create({}, Soon(), source_database_.Options(), {stream_, watch_.slot, true});
    ASSERT_TRUE(slot) << slot.error().message;
  }
  void Both(const std::vector<std::string>& statements) {
    for (Connection* side : {&source_, &target_}) {
      std::vector<std::string> in_path = {"SET search_path = public"};
      in_path.insert(in_path.end(), statements.begin(), statements.end());
      in_path.emplace_back("RESET search_path");
      MustExec(*side, in_path);
    }
  }
  void OnSource(const std::string& sql) { MustExec(source_, {sql}); }
  void CopySlot(const std::string& from, const std::string& to) {
    MustRead(source_, "SELECT pg_copy_logical_replication_slot($1, $2)", {from, to});
  }
  void OnTarget(const std::string& sql) { MustExec(target_, {sql}); }

  CollectedChanges Collect(const ChangeLimits& limits = {}) {
    auto found = CollectChanges({}, Soon(), source_, target_, claim_, watch_, limits);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : CollectedChanges();
  }
  ChangeComparison Compare(const CompareTerms& terms = {}) {
    auto found = CompareChanged({}, Soon(), source_, target_, claim_, watch_, terms);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : ChangeComparison();
  }
  std::vector<std::string> Differences(const ChangeComparison& comparison) {
    EXPECT_EQ(comparison.differences, static_cast<int64_t>(comparison.first_differences.size()));
    std::vector<std::string> names;
    for (const RowDifference& difference : comparison.first_differences)
      names.push_back(difference.table + " " + difference.key);
    return names;
  }
  void ExpectEqualAndComplete(const ChangeComparison& comparison) {
    EXPECT_TRUE(comparison.equal()) << comparison.DescribeDifferences();
    EXPECT_TRUE(comparison.complete()) << comparison.DescribeNotCompared();
  }
  /// What is counted of each table is what is listed of it.
  void ExpectCountedKeys() {
    EXPECT_EQ(MustRead(target_, "SELECT sum(keys)::bigint FROM cutover.changed_table"),
              MustRead(target_, "SELECT count(*) FROM cutover.changed_row"));
  }
  std::string Confirmed() {
    return MustRead(source_,
                    "SELECT confirmed_flush_lsn FROM pg_replication_slots"
                    " WHERE slot_name = $1",
                    {watch_.slot})[0];
  }

  const Claim claim_{"changes", 3, Side::kTarget};
  const std::string stream_;
  const ChangeWatch watch_;
  TestDatabase source_database_;
  TestDatabase target_database_;
  Connection source_;
  Connection target_;
};

TEST_F(ChangesTest, Trap78_EqualSidesShowNoDifferenceWhateverTypesTheyHold) {
  Both({"CREATE TYPE mood AS ENUM ('sad', 'very happy')", "CREATE TYPE pair AS (a int, b text)",
        "CREATE DOMAIN positive AS numeric CHECK (VALUE > 0)",
        "CREATE TABLE awkward (id numeric PRIMARY KEY, f4 float4, f8 float8, n numeric, j json,"
        " jb jsonb, raw bytea, at timestamptz, local timestamp, span interval, list text[], m mood,"
        " p pair, d positive, c char(5), made int GENERATED ALWAYS AS (42) STORED)",
        "CREATE TABLE \"Odd \"\"name\" (\"Key, 1\" text, \"k\\2\" char(4), \"M\" mood, \"D\" "
        "positive,"
        " at timestamptz, u uuid, raw bytea, body text,"
        " PRIMARY KEY (\"Key, 1\", \"k\\2\", \"M\", \"D\", at, u, raw))",
        "CREATE TABLE twins (a int, f float8)", "ALTER TABLE twins REPLICA IDENTITY FULL"});
  Watch();
  const std::vector<std::string> changes = {
      "INSERT INTO awkward VALUES (1.0, 0.1, 'NaN', 1.0, '{\"a\":  1.50}', '{\"b\": 2.0, \"a\": "
      "[]}',"
      " '\\x00ff27', '2026-03-29 02:30:00.123456+01', 'infinity', '1 mon -2 days 03:04:05.6',"
      " '{\"a,b\",NULL,\"\"}', 'very happy', '(1,\"x\"\"y\")', 7.10, 'ab')",
      "INSERT INTO awkward VALUES (2.00, '-0', 1e-300, 'NaN'), (3, NULL, NULL, NULL)",
      "UPDATE awkward SET id = 1.00, n = 1.00 WHERE id = 1",
      "INSERT INTO \"Odd \"\"name\" VALUES ('it''s, (\"x\") \\ {y}', 'ab', 'very happy', 7.1,"
      " '2026-01-01 00:00:00.5+00', '00000000-0000-0000-0000-00000000000a', '\\x5c22', 'body')",
      "INSERT INTO \"Odd \"\"name\" VALUES ('', '', 'sad', 1, 'infinity',"
      " '00000000-0000-0000-0000-00000000000b', '', NULL)",
      "INSERT INTO twins VALUES (1, 0.1), (1, 0.1), (NULL, 'NaN')",
      "UPDATE t SET body = NULL WHERE id < 10",
      "DELETE FROM t WHERE id > 90",
      "UPDATE t SET id = id + 1000 WHERE id BETWEEN 50 AND 59"};
  Both(changes);
  const ChangeComparison comparison = Compare();
  ExpectEqualAndComplete(comparison);
  EXPECT_EQ(comparison.tables, 4);
  // Numbers that are equal and not the same are keys of one row.
  EXPECT_EQ(comparison.rows_compared, 4 + 2 + 3 + (9 + 10 + 20));
}

TEST_F(ChangesTest, Trap78_ARowThatIsOtherThanOnTheSourceIsFoundByItsKey) {
  Watch();
  Both({"UPDATE t SET body = 'changed' WHERE id BETWEEN 10 AND 19"});
  OnTarget("UPDATE public.t SET body = 'changed ' WHERE id = 12");  // One byte.
  const ChangeComparison comparison = Compare();
  EXPECT_THAT(Differences(comparison), ElementsAre("public.t (id)=(12)"));
  EXPECT_EQ(comparison.first_differences[0].what, What::kDiffers);
  EXPECT_EQ(comparison.rows_compared, 10);
  EXPECT_THAT(comparison.DescribeDifferences(), HasSubstr("public.t (id)=(12) differs"));
}

TEST_F(ChangesTest, NothingThatATenantHasPlantedInHisSchemasIsRunByTheComparison) {
  Both(TenantsCode());
  Both(TenantsTables());
  Watch();
  Both(TenantsRows());
  Both(TenantsLastTouch());
  ExpectEqualAndComplete(Compare());
  for (const std::string& damage : TenantsDamages()) OnTarget(damage);
  OnTarget(kDamageWithoutKey);
  CompareTerms terms;
  terms.differences_max = 20;
  const ChangeComparison comparison = Compare(terms);
  EXPECT_TRUE(comparison.complete()) << comparison.DescribeNotCompared();
  std::vector<std::string> expected = TenantsDamagedRows();
  expected.emplace_back("public.keyless 30 rows on the source, 30 on the target");
  EXPECT_THAT(Differences(comparison), UnorderedElementsAreArray(expected));
}

TEST_F(ChangesTest, WhileRowsAreComparedNothingIsWrittenAndNoViewIsRead) {
  Both({"CREATE VIEW v AS SELECT * FROM t"});
  const std::string write = "INSERT INTO public.t VALUES (1000, '') RETURNING id",
                    view = "SELECT count(*) FROM public.v";
  {
    ReadSide side(target_);
    ASSERT_TRUE(side.Prepare({}, Soon()));
    auto ask = [&](const std::string& sql) {
      return side.Ask({}, Soon(), std::chrono::seconds(5), sql, {});
    };
    EXPECT_TRUE(ask("SELECT count(*) FROM public.t"));
    EXPECT_FALSE(ask(write));
    EXPECT_EQ(target_.last_sqlstate(), "25006");
    EXPECT_FALSE(ask(view)) << "the setting is there since August 2024";
    EXPECT_FALSE(ask("SELECT set_config('default_transaction_read_only', 'off', false)") &&
                 ask(write))
        << "whatever was run by the statement before";
  }
  EXPECT_TRUE(target_.Query({}, Soon(), write));
  EXPECT_TRUE(target_.Query({}, Soon(), view)) << "sessions come back as they were";
}

TEST_F(ChangesTest, AChangeThatNeverArrivedIsFoundWhateverItWas) {
  Watch();
  OnSource("INSERT INTO public.t VALUES (201, 'new')");
  OnSource("UPDATE public.t SET body = 'other' WHERE id = 1");
  OnSource("DELETE FROM public.t WHERE id = 2");
  OnSource("UPDATE public.t SET id = 203 WHERE id = 3");
  const ChangeComparison comparison = Compare();
  std::vector<std::string> found = Differences(comparison);
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre("public.t (id)=(1)", "public.t (id)=(2)", "public.t (id)=(201)",
                                 "public.t (id)=(203)", "public.t (id)=(3)"));
  for (const RowDifference& difference : comparison.first_differences) {
    const std::string id = difference.key.substr(6);
    EXPECT_EQ(difference.what, id == "1)"                 ? What::kDiffers
                               : id == "2)" || id == "3)" ? What::kExtraOnTarget
                                                          : What::kMissingOnTarget)
        << id;
  }
}

TEST_F(ChangesTest, ChangesAreCollectedPieceByPieceAndComparedAsTheyAreAtTheEnd) {
  Watch();
  OnSource("UPDATE public.t SET body = 'first' WHERE id = 1");
  EXPECT_EQ(Collect().changes, 1);
  OnSource("UPDATE public.t SET body = 'second' WHERE id = 1");
  OnSource("UPDATE public.t SET body = 'second' WHERE id = 2");
  EXPECT_EQ(Collect().changes, 2);
  EXPECT_EQ(Collect().changes, 0);
  OnTarget("UPDATE public.t SET body = 'second' WHERE id < 3");
  const ChangeComparison comparison = Compare();
  ExpectEqualAndComplete(comparison);
  EXPECT_EQ(comparison.rows_compared, 2) << "each row once";
  ExpectCountedKeys();
}

TEST_F(ChangesTest, Trap62_WhatACallThatDiedHadKeptIsNeitherCountedTwiceNorLost) {
  Watch();
  OnSource("UPDATE public.t SET body = 'x' WHERE id < 4");
  // The slot as it is, put back afterwards: as if the call had died before moving it on.
  const std::string before = stream_ + "_before";
  CopySlot(watch_.slot, before);
  EXPECT_EQ(Collect().changes, 3);
  ASSERT_TRUE(DropIdleSlot({}, Soon(), source_, watch_.slot));
  CopySlot(before, watch_.slot);
  ASSERT_TRUE(DropIdleSlot({}, Soon(), source_, before));
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 9");
  EXPECT_EQ(Collect().changes, 1);
  EXPECT_EQ(Compare().differences, 4);
}

TEST_F(ChangesTest, WhatTheStreamHasConfirmedIsComparedBeforeTheFenceAndForgottenIfItIsEqual) {
  Watch();
  Both({"UPDATE t SET body = 'x' WHERE id <= 10"});
  OnTarget("UPDATE public.t SET body = 'y' WHERE id = 5");
  EXPECT_EQ(Collect().settled, 0) << "nobody has confirmed anything yet";
  MustRead(source_, "SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())", {stream_});
  Both({"UPDATE t SET body = 'z' WHERE id = 2"});
  EXPECT_EQ(Collect().settled, 8) << "neither the one that differs nor the one that is too new";
  // What is settled is listed again when it changes again.
  OnSource("UPDATE public.t SET body = 'again' WHERE id = 1");
  EXPECT_EQ(Collect().settled, 0);
  ChangeComparison comparison = Compare();
  EXPECT_EQ(comparison.rows_compared, 3);
  std::vector<std::string> found = Differences(comparison);
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre("public.t (id)=(1)", "public.t (id)=(5)"));
  ExpectCountedKeys();
}

TEST_F(ChangesTest, ATruncatedTableIsWhatCameAfterIt) {
  Watch();
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 1");
  Collect();
  OnSource("TRUNCATE public.t");
  OnSource("INSERT INTO public.t VALUES (500, 'after')");
  OnTarget("TRUNCATE public.t");
  OnTarget("INSERT INTO public.t VALUES (500, 'after')");
  ChangeComparison comparison = Compare();
  ExpectEqualAndComplete(comparison);
  EXPECT_EQ(comparison.rows_compared, 1);
  // A row that no change of the source speaks of: a TRUNCATE that was applied too late, say.
  OnTarget("INSERT INTO public.t VALUES (7, 'survivor')");
  comparison = Compare();
  ASSERT_EQ(comparison.differences, 1);
  EXPECT_EQ(comparison.first_differences[0].what, What::kTableDiffers);
  EXPECT_THAT(comparison.DescribeDifferences(), HasSubstr("1 rows on the source, 2 on the target"));
}

TEST_F(ChangesTest, ATableWithoutAKeyIsComparedAsAWholeIfItIsSmallAndNamedIfNot) {
  Both({"CREATE TABLE keyless (a int, b text)", "ALTER TABLE keyless REPLICA IDENTITY FULL",
        "INSERT INTO keyless SELECT i % 3, 'same' FROM generate_series(1, 30) i"});
  Watch();
  Both({"INSERT INTO keyless VALUES (1, 'new')"});
  ExpectEqualAndComplete(Compare());
  OnTarget("DELETE FROM public.keyless WHERE ctid = (SELECT min(ctid) FROM public.keyless)");
  OnTarget("INSERT INTO public.keyless VALUES (1, 'new')");
  EXPECT_EQ(Compare().differences, 1) << "as many rows, but one is there once more than it should";
  CompareTerms terms;
  terms.whole_table_bytes_max = 0;
  const ChangeComparison comparison = Compare(terms);
  EXPECT_TRUE(comparison.equal());
  EXPECT_FALSE(comparison.complete());
  ASSERT_EQ(comparison.not_compared.size(), 1u);
  EXPECT_EQ(comparison.not_compared[0].table, "public.keyless");
  EXPECT_EQ(comparison.not_compared[0].changes, 1);
  EXPECT_THAT(comparison.DescribeNotCompared(), HasSubstr("it has no key"));
}

TEST_F(ChangesTest, PastTheBoundChangesAreCountedAndThatIsSaid) {
  Watch();
  OnSource("UPDATE public.t SET body = 'x' WHERE id <= 20");
  Collect({.keys_per_table_max = 15, .keys_max = 1000});
  OnTarget("UPDATE public.t SET body = 'x' WHERE id <= 20");
  ExpectEqualAndComplete(Compare());  // Small enough to be compared as a whole.
  CompareTerms terms;
  terms.whole_table_bytes_max = 0;
  const ChangeComparison comparison = Compare(terms);
  EXPECT_EQ(comparison.rows_compared, 15);
  ASSERT_EQ(comparison.not_compared.size(), 1u);
  EXPECT_EQ(comparison.not_compared[0].changes, 5);
  EXPECT_THAT(comparison.not_compared[0].why, HasSubstr("more rows of it changed"));
}

TEST_F(ChangesTest, AHugeTransactionIsTakenInPortionsAndComparedRowByRow) {
  Watch();
  Both({"INSERT INTO t SELECT i, repeat(md5(i::text), 4) FROM generate_series(1001, 61000) i"});
  const CollectedChanges found = Collect({.keys_per_table_max = 200'000, .keys_max = 1'000'000});
  EXPECT_TRUE(found.complete);
  EXPECT_EQ(found.changes, 60'000);
  EXPECT_EQ(found.transactions, 1);
  EXPECT_EQ(MustRead(target_, "SELECT count(*) FROM cutover.changed_row")[0], "60000");
  OnTarget("UPDATE public.t SET body = 'y' WHERE id = 60999");
  CompareTerms terms;
  terms.budget = std::chrono::minutes(5);
  const ChangeComparison comparison = Compare(terms);
  EXPECT_THAT(Differences(comparison), ElementsAre("public.t (id)=(60999)"));
  EXPECT_EQ(comparison.rows_compared, 60'000);
  RecordProperty("compare_milliseconds", static_cast<int>(comparison.seconds * 1000));
}

TEST_F(ChangesTest, AWideRowIsFoundByItsKeyUnlessThatStandsBehindTheWidth) {
  Both({"CREATE TABLE wide (id int PRIMARY KEY, body text)",
        "CREATE TABLE behind (body text, id int PRIMARY KEY)"});
  Watch();
  for (const char* table : {"wide", "behind"})
    Both({std::string("INSERT INTO ") + table + " (id, body) VALUES (1, repeat('x', 100000))"});
  OnTarget("UPDATE public.wide SET body = repeat('x', 99999) || 'y'");
  CompareTerms terms;
  terms.whole_table_bytes_max = 0;
  const ChangeComparison comparison = Compare(terms);
  EXPECT_THAT(Differences(comparison), ElementsAre("public.wide (id)=(1)"));
  ASSERT_EQ(comparison.not_compared.size(), 1u);
  EXPECT_EQ(comparison.not_compared[0].table, "public.behind");
  EXPECT_THAT(comparison.not_compared[0].why, HasSubstr("so wide"));
}

TEST_F(ChangesTest, WithoutTimeNothingIsComparedAndThatIsSaid) {
  Watch();
  Both({"UPDATE t SET body = 'x' WHERE id < 4"});
  CompareTerms terms;
  terms.budget = std::chrono::milliseconds(0);
  const ChangeComparison comparison = Compare(terms);
  EXPECT_EQ(comparison.rows_compared, 0);
  ASSERT_EQ(comparison.not_compared.size(), 1u);
  EXPECT_EQ(comparison.not_compared[0].changes, 3);
  EXPECT_THAT(comparison.not_compared[0].why, HasSubstr("were spent"));
  EXPECT_EQ(MustRead(target_, "SHOW enable_seqscan")[0], "on") << "sessions come back as they were";
}

TEST_F(ChangesTest, ALockThatNobodyLetsGoTakesNoMoreThanTheBudget) {
  Watch();
  Both({"UPDATE t SET body = 'x' WHERE id < 4"});
  Connection locker = MustConnect(target_database_.Options());
  MustExec(locker, {"BEGIN", "LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE"});
  CompareTerms terms;
  terms.budget = std::chrono::milliseconds(300);
  const ChangeComparison comparison = Compare(terms);
  EXPECT_LT(comparison.seconds, 30) << "and not for as long as the caller would wait";
  ASSERT_EQ(comparison.not_compared.size(), 1u);
  EXPECT_TRUE(target_.usable());
}

TEST_F(ChangesTest, OurOwnTablesDoNotCount) {
  MustExec(source_,
           {"CREATE SCHEMA cutover", "CREATE TABLE cutover.heartbeat (id int PRIMARY KEY)"});
  Watch();
  OnSource("INSERT INTO cutover.heartbeat VALUES (1)");
  const CollectedChanges found = Collect();
  EXPECT_EQ(found.changes, 0);
  EXPECT_EQ(found.transactions, 0);
  ExpectEqualAndComplete(Compare());
}

TEST_F(ChangesTest, AWatchThatIsGoneIsAnEnd) {
  Watch();
  ASSERT_TRUE(DropIdleSlot({}, Soon(), source_, watch_.slot));
  auto found = CollectChanges({}, Soon(), source_, target_, claim_, watch_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, "WatchLost");
  EXPECT_EQ(found.error().disposition, Disposition::kTerminal);
}

// What a standby has that is promoted in the target's place, or a disk that was put back.
TEST_F(ChangesTest, Trap84_AWatchThatWasReadFurtherThanTheTargetKnowsIsAnEnd) {
  Watch();
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 1");
  Collect();
  OnTarget("CREATE TABLE public.before AS SELECT * FROM cutover.change_position");
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 2");
  Collect();
  Collect();
  EXPECT_EQ(Compare().differences, 2);
  OnTarget("UPDATE cutover.change_position SET position = (SELECT position FROM public.before)");
  OnTarget("DELETE FROM cutover.changed_row WHERE key = '[\"2\"]'");
  auto compared = CompareChanged({}, Soon(), source_, target_, claim_, watch_);
  ASSERT_FALSE(compared) << compared->differences << " differences and not 2";
  EXPECT_EQ(compared.error().reason, "WatchLost");
  EXPECT_EQ(compared.error().disposition, Disposition::kTerminal);
}

// What a process that was frozen, or a machine that is gone, leaves behind: until the server gives
// the session up, nothing that was deleted since is cleaned up on the source.
TEST_F(ChangesTest, AReaderThatFallsSilentInTheMiddleIsEndedByTheServerAndItsSuccessorReadsAll) {
  Watch();
  Collect();
  OnTarget("CREATE SEQUENCE public.kept");
  OnTarget(
      "CREATE FUNCTION public.fall_silent() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN IF nextval(''public.kept'') = 1 THEN PERFORM pg_sleep(22); END IF;"
      " RETURN NULL; END'");
  OnTarget(
      "CREATE TRIGGER fall_silent AFTER INSERT ON cutover.changed_row FOR EACH STATEMENT"
      " EXECUTE FUNCTION public.fall_silent()");
  // More than waits in memory to be kept, so that a part is kept while the cursor is open.
  OnSource("INSERT INTO public.t SELECT i, 'new' FROM generate_series(101, 60000) i");
  auto found = CollectChanges({}, Deadline::After(std::chrono::seconds(60)), source_, target_,
                              claim_, watch_);
  ASSERT_FALSE(found) << "its connection to the source was open all the while";
  EXPECT_EQ(found.error().disposition, Disposition::kRetry);
  EXPECT_EQ(found.error().reason, "IdleInTransactionTimeout") << found.error().message;
  source_ = MustConnect(source_database_.Options());
  EXPECT_EQ(Collect().changes, 59'900);
  EXPECT_EQ(MustRead(target_, "SELECT count(*) FROM cutover.changed_row")[0], "59900");
}

TEST_F(ChangesTest, ADeposedLeaderKeepsNothingAndMovesNothing) {
  Watch();
  Collect();
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 1");
  const std::string before = Confirmed();
  ASSERT_TRUE(ClaimEpoch({}, Soon(), target_, {"changes", 4, Side::kTarget}));
  auto found = CollectChanges({}, Soon(), source_, target_, claim_, watch_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason, "Deposed");
  EXPECT_EQ(Confirmed(), before);
}

TEST_F(ChangesTest, AnotherCopyBeginsWithNothingKnown) {
  ASSERT_TRUE(ForgetChanges({}, Soon(), target_)) << "also when there is nothing to forget";
  Watch();
  OnSource("UPDATE public.t SET body = 'x' WHERE id = 1");
  Collect();
  ASSERT_TRUE(ForgetChanges({}, Soon(), target_));
  EXPECT_THAT(MustRead(target_, "SELECT key FROM cutover.changed_row"), IsEmpty());
  EXPECT_THAT(MustRead(target_, "SELECT slot FROM cutover.change_position"), IsEmpty());
}

}  // namespace
}  // namespace cutover::pg::testing
