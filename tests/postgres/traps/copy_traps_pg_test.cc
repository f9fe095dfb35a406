// SPDX-License-Identifier: Apache-2.0
// Traps 22–41, 84 and 85 of docs/verification.md: what can go wrong while rows are copied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mover/contract/progress.h"
#include "mover/copy/table_copy.h"
#include "mover/fill.h"
#include "mover/plan/chunks.h"
#include "mover/process/side.h"
#include "operator/base/check.h"
#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
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

/// Each of more than a megabyte, so that each is copied, and committed, by itself.
constexpr int kStampedTables = 6;
constexpr int64_t kSlowBytesPerSecond = 2 << 20;
constexpr int64_t kSmallChunkBytes = 128 << 10;

template <typename T>
T Must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().reason << ": " << result.error().message;
  CHECK(result);
  return std::move(*result);
}

void Must(const Status& status) {
  EXPECT_TRUE(status) << status.error().reason << ": " << status.error().message;
  CHECK(status);
}

/// Tables t_1, t_2, … whose rows all say 'before'.
void PlantStamped(Move& move) {
  for (int i = 1; i <= kStampedTables; ++i) {
    const std::string table = "t_" + std::to_string(i);
    move.Plant({"CREATE TABLE " + table + " (id int PRIMARY KEY, filler text, stamp text)",
                "INSERT INTO " + table +
                    " SELECT i, md5(i::text), 'before' FROM generate_series(1, 20000) i"});
  }
}

/// In one transaction: whoever sees both words has mixed two instants.
void Stamp(Move& move, const std::string& word) {
  std::string sql;
  for (int i = 1; i <= kStampedTables; ++i)
    sql += "UPDATE public.t_" + std::to_string(i) + " SET stamp = " + QuoteLiteral(word) + ";";
  move.Plant({sql});
}

/// Which words the tables say, and in how many rows.
std::string StampsOf() {
  std::string sql;
  for (int i = 1; i <= kStampedTables; ++i)
    sql += (i == 1 ? "" : " UNION ALL ") + ("SELECT stamp FROM public.t_" + std::to_string(i));
  return "SELECT stamp || ' ' || count(*) FROM (" + sql + ") AS t GROUP BY stamp ORDER BY 1";
}

/// Committed chunks, with the file that holds each table: TRUNCATE makes a new one.
constexpr char kCommitted[] =
    "SELECT concat_ws(' ', table_name, chunk, committed_at,"
    " pg_relation_filenode(table_name::regclass)) FROM cutover.chunk"
    " WHERE committed_at IS NOT NULL ORDER BY 1";

/// A clone that is under way, and slow, so that the case can do something meanwhile.
class Running {
 public:
  explicit Running(Move& move) : move_(move) {
    throttle_.SetRate(kSlowBytesPerSecond);
    move_.options.throttle = &throttle_;
    thread_ = std::jthread([this] {
      Reporter silent(Reporter::Output::kSilent);
      result_.emplace(CloneDatabase(stop_.get_token(), Programs(), move_.options, silent));
      ended_ = true;
    });
  }
  ~Running() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
    move_.options.throttle = nullptr;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Returns when some of the rows are committed; no more are read then until GoOn().
  void UntilSomeRowsArrived() {
    const Deadline deadline = Deadline::After(std::chrono::seconds(60));
    while (!ended_ && !deadline.Expired()) {
      auto copy = pg::Connection::Open({}, deadline, move_.Copy());
      auto rows = copy ? copy->Query({}, deadline,
                                     "SELECT FROM cutover.chunk WHERE committed_at IS NOT NULL")
                       : Result<pg::Rows>(RetryError("", ""));
      if (rows && !rows->empty()) return throttle_.Hold("the test looks");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ADD_FAILURE() << "no row has arrived";
  }
  void GoOn() {
    throttle_.SetRate(0);
    throttle_.Resume();
  }
  bool ended() const { return ended_; }

  Result<Report> End() {
    GoOn();
    thread_.join();
    return std::move(*result_);
  }
  Result<Report> Stop() {
    stop_.request_stop();
    return End();
  }

 private:
  Move& move_;
  Throttle throttle_;
  std::stop_source stop_;
  std::atomic<bool> ended_ = false;
  std::optional<Result<Report>> result_;
  std::jthread thread_;
};

/// Table public.t of the source, planned in chunks as soon as this is made, into a database that
/// holds just that table.
class ChunkedCopy {
 public:
  ChunkedCopy(Move& move, const std::string& ddl, int64_t chunk_bytes = kSmallChunkBytes)
      : move_(move) {
    pg::Connection source = MustConnect(move.Source());
    tables_ = Must(ReadTables({}, Soon(), source));
    groups_ = PlanChunks(tables_, source.major_version(), chunk_bytes);
    move.PlantOnTarget(
        {"CREATE DATABASE " + QuoteIdentifier(move.copy_name()) + " TEMPLATE template0"});
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"SET search_path TO public", ddl});
    Must(CreateLedger({}, Soon(), copy));
    StageProgress claim;
    claim.stage = "schema";
    Must(WriteStage({}, Soon(), copy, move.options.migration_uid, 1, claim));
    Must(WritePlan({}, Soon(), copy, move.options.migration_uid, 1, "a snapshot",
                   PlanForLedger(tables_, groups_)));
  }

  /// Copies the last chunk first, as the order must not matter.
  RowsSeen Copy(Side& source) {
    CopyTerms terms = Terms(source);
    pg::Connection lane = Must(source.OpenLane({}));
    pg::Connection copy = MustConnect(move_.Copy());
    RowsSeen seen;
    for (size_t i = groups_.size(); i-- > 0;)
      for (const RowsSeen& chunk : Must(CopyGroup({}, lane, copy, tables_, groups_[i], terms)))
        seen.Add(chunk);
    return seen;
  }

  RowsSeen HashWhole(Side& source) {
    return Must(HashRows({}, source.connection(), tables_.at(0), "", Terms(source)));
  }

  const TablePlan& table() const { return tables_.at(0); }
  const std::vector<ChunkGroup>& groups() const { return groups_; }

 private:
  CopyTerms Terms(const Side& source) const {
    CopyTerms terms;
    terms.encoding = source.encoding();
    terms.migration_uid = move_.options.migration_uid;
    return terms;
  }

  Move& move_;
  std::vector<TablePlan> tables_;
  std::vector<ChunkGroup> groups_;
};

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
              "CREATE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM pg_catalog.pg_sleep(2); RETURN $1; END'",
              "CREATE INDEX built_slowly ON t (dawdle(a))"});
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

