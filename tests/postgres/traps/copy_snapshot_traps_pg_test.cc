// SPDX-License-Identifier: Apache-2.0
// Traps 22–24, 41 and 84 of docs/verification.md: the instant that is copied, and what ends it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "mover/process/side.h"
#include "operator/base/check.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/traps/copying.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::OwnServer;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(CopyTraps, Trap22_ASnapshotWhoseHolderDiedEndsTheRunAndTheNextOneStartsOver) {
  Move move;
  PlantStamped(move);
  {
    Running running(move);
    running.UntilSomeRowsArrived();
    pg::Connection server = MustConnect(Servers().source);
    // The holder came before the lanes.
    EXPECT_THAT(MustRead(server,
                         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE datname = $1 ORDER BY backend_start LIMIT 1",
                         {move.name()}),
                ElementsAre("t"));
    Stamp(move, "after");
    const Result<Report> report = running.End();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().reason, "SnapshotLost") << report.error().message;
    EXPECT_EQ(report.error().disposition, Disposition::kRetry);
    EXPECT_THAT(report.error().message, HasSubstr("run it again"));
  }
  EXPECT_THAT(move.OnTarget("SELECT datconnlimit FROM pg_database"
                            " WHERE datname = current_database()"),
              ElementsAre("0"))
      << "what is not proven is open";
  move.MustArrive();
  EXPECT_THAT(move.OnTarget(StampsOf()), ElementsAre("after 120000"));
}

TEST(CopyTraps, Trap22_ASnapshotThatNobodyHoldsIsSaidToBeLostBeforeAnythingIsWritten) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)"});
  move.options.snapshot = Must(Side::Open({}, move.Source())).snapshot();
  const Error error = move.MustFail();
  EXPECT_EQ(error.reason, "SnapshotLost") << error.message;
  EXPECT_EQ(error.disposition, Disposition::kRetry);
  pg::Connection server = MustConnect(Servers().target);
  EXPECT_THAT(
      MustRead(server, "SELECT datname FROM pg_database WHERE datname = $1", {move.copy_name()}),
      IsEmpty());
}

TEST(CopyTraps, Trap23_NothingHoldsBackVacuumOnceTheLastRowIsRead) {
  constexpr char kHolders[] =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
      " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)";
  constexpr char kBuilding[] =
      "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND state = 'active'"
      " AND query LIKE '%INDEX built_slowly%'";
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)",
              "CREATE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
              "CREATE INDEX built_slowly ON t (dawdle(a))",
              "CREATE OR REPLACE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM pg_catalog.pg_sleep(6); RETURN $1; END'"});
  std::vector<std::string> holders;
  move.options.on_copied = [&] {
    pg::Connection server = MustConnect(Servers().source);
    holders = MustRead(server, kHolders, {move.name()});
  };
  Running running(move);
  pg::Connection source = MustConnect(Servers().source), target = MustConnect(Servers().target);
  auto building = [&] { return !MustRead(target, kBuilding, {move.copy_name()}).empty(); };
  bool seen_free = false;
  while (!running.ended() && !seen_free)
    seen_free = building() && MustRead(source, kHolders, {move.name()}).at(0) == "0" && building();
  EXPECT_TRUE(seen_free) << "the source was held while indexes were built";
  EXPECT_TRUE(Must(running.End()).equal());
  EXPECT_THAT(holders, Not(ElementsAre("0"))) << "this test cannot see who holds the source";
}

TEST(CopyTraps, Trap24_WhatWasTruncatedRewrittenOrDroppedBeforeTheLocksIsNamed) {
  for (const char* ddl : {"TRUNCATE t", "ALTER TABLE t ALTER a TYPE bigint", "DROP TABLE t"}) {
    Move move;
    move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 100)"});
    Side holder = Must(Side::Open({}, move.Source()));
    move.options.snapshot = holder.snapshot();
    move.Plant({ddl});
    const Error error = move.MustFail();
    EXPECT_THAT(error.message, HasSubstr("public.t")) << ddl;
    if (std::string(ddl) == "DROP TABLE t") continue;
    EXPECT_EQ(error.reason, "SourceChanged") << ddl;
    EXPECT_EQ(error.disposition, Disposition::kRetry);
  }
}

