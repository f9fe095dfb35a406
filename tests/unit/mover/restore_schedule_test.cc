// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>

namespace cutover::mover {
namespace {

using ::testing::ElementsAre;

RestoreItem Item(int id, const char* type, const char* name, uint32_t oid = 0,
                 std::vector<int> depends_on = {}) {
  RestoreItem item;
  item.dump_id = id;
  item.type = type;
  item.name = name;
  item.schema = "public";
  item.object_oid = oid;
  item.depends_on = std::move(depends_on);
  item.sql = std::string("ALTER TABLE x ADD ") + name + ";\n";
  return item;
}

std::vector<std::string> Names(const std::vector<const RestoreItem*>& items) {
  std::vector<std::string> names;
  for (const RestoreItem* item : items) names.push_back(item->name);
  return names;
}

TableOfObject Of(uint32_t table, int64_t bytes) {
  TableOfObject object;
  object.table_oid = table;
  object.table_bytes = bytes;
  object.table = "\"public\".\"t\"";
  object.constraint = "\"c\"";
  return object;
}

constexpr int64_t kBig = kSharedUnitBytesMax * 4;

TEST(RestoreSchedule, LeavesExtensionsAndTheirCommentsToTheAdmin) {
  RestoreScript script;
  script.items = {Item(1, "EXTENSION", "pg_trgm"), Item(2, "COMMENT", "EXTENSION pg_trgm"),
                  Item(3, "TABLE", "t"), Item(4, "COMMENT", "TABLE t")};
  RestoreSchedule schedule = PlanRestore(script, {1, 2, 3, 4}, {});
  EXPECT_THAT(Names(schedule.before_data), ElementsAre("t", "TABLE t"));
}

TEST(RestoreSchedule, BuildsTheKeysOfABigTableBeforeItsIndexesAndEachIndexAlone) {
  RestoreScript script;
  script.items = {Item(1, "INDEX", "i1", 101), Item(2, "INDEX", "i2", 102),
                  Item(3, "CONSTRAINT", "pk", 103)};
  RestoreSchedule schedule =
      PlanRestore(script, {}, {{101, Of(9, kBig)}, {102, Of(9, kBig)}, {103, Of(9, kBig)}});
  ASSERT_EQ(schedule.unique_first.size(), 1u);
  EXPECT_THAT(Names(schedule.unique_first[0].items), ElementsAre("pk"));
  ASSERT_EQ(schedule.indexes.size(), 2u);
  EXPECT_EQ(schedule.indexes[0].items.size(), 1u);
}

TEST(RestoreSchedule, SmallTablesShareATransaction) {
  RestoreScript script;
  TablesByObject tables;
  for (int i = 0; i < 10; ++i) {
    script.items.push_back(Item(i + 1, "CONSTRAINT", "pk", 100 + static_cast<uint32_t>(i)));
    tables[100 + static_cast<uint32_t>(i)] = Of(static_cast<uint32_t>(i), 8192);
  }
  RestoreSchedule schedule = PlanRestore(script, {}, tables);
  ASSERT_EQ(schedule.unique_first.size(), 1u);
  EXPECT_EQ(schedule.unique_first[0].items.size(), 10u);
}

TEST(RestoreSchedule, TheBiggestTableComesFirst) {
  RestoreScript script;
  script.items = {Item(1, "INDEX", "small", 101), Item(2, "INDEX", "big", 102)};
  RestoreSchedule schedule = PlanRestore(script, {}, {{101, Of(1, kBig)}, {102, Of(2, kBig * 2)}});
  ASSERT_EQ(schedule.indexes.size(), 2u);
  EXPECT_THAT(Names(schedule.indexes[0].items), ElementsAre("big"));
}

TEST(RestoreSchedule, TheLargestIndexIsBuiltFirstWhateverItsTable) {
  RestoreScript script;
  script.items = {Item(1, "INDEX", "narrow", 101), Item(2, "INDEX", "wide", 102),
                  Item(3, "INDEX", "of_the_bigger_table", 103)};
  TablesByObject tables = {{101, Of(1, kBig)}, {102, Of(1, kBig)}, {103, Of(2, kBig * 2)}};
  tables[101].bytes = 1000;
  tables[102].bytes = 3000;
  tables[103].bytes = 2000;
  RestoreSchedule schedule = PlanRestore(script, {}, tables);
  ASSERT_EQ(schedule.indexes.size(), 3u);
  EXPECT_THAT(Names(schedule.indexes[0].items), ElementsAre("wide"));
  EXPECT_THAT(Names(schedule.indexes[1].items), ElementsAre("of_the_bigger_table"));
}

TEST(RestoreSchedule, PartitionedShellsComeBeforeAllElseAndAttachingAfter) {
  RestoreScript script;
  script.items = {Item(1, "CONSTRAINT", "part_pk", 101), Item(2, "CONSTRAINT", "root_pk", 102),
                  Item(3, "INDEX ATTACH", "part_pk")};
  TableOfObject root = Of(2, 0);
  root.plain_table = false;
  RestoreSchedule schedule = PlanRestore(script, {}, {{101, Of(1, 10)}, {102, root}});
  EXPECT_THAT(Names(schedule.partitioned), ElementsAre("root_pk"));
  EXPECT_THAT(Names(schedule.attach), ElementsAre("part_pk"));
}

TEST(RestoreSchedule, AnIndexOfAMatviewWaitsForTheMatview) {
  RestoreScript script;
  script.items = {Item(1, "MATERIALIZED VIEW", "mv"), Item(2, "INDEX", "mv_idx", 101)};
  TableOfObject matview = Of(5, 0);
  matview.plain_table = false;
  matview.materialized_view = true;
  RestoreSchedule schedule = PlanRestore(script, {}, {{101, matview}});
  EXPECT_THAT(Names(schedule.rest), ElementsAre("mv", "mv_idx"));
}

TEST(RestoreSchedule, AnIndexThatNeedsALateObjectWaitsForIt) {
  RestoreScript script;
  script.items = {Item(1, "FUNCTION", "late"), Item(2, "INDEX", "on_late", 101, {1})};
  RestoreSchedule schedule = PlanRestore(script, {}, {{101, Of(1, 10)}});
  EXPECT_THAT(Names(schedule.rest), ElementsAre("late", "on_late"));
}

TEST(RestoreSchedule, EventTriggersComeLast) {
  RestoreScript script;
  script.items = {Item(1, "EVENT TRIGGER", "et"), Item(2, "TRIGGER", "t")};
  RestoreSchedule schedule = PlanRestore(script, {}, {});
  EXPECT_THAT(Names(schedule.rest), ElementsAre("t"));
  EXPECT_THAT(Names(schedule.event_triggers), ElementsAre("et"));
}

ForeignKeyPlan PlanOne(RestoreItem item, TableOfObject table) {
  static RestoreScript script;
  script.items = {std::move(item)};
  RestoreSchedule schedule = PlanRestore(script, {}, {{101, table}});
  EXPECT_EQ(schedule.foreign_keys.size(), 1u);
  return schedule.foreign_keys.front();
}

TEST(RestoreSchedule, AForeignKeyIsAddedUnprovenAndThenProven) {
  ForeignKeyPlan key = PlanOne(Item(1, "FK CONSTRAINT", "fk", 101), Of(1, kBig));
  EXPECT_EQ(key.sql, "ALTER TABLE x ADD fk NOT VALID;\n");
  EXPECT_EQ(key.validate_sql, "ALTER TABLE \"public\".\"t\" VALIDATE CONSTRAINT \"c\";\n");
}

TEST(RestoreSchedule, AForeignKeyOfASmallTableIsProvenWhileItIsAdded) {
  ForeignKeyPlan key = PlanOne(Item(1, "FK CONSTRAINT", "fk", 101), Of(1, 8192));
  EXPECT_EQ(key.sql, "ALTER TABLE x ADD fk;\n");
  EXPECT_EQ(key.validate_sql, "");
}

TEST(RestoreSchedule, AUnitNamesTheTablesWhoseRowsItNeeds) {
  RestoreScript script;
  script.items = {Item(1, "CONSTRAINT", "pk", 101), Item(2, "INDEX", "i", 102),
                  Item(3, "INDEX", "of_big", 103)};
  RestoreSchedule schedule =
      PlanRestore(script, {}, {{101, Of(7, 8192)}, {102, Of(8, 4096)}, {103, Of(9, kBig)}});
  ASSERT_EQ(schedule.unique_first.size(), 1u);
  EXPECT_THAT(schedule.unique_first[0].tables, ElementsAre(7u, 8u));
  ASSERT_EQ(schedule.indexes.size(), 1u);
  EXPECT_THAT(schedule.indexes[0].tables, ElementsAre(9u));
}

TEST(RestoreSchedule, AForeignKeyThatWasNeverProvenStaysSo) {
  TableOfObject table = Of(1, 10);
  table.validated = false;
  RestoreItem item = Item(1, "FK CONSTRAINT", "fk NOT VALID", 101);
  ForeignKeyPlan key = PlanOne(item, table);
  EXPECT_EQ(key.sql, item.sql);
  EXPECT_EQ(key.validate_sql, "");
}

TEST(RestoreSchedule, AForeignKeyOfAPartitionedTableGoesInAsTheDumpSays) {
  TableOfObject table = Of(1, 10);
  table.plain_table = false;
  RestoreItem item = Item(1, "FK CONSTRAINT", "fk", 101);
  EXPECT_EQ(PlanOne(item, table).sql, item.sql);
}

}  // namespace
}  // namespace cutover::mover