TEST(CopyTraps, Trap25_NoSearchPathMakesUsTakeOneObjectForAnother) {
  Move move;
  move.Plant(
      {"CREATE SCHEMA one", "CREATE SCHEMA two", "CREATE TYPE one.mood AS ENUM ('a', 'b')",
       "CREATE TYPE two.mood AS ENUM ('b', 'c')", "CREATE TABLE one.t (m one.mood, w text)",
       "CREATE TABLE two.t (w text, m two.mood)", "CREATE TABLE public.t (w text)",
       "INSERT INTO one.t VALUES ('b', 'one')", "INSERT INTO two.t VALUES ('two', 'b')",
       "INSERT INTO public.t VALUES ('public')",
       "CREATE FUNCTION one.f() RETURNS text LANGUAGE sql AS $$SELECT w FROM one.t$$",
       "CREATE FUNCTION two.f() RETURNS text LANGUAGE sql AS $$SELECT w FROM two.t$$",
       "CREATE VIEW one.v AS SELECT one.f() AS f, t.* FROM two.t",
       // What would answer in place of the server's own, if the path below held for us.
       "CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'no'$$",
       "CREATE FUNCTION public.current_database() RETURNS text LANGUAGE sql AS $$SELECT 'no'$$",
       "CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE sql AS $$SELECT 'no'$$",
       "CREATE FUNCTION public.count(int) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
       "CREATE FUNCTION public.never(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false'",
       "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.never)",
       "CREATE TABLE public.pg_class (oid oid, relname text)",
       "INSERT INTO public.pg_class VALUES (1, 'not the catalog')",
       "ALTER DATABASE " + move.quoted() + " SET search_path TO two, public, one, pg_catalog"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT m || w FROM one.t UNION ALL SELECT m || w FROM two.t UNION ALL SELECT w FROM public.t"
      " UNION ALL SELECT relname FROM public.pg_class ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT concat_ws(' ', f, w, m, pg_typeof(m)) FROM one.v"),
              ElementsAre("one two b two.mood"));
  move.ExpectSame("SELECT oid::regprocedure::text FROM pg_proc WHERE oid >= 16384 ORDER BY 1");
}

TEST(CopyTraps, Trap26_MaterializedViewsThatReadEachOtherAreFilledInTheirOrder) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)",
              // The plain view is older than what it will read.
              "CREATE VIEW between AS SELECT 0 AS a",
              "CREATE MATERIALIZED VIEW z_last AS SELECT sum(a) AS a FROM between",
              "CREATE MATERIALIZED VIEW m_first AS SELECT a * 10 AS a FROM t",
              "CREATE OR REPLACE VIEW between AS SELECT a::int FROM m_first",
              "REFRESH MATERIALIZED VIEW z_last",
              "CREATE MATERIALIZED VIEW a_top AS SELECT a + 1 AS a FROM z_last",
              "CREATE MATERIALIZED VIEW empty AS SELECT * FROM a_top WITH NO DATA",
              "CREATE UNIQUE INDEX ON a_top (a)"});
  move.MustArrive();
  move.ExpectSame("SELECT a FROM public.m_first ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.a_top"), ElementsAre("31"));
  move.ExpectSame("SELECT relname || relispopulated FROM pg_class WHERE relkind = 'm' ORDER BY 1");
}

/// A materialized view over a function that finds its table by the search path.
void PlantForgetfulView(Move& move) {
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2)",
              "CREATE FUNCTION forgetful() RETURNS bigint STABLE LANGUAGE plpgsql AS"
              " 'BEGIN RETURN (SELECT count(*) FROM t); END'",
              "CREATE MATERIALIZED VIEW m AS SELECT forgetful() AS n"});
}

TEST(CopyTraps, Trap26_AViewWhoseFunctionNeedsTheSearchPathIsFilledWhereTheMajorAllowsIt) {
  Move move(Servers().source, Servers().OfMajor(16));
  PlantForgetfulView(move);
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT n FROM public.m"), ElementsAre("2"));
}

