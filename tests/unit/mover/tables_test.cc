// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/tables.h"

#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

TablePlan Table(const char* name, int64_t bytes) {
  TablePlan table;
  table.schema = "public";
  table.name = name;
  table.bytes = bytes;
  table.columns = {"id", "na\"me"};
  return table;
}

TEST(Tables, TheBiggestIsCopiedFirstAndNamesDecideTies) {
  std::vector<TablePlan> tables = {Table("b", 5), Table("big", 50), Table("a", 5)};
  OrderForCopy(tables);
  EXPECT_EQ(tables[0].name, "big");
  EXPECT_EQ(tables[1].name, "a");
  EXPECT_EQ(tables[2].name, "b");
}

TEST(Tables, BothSidesNameTheSameColumns) {
  const TablePlan table = Table("t", 0);
  EXPECT_EQ(CopyOutStatement(table), "COPY \"public\".\"t\" (\"id\", \"na\"\"me\") TO STDOUT");
  EXPECT_EQ(CopyInStatement(table), "COPY \"public\".\"t\" (\"id\", \"na\"\"me\") FROM STDIN");
}

TEST(Tables, ATableWithoutColumnsIsCopiedWithoutAList) {
  TablePlan table = Table("t", 0);
  table.columns.clear();
  EXPECT_EQ(CopyOutStatement(table), "COPY \"public\".\"t\" TO STDOUT");
}

TEST(Tables, OfAnExtensionsTableOnlyTheTenantsRowsAreTouched) {
  TablePlan table = Table("t", 0);
  table.extension_member = true;
  table.condition = "WHERE custom";
  EXPECT_EQ(CopyOutStatement(table, ConditionOf(table, {})),
            "COPY (SELECT \"id\", \"na\"\"me\" FROM ONLY \"public\".\"t\" WHERE custom) TO STDOUT");
  EXPECT_EQ(EmptyStatement(table), "DELETE FROM ONLY \"public\".\"t\" WHERE custom");
  EXPECT_EQ(EmptyStatement(Table("t", 0)), "TRUNCATE ONLY \"public\".\"t\"");
}

TEST(Tables, AMisspeltExclusionIsRefused) {
  std::vector<TablePlan> tables = {Table("a", 1)};
  EXPECT_TRUE(ExcludeTables({"public.a"}, tables));
  EXPECT_TRUE(tables[0].excluded);
  Status refused = ExcludeTables({"public.b"}, tables);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "NoSuchTable");
}

}  // namespace
}  // namespace cutover::mover
