// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/plan/tables.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Takes ACCESS SHARE on every table in the transaction of `holder`, as pg_dump does, so that
/// nobody rewrites, truncates or drops one as long as it lasts (trap 24). Readers and writers do
/// not notice. A lock that is not granted within the session's lock_timeout fails with reason
/// "LockNotAvailable": see ExplainLock().
Status LockTables(std::stop_token stop, pg::Connection& holder,
                  const std::vector<TablePlan>& tables);

/// What identifies each object of a database's structure, by its name: who wrote its catalog rows
/// last, and where its rows are kept. GRANT, REINDEX and TRUNCATE change it; VACUUM, ANALYZE and
/// REFRESH MATERIALIZED VIEW do not.
using StructureMarks = std::map<std::string, std::string>;
Result<StructureMarks> ReadStructureMarks(std::stop_token stop, pg::Connection& connection);

struct SchemaChanges {
  /// What the snapshot shows and is another thing now, or gone: "table public.orders". Its copy
  /// may mix both: TRUNCATE and rewriting ignore snapshots.
  std::vector<std::string> changed;
  /// What came after the snapshot and so is not in the copy.
  std::vector<std::string> appeared;
};

/// Pure: what is different in `now` from `before`, of the same database; names sorted.
SchemaChanges FindSchemaChanges(StructureMarks before, const StructureMarks& now);

}  // namespace cutover::mover