TEST(CopyTraps, Trap26_WhereItDoesNotTheViewIsNamedWithTheRemedy) {
  Move move;
  PlantForgetfulView(move);
  const Error error = move.MustFail();
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("materialized view \"public\".\"m\""), HasSubstr("SET search_path")));
  move.Plant({"ALTER FUNCTION forgetful() SET search_path TO public"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT n FROM public.m"), ElementsAre("2"));
}

TEST(CopyTraps, Trap26_AFilledViewOverOneThatWasEmptiedIsNamed) {
  Move move;
  move.Plant({"CREATE MATERIALIZED VIEW below AS SELECT 1 AS a",
              "CREATE MATERIALIZED VIEW above AS SELECT a FROM below",
              "REFRESH MATERIALIZED VIEW below WITH NO DATA"});
  const Error error = move.MustFail();
  EXPECT_THAT(error.message, AllOf(HasSubstr("\"above\""), HasSubstr("\"below\"")));
}

constexpr char kHiddenFromAll[] = "CREATE POLICY nobody ON t USING (false)";

TEST(CopyTraps, Trap27_RowsThatAForcedPolicyHidesFromTheirOwnerArrive) {
  Move move;
  const std::string owner = move.Role();
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 100)",
              "ALTER TABLE t OWNER TO " + QuoteIdentifier(owner),
              "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE t FORCE ROW LEVEL SECURITY",
              kHiddenFromAll, "ALTER DATABASE " + move.quoted() + " SET row_security TO on"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT count(*) || ' ' || sum(a) FROM public.t"),
              ElementsAre("100 5050"));
  move.ExpectSame(
      "SELECT concat_ws(' ', relname, relrowsecurity, relforcerowsecurity, polname,"
      " pg_get_expr(polqual, polrelid)) FROM pg_class c JOIN pg_policy ON polrelid = c.oid");
}

TEST(CopyTraps, Trap27_ARoleThatAPolicyBindsIsRefusedAndNeverReadsLess) {
  PlainAdmin nobody(Servers().source, "", {"GRANT pg_read_all_data TO %s"});
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 100)",
              "ALTER TABLE t ENABLE ROW LEVEL SECURITY", kHiddenFromAll,
              "ALTER ROLE " + nobody.quoted() + " SET row_security TO on"});
  move.options.source = nobody.As(move.Source());
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("table public.t: row security"),
                    HasSubstr("ALTER ROLE " + nobody.quoted() + " BYPASSRLS")));
  // Nor would it if a policy came after that was looked at.
  pg::Connection as_nobody = MustConnect(move.options.source);
  CopyTerms terms;
  terms.encoding = "UTF8";
  for (const TablePlan& table : Must(ReadTables({}, Soon(), as_nobody)))
    EXPECT_FALSE(HashRows({}, as_nobody, table, "", terms));
}

/// Values that look different under every setting below.
void PlantSensitiveValues(Move& move) {
  move.Plant(
      {"CREATE TYPE pair AS (at timestamptz, f float8)",
       "CREATE TABLE plain (id int, d date, ts timestamp, tz timestamptz, i interval)",
       "ALTER TABLE plain ADD f4 float4, ADD f8 float8, ADD b bytea, ADD t text",
       // The same, and a column that cannot travel in the binary format.
       "CREATE TABLE as_text (LIKE plain, m money, x xml, p pair, a text[])",
       "INSERT INTO plain VALUES"
       " (1, '2026-03-04', '2026-03-04 05:06:07.123456', '2026-03-04 05:06:07.5+05:45',"
       "  '1 year -2 mons 3 days -04:05:06.789', 1.1, 0.1::float8 + 0.2, '\\x00ff5c0a27', 'é€漢'),"
       " (2, '0044-03-15 BC', 'infinity', '-infinity', '-1 days +02:03', 'NaN', 1e-300,"
       "  '\\x', E'tab\\t\\\\N \\r\\n'),"
       " (3, NULL, '1999-12-31 23:59:59.999999', '2038-01-19 03:14:08+00', '@ 1 min ago',"
       "  3.4028235e38, '-0', NULL, '')"});
  move.Plant(
      {"INSERT INTO as_text SELECT p.*, 1234.56, '<a b=\"é\"/>', ROW(tz, f8)::pair,"
       " ARRAY[NULL, 'NULL', '', t] FROM plain p"});
}

constexpr const char* kConfusingSettings[] = {
    "DateStyle TO 'SQL, DMY'",      "IntervalStyle TO 'iso_8601'",
    "TimeZone TO 'Asia/Kathmandu'", "extra_float_digits TO -15",
    "bytea_output TO 'escape'",     "client_encoding TO 'LATIN1'",
    "array_nulls TO off",           "xmlbinary TO hex",
    "xmloption TO document",        "standard_conforming_strings TO off",
    "quote_all_identifiers TO on",  "transform_null_equals TO on",
    "lc_monetary TO 'C.UTF-8'",     "default_transaction_isolation TO serializable"};

void ExpectSensitiveValues(Move& move) {
  move.ExpectSame("SELECT p::text FROM public.plain p ORDER BY id");
  move.ExpectSame("SELECT t::text FROM public.as_text t ORDER BY id");
  EXPECT_THAT(move.OnTarget("SELECT (f8 = 0.1::float8 + 0.2) AND t = 'é€漢' AND b ="
                            " '\\x00ff5c0a27' AND i = '1 year -2 mons 3 days -04:05:06.789'"
                            " AND d = '2026-03-04' FROM public.plain WHERE id = 1"),
              ElementsAre("t"));
}

TEST(CopyTraps, Trap28_NoSettingOfTheDatabaseChangesAValue) {
  Move move;
  PlantSensitiveValues(move);
  for (const char* setting : kConfusingSettings)
    move.Plant({"ALTER DATABASE " + move.quoted() + " SET " + setting});
  move.MustArrive();
  ExpectSensitiveValues(move);
  move.ExpectSame(
      "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid ="
      " setdatabase AND datname = current_database() ORDER BY 1");
}

TEST(CopyTraps, Trap28_NoSettingOfTheRolesThatMoveItChangesAValue) {
  PlainAdmin reader(Servers().source, "", {"GRANT pg_read_all_data TO %s"});
  PlainAdmin writer(Servers().target, "SUPERUSER");
  Move move;
  PlantSensitiveValues(move);
  for (const char* setting : kConfusingSettings) {
    move.Plant({"ALTER ROLE " + reader.quoted() + " SET " + setting});
    move.PlantOnTarget({"ALTER ROLE " + writer.quoted() + " SET " + setting});
  }
  move.options.source = reader.As(move.Source());
  move.WriteAs(writer);
  move.MustArrive();
  ExpectSensitiveValues(move);
}

