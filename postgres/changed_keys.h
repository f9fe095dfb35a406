// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/changes.h"
#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/keyed_rows.h"

namespace cutover::pg {

/// What CollectChanges() keeps in schema cutover of the target, and CompareChanged() reads there.
/// For those two alone.

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

/// Up to where a slot was read. A transaction's own portions have `changes_end` alone: the place
/// that none of the changes lies behind.
struct ReadUpTo {
  std::string slot;
  std::string position;
  std::string changes_end;
};

/// Adds `changes`, as far as `limits` allow, and notes the position if there is one; in one
/// transaction under the claim.
Status KeepChanges(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                   const ChangeLimits& limits, const Changes& changes, const ReadUpTo& up_to);

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

/// Keys of a table with the hashes by which they are kept.
struct ChangedKeys {
  std::vector<std::string> keys;
  std::vector<std::string> hashes;
};
/// Which keys to read: at most `count` of those behind `after` (a hash; "\\x" at first) whose last
/// change lies not behind `up_to` (empty: all).
struct KeyRange {
  int count = 0;
  std::string after;
  std::string up_to;
};
Result<ChangedKeys> ReadChangedKeys(std::stop_token stop, Deadline deadline, Connection& target,
                                    const TableName& table, const KeyRange& range);

/// Forgets keys of a table, unless they changed behind `up_to`.
Status ForgetKeys(std::stop_token stop, Deadline deadline, Connection& target, const Claim& claim,
                  const TableName& table, const std::vector<std::string>& hashes,
                  const std::string& up_to);

/// Compares rows whose last known change lies not behind `up_to`, which the stream has applied, and
/// forgets those that are equal, within `budget`. Nothing is at rest: what differs now may be equal
/// a moment later and stays. What changes again is listed again, since the watch is read on from
/// there. Returns how many were forgotten.
Result<int64_t> SettleChanges(std::stop_token stop, Deadline deadline, Connection& source,
                              Connection& target, const Claim& claim, const std::string& up_to,
                              std::chrono::milliseconds budget);

}  // namespace cutover::pg
