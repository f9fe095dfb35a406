// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/restore_schedule.h"

#include <algorithm>
#include <string_view>

namespace cutover::mover {
namespace {

constexpr size_t kUnitItemsMax = 64;

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
  ForeignKeyPlan plan{&item, item.sql, "", 0};
  auto found = tables.find(item.object_oid);
  if (found == tables.end()) return plan;
  const TableOfObject& table = found->second;
  plan.table_bytes = table.table_bytes;
  if (!table.plain_table || !table.validated) return plan;
  std::string not_valid = WithNotValid(item.sql);
  if (not_valid.empty()) return plan;
  plan.sql = std::move(not_valid);
  plan.validate_sql =
      "ALTER TABLE " + table.table + " VALIDATE CONSTRAINT " + table.constraint + ";\n";
  return plan;
}

/// Small tables together, up to kUnitItemsMax items; of a big table first the keys, in one unit
/// since they lock each other out, then each index alone.
void PlanIndexes(const std::map<uint32_t, std::vector<const RestoreItem*>>& by_table,
                 const std::map<uint32_t, int64_t>& bytes, RestoreSchedule& schedule) {
  RestoreUnit shared;
  for (const auto& [table, items] : by_table) {
    const int64_t table_bytes = bytes.at(table);
    if (table_bytes < kSharedUnitBytesMax) {
      shared.items.insert(shared.items.end(), items.begin(), items.end());
      shared.table_bytes += table_bytes;
      if (shared.items.size() < kUnitItemsMax && shared.table_bytes < kSharedUnitBytesMax) continue;
      schedule.unique_first.push_back(std::move(shared));
      shared = RestoreUnit();
      continue;
    }
    RestoreUnit keys{{}, table_bytes};
    for (const RestoreItem* item : items) {
      if (item->type == "CONSTRAINT")
        keys.items.push_back(item);
      else
        schedule.indexes.push_back(RestoreUnit{{item}, table_bytes});
    }
    if (!keys.items.empty()) schedule.unique_first.push_back(std::move(keys));
  }
  if (!shared.items.empty()) schedule.unique_first.push_back(std::move(shared));
  auto biggest_first = [](const RestoreUnit& a, const RestoreUnit& b) {
    return a.table_bytes > b.table_bytes;
  };
  std::stable_sort(schedule.unique_first.begin(), schedule.unique_first.end(), biggest_first);
  std::stable_sort(schedule.indexes.begin(), schedule.indexes.end(), biggest_first);
}

}  // namespace

RestoreSchedule PlanRestore(const RestoreScript& script, const std::set<int>& pre_data,
                            const TablesByObject& tables) {
  RestoreSchedule schedule;
  const std::set<int> late = LateIds(script, pre_data, tables);
  std::map<uint32_t, std::vector<const RestoreItem*>> by_table;
  std::map<uint32_t, int64_t> bytes;
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
      const uint32_t table = found == tables.end() ? 0 : found->second.table_oid;
      bytes[table] = found == tables.end() ? 0 : found->second.table_bytes;
      by_table[table].push_back(&item);
    }
  }
  PlanIndexes(by_table, bytes, schedule);
  std::stable_sort(schedule.foreign_keys.begin(), schedule.foreign_keys.end(),
                   [](const ForeignKeyPlan& a, const ForeignKeyPlan& b) {
                     return a.table_bytes > b.table_bytes;
                   });
  return schedule;
}

}  // namespace cutover::mover