/// What ends or refuses statements and sessions; all of them in the units of a millisecond.
std::vector<std::string> ImpatientSettings(int major) {
  std::vector<std::string> settings = {
      "statement_timeout TO 1", "lock_timeout TO 1", "idle_in_transaction_session_timeout TO 1",
      "default_transaction_read_only TO on", "default_transaction_deferrable TO on"};
  // Not shorter, as it can only be changed once a session has begun.
  if (major >= 14) settings.emplace_back("idle_session_timeout TO 300");
  if (major >= 17) settings.emplace_back("transaction_timeout TO 300");
  return settings;
}

/// Takes longer than any of these limits.
void PlantSlowIndex(Move& move) {
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)",
              "CREATE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM pg_catalog.pg_sleep(1); RETURN $1; END'",
              "CREATE INDEX built_slowly ON t (dawdle(a))"});
}

TEST(CopyTraps, Trap29_NoTimeLimitOrReadOnlyDefaultOfTheDatabaseStopsTheMove) {
  Move move(Servers().target, Servers().target);  // 17 has all of the limits.
  PlantSlowIndex(move);
  for (const std::string& setting : ImpatientSettings(17))
    move.Plant({"ALTER DATABASE " + move.quoted() + " SET " + setting});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.t"), ElementsAre("1"));
  move.ExpectSame(
      "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid ="
      " setdatabase AND datname = current_database() ORDER BY 1");
}

TEST(CopyTraps, Trap29_NorDoThoseOfTheRolesThatMoveIt) {
  PlainAdmin reader(Servers().source, "", {"GRANT pg_read_all_data TO %s"});
  PlainAdmin writer(Servers().target, "SUPERUSER");
  Move move;
  PlantSlowIndex(move);
  for (const std::string& setting : ImpatientSettings(15))
    move.Plant({"ALTER ROLE " + reader.quoted() + " SET " + setting});
  for (const std::string& setting : ImpatientSettings(17))
    move.PlantOnTarget({"ALTER ROLE " + writer.quoted() + " SET " + setting});
  move.options.source = reader.As(move.Source());
  move.WriteAs(writer);
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.t"), ElementsAre("1"));
}

TEST(CopyTraps, Trap30_GeneratedColumnsAreComputedAndStandWhereTheyStood) {
  Move move;
  move.Plant({"CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2'",
              "CREATE TABLE t (g int GENERATED ALWAYS AS (public.twice(a)) STORED, a int)",
              "ALTER TABLE t ADD h int GENERATED ALWAYS AS (a + 1) STORED, ADD b text",
              "INSERT INTO t (a, b) SELECT i, 'row ' || i FROM generate_series(1, 1000) i",
              "CREATE INDEX ON t (g)",
              "CREATE TABLE only_generated (g int GENERATED ALWAYS AS (7) STORED)",
              "INSERT INTO only_generated DEFAULT VALUES"});
  move.MustArrive();
  move.ExpectSame("SELECT md5(string_agg(t::text, ',' ORDER BY a)) FROM public.t");
  EXPECT_THAT(move.OnTarget("SELECT g FROM public.only_generated"), ElementsAre("7"));
  move.ExpectSame(
      "SELECT concat_ws(' ', attnum, attname, attgenerated, pg_get_expr(adbin, adrelid))"
      " FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
      " WHERE attrelid = 'public.t'::regclass ORDER BY 1");
  pg::Connection copy = MustConnect(move.Copy());
  MustExec(copy, {"UPDATE public.t SET a = 5000 WHERE a = 1"});
  EXPECT_THAT(move.OnTarget("SELECT g FROM public.t WHERE a = 5000"), ElementsAre("10000"));
}

TEST(CopyTraps, Trap30_VirtualColumnsOf18Arrive) {
  Move move(Servers().OfMajor(18), Servers().OfMajor(18));
  move.Plant(
      {"CREATE TABLE t (a int, v int GENERATED ALWAYS AS (a * 2) VIRTUAL, s int"
       " GENERATED ALWAYS AS (a * 3) STORED)",
       "INSERT INTO t VALUES (1), (2), (NULL)"});
  move.MustArrive();
  move.ExpectSame("SELECT t::text FROM public.t ORDER BY a");
  move.ExpectSame(
      "SELECT attname || attgenerated::text FROM pg_attribute WHERE attrelid ="
      " 'public.t'::regclass AND attgenerated <> '' ORDER BY 1");
}

TEST(CopyTraps, Trap31_IdentityColumnsKeepTheirNumbersAndGoOnCounting) {
  Move move;
  move.Plant({"CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5))",
              "ALTER TABLE always ADD a text",
              "CREATE TABLE by_default (id bigint GENERATED BY DEFAULT AS IDENTITY, a text)",
              "INSERT INTO always (a) SELECT 'x' FROM generate_series(1, 50)",
              "INSERT INTO always OVERRIDING SYSTEM VALUE VALUES (-7, 'by hand')",
              "DELETE FROM always WHERE id > 300", "INSERT INTO by_default (a) VALUES ('y')",
              "INSERT INTO by_default VALUES (900, 'z')",
              "CREATE TABLE never_used (id int GENERATED ALWAYS AS IDENTITY)"});
  move.MustArrive();
  move.ExpectSame("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM public.always t");
  move.ExpectSame("SELECT t::text FROM public.by_default t ORDER BY id");
  move.ExpectSame(
      "SELECT attrelid::regclass || ' ' || attidentity::text FROM pg_attribute"
      " WHERE attidentity <> '' ORDER BY 1");
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_THAT(MustRead(copy, "INSERT INTO public.always (a) VALUES ('next') RETURNING id"),
              ElementsAre("350"));
  EXPECT_THAT(MustRead(copy, "INSERT INTO public.by_default (a) VALUES ('next') RETURNING id"),
              ElementsAre("2"));
  EXPECT_THAT(MustRead(copy, "INSERT INTO public.never_used DEFAULT VALUES RETURNING id"),
              ElementsAre("1"));
  EXPECT_FALSE(copy.Exec({}, Soon(), "INSERT INTO public.always VALUES (1, 'refused')"));
}

