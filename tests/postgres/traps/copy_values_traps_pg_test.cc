// SPDX-License-Identifier: Apache-2.0
// Traps 38–40 and 85 of docs/verification.md: values on their way, and the proof that they arrived.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/copying.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