TEST(CopyTraps, Trap24_NobodyAltersATableWhileItIsCopiedAndEverybodyMayWrite) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "CREATE INDEX t_a ON t (a)",
              "INSERT INTO t SELECT generate_series(1, 100)"});
  move.options.authorize = [&](std::stop_token, pg::Connection&) -> Status {
    pg::Connection tenant = MustConnect(move.Source());
    MustExec(tenant, {"SET lock_timeout TO '200ms'", "INSERT INTO public.t VALUES (101)",
                      "UPDATE public.t SET a = -a", "DELETE FROM public.t WHERE a = -1"});
    for (const char* ddl :
         {"TRUNCATE public.t", "DROP TABLE public.t", "ALTER TABLE public.t ADD extra int",
          "ALTER TABLE public.t RENAME TO other", "VACUUM FULL public.t",
          "CLUSTER public.t USING t_a"}) {
      EXPECT_FALSE(tenant.Exec({}, Soon(), ddl)) << ddl;
      EXPECT_EQ(tenant.last_sqlstate(), "55P03") << ddl;
    }
    return Ok();
  };
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT count(*) || ' ' || min(a) || ' ' || max(a) FROM public.t"),
              ElementsAre("100 1 100"));
}

TEST(CopyTraps, Trap24_WhatChangedDuringTheCopyWithoutALockIsNamed) {
  const std::map<std::string, std::string> changes = {
      {"CREATE INDEX ON t (a)", "table public.t"},
      {"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "table public.t"},
      {"CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
       "function public.f()"},
      {"CREATE OR REPLACE VIEW v AS SELECT a, 1 AS one FROM t", "view public.v"},
      {"ALTER TYPE mood ADD VALUE 'odd'", "type public.mood"},
      {"ALTER DOMAIN d ADD CHECK (VALUE > 0)", "type public.d"}};
  for (const auto& [change, object] : changes) {
    const std::string& ddl = change;
    Move move;
    move.Plant({"CREATE TABLE t (a int)", "CREATE VIEW v AS SELECT a FROM t",
                "CREATE TYPE mood AS ENUM ('a')", "CREATE DOMAIN d AS int",
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"});
    move.options.authorize = [&](std::stop_token, pg::Connection&) -> Status {
      move.Plant({ddl});
      return Ok();
    };
    const Error error = move.MustFail();
    EXPECT_EQ(error.reason, "SourceChanged") << ddl;
    EXPECT_THAT(error.message, AllOf(HasSubstr(object), HasSubstr("run it again"))) << ddl;
  }
}

TEST(CopyTraps, Trap24_WhatBelongsToNoTableIsNamedWhenItChangedDuringTheCopy) {
  const std::string me = Servers().source.user;
  const std::map<std::string, std::string> changes = {
      {"ALTER SEQUENCE counter INCREMENT 7", "sequence public.counter"},
      {"ALTER STATISTICS both_of SET STATISTICS 7", "statistics object public.both_of"},
      {"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO PUBLIC",
       "default privileges of role " + me + " in schema public on tables"},
      {"DROP EXTENSION hstore", "extension hstore"},
      {"DROP CAST (mood AS int)", "cast from public.mood to integer"},
      {"ALTER EVENT TRIGGER tell DISABLE", "event trigger tell"},
      {"ALTER PUBLICATION told ADD TABLE other", "publication told"},
      {"ALTER SERVER far OPTIONS (ADD host 'elsewhere')", "foreign server far"}};
  for (const auto& [change, object] : changes) {
    const std::string& ddl = change;
    Move move;
    move.Plant(
        {"CREATE TABLE t (a int, b int)", "CREATE TABLE other (a int)", "CREATE SEQUENCE counter",
         "CREATE STATISTICS both_of ON a, b FROM t", "CREATE EXTENSION hstore",
         "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
         "CREATE TYPE mood AS ENUM ('a')",
         "CREATE FUNCTION as_int(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'",
         "CREATE CAST (mood AS int) WITH FUNCTION as_int", "CREATE PUBLICATION told FOR TABLE t",
         "CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
         "CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION ev()",
         "CREATE EXTENSION postgres_fdw", "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw"});
    move.options.authorize = [&](std::stop_token, pg::Connection&) -> Status {
      move.Plant({ddl});
      return Ok();
    };
    const Error error = move.MustFail();
    EXPECT_EQ(error.reason, "SourceChanged") << ddl;
    EXPECT_THAT(error.message, AllOf(HasSubstr(object), HasSubstr("run it again"))) << ddl;
  }
}

TEST(CopyTraps, Trap24_ATableThatCameDuringTheCopyIsReported) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)"});
  move.options.authorize = [&](std::stop_token, pg::Connection&) -> Status {
    move.Plant({"CREATE TABLE newcomer (a int)", "INSERT INTO newcomer VALUES (1)"});
    return Ok();
  };
  EXPECT_THAT(move.MustArrive().warnings,
              Contains(AllOf(HasSubstr("not in the copy"), HasSubstr("table public.newcomer"))));
}

/// Lets a first worker commit some chunks under the options' snapshot and stops it.
std::vector<std::string> CopyHalfAndStop(Move& move) {
  Running running(move);
  running.UntilSomeRowsArrived();
  const Result<Report> stopped = running.Stop();
  EXPECT_FALSE(stopped) << "it had ended before it could be stopped";
  std::vector<std::string> committed = move.OnTarget(kCommitted);
  EXPECT_THAT(committed, Not(IsEmpty()));
  EXPECT_LT(committed.size(), static_cast<size_t>(kStampedTables));
  return committed;
}

TEST(CopyTraps, Trap41_AWorkerThatTakesOverNeverTouchesWhatIsCommitted) {
  Move move;
  PlantStamped(move);
  Side holder = Must(Side::Open({}, move.Source()));
  move.options.snapshot = holder.snapshot();
  move.options.keep_traces = true;
  const std::vector<std::string> committed = CopyHalfAndStop(move);
  Stamp(move, "after");
  move.MustArrive();
  EXPECT_THAT(move.OnTarget(kCommitted), IsSupersetOf(committed));
  EXPECT_THAT(move.OnTarget(kCommitted), ::testing::SizeIs(kStampedTables));
  EXPECT_THAT(move.OnTarget(StampsOf()), ElementsAre("before 120000"));
}

TEST(CopyTraps, Trap41_WhatADeadWorkerHasBuiltOnItsRowsIsBuiltAnew) {
  Move move;
  PlantStamped(move);
  move.Plant({"CREATE INDEX t_1_stamp ON t_1 (stamp)", "SELECT lo_from_bytea(4711, 'large')"});
  Side holder = Must(Side::Open({}, move.Source()));
  move.options.snapshot = holder.snapshot();
  move.options.keep_traces = true;
  CopyHalfAndStop(move);
  {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy,
             {"SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
              "ALTER TABLE public.t_1 DROP CONSTRAINT IF EXISTS t_1_pkey",
              "ALTER TABLE public.t_1 ADD CONSTRAINT t_1_pkey PRIMARY KEY (id)",
              "DROP INDEX IF EXISTS public.t_1_stamp",
              "CREATE INDEX t_1_stamp ON public.t_1 (stamp)", "SELECT lo_from_bytea(4711, 'lar')"});
  }
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT lo_get(4711)"), ElementsAre("\\x6c61726765"));
  EXPECT_THAT(move.OnTarget("SELECT count(*) FROM pg_indexes WHERE tablename = 't_1'"),
              ElementsAre("2"));
}