TEST(CopyTraps, Trap32_ValuesStayInTheirColumnsWhateverWasDroppedOrReordered) {
  Move move;
  move.Plant(
      {"CREATE TABLE dropped (a text, gone_1 int, b text, gone_2 text, c text)",
       "INSERT INTO dropped VALUES ('a', 1, 'b', 'x', 'c')",
       "ALTER TABLE dropped DROP gone_1, DROP gone_2",
       "ALTER TABLE dropped ADD late text DEFAULT 'late'",
       "INSERT INTO dropped VALUES ('a2', 'b2', 'c2', 'l2')",
       // A child whose columns of the same type stand in another order; a dump makes it anew.
       "CREATE TABLE parent (a text, b text)", "CREATE TABLE child (own text, b text, a text)",
       "ALTER TABLE child INHERIT parent", "ALTER TABLE parent ADD c text",
       "INSERT INTO child (a, b, c, own) VALUES ('a', 'b', 'c', 'own')",
       // A partition of another order, with a hole.
       "CREATE TABLE part (k int, a text, b text) PARTITION BY LIST (k)",
       "CREATE TABLE part_1 (b text, hole int, a text, k int)", "ALTER TABLE part_1 DROP hole",
       "ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1)",
       "INSERT INTO part VALUES (1, 'a', 'b')", "CREATE TABLE all_gone (a int)",
       "INSERT INTO all_gone VALUES (1), (2), (3)", "ALTER TABLE all_gone DROP a"});
  move.MustArrive();
  move.ExpectSame("SELECT concat_ws(' ', a, b, c, late) FROM public.dropped ORDER BY 1");
  move.ExpectSame("SELECT concat_ws(' ', own, a, b, c) FROM public.child");
  move.ExpectSame("SELECT concat_ws(' ', k, a, b) FROM public.part");
  move.ExpectSame("SELECT count(*) FROM public.all_gone");
  move.ExpectSame(
      "SELECT concat_ws(' ', attrelid::regclass, attname, attislocal, attinhcount)"
      " FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND relnamespace ="
      " 'public'::regnamespace WHERE attnum > 0 AND NOT attisdropped ORDER BY 1");
}

TEST(CopyTraps, Trap33_RowsOfChildrenAndPartitionsArriveExactlyOnce) {
  Move move;
  move.Plant({"CREATE TABLE top (id int, w text)", "CREATE TABLE middle () INHERITS (top)",
              "CREATE TABLE other (id int, w text)",
              "CREATE TABLE bottom (extra int) INHERITS (middle, other)",
              "INSERT INTO top SELECT i, 'top' FROM generate_series(1, 10) i",
              "INSERT INTO middle SELECT i, 'middle' FROM generate_series(1, 20) i",
              "INSERT INTO other SELECT i, 'other' FROM generate_series(1, 5) i",
              "INSERT INTO bottom SELECT i, 'bottom', 1 FROM generate_series(1, 30) i",
              "CREATE TABLE part (id int, w text) PARTITION BY RANGE (id)",
              // More than a megabyte: loaded frozen, which a root cannot be.
              "CREATE TABLE part_big PARTITION OF part FOR VALUES FROM (0) TO (100000)",
              "CREATE TABLE part_sub (id int, w text) PARTITION BY HASH (id)",
              "ALTER TABLE part ATTACH PARTITION part_sub FOR VALUES FROM (100000) TO (200000)",
              "CREATE TABLE sub_0 PARTITION OF part_sub FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
              "CREATE TABLE sub_1 PARTITION OF part_sub FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
              "CREATE TABLE part_rest PARTITION OF part DEFAULT",
              "INSERT INTO part SELECT i, repeat('x', 60) FROM generate_series(0, 19999) i",
              "INSERT INTO part SELECT i, 'sub' FROM generate_series(100000, 100099) i",
              "INSERT INTO part VALUES (NULL, 'rest'), (-1, 'rest')"});
  move.MustArrive();
  for (const char* root : {"top", "other", "part"})
    move.ExpectSame(
        "SELECT concat_ws(' ', tableoid::regclass, count(*), sum(id), min(w), md5(string_agg(id"
        " || w, ',' ORDER BY id))) FROM public." +
        std::string(root) + " GROUP BY tableoid ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT count(*) FROM public.part"), ElementsAre("20102"));
  move.ExpectSame(
      "SELECT concat_ws(' ', inhrelid::regclass, inhparent::regclass, inhseqno) FROM pg_inherits"
      " ORDER BY 1");
}

