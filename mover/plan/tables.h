// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
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
  int64_t rows_estimate = 0;         ///< Never negative.
  std::string condition;  ///< Of an extension's configuration table: which rows are the tenant's.
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

/// Pure: biggest first, so that the last lane is not left alone with the biggest; names decide
/// ties.
void OrderForCopy(std::vector<TablePlan>& tables);

/// The statements of one table's copy. Both sides name the same columns in the same order, so that
/// a table whose columns stand differently on the target does not swap values silently. `COPY t TO`
/// reads the table alone, never its children.
std::string CopyOutStatement(const TablePlan& table);
std::string CopyInStatement(const TablePlan& table, bool freeze);
/// Empties what the copy will fill: the table, or just the tenant's rows of an extension's table.
std::string EmptyStatement(const TablePlan& table);
std::string CountStatement(const TablePlan& table);

}  // namespace cutover::mover
