// SPDX-License-Identifier: Apache-2.0
// DDL on the target while users work on it: what the stream back cannot carry. And what ALTER TABLE
// has rewritten on the source, whose structure is told by its fingerprint otherwise.
#include "postgres/structure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/sequences.h"
#include "tests/postgres/replication/streaming.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::Must;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Soon;
using testing::Streaming;
using testing::WaitUntil;
using enum Direction;

const std::vector<std::string> kSchema = {
    "CREATE TABLE public.t (id bigint PRIMARY KEY, word text, price numeric)",
    "CREATE TABLE public.\"Odd \"\"one\" (id int PRIMARY KEY)",
    "CREATE TABLE public.keyless (a int)",
    "ALTER TABLE public.keyless REPLICA IDENTITY FULL",
    "CREATE SEQUENCE public.free",
    "CREATE MATERIALIZED VIEW public.m AS SELECT id FROM public.t",
    "CREATE UNIQUE INDEX ON public.m (id)",
    "CREATE TYPE public.mood AS ENUM ('sad', 'happy')",
    "CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO public.t VALUES (1, 'one', 1.50), (2, 'two', 2.50)",
};

/// A move in Hypercare: the target publishes, the source follows, and the target's structure has
/// been written down.
class StructureTest : public ::testing::Test {
 protected:
  StructureTest() {
    move_.OnBoth(kSchema);
    move_.Follow(kReverse);
    EXPECT_EQ(Look(), "");
  }

