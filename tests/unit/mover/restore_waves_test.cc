// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_waves.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace cutover::mover {
namespace {

RestoreItem Item(int id, std::string type, std::string name, std::vector<int> depends_on = {}) {
  RestoreItem item;
  item.dump_id = id;
  item.type = std::move(type);
  item.name = std::move(name);
  item.depends_on = std::move(depends_on);
  item.sql = "SELECT 1;\n";
  return item;
}

/// Many tables, each with a sequence, a default and two comments; a function in between.
std::vector<RestoreItem> ManyTables(int count) {
  std::vector<RestoreItem> items = {Item(1, "FUNCTION", "before()")};
  for (int i = 0; i < count; ++i) {
    const int id = 10 + 10 * i;
    const std::string name = "t" + std::to_string(i);
    items.push_back(Item(id, "TABLE", name, {1}));
    items.push_back(Item(id + 1, "COMMENT", "COLUMN " + name + ".a", {id}));
    items.push_back(Item(id + 2, "COMMENT", "COLUMN " + name + ".b", {id}));
    items.push_back(Item(id + 3, "SEQUENCE", name + "_seq", {id}));
    items.push_back(Item(id + 4, "SEQUENCE OWNED BY", name + "_seq", {id + 3, id}));
    items.push_back(Item(id + 5, "DEFAULT", name + " a", {id, id + 3}));
  }
  items.push_back(Item(2, "VIEW", "after", {10}));
  return items;
}

std::vector<const RestoreItem*> Pointers(const std::vector<RestoreItem>& items) {
  std::vector<const RestoreItem*> pointers;
  for (const RestoreItem& item : items) pointers.push_back(&item);
  return pointers;
}

TEST(RestoreWaves, EveryItemComesOnceAndAfterAllThatItDependsOn) {
  const auto items = ManyTables(300);
  std::map<int, size_t> wave_of;
  const auto waves = PlanWaves(Pointers(items));
  for (size_t wave = 0; wave < waves.size(); ++wave)
    for (const RestoreUnit& unit : waves[wave])
      for (const RestoreItem* item : unit.items)
        EXPECT_TRUE(wave_of.emplace(item->dump_id, wave).second) << item->Describe();
  ASSERT_EQ(wave_of.size(), items.size());
  for (const RestoreItem& item : items)
    for (int id : item.depends_on) EXPECT_LT(wave_of[id], wave_of[item.dump_id]) << item.Describe();
}

TEST(RestoreWaves, TablesAreSpreadOverManyUnits) {
  const auto items = ManyTables(300);
  size_t units_max = 0;
  for (const RestoreWave& wave : PlanWaves(Pointers(items)))
    units_max = std::max(units_max, wave.size());
  EXPECT_GE(units_max, 300 / kUnitItemsMax);
}

TEST(RestoreWaves, WhatTouchesOneTableInAWaveStandsInOneUnit) {
  const auto items = ManyTables(300);
  for (const RestoreWave& wave : PlanWaves(Pointers(items))) {
    std::map<std::string, std::set<const RestoreUnit*>> units_of;
    for (const RestoreUnit& unit : wave)
      for (const RestoreItem* item : unit.items)
        if (item->type == "COMMENT")
          units_of[item->name.substr(0, item->name.find('.'))].insert(&unit);
    for (const auto& [table, units] : units_of) EXPECT_EQ(units.size(), 1u) << table;
  }
}

TEST(RestoreWaves, WhatADatabaseHasFewOfKeepsItsPlace) {
  const auto items = ManyTables(300);
  const auto waves = PlanWaves(Pointers(items));
  ASSERT_EQ(waves.front().size(), 1u);
  EXPECT_EQ(waves.front().front().items.front()->type, "FUNCTION");
  ASSERT_EQ(waves.back().size(), 1u);
  EXPECT_EQ(waves.back().front().items.back()->type, "VIEW");
}

TEST(RestoreWaves, AFewTablesAreNotWorthSpreading) {
  const auto items = ManyTables(3);
  for (const RestoreWave& wave : PlanWaves(Pointers(items))) EXPECT_EQ(wave.size(), 1u);
}

}  // namespace
}  // namespace cutover::mover
