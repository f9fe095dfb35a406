// SPDX-License-Identifier: Apache-2.0
//
// Rows that are too large to be held are read in slices: mover/copy/wide_rows.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/copy/wide_rows.h"
#include "operator/base/check.h"
#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A table of the source, with rows that are wide for many reasons between others that are not.
class WideRows : public ::testing::Test {
 protected:
  /// Type small is one that travels in binary, or not, and with it the whole table.
  TablePlan Plan(const std::string& small_type) {
    move_.Plant(
        {"CREATE DOMAIN label AS varchar", "CREATE TYPE pair AS (a int, b text)",
         "CREATE TABLE wide (id int, small " + small_type +
             ", body text, raw bytea, doc jsonb, tags text[], holes int[], name label,"
             " padded char(5000000), rest int)",
         "INSERT INTO wide (id, body) SELECT i, 'narrow' FROM generate_series(1, 500) i",
         // Everything that the text format escapes, and what it does not.
         "INSERT INTO wide (id, body, rest) SELECT 1001, repeat(string_agg(chr(c), '') ||"
         " E'\\\\N\\\\.\\\\\\\\äß€', 30000), 7 FROM generate_series(1, 255) c",
         "INSERT INTO wide (id, raw) SELECT 1002, decode(repeat('00ff5c0a', 1500000), 'hex')",
         "INSERT INTO wide (id, doc) SELECT 1003, jsonb_build_object('a', repeat(E'x\"\\n', "
         "3000000))",
         "INSERT INTO wide (id, tags) VALUES (1004, array_fill(repeat('t', 1000), ARRAY[6000]))",
         "INSERT INTO wide (id, name, body) VALUES (1005, repeat('n', 5000000), '')",
         "INSERT INTO wide (id, padded) VALUES (1006, 'short')",
         // None of its values is wide.
         "INSERT INTO wide (id, body, raw, name) VALUES (1007, repeat('a', 2000000),"
         " convert_to(repeat('b', 2000000), 'UTF8'), repeat('c', 2000000))",
         // A slice ends where the value does.
         "INSERT INTO wide (id, body) VALUES (1008, repeat('e', 5 << 20))"});
    pg::Connection source = MustConnect(move_.Source());
    auto tables = ReadTables({}, Soon(), source);
    CHECK(tables);
    for (TablePlan& table : *tables)
      if (table.name == "wide") return std::move(table);
    ADD_FAILURE() << "the table is not planned";
    return {};
  }

  RowsSeen Hash(const TablePlan& table, std::string_view condition = "") {
    pg::Connection source = MustConnect(move_.Source());
    CopyTerms terms;
    terms.encoding = MustRead(source, "SHOW server_encoding")[0];
    auto seen = HashRows({}, source, table, condition, terms);
    EXPECT_TRUE(seen) << seen.error().message;
    return seen ? *seen : RowsSeen();
  }

  /// Both ways to read the table give the same, and only one of them holds what is wide.
  void ExpectNoDifference(const TablePlan& table) {
    const RowsSeen sliced = Hash(table);
    TablePlan unsuspected = table;
    unsuspected.row_bytes_sql.clear();
    const RowsSeen whole = Hash(unsuspected);
    EXPECT_EQ(sliced.rows, 508);
    EXPECT_EQ(sliced, whole) << sliced.digest.Hex() << " " << whole.digest.Hex();
    EXPECT_GT(whole.row_bytes_max, kWideRowBytes);
    EXPECT_LT(sliced.row_bytes_max, 1 << 10) << "every wide row is known as such";
  }

  Move move_;
};

TEST_F(WideRows, CountAndHashTheSameInBinaryWholeOrSliced) {
  const TablePlan table = Plan("int");
  ASSERT_TRUE(table.binary);
  ExpectNoDifference(table);
}

TEST_F(WideRows, CountAndHashTheSameInTextWholeOrSliced) {
  const TablePlan table = Plan("pair");
  ASSERT_FALSE(table.binary);
  // All fields NULL is not the same as NULL.
  move_.Plant({"UPDATE wide SET small = ROW(NULL, NULL) WHERE id % 2 = 0"});
  ExpectNoDifference(table);
}

TEST_F(WideRows, AreFoundInTheRangeOrConditionThatIsAskedFor) {
  const TablePlan table = Plan("int");
  RowsSeen sum;
  for (const char* condition : {"WHERE id <= 500", "WHERE id = 1001",
                                "where id > 1001 and id < 1006", "WHERE id = 1006 OR id > 1006"})
    sum.Add(Hash(table, condition));
  EXPECT_EQ(sum, Hash(table));
  EXPECT_EQ(Hash(table, "WHERE id = 1001").rows, 1);
}

TEST_F(WideRows, ArriveOnAnotherMajorInBothFormats) {
  for (const char* small_type : {"int", "pair"}) {
    Plan(small_type);
    move_.Plant({"ALTER TABLE wide RENAME TO wide_" + std::string(small_type),
                 "DROP TYPE IF EXISTS pair CASCADE", "DROP DOMAIN label CASCADE"});
  }
  const Report report = move_.MustArrive();
  EXPECT_EQ(report.rows, 2 * 508);
  for (const char* table : {"wide_int", "wide_pair"})
    move_.ExpectSame("SELECT md5(string_agg(md5(t::text), '' ORDER BY id)) FROM public." +
                     std::string(table) + " t");
}

/// Looking for wide rows takes a query, and planning that calls what an index is made of.
TEST(WideRowsOfOneMajor, AnIndexWhoseFunctionNeedsThePathOfItsAuthorKeepsNoTableFromBeingRead) {
  // Within one major: 17 builds no such index (trap 51).
  Move move(Servers().source, Servers().source);
  move.Plant(
      {"CREATE FUNCTION helper(text) RETURNS text IMMUTABLE LANGUAGE sql AS"
       " 'SELECT lower($1)'",
       "CREATE FUNCTION needs_path(text) RETURNS text IMMUTABLE LANGUAGE plpgsql"
       " AS 'BEGIN RETURN helper($1); END'",
       "CREATE TYPE pair AS (a int, b text)"});
  for (const char* type : {"int", "pair"}) {
    const std::string table = "indexed_" + std::string(type);
    move.Plant({"CREATE TABLE " + table + " (id int, small " + type + ", body text)",
                "ALTER TABLE " + table + " ALTER body SET STORAGE EXTERNAL",
                "INSERT INTO " + table +
                    " SELECT i, NULL, repeat('b', 50000)"
                    " FROM generate_series(1, 20) i",
                "CREATE INDEX ON " + table + " (id) WHERE needs_path('A') = 'a'"});
  }
  EXPECT_EQ(move.MustArrive().rows, 40);
}

}  // namespace
}  // namespace cutover::mover::testing