TEST(CopyTraps, Trap84_ARunUnderAnotherSnapshotStartsOver) {
  Move move;
  PlantStamped(move);
  move.options.keep_traces = true;
  const std::vector<std::string> committed = CopyHalfAndStop(move);
  Stamp(move, "after");
  move.MustArrive();
  for (const std::string& chunk : committed)
    EXPECT_THAT(move.OnTarget(kCommitted), Not(Contains(chunk)));
  EXPECT_THAT(move.OnTarget(StampsOf()), ElementsAre("after 120000"));
}

TEST(CopyTraps, Trap84_AServerThatWasStartedAnewIsCopiedAnewEvenUnderTheSameSnapshotName) {
  OwnServer server(15);
  Move move(server.Options());
  PlantStamped(move);
  move.options.keep_traces = true;
  std::string first_name;
  {
    Side holder = Must(Side::Open({}, move.Source()));
    first_name = holder.snapshot();
    move.options.snapshot = first_name;
    CopyHalfAndStop(move);
    server.Restart();  // As after a failover: sessions are gone, and numbers start anew.
    Stamp(move, "after");
  }
  Side holder = Must(Side::Open({}, move.Source()));
  move.options.snapshot = holder.snapshot();
  {
    pg::Connection copy = MustConnect(move.Copy());  // Whatever luck would have it to be.
    MustExec(copy, {"UPDATE cutover.run SET snapshot = replace(snapshot, " +
                    QuoteLiteral(first_name) + ", " + QuoteLiteral(holder.snapshot()) + ")"});
    EXPECT_THAT(MustRead(copy, "SELECT snapshot FROM cutover.run"),
                Each(HasSubstr(holder.snapshot())));
  }
  move.MustArrive();
  EXPECT_THAT(move.OnTarget(StampsOf()), ElementsAre("after 120000"));
}

}  // namespace
}  // namespace cutover::mover::testing