  /// What is known after a look at `seconds` after noon.
  StructureWatch LookAt(int seconds, std::chrono::seconds pause = 0s, int64_t settles = 0) {
    const StructureLook look{.publication = StreamName(move_.uid, kReverse),
                             .now = WallTime(1'800'000'000s) + std::chrono::seconds(seconds),
                             .pause = pause,
                             .settles = settles};
    Must(LookAtStructure({}, Soon(), move_.target, move_.target_claim, look), "look");
    auto watch = ReadStructureWatch({}, Soon(), move_.target);
    EXPECT_TRUE(watch && *watch);
    return watch && *watch ? **watch : StructureWatch();
  }
  std::string Look() { return LookAt(0).changes; }

  Streaming move_;
};

TEST_F(StructureTest, AllDdlOnTheTargetIsSeenAndNamed) {
  const std::pair<const char*, const char*> changes[] = {
      {"CREATE TABLE public.later (id serial PRIMARY KEY)", "table public.later is new"},
      {"ALTER TABLE public.t ADD COLUMN more int", "table public.t was altered (column)"},
      {"ALTER TABLE public.t DROP COLUMN word", "table public.t was altered (column)"},
      {"ALTER TABLE public.t RENAME COLUMN word TO words", "table public.t was altered (column)"},
      {"ALTER TABLE public.t RENAME TO other", "table public.t was altered (relation)"},
      {"ALTER TABLE public.t ALTER word SET DEFAULT 'x'", "table public.t was altered (default)"},
      {"ALTER TABLE public.t ADD CHECK (price > 0)", "table public.t was altered (constraint)"},
      {"DROP TABLE public.\"Odd \"\"one\"", "table public.\"Odd \"\"one\" is gone"},
      {"CREATE SEQUENCE public.ir_sequence_042", "sequence public.ir_sequence_042 is new"},
      {"DROP SEQUENCE public.free", "sequence public.free is gone"},
      {"ALTER SEQUENCE public.free INCREMENT 2", "sequence public.free was altered (sequence)"},
      {"ALTER TYPE public.mood RENAME VALUE 'sad' TO 'sadder'",
       "type public.mood was altered (label)"},
      {"CREATE OR REPLACE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
       "function public.f(integer) was altered (function)"},
      {"CREATE VIEW public.v AS SELECT 1 AS a", "view public.v is new"},
      {"CREATE SCHEMA later", "schema later is new"},
      {"SELECT lo_create(4711)", "was altered (large objects)"},
      {"ALTER PUBLICATION @ DROP TABLE public.t", "table public.t was altered (publication)"},
      {"ALTER TABLE public.t ALTER price TYPE numeric USING price * 2",
       "table public.t was altered (rows rewritten)"},
  };
  const std::string stream = StreamName(move_.uid, kReverse);
  for (auto [statement, words] : changes) {
    std::string sql = statement;
    if (size_t at = sql.find('@'); at != std::string::npos) sql.replace(at, 1, stream);
    auto transaction = Transaction::Begin({}, Soon(), move_.target, {});
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(transaction->Exec({}, Soon(), sql)) << sql;
    auto before = ReadRecord({}, Soon(), move_.target, "structure", "");
    auto now = ReadStructure({}, Soon(), move_.target, stream);
    ASSERT_TRUE(before && *before && now) << sql;
    EXPECT_THAT(DescribeChanges(CompareStructures(StructureOf(**before), *now)), HasSubstr(words))
        << sql;
  }
  EXPECT_EQ(Look(), "") << "nothing of it was committed";
}

TEST_F(StructureTest, RowsOfATableThatCameLaterAreNotCarriedWhichIsSaidUntilItIsDropped) {
  MustExec(move_.target, {"CREATE TABLE public.later (id int PRIMARY KEY)",
                          "INSERT INTO public.later SELECT generate_series(1, 10)"});
  move_.Settle(kReverse);  // The stream follows all the same: nothing else would tell.
  EXPECT_EQ(move_.Subscribed(kReverse).apply_errors, 0);
  EXPECT_EQ(Look(), "table public.later is new");
  EXPECT_EQ(LookAt(1).changes, "table public.later is new") << "it stays known";
  MustExec(move_.target, {"DROP TABLE public.later"});
  EXPECT_EQ(Look(), "");
}

TEST_F(StructureTest, ALargeObjectWhoseRowIsCarriedWithoutItsContentShutsTheWayBackUntilItIsGone) {
  MustExec(move_.target, {"SELECT lo_from_bytea(4711, 'a scan')",
                          "INSERT INTO public.t VALUES (4711, 'the OID of a scan')"});
  move_.Settle(kReverse);
  EXPECT_EQ(MustRead(move_.source, "SELECT count(*) FROM public.t WHERE id = 4711")[0], "1");
  EXPECT_THAT(Look(), HasSubstr("was altered (large objects)"));
  MustExec(move_.target, {"SELECT lo_unlink(4711)"});
  EXPECT_EQ(Look(), "");
}

TEST_F(StructureTest, AColumnThatWasAddedAndDroppedAgainCountsNoMoreButItsRowsStopTheStream) {
  MustExec(move_.target, {"ALTER TABLE public.t ADD COLUMN more int"});
  EXPECT_EQ(Look(), "table public.t was altered (column)");
  MustExec(move_.target, {"ALTER TABLE public.t DROP COLUMN more"});
  EXPECT_EQ(Look(), "");
  MustExec(move_.target, {"INSERT INTO public.t VALUES (3, 'three')"});
  move_.Settle(kReverse);
  EXPECT_EQ(MustRead(move_.source, "SELECT count(*) FROM public.t")[0], "3");

  MustExec(move_.target,
           {"ALTER TABLE public.t ADD COLUMN more int", "INSERT INTO public.t VALUES (4, 'four')",
            "ALTER TABLE public.t DROP COLUMN more"});
  EXPECT_EQ(Look(), "");
  WaitUntil([this] { return !move_.Subscribed(kReverse).working; }, "the stream stands still");
  EXPECT_EQ(MustRead(move_.source, "SELECT count(*) FROM public.t")[0], "3") << "and lost nothing";
}

TEST_F(StructureTest, WhatLeavesRowsBehindUnseenCountsForEver) {
  const std::string stream = StreamName(move_.uid, kReverse);
  const std::vector<std::string> changes[] = {
      {"ALTER TABLE public.t DROP COLUMN word", "ALTER TABLE public.t ADD COLUMN word text"},
      {"ALTER TABLE public.t ALTER price TYPE text",
       "ALTER TABLE public.t ALTER price TYPE numeric USING price::numeric"},
      {"ALTER PUBLICATION " + stream + " DROP TABLE public.t",
       "ALTER PUBLICATION " + stream + " ADD TABLE public.t"},
      {"DROP TABLE public.t CASCADE",
       "CREATE TABLE public.t (id bigint PRIMARY KEY, word text, price numeric)",
       "ALTER PUBLICATION " + stream + " ADD TABLE public.t"},
  };
  auto before = ReadRecord({}, Soon(), move_.target, "structure", "");
  ASSERT_TRUE(before && *before);
  for (const auto& statements : changes) {
    auto transaction = Transaction::Begin({}, Soon(), move_.target, {});
    ASSERT_TRUE(transaction);
    for (const std::string& sql : statements)
      ASSERT_TRUE(transaction->Exec({}, Soon(), sql)) << sql;
    auto now = ReadStructure({}, Soon(), move_.target, stream);
    ASSERT_TRUE(now);
    EXPECT_THAT(DescribeChanges(CompareStructures(StructureOf(**before), *now)),
                HasSubstr("table public.t"))
        << statements.front();
  }
}

// Of it, catalogs are touched all day.
TEST_F(StructureTest, WhatIsNoDdlOrTuningOnlyDoesNotCount) {
  MustExec(move_.target,
           {"INSERT INTO public.t SELECT n, repeat('x', 100) FROM generate_series(10, 2000) n",
            "DELETE FROM public.t WHERE id > 1000", "ANALYZE", "VACUUM", "VACUUM FULL",
            "REINDEX TABLE CONCURRENTLY public.t", "SELECT nextval('public.free')",
            "REFRESH MATERIALIZED VIEW public.m", "REFRESH MATERIALIZED VIEW CONCURRENTLY public.m",
            "CREATE TEMP TABLE passing (a serial PRIMARY KEY, b int CHECK (b > 0))",
            "CREATE TYPE pg_temp.passing_type AS ENUM ('a')", "TRUNCATE public.keyless",
            "CREATE INDEX CONCURRENTLY t_word ON public.t (word)",
            "CREATE STATISTICS public.tuned ON id, word FROM public.t",
            "ALTER TABLE public.t REPLICA IDENTITY FULL"});
  EXPECT_EQ(Look(), "");
  Must(WriteHeartbeat({}, Soon(), move_.target, move_.target_claim), "heartbeat");
  EXPECT_EQ(LookAt(1).compared_at, WallTime(1'800'000'000s)) << "untouched since, so not compared";
}

TEST_F(StructureTest, TouchedCatalogsAreComparedAtAPaceAndAtOnceBehindClosedDoors) {
  MustExec(move_.target, {"CREATE TABLE public.later (id int PRIMARY KEY)"});
  EXPECT_EQ(LookAt(9, 10s).changes, "") << "known from ten seconds on";
  const StructureWatch settled = LookAt(9, 10s, 7);
  EXPECT_EQ(settled.changes, "table public.later is new");
  EXPECT_EQ(settled.settled, 7);
  MustExec(move_.target, {"DROP TABLE public.later"});
  EXPECT_EQ(LookAt(19, 10s).changes, "");
  EXPECT_EQ(LookAt(19, 10s).settled, 7) << "for those doors, and no others";
}

TEST_F(StructureTest, DdlThatIsNotCommittedYetIsSeenOnceItIs) {
  Connection session = MustConnect(move_.target_database.Options());
  MustExec(session, {"BEGIN", "CREATE TABLE public.later (id int)"});
  EXPECT_EQ(Look(), "");
  MustExec(session, {"COMMIT"});
  EXPECT_EQ(Look(), "table public.later is new");
}

TEST_F(StructureTest, ADeposedLeaderWritesDownNothing) {
  Must(HoldState({}, Soon(), move_.target, {move_.uid, 2, Side::kTarget}, ControlState::kPreparing),
       "take over");
  MustExec(move_.target, {"CREATE TABLE public.later (id int)"});
  const StructureLook look{.publication = StreamName(move_.uid, kReverse), .now = WallTime()};
  Status looked = LookAtStructure({}, Soon(), move_.target, move_.target_claim, look);
  ASSERT_FALSE(looked);
  EXPECT_EQ(looked.error().reason, "Deposed");
}

// --- tables that were rewritten on the source ----------------------------------------------------

std::string MustFingerprint(Connection& connection) {
  auto fingerprint = SchemaFingerprint({}, Soon(), connection);
  if (!fingerprint) Must(tl::unexpected(fingerprint.error()), "fingerprint");
  return *fingerprint;
}

Structure MustReadFiles(Connection& connection) {
  auto files = ReadTableFiles({}, Soon(), connection);
  if (!files) Must(tl::unexpected(files.error()), "read files");
  return *files;
}

class RewritingTraps : public ::testing::TestWithParam<int> {
 protected:
  // With a TOAST table and without, each with columns that were added with a default, as which a
  // row has them without having been written: it stayed, or was dropped again as Django does.
  void SetUp() override {
    MustExec(connection_,
             {"CREATE TABLE public.t (id int PRIMARY KEY, word text, price numeric)",
              "CREATE TABLE public.\"Fixed one\" (id int PRIMARY KEY, n int)",
              "CREATE TABLE public.parted (id int, n int) PARTITION BY RANGE (id)",
              "CREATE TABLE public.part PARTITION OF public.parted FOR VALUES FROM (0) TO (1000)",
              "INSERT INTO public.t SELECT n, 'x', n FROM generate_series(1, 50) n",
              "INSERT INTO public.\"Fixed one\" SELECT n, n FROM generate_series(1, 50) n",
              "INSERT INTO public.parted SELECT n, n FROM generate_series(1, 50) n",
              "ALTER TABLE public.t ADD late int DEFAULT 5, ADD later int DEFAULT 5",
              "ALTER TABLE public.t ALTER late DROP DEFAULT",
              "ALTER TABLE public.\"Fixed one\" ADD late int DEFAULT 5"});
  }
  const ConnectOptions& server_ = testing::Servers().OfMajor(GetParam());
  testing::TestDatabase database_{server_, server_.user};
  Connection connection_ = MustConnect(database_.Options());
};

INSTANTIATE_TEST_SUITE_P(OnMajor, RewritingTraps, ::testing::Values(13, 18),
                         [](const auto& major) { return std::to_string(major.param); });

TEST_P(RewritingTraps, Trap59_AreNamedThoughTheStructureIsAsItWas) {
  const std::pair<const char*, const char*> rewritings[] = {
      {"ALTER TABLE public.t ALTER price TYPE numeric USING price * 2", "table public.t"},
      {"ALTER TABLE public.t ALTER late TYPE int USING late * 2", "table public.t"},
      {"ALTER TABLE public.t ALTER later TYPE int USING later * 2", "table public.t"},
      {"ALTER TABLE public.\"Fixed one\" ALTER n TYPE int USING n * 2",
       "table public.\"Fixed one\""},
      {"ALTER TABLE public.\"Fixed one\" ALTER late TYPE int USING late * 2",
       "table public.\"Fixed one\""},
      {"ALTER TABLE public.parted ALTER n TYPE int USING n * 2", "table public.part"},
      {"ALTER TABLE public.t ALTER price TYPE text;"
       " ALTER TABLE public.t ALTER price TYPE numeric USING price::numeric * 2",
       "table public.t"},
  };
  for (auto [statements, table] : rewritings) {
    const std::string fingerprint = MustFingerprint(connection_);
    const Structure before = MustReadFiles(connection_);
    EXPECT_EQ(DescribeChanges(CompareStructures(before, MustReadFiles(connection_))), "");
    auto mark = MarkCatalogs({}, Soon(), connection_);
    ASSERT_TRUE(mark);
    MustExec(connection_, {statements});
    // Some majors write down where in the statement a default stood, which shows by itself.
    const bool has_default = std::string_view(statements).find("late") != std::string_view::npos;
    EXPECT_TRUE(has_default || MustFingerprint(connection_) == fingerprint) << statements;
    EXPECT_EQ(DescribeChanges(CompareStructures(before, MustReadFiles(connection_))),
              std::string(table) + " was altered (rows rewritten)")
        << statements;
    auto touched = CatalogsTouched({}, Soon(), connection_, *mark);
    EXPECT_TRUE(touched && *touched) << "so it is compared behind the fence, too: " << statements;
  }
}

TEST_P(RewritingTraps, Trap59_WhatTidiesUpOrEmptiesATableIsNoRewriting) {
  const Structure before = MustReadFiles(connection_);
  MustExec(
      connection_,
      {"VACUUM FULL", "CLUSTER public.t USING t_pkey", "CLUSTER public.t", "VACUUM FREEZE",
       "ANALYZE", "REINDEX TABLE public.t", "REINDEX TABLE CONCURRENTLY public.t",
       "GRANT UPDATE (word) ON public.t TO PUBLIC", "REVOKE UPDATE (word) ON public.t FROM PUBLIC",
       "ALTER TABLE public.t ALTER word SET STATISTICS 500", "VACUUM FULL public.t",
       "ALTER TABLE public.t REPLICA IDENTITY FULL", "TRUNCATE public.t, public.parted",
       "INSERT INTO public.t VALUES (1, repeat('x', 100000), 1)", "VACUUM FULL",
       "TRUNCATE public.\"Fixed one\""});
  EXPECT_EQ(DescribeChanges(CompareStructures(before, MustReadFiles(connection_))), "");
}

TEST(FollowedTraps, Trap59_StayAsTheyWereOnTheTargetSoTheyAreNamed) {
  Streaming move;
  move.OnBoth(kSchema);
  const Structure copied = MustReadFiles(move.source);
  move.Follow(kForward);
  MustExec(move.source, {"UPDATE public.t SET price = price + 1",
                         "ALTER TABLE public.t ALTER price TYPE numeric USING price * 2",
                         "INSERT INTO public.t VALUES (3, 'three', 3.50)"});
  move.Settle(kForward);
  const char* prices = "SELECT price FROM public.t ORDER BY id";
  EXPECT_THAT(MustRead(move.source, prices), ::testing::ElementsAre("5.00", "7.00", "3.50"));
  EXPECT_THAT(MustRead(move.target, prices), ::testing::ElementsAre("2.50", "3.50", "3.50"));
  EXPECT_EQ(DescribeChanges(CompareStructures(copied, MustReadFiles(move.source))),
            "table public.t was altered (rows rewritten)");
}

}  // namespace
}  // namespace cutover::pg
