// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <stop_token>
#include <vector>

#include "mover/plan/restore_schedule.h"
#include "operator/base/mutex.h"

namespace cutover::mover {

/// Who adds which foreign key next, when several connections add them at the same time.
///
/// ALTER TABLE locks the table that has the key and then the one that it refers to, so two keys
/// with a table in common wait for each other, and two that cross deadlock: here the second waits
/// its turn, and the connection takes another key meanwhile. Keys to a table that many refer to
/// come first, since each makes the server read all triggers of that table anew, of which every key
/// leaves two: n keys to one table cost n² (an Odoo database has a thousand to its users' table).
///
/// Thread-safe. The keys must outlive it.
class ForeignKeyTurns {
 public:
  explicit ForeignKeyTurns(const std::vector<ForeignKeyPlan>& keys);

  /// The key to add now, as an index; nullopt when none is left, or a stop is requested. Waits
  /// while all that are left share a table with one that is being added.
  std::optional<size_t> Next(std::stop_token stop);

  /// The tables of `key`, which Next() gave, are free again.
  void Done(size_t key);

 private:
  std::optional<size_t> TakeFree() REQUIRES(mutex_);

  const std::vector<ForeignKeyPlan>& keys_;
  Mutex mutex_;
  CondVar freed_;
  std::vector<size_t> left_ GUARDED_BY(mutex_);        ///< In the order in which they are wanted.
  std::set<uint32_t> busy_tables_ GUARDED_BY(mutex_);  ///< OIDs on the source.
};

}  // namespace cutover::mover
