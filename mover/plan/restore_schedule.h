// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mover/plan/restore_script.h"

namespace cutover::mover {

/// What the schedule must know about the table that an index or constraint belongs to. Keyed by
/// the OID of the index or constraint on the source.
struct TableOfObject {
  uint32_t table_oid = 0;
  int64_t table_bytes = 0;
  int64_t bytes = 0;        ///< Of the index itself, 0 for what is none.
  bool plain_table = true;  ///< Neither partitioned nor a materialized view.
  bool materialized_view = false;
  bool validated = true;        ///< Of a constraint.
  std::string table;            ///< Qualified and quoted.
  uint32_t referenced_oid = 0;  ///< Of a foreign key: the table that it refers to.
  std::string constraint;       ///< Quoted; empty for indexes.
};
using TablesByObject = std::map<uint32_t, TableOfObject>;

/// Items that one connection restores in one transaction, one after the other.
struct RestoreUnit {
  std::vector<const RestoreItem*> items;
  int64_t table_bytes = 0;
  int64_t index_bytes = 0;       ///< Of a single index.
  std::vector<uint32_t> tables;  ///< OIDs, on the source, of those whose rows must be there before.
};

/// A foreign key of a big table in two steps: added NOT VALID it only changes the catalog, and the
/// scan that proves it can run beside others. Empty `validate_sql`: it goes in as the dump says.
struct ForeignKeyPlan {
  const RestoreItem* item = nullptr;
  std::string sql;
  std::string validate_sql;
  int64_t table_bytes = 0;
  uint32_t table_oid = 0;
  uint32_t referenced_oid = 0;
};

/// In which order, and how much of it at once, an archive's entries are restored. Pointers lead
/// into the script, which must live longer.
///
/// 1. before_data, one after the other; 2. the data; 3. partitioned: keys and indexes of
/// partitioned tables, empty shells that their partitions' are attached to; 4. unique_first, in
/// parallel: keys, and all that small tables have; 5. indexes, in parallel: single indexes of big
/// tables, the largest first, or the last lane would sort it alone; 6. attach;
/// 7. foreign_keys; 8. rest, in the dump's own order; 9. matviews refreshed; 10. event_triggers
/// last, since they would fire at everything that comes after them.
struct RestoreSchedule {
  std::vector<const RestoreItem*> before_data;
  std::vector<const RestoreItem*> partitioned;
  std::vector<RestoreUnit> unique_first;
  std::vector<RestoreUnit> indexes;
  std::vector<const RestoreItem*> attach;
  std::vector<ForeignKeyPlan> foreign_keys;
  std::vector<const RestoreItem*> rest;
  std::vector<const RestoreItem*> event_triggers;
};

/// As many items as share a transaction: few commits, and no more locks than a server's default
/// lock table holds.
inline constexpr size_t kUnitItemsMax = 64;
inline constexpr size_t kUnitSqlBytesMax = 1 << 20;

/// Tables below this share a transaction: for an Odoo database the time is commits, not bytes.
inline constexpr int64_t kSharedUnitBytesMax = 16 << 20;

/// Pure. `pre_data`: dump ids of the section of that name. Extensions and their comments are left
/// out: the admin role prepares them before.
RestoreSchedule PlanRestore(const RestoreScript& script, const std::set<int>& pre_data,
                            const TablesByObject& tables);

}  // namespace cutover::mover