TEST(CopyTraps, Trap34_UnloggedTablesComeWithTheirRowsAndStayUnlogged) {
  Move move;
  move.Plant({"CREATE UNLOGGED TABLE small (id serial PRIMARY KEY, a text)",
              "INSERT INTO small (a) SELECT 'x' || i FROM generate_series(1, 100) i",
              "CREATE UNLOGGED TABLE big (a text)",
              "INSERT INTO big SELECT md5(i::text) FROM generate_series(1, 30000) i",
              "CREATE UNLOGGED SEQUENCE numbers", "SELECT setval('numbers', 77)"});
  move.MustArrive();
  move.ExpectSame("SELECT count(*) || md5(string_agg(a, ',' ORDER BY id)) FROM public.small");
  move.ExpectSame("SELECT count(*) || md5(string_agg(a, ',' ORDER BY a)) FROM public.big");
  move.ExpectSame(
      "SELECT relname || relpersistence::text FROM pg_class WHERE relnamespace ="
      " 'public'::regnamespace ORDER BY 1");
  move.ExpectSame("SELECT last_value FROM public.numbers");
}

constexpr char kSkewedTable[] = "CREATE TABLE t (k bigint, filler text)";

TEST(CopyTraps, Trap35_SkewedNegativeAndMissingKeysAreSplitWithoutLosingARow) {
  Move move;
  move.Plant(
      {kSkewedTable, "INSERT INTO t SELECT 7, md5(i::text) FROM generate_series(1, 30000) i",
       "INSERT INTO t SELECT NULL, md5(i::text) FROM generate_series(1, 5000) i",
       "INSERT INTO t SELECT -9e18::bigint - i, md5(i::text) FROM generate_series(0, 3000) i",
       "INSERT INTO t SELECT 9223372036854775807 - i, NULL FROM generate_series(0, 2000) i",
       // Blocks with holes, and blocks without any row.
       "DELETE FROM t WHERE k = 7 AND filler < '8'",
       "DELETE FROM t WHERE ctid >= '(40,0)' AND ctid < '(80,0)'"});
  ChunkedCopy copy(move, kSkewedTable);
  EXPECT_GT(copy.groups().size(), 10u);
  Side source = Must(Side::Open({}, move.Source()));
  EXPECT_EQ(copy.Copy(source), copy.HashWhole(source));
  move.ExpectSame(
      "SELECT concat_ws(' ', g, count(*), count(filler), md5(string_agg(concat(k, ' ', filler), ','"
      " ORDER BY k, filler))) FROM (SELECT *, CASE WHEN k = 7 THEN 'same' WHEN k < 0 THEN"
      " 'negative' WHEN k > 0 THEN 'large' ELSE 'none' END AS g FROM public.t) AS t"
      " GROUP BY g ORDER BY 1");
}

constexpr char kGrownTable[] = "CREATE TABLE t (id int, filler text)";
constexpr char kGrownRows[] =
    "SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id), md5(string_agg(id || filler, ','"
    " ORDER BY id))) FROM public.t";

/// Plans a table that then grows and has its rows moved about, and copies it as it was in between.
void CopyWhatMoves(const pg::ConnectOptions& source, bool split) {
  Move move(source, Servers().target);
  move.Plant(
      {kGrownTable, "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 20000) i"});
  ChunkedCopy copy(move, kGrownTable);
  EXPECT_EQ(copy.groups().size() > 5, split);
  EXPECT_EQ(copy.groups().size() == 1, !split);
  EXPECT_EQ(copy.groups().back().chunks.back().range.to, std::nullopt);
  move.Plant({"INSERT INTO t SELECT i, md5(i::text) FROM generate_series(20001, 40000) i",
              "UPDATE t SET filler = filler || '.' WHERE id % 3 = 0"});
  Side side = Must(Side::Open({}, move.Source()));
  move.Plant({"DELETE FROM t WHERE id % 2 = 0", "VACUUM t",
              "INSERT INTO t SELECT i, 'too late' FROM generate_series(50000, 70000) i",
              "UPDATE t SET filler = 'too late'"});
  const RowsSeen seen = copy.Copy(side);
  EXPECT_EQ(seen.rows, 40000);
  EXPECT_EQ(MustRead(side.connection(), kGrownRows), move.OnTarget(kGrownRows));
}

TEST(CopyTraps, Trap36_RangesOfBlocksTakeEachRowOfTheSnapshotOnceAlsoBeyondThePlan) {
  CopyWhatMoves(Servers().source, /*split=*/true);
  CopyWhatMoves(Servers().OfMajor(14), /*split=*/true);
}

TEST(CopyTraps, Trap36_AServerThatCannotReadARangeAloneIsAskedForWholeTables) {
  CopyWhatMoves(Servers().OfMajor(13), /*split=*/false);
}

TEST(CopyTraps, Trap37_WideRowsArriveAndAreSplitByAllTheyHold) {
  Move move;
  move.Plant({"CREATE TABLE t (id int, pad text, big text, raw bytea)",
              "ALTER TABLE t ALTER pad SET STORAGE PLAIN, ALTER big SET STORAGE EXTERNAL,"
              " ALTER raw SET STORAGE EXTERNAL",
              // Twenty megabytes each; the padding lets a block hold one row alone.
              "INSERT INTO t SELECT i, repeat('p', 5000), repeat(md5(i::text), 625000), NULL"
              " FROM generate_series(1, 3) i",
              "INSERT INTO t SELECT 4, repeat('p', 5000), NULL,"
              " decode(repeat(md5('4'), 1250000), 'hex')"});
  std::vector<TablePlan> tables;
  {
    pg::Connection source = MustConnect(move.Source());
    tables = Must(ReadTables({}, Soon(), source));
  }
  EXPECT_EQ(tables.at(0).blocks, 4);
  EXPECT_GT(tables.at(0).bytes, 80'000'000);
  EXPECT_EQ(PlanChunks(tables, 15, 16 << 20).size(), 4u);
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', id, length(big), md5(big), length(raw), md5(raw)) FROM public.t"
      " ORDER BY id");
}

