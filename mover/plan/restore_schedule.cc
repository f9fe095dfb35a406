// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_schedule.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

namespace cutover::mover {
namespace {

/// A foreign key of a table below this is proven while it is added, in one statement.
constexpr int64_t kProveLaterBytesMin = 1 << 20;

bool IsIndexLike(const RestoreItem& item) {
  return item.type == "INDEX" || item.type == "CONSTRAINT" || item.type == "INDEX ATTACH";
}

bool IsExtension(const RestoreItem& item) {
  return item.type == "EXTENSION" ||
         (item.type == "COMMENT" && item.name.rfind("EXTENSION ", 0) == 0);
}

bool IsEventTrigger(const RestoreItem& item) {
  return item.type == "EVENT TRIGGER" ||
         (item.type == "COMMENT" && item.name.rfind("EVENT TRIGGER ", 0) == 0);
}

/// Ids of post-data entries that are neither index nor key: views that need a primary key, and what
/// hangs on them. An index on top of such a thing must wait for it.
std::set<int> LateIds(const RestoreScript& script, const std::set<int>& pre_data,
                      const TablesByObject& tables) {
  std::set<int> late;
  for (const RestoreItem& item : script.items) {
    if (pre_data.contains(item.dump_id)) continue;
    auto table = tables.find(item.object_oid);
    const bool of_matview = table != tables.end() && table->second.materialized_view;
    const bool waits = std::any_of(item.depends_on.begin(), item.depends_on.end(),
                                   [&](int id) { return late.contains(id); });
    if (waits || of_matview || (!IsIndexLike(item) && item.type != "FK CONSTRAINT"))
      late.insert(item.dump_id);
  }
  return late;
}

/// Appends NOT VALID to an `ALTER TABLE … ADD CONSTRAINT … FOREIGN KEY …;`. Empty when the text is
/// not of that form, or has it already.
std::string WithNotValid(const std::string& sql) {
  const size_t end = sql.find_last_not_of(" \n");
  if (end == std::string::npos || sql[end] != ';') return "";
  if (sql.find(" NOT VALID;", end < 10 ? 0 : end - 10) != std::string::npos) return "";
  // More than one statement would get it at the wrong place.
  if (sql.find(";\n") != end && sql.find(';') != end) return "";
  return sql.substr(0, end) + " NOT VALID;\n";
}

ForeignKeyPlan PlanForeignKey(const RestoreItem& item, const TablesByObject& tables) {
  ForeignKeyPlan plan;
  plan.item = &item;
  plan.sql = item.sql;
  auto found = tables.find(item.object_oid);
  if (found == tables.end()) return plan;
  const TableOfObject& table = found->second;
  plan.table_bytes = table.table_bytes;
  plan.table_oid = table.table_oid;
  plan.referenced_oid = table.referenced_oid;
  if (!table.plain_table || !table.validated || table.table_bytes < kProveLaterBytesMin)
    return plan;
  std::string not_valid = WithNotValid(item.sql);
  if (not_valid.empty()) return plan;
  plan.sql = std::move(not_valid);
  plan.validate_sql =
      "ALTER TABLE " + table.table + " VALIDATE CONSTRAINT " + table.constraint + ";\n";
  return plan;
}

/// The indexes and keys of one table.
struct TableIndexes {
  uint32_t table = 0;
  int64_t bytes = 0;
  std::string name;
  std::vector<const RestoreItem*> items;
};

/// Of a big table first the keys, in one unit since they lock each other out, then each index
/// alone.
void PlanBigTable(const TableIndexes& table, const TablesByObject& objects,
                  RestoreSchedule& schedule) {
  RestoreUnit keys{{}, table.bytes, 0, {table.table}};
  for (const RestoreItem* item : table.items) {
    if (item->type == "CONSTRAINT") {
      keys.items.push_back(item);
      continue;
    }
    auto index = objects.find(item->object_oid);
    const int64_t index_bytes = index == objects.end() ? 0 : index->second.bytes;
    schedule.indexes.push_back(RestoreUnit{{item}, table.bytes, index_bytes, {table.table}});
  }
  if (!keys.items.empty()) schedule.unique_first.push_back(std::move(keys));
}

/// In the order in which tables are copied, so that units are ready one after the other; small
/// tables together, up to kUnitItemsMax items.
void PlanIndexes(std::vector<TableIndexes> tables, const TablesByObject& objects,
                 RestoreSchedule& schedule) {
  std::sort(tables.begin(), tables.end(), [](const TableIndexes& a, const TableIndexes& b) {
    return std::tie(b.bytes, a.name, a.table) < std::tie(a.bytes, b.name, b.table);
  });
  RestoreUnit shared;
  auto close_shared = [&] {
    if (!shared.items.empty()) schedule.unique_first.push_back(std::exchange(shared, {}));
  };
  for (const TableIndexes& table : tables) {
    if (table.bytes >= kSharedUnitBytesMax) {
      PlanBigTable(table, objects, schedule);
      continue;
    }
    if (shared.items.size() + table.items.size() > kUnitItemsMax ||
        shared.table_bytes + table.bytes > kSharedUnitBytesMax)
      close_shared();
    shared.items.insert(shared.items.end(), table.items.begin(), table.items.end());
    shared.table_bytes += table.bytes;
    shared.tables.push_back(table.table);
  }
  close_shared();
  std::stable_sort(
      schedule.indexes.begin(), schedule.indexes.end(),
      [](const RestoreUnit& a, const RestoreUnit& b) { return a.index_bytes > b.index_bytes; });
}

}  // namespace

RestoreSchedule PlanRestore(const RestoreScript& script, const std::set<int>& pre_data,
                            const TablesByObject& tables) {
  RestoreSchedule schedule;
  const std::set<int> late = LateIds(script, pre_data, tables);
  std::map<uint32_t, TableIndexes> by_table;
  for (const RestoreItem& item : script.items) {
    if (IsExtension(item)) continue;
    if (pre_data.contains(item.dump_id)) {
      schedule.before_data.push_back(&item);
    } else if (IsEventTrigger(item)) {
      schedule.event_triggers.push_back(&item);
    } else if (late.contains(item.dump_id)) {
      schedule.rest.push_back(&item);
    } else if (item.type == "INDEX ATTACH") {
      schedule.attach.push_back(&item);
    } else if (item.type == "FK CONSTRAINT") {
      schedule.foreign_keys.push_back(PlanForeignKey(item, tables));
    } else {
      auto found = tables.find(item.object_oid);
      if (found != tables.end() && !found->second.plain_table) {
        schedule.partitioned.push_back(&item);
        continue;
      }
      const TableOfObject of = found == tables.end() ? TableOfObject() : found->second;
      TableIndexes& table = by_table[of.table_oid];
      table.table = of.table_oid;
      table.bytes = of.table_bytes;
      table.name = of.table;
      table.items.push_back(&item);
    }
  }
  std::vector<TableIndexes> indexes;
  for (auto& [oid, table] : by_table) indexes.push_back(std::move(table));
  PlanIndexes(std::move(indexes), tables, schedule);
  std::stable_sort(schedule.foreign_keys.begin(), schedule.foreign_keys.end(),
                   [](const ForeignKeyPlan& a, const ForeignKeyPlan& b) {
                     return a.table_bytes > b.table_bytes;
                   });
  return schedule;
}

}  // namespace cutover::mover
