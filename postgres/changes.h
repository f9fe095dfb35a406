// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/control.h"

namespace cutover::pg {

/// Verification without a second copy. Every row was compared when it was copied; since then only
/// the stream changed rows. Which ones is read from a slot of its own on the source, the watch, so
/// that the proof does not rest on the stream that it is about: under the fence those rows, and
/// only those, are compared on both sides.
///
/// Flow:
///   1. The mover's Job makes the watch in the same instant as the stream's slot (SlotSnapshot), so
///      that it covers everything since the copy's snapshot.
///   2. While the stream catches up, CollectChanges() is called every few seconds. It keeps the
///      keys of the changed rows in schema cutover of the target, each once, and moves the watch
///      on: a watch that nobody reads keeps the source's log from being removed. Rows whose last
///      known change the stream has confirmed are compared right away, and forgotten when they are
///      equal: what changes again is listed again. So what is left for the fence does not grow with
///      the length of the move.
///   3. Under the fence, when the marker is applied, CompareChanged() reads the rest and compares.
///   4. DropIdleSlot() (postgres/snapshot.h) on the watch when the move ends.
///
/// Tables in the target, removed with the schema; nobody else needs to read them:
///   cutover.change_position  how far the watch was read
///   cutover.changed_table    one row a changed table: what is counted, and what is not listed
///   cutover.changed_row      the key of a changed row, once
///
/// `source` and `target` are admins' connections to the databases of both sides. All is read as
/// PinnedSettings() render it; connections come back with the settings that they had.
struct ChangeWatch {
  std::string slot;         ///< WatchSlotName() of the stream's slot.
  std::string publication;  ///< The stream's own: StreamName(uid, Direction::kForward).
};

/// "NAME_watch", for a slot's name of at most 57 characters.
std::string WatchSlotName(std::string_view stream_slot);

/// Past these bounds changes of a table are counted, not listed, and CompareChanged() says so. A
/// key takes some 150 bytes of the target's disk.
struct ChangeLimits {
  int64_t keys_per_table_max = 100'000;
  int64_t keys_max = 1'000'000;
};

/// What a call of CollectChanges() found.
struct CollectedChanges {
  int64_t transactions = 0;  ///< That changed a published table of the tenant.
  int64_t changes = 0;       ///< Rows inserted, updated, deleted, and tables truncated.
  std::string position;      ///< Log position up to which all is collected, as "0/16B3748".
  /// Whether that is at least where the source's log ended when the call began. If not, call again.
  bool complete = false;
  int64_t settled = 0;         ///< Rows that were found equal, and need no look any more.
  int64_t retained_bytes = 0;  ///< Log that the source keeps for the watch, after the call.
};

/// Reads the watch in slices, keeps each slice's keys in the target, and only then moves the watch
/// on: a crash between the two makes nothing lost and nothing counted twice, but for the slices of
/// one huge transaction. Memory is bounded whatever a transaction's size. Stops by itself after a
/// while ("complete" false) so that a reconcile is not held up; the deadline is a hard one
/// (kRetry).
///
/// Terminal "WatchLost" when the slot is not there or its log was removed, or when it stands behind
/// what the target knows to have been read: that was put back to an earlier state. Only another
/// copy can be proven then. kRetry "ObjectInUse" while another session reads it, and
/// "IdleInTransactionTimeout" when a part of a slice took so long to keep that the source has ended
/// the session that read (postgres/idle_transaction.h). What WithEpoch() says of the claim, which
/// is on the target's side.
Result<CollectedChanges> CollectChanges(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const ChangeLimits& limits = {});

/// Forgets what was collected: another copy begins. Nothing to do without the tables.
Status ForgetChanges(std::stop_token stop, Deadline deadline, Connection& target);

struct CompareTerms {
  /// How long comparing may take, reading the rest of the watch not included. Past it the rest is
  /// "not compared".
  std::chrono::milliseconds budget = std::chrono::seconds(10);
  int differences_max = 20;  ///< Named ones; all are counted.
  int rows_per_batch = 1000;
  /// Tables without a key, or with changes that are not listed, are compared as a whole up to this
  /// size on the source.
  int64_t whole_table_bytes_max = int64_t{4} << 20;
};

struct RowDifference {
  enum class What { kDiffers, kMissingOnTarget, kExtraOnTarget, kTableDiffers };
  std::string table;  ///< schema.table
  /// "(id)=(42)"; of kTableDiffers, a table that was compared as a whole or counted, "2 rows on the
  /// source, 3 on the target".
  std::string key;
  What what = What::kDiffers;
};

struct NotCompared {
  std::string table;
  int64_t changes = 0;  ///< At least so many changes of it were not looked at.
  std::string why;      ///< With what to do about it.
};

struct ChangeComparison {
  int64_t tables = 0;         ///< In which something was compared.
  int64_t rows_compared = 0;  ///< Changed rows, whether they are there or must be gone.
  int64_t differences = 0;
  std::vector<RowDifference> first_differences;
  std::vector<NotCompared> not_compared;
  double seconds = 0;  ///< Of comparing alone.

  bool equal() const { return differences == 0; }
  bool complete() const { return not_compared.empty(); }
  /// "public.orders (id)=(42) differs, …": for a condition. Empty without differences.
  std::string DescribeDifferences() const;
  /// "public.log: 17 changes: it has no key …": empty when complete().
  std::string DescribeNotCompared() const;
};

/// Both sides must be at rest: the source fenced, the target closed, everything applied. First
/// collects the rest; then compares each changed row as it is now, by the hash of its text: equal,
/// absent on both, or a difference. A truncated table must have the same number of rows, too.
/// Generated columns are not compared, as they are not carried either.
///
/// A difference is a result, not an error. A table that a server refuses to read is "not compared"
/// in the server's words. Errors as of CollectChanges(); kRetry "NotCollected" when reading the
/// rest took all the time until the deadline.
Result<ChangeComparison> CompareChanged(std::stop_token stop, Deadline deadline, Connection& source,
                                        Connection& target, const Claim& claim,
                                        const ChangeWatch& watch, const CompareTerms& terms = {});

}  // namespace cutover::pg