TEST(CopyTraps, Trap38_OnlyTypesThatMeanTheSameOnBothSidesTravelInBinary) {
  const std::map<std::string, bool> binary_types = {
      {"mood", true},           {"cents", true},        {"pg_catalog.text[]", true},
      {"numeric", true},        {"jsonb", true},        {"mood[]", false},
      {"pair", false},          {"pair[]", false},      {"public.hstore", false},
      {"public.citext", false}, {"public.json", false}, {"public.int8", true},
      {"moods", false},         {"span", false},        {"money", false}};
  Move move;
  move.Plant({"CREATE EXTENSION hstore", "CREATE EXTENSION citext",
              "CREATE TYPE mood AS ENUM ('good', 'bad')",
              "ALTER TYPE mood ADD VALUE 'fair' BEFORE 'bad'",
              "CREATE TYPE pair AS (m mood, n numeric)", "CREATE DOMAIN cents AS numeric(12, 2)",
              // Names of built-in types that mean something else here.
              "CREATE TYPE public.json AS (a int)", "CREATE DOMAIN public.int8 AS text",
              "CREATE DOMAIN moods AS mood[]", "CREATE TYPE span AS RANGE (subtype = cents)"});
  int number = 0;
  std::map<std::string, bool> expected;
  for (const auto& [type, binary] : binary_types) {
    const std::string table = "t_" + std::to_string(++number);
    std::string ddl = "CREATE TABLE " + table;
    ddl.append(" (id int, v ").append(type).append(")");
    move.Plant({ddl, "INSERT INTO " + table + " VALUES (1, NULL)"});
    expected[table] = binary;
  }
  auto fill = [&](const std::string& type, const std::string& values) {
    const auto at = std::distance(binary_types.begin(), binary_types.find(type)) + 1;
    move.Plant({"INSERT INTO t_" + std::to_string(at) + " VALUES " + values});
  };
  fill("mood", "(2, 'bad'), (3, 'fair')");
  fill("mood[]", "(2, '{bad,NULL,good}'), (3, '{}')");
  fill("pair", "(2, '(fair,1.50)'), (3, '(,)')");
  fill("pair[]", "(2, ARRAY[ROW('bad', 2)::pair, NULL])");
  fill("cents", "(2, 12.30), (3, 'NaN')");
  fill("pg_catalog.text[]", "(2, ARRAY['a', NULL, 'NULL', '']), (3, '[5:6]={x,y}')");
  fill("public.hstore", "(2, 'a=>1, b=>NULL')");
  fill("public.citext", "(2, 'MiXed')");
  fill("public.json", "(2, '(5)')");
  fill("public.int8", "(2, 'not a number')");
  fill("moods", "(2, '{bad}')");
  fill("span", "(2, '[1.00,2.00)')");
  fill("money", "(2, 12.34)");
  {
    pg::Connection source = MustConnect(move.Source());
    for (const TablePlan& table : Must(ReadTables({}, Soon(), source)))
      EXPECT_EQ(table.binary, expected.at(table.name)) << table.name;
  }
  // Other OIDs on the target, should the servers have counted alike so far.
  move.PlantOnTarget({"CREATE TYPE pg_temp.takes_oids AS ENUM ('a', 'b', 'c', 'd', 'e')"});
  move.MustArrive();
  for (int i = 1; i <= number; ++i)
    move.ExpectSame("SELECT t::text FROM public.t_" + std::to_string(i) + " t ORDER BY id");
  EXPECT_THAT(move.OnTarget("SELECT 'fair'::public.mood < 'bad'::public.mood"), ElementsAre("t"));
}

TEST(CopyTraps, Trap39_NamesOfObjectsInColumnsMeanTheTargetsObjects) {
  Move move;
  const std::string role = move.Role();
  move.Plant({"CREATE SCHEMA \"Odd one\"", "CREATE TABLE \"Odd one\".\"T t\" (a int)",
              "ALTER TABLE \"Odd one\".\"T t\" OWNER TO " + QuoteIdentifier(role),
              "CREATE TYPE mood AS ENUM ('a')", "CREATE VIEW z_view AS SELECT 1 AS one",
              "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
              "CREATE TEXT SEARCH CONFIGURATION words (COPY = english)",
              "CREATE TABLE refs (id int, c regclass, p regproc, pp regprocedure, t regtype)",
              "ALTER TABLE refs ADD r regrole, ADD n regnamespace, ADD ts regconfig, ADD o oid",
              "ALTER TABLE refs ADD a regclass[]",
              "INSERT INTO refs VALUES (1, '\"Odd one\".\"T t\"', 'f', 'f(int)', 'mood[]', " +
                  QuoteLiteral(QuoteIdentifier(role)) +
                  ", '\"Odd one\"', 'words', 4711, ARRAY['pg_class', 'z_view']::regclass[])"});
  move.Plant(
      {"INSERT INTO refs VALUES (2, 999999, 0, 0, 'int4', 'pg_monitor', 'pg_catalog',"
       " 'simple', 4294967295, NULL)"});
  move.MustArrive();
  move.ExpectSame("SELECT r::text FROM public.refs r ORDER BY id");
  EXPECT_THAT(move.OnTarget("SELECT c = (SELECT oid FROM pg_class WHERE relname = 'T t') AND"
                            " p = (SELECT oid FROM pg_proc WHERE proname = 'f') AND"
                            " pp = p AND t = (SELECT typarray FROM pg_type WHERE typname = 'mood')"
                            " AND r = (SELECT relowner FROM pg_class WHERE relname = 'T t')"
                            " AND a[2] = (SELECT oid FROM pg_class WHERE relname = 'z_view')"
                            " AND o = 4711 FROM public.refs WHERE id = 1"),
              ElementsAre("t"));
}

