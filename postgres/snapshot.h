// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>

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

/// Whether the last statement of `connection` failed because no such snapshot is exported any more.
bool SaysSnapshotLost(const Connection& connection);

/// A read-only transaction that sees exactly what the exporter sees. Terminal "SnapshotLost" when
/// the exporter is gone.
Result<Transaction> BeginWithSnapshot(std::stop_token stop, Deadline deadline,
                                      Connection& connection, const std::string& snapshot_id);

}  // namespace cutover::pg
