// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/changes.h"
#include "postgres/connection.h"
#include "postgres/control.h"

namespace cutover::pg {

/// What CollectChanges() keeps in schema cutover of the target, and CompareChanged() reads there.
/// For those two alone.

/// A table by schema and name.
using TableName = std::pair<std::string, std::string>;

/// What changed in one table since the last time it was kept.
struct TableChanges {
  /// The table was truncated: what is known of it from before does not matter any more.
  bool truncated = false;
  int64_t changes = 0;
  /// Keys of changed rows, each the JSON text of an array of the key columns' texts.
  std::set<std::string> keys;
  int64_t unlisted = 0;  ///< Changes whose key is not in `keys`.
  std::string why_unlisted;
};
using Changes = std::map<TableName, TableChanges>;

/// Makes the tables unless they are there.
Status CreateChangeTables(std::stop_token stop, Deadline deadline, Connection& target,
                          const Claim& claim);

/// How far the slot was read: a position as text, empty before the first time.
Result<std::string> ReadChangePosition(std::stop_token stop, Deadline deadline, Connection& target,
                                       const std::string& slot);

/// Adds `changes`, as far as `limits` allow, and notes the position if there is one; in one
/// transaction under the claim.
Status KeepChanges(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                   const ChangeLimits& limits, const Changes& changes, const std::string& slot,
                   const std::string& position);

/// As CollectChanges(), but leaves the slot where the last slice began: moving it on decodes all of
/// that again, for which there is no time while the doors are closed.
Result<CollectedChanges> CollectRest(std::stop_token stop, Deadline deadline, Connection& source,
                                     Connection& target, const Claim& claim,
                                     const ChangeWatch& watch);

/// What is known of one table, without its keys.
struct ChangedTable {
  TableName name;
  bool truncated = false;
  int64_t keys = 0;
  int64_t unlisted = 0;
  std::string why_unlisted;
};
/// Those with the fewest keys first.
Result<std::vector<ChangedTable>> ReadChangedTables(std::stop_token stop, Deadline deadline,
                                                    Connection& target);

/// The next keys of a table, at most `count`, in an order of their own. `after` is where the last
/// call ended, empty at first, and is moved on.
Result<std::vector<std::string>> ReadChangedKeys(std::stop_token stop, Deadline deadline,
                                                 Connection& target, const TableName& table,
                                                 int count, std::string& after);

}  // namespace cutover::pg