TEST(CopyTraps, Trap39_ANameThatIsNotThereYetEndsTheRunByTheTablesName) {
  Move move;
  move.Plant({"CREATE TABLE refs (c regclass)", "CREATE INDEX refs_c ON refs (c)",
              "INSERT INTO refs VALUES ('refs_c')"});
  const Error error = move.MustFail();
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  EXPECT_THAT(error.message, AllOf(HasSubstr("public.refs"), HasSubstr("refs_c")));
}

TEST(CopyTraps, Trap40_LargeObjectsKeepOidOwnerGrantsCommentAndContent) {
  Move move;
  const std::string owner = move.Role(), reader = move.Role();
  const std::string o = QuoteIdentifier(owner), r = QuoteIdentifier(reader);
  move.Plant({"SELECT lo_from_bytea(4711, decode(repeat(md5('x'), 100000), 'hex'))",
              "ALTER LARGE OBJECT 4711 OWNER TO " + o,
              "GRANT SELECT ON LARGE OBJECT 4711 TO " + r + " WITH GRANT OPTION",
              "GRANT UPDATE ON LARGE OBJECT 4711 TO PUBLIC",
              "COMMENT ON LARGE OBJECT 4711 IS 'it''s large'", "SELECT lo_create(4294967294)",
              "REVOKE ALL ON LARGE OBJECT 4294967294 FROM CURRENT_USER",
              // A hole of a megabyte, and exactly one piece.
              "SELECT lo_create(12); SELECT lo_put(12, 1048576, '\\x01')",
              "SELECT lo_from_bytea(13, decode(repeat('ab', 1048576), 'hex'))",
              // More than one transaction of ours holds.
              "SELECT lo_from_bytea(100000 + i, i::text::bytea) FROM generate_series(1, 500) i"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', oid, pg_get_userbyid(lomowner), (SELECT array_agg(a::text ORDER BY"
      " a::text) FROM unnest(lomacl) a), obj_description(oid, 'pg_largeobject'),"
      " length(lo_get(oid)), md5(lo_get(oid))) FROM pg_largeobject_metadata"
      " ORDER BY oid");
  EXPECT_THAT(move.OnTarget("SELECT count(*) FROM pg_largeobject_metadata"), ElementsAre("504"));
}

TEST(CopyTraps, Trap40_ATargetThatHoldsALargeObjectIsRefusedAndKeepsIt) {
  Move move;
  move.Plant({"SELECT lo_from_bytea(4711, 'ours')"});
  move.PlantOnTarget({"CREATE DATABASE " + QuoteIdentifier(move.copy_name())});
  {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"SELECT lo_from_bytea(4711, 'theirs')"});
  }
  move.options.admin.reset();
  const Error error = move.MustFail();
  EXPECT_EQ(error.reason, "TargetNotEmpty");
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  EXPECT_THAT(error.message, HasSubstr("large object 4711"));
  EXPECT_THAT(move.OnTarget("SELECT encode(lo_get(4711), 'escape')"), ElementsAre("theirs"));
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

TEST(CopyTraps, Trap85_ARowThatTheTargetLosesIsFoundAndTheDatabaseStaysClosed) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 100)",
              "CREATE TABLE intact (a int)", "INSERT INTO intact VALUES (1)"});
  move.options.on_copied = [&] {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"DELETE FROM public.t WHERE a = 50"});
  };
  const Report report = MustClone(move.options);
  EXPECT_FALSE(report.equal());
  ASSERT_EQ(report.mismatches.size(), 1u) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "public.t");
  EXPECT_THAT(move.OnTarget("SELECT datconnlimit || ' ' || (to_regnamespace('cutover') IS NOT NULL)"
                            " FROM pg_database WHERE datname = current_database()"),
              ElementsAre("0 true"));
}

/// A directory with a pg_dump that spoils what it wrote by `command` ($file) and exits with 0.
class LyingPrograms {
 public:
  explicit LyingPrograms(const std::string& command)
      : directory_(std::filesystem::temp_directory_path() / pg::testing::UniqueName("liars")) {
    std::filesystem::create_directory(directory_);
    const std::filesystem::path real = Servers().bin_directory;
    std::filesystem::create_symlink(real / "pg_restore", directory_ / "pg_restore");
    std::ofstream script(directory_ / "pg_dump");
    script << "#!/bin/sh\n'" << (real / "pg_dump").string()
           << "' \"$@\"\nfor argument; do case $argument in --file=*) file=${argument#--file=}\n"
           << command << ";; esac; done\nexit 0\n";
    script.close();
    std::filesystem::permissions(directory_ / "pg_dump", std::filesystem::perms::owner_all);
  }
  ~LyingPrograms() { std::filesystem::remove_all(directory_); }
  LyingPrograms(const LyingPrograms&) = delete;
  LyingPrograms& operator=(const LyingPrograms&) = delete;

  PgPrograms Programs() const { return PgPrograms::In(directory_.string()); }

 private:
  std::filesystem::path directory_;
};

TEST(CopyTraps, Trap85_AProgramThatSaysItSucceededIsNotBelieved) {
  Reporter silent(Reporter::Output::kSilent);
  for (const char* command : {": > \"$file\"", "truncate -s 2000 \"$file\"", ":"}) {
    Move move;
    move.Plant({"CREATE TABLE t (id serial PRIMARY KEY, a text)", "INSERT INTO t DEFAULT VALUES",
                "CREATE VIEW v AS SELECT a FROM t"});
    const LyingPrograms liars(command);
    const Result<Report> report = CloneDatabase({}, liars.Programs(), move.options, silent);
    EXPECT_EQ(report.has_value(), std::string(command) == ":")  // That one does not lie.
        << command << ": " << (report ? "" : report.error().message);
  }
}

}  // namespace
}  // namespace cutover::mover::testing
