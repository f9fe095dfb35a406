// SPDX-License-Identifier: Apache-2.0
// Traps 25–29 of docs/verification.md: settings, policies and paths that reach our own sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mover/copy/table_copy.h"
#include "tests/postgres/traps/copying.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::testing::MustConnect;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

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
  if (major >= 14) settings.emplace_back("idle_session_timeout TO 3000");
  if (major >= 17) settings.emplace_back("transaction_timeout TO 3000");
  return settings;
}

/// Takes longer than any of these limits.
void PlantSlowIndex(Move& move) {
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)",
              "CREATE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
              "CREATE INDEX built_slowly ON t (dawdle(a))",
              "CREATE OR REPLACE FUNCTION dawdle(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN PERFORM pg_catalog.pg_sleep(4); RETURN $1; END'"});
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

}  // namespace
}  // namespace cutover::mover::testing
