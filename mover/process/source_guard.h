// SPDX-License-Identifier: Apache-2.0
#pragma once

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

struct SchemaChanges {
  /// What the snapshot shows and is another thing now, or gone: "table public.orders". Its copy
  /// may mix both: TRUNCATE and rewriting ignore snapshots.
  std::vector<std::string> changed;
  /// What came after the snapshot and so is not in the copy.
  std::vector<std::string> appeared;
};

/// Compares the catalog as the snapshot of `holder` shows it with what `now`, any other connection
/// to the same database, sees. GRANT and REINDEX count as changes, VACUUM and ANALYZE do not.
Result<SchemaChanges> FindSchemaChanges(std::stop_token stop, pg::Connection& holder,
                                        pg::Connection& now);

}  // namespace cutover::mover
