// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/plan/restore_schedule.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// One table with rows of its own: ordinary tables, partitions (never their roots), and the
/// configuration tables of extensions. Foreign tables have none.
struct TablePlan {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  std::vector<std::string> columns;  ///< In the source's order, without generated ones.
  int64_t bytes = 0;                 ///< With TOAST, without indexes.
  int64_t blocks = 0;                ///< Of the heap alone; 0 means that it holds no row at all.
  bool heap = true;                  ///< Of access method heap, so that a ctid says where a row is.
  bool binary = false;               ///< Whether its rows may travel in COPY's binary format.
  int64_t rows_estimate = 0;         ///< Never negative.
  std::string condition;  ///< Of an extension's configuration table: which rows are the tenant's.
  /// SQL for the size of a row as it is sent, in bytes, roughly and without reading TOAST, where
  /// TOAST is large enough to hold a value of megabytes; empty for all other tables.
  std::string row_bytes_sql;
  bool extension_member = false;
  bool excluded = false;  ///< Structure comes, rows do not.

  std::string Qualified() const;  ///< "schema"."name"
  std::string Display() const;    ///< schema.name, for people
};

/// All tables of the database, except those of schema cutover.
Result<std::vector<TablePlan>> ReadTables(std::stop_token stop, Deadline deadline,
                                          pg::Connection& connection);

/// Which table each index and constraint belongs to.
Result<TablesByObject> ReadTablesByObject(std::stop_token stop, Deadline deadline,
                                          pg::Connection& connection);

/// Marks the tables named "schema.table" as excluded. Terminal "NoSuchTable" for a name that is not
/// there: a misspelt exclusion would copy what somebody wanted to leave.
Status ExcludeTables(const std::vector<std::string>& names, std::vector<TablePlan>& tables);
/// The same of the tables that were read over `connection`. Terminal "PartitionedTable" for one
/// whose rows are those of its partitions, and these by name.
Status ExcludeTables(std::stop_token stop, Deadline deadline, pg::Connection& connection,
                     const std::vector<std::string>& names, std::vector<TablePlan>& tables);

/// Pure: biggest first, so that the last lane is not left alone with the biggest; names decide
/// ties.
void OrderForCopy(std::vector<TablePlan>& tables);

/// How rows are written on the wire. Text is understood by every type and version. Binary costs
/// both servers a third less for numbers, dates and bytea, but means the same on two servers only
/// for the built-in types whose format carries no OID (traps 38 and 39): TablePlan::binary.
enum class RowFormat { kText, kBinary };

/// Some rows of a table, by where they stand in the heap: blocks from `from` to before `to`. An
/// open end takes what lies beyond the table's size at planning, too (trap 36).
struct BlockRange {
  int64_t from = 0;
  std::optional<int64_t> to;

  bool whole() const { return from == 0 && !to; }
  std::string Describe() const;  ///< "blocks 0-1023", "blocks 1024-"; empty for the whole table.
  bool operator==(const BlockRange&) const = default;
};

/// The WHERE clause (with that word) that takes `range` of a table and, of an extension's table,
/// the tenant's rows only. Empty when all rows are meant.
std::string ConditionOf(const TablePlan& table, const BlockRange& range);

/// The statements of one table's copy. Both sides name the same columns in the same order, so that
/// a table whose columns stand differently on the target does not swap values silently. The table
/// alone is read, never its children. `condition`: as ConditionOf() gives it, or any other.
std::string CopyOutStatement(const TablePlan& table, std::string_view condition = "");
std::string CopyInStatement(const TablePlan& table);
/// " WITH (…)" for either of them. `encoding` is of the text format only.
std::string CopyOptions(RowFormat format, std::string_view encoding, bool freeze);
/// Empties what the copy will fill: the table, or just the tenant's rows of an extension's table.
std::string EmptyStatement(const TablePlan& table);
std::string CountStatement(const TablePlan& table);

}  // namespace cutover::mover
