// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// A snapshot that other sessions can import, held by a connection of its own: it ends with this
/// object. One thread at a time; the id may be used from anywhere while this lives.
/// Its transaction holds back vacuum on the source: release it as soon as the last COPY has
/// ended.
class ExportedSnapshot {
 public:
  static Result<ExportedSnapshot> Export(std::stop_token stop, Deadline deadline,
                                         const ConnectOptions& options);
  ExportedSnapshot(ExportedSnapshot&&) noexcept = default;

  const std::string& id() const { return id_; }

  /// That the holder still holds it. After an error all that was copied under the snapshot may be
  /// kept, but nothing can be added to it.
  Status CheckHeld(std::stop_token stop, Deadline deadline);

 private:
  ExportedSnapshot(std::unique_ptr<Connection> connection, Transaction transaction, std::string id)
      : connection_(std::move(connection)),
        transaction_(std::move(transaction)),
        id_(std::move(id)) {}

  // In this order: the transaction ends before its connection does, and points to it, so that the
  // connection must not move.
  std::unique_ptr<Connection> connection_;
  Transaction transaction_;
  std::string id_;
};

/// A logical slot (pgoutput) to be made.
struct NewSlot {
  std::string name;
  /// Where not empty, a second slot that begins at the very same place.
  std::string watch;
  /// Whether slots of these names in this database, which an earlier run has left, are dropped
  /// first. Not where a person has chosen the name: an idle slot may be waiting for its subscriber.
  bool replace_idle = false;
};

/// The snapshot at which a new logical slot begins: what is committed before it is in the snapshot,
/// what is committed after it comes out of the slot, and nothing is in both or neither. The
/// connection that made the slot holds the snapshot until this object ends; the slot stays. One
/// thread at a time; the id may be used from anywhere while this lives.
class SlotSnapshot {
 public:
  /// Makes the slot in the database of `options`, over a replication connection. Terminal
  /// "SlotInUse" when there is one of the name that may not be dropped.
  ///
  /// Waits until every transaction that was writing anywhere on the server has ended (trap 71):
  /// kRetry "SlotWaits" at the deadline, naming who is in the way. Leaves no slot behind when it
  /// fails or is stopped; the server gives up soon after the deadline when our process was killed.
  /// Needs a role that may replicate.
  static Result<SlotSnapshot> Create(std::stop_token stop, Deadline deadline,
                                     const ConnectOptions& options, const NewSlot& slot);
  SlotSnapshot(SlotSnapshot&&) noexcept = default;
  SlotSnapshot& operator=(SlotSnapshot&&) noexcept = default;

  const std::string& id() const { return id_; }
  /// Where the slot begins. As long as nobody reads from it, that tells this slot from another one
  /// of the same name: CheckSlotUnread().
  const std::string& begins_at() const { return begins_at_; }

 private:
  SlotSnapshot(Connection connection, std::string id, std::string begins_at)
      : connection_(std::move(connection)), id_(std::move(id)), begins_at_(std::move(begins_at)) {}

  Connection connection_;  // Any further statement on it would end the snapshot.
  std::string id_;
  std::string begins_at_;
};

/// That the slot is there, begins where SlotSnapshot said, and has all its log: what was copied
/// under that snapshot and what comes out of the slot make a whole. kRetry "SlotLost".
Status CheckSlotUnread(std::stop_token stop, Deadline deadline, Connection& connection,
                       const std::string& slot, const std::string& begins_at);

/// How much log the server keeps for a slot, in bytes; nothing without such a slot.
Result<std::optional<int64_t>> RetainedBytes(std::stop_token stop, Deadline deadline,
                                             Connection& connection, const std::string& slot);

/// Drops a logical slot of this database that nobody reads. One that is not there is no error;
/// terminal "SlotInUse". One whose making was never finished, since its client died, is taken from
/// the session that still makes it. With `under_epoch`, only where the control row is of that epoch
/// (kUnderEpoch in control.h).
Status DropIdleSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                    const std::string& slot, std::optional<int64_t> under_epoch = {});

/// Whether the last statement of `connection` failed because no such snapshot is exported any more.
bool SaysSnapshotLost(const Connection& connection);

/// A read-only transaction that sees exactly what the exporter sees. Terminal "SnapshotLost" when
/// the exporter is gone.
Result<Transaction> BeginWithSnapshot(std::stop_token stop, Deadline deadline,
                                      Connection& connection, const std::string& snapshot_id);

}  // namespace cutover::pg
