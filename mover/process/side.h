// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// One database, read by many connections that all see the same instant: one connection holds the
/// snapshot open, the lanes adopt it. The snapshot pins the server's oldest row versions, so close
/// the side (destroy it) as soon as the reading is done.
class Side {
 public:
  static Result<Side> Open(std::stop_token stop, const pg::ConnectOptions& options);

  /// Reads under a snapshot that somebody else exported and holds. "SnapshotLost" when it is gone:
  /// only another run, from the start, can help then.
  static Result<Side> Adopt(std::stop_token stop, const pg::ConnectOptions& options,
                            const std::string& snapshot);

  /// Another connection in a read-only transaction under the same snapshot. Thread-safe.
  Result<pg::Connection> OpenLane(std::stop_token stop) const;
  /// Lets a lane begin another transaction under the same snapshot, with no locks left of the one
  /// before.
  Status Renew(std::stop_token stop, pg::Connection& lane) const;

  pg::Connection& connection() { return holder_; }
  const pg::ConnectOptions& options() const { return options_; }
  const std::string& snapshot() const { return snapshot_; }
  /// The snapshot's name and what makes it the only one of that name: servers count names from
  /// their start, so one that was started anew, or took over from another, gives them again (trap
  /// 84). The same for everybody who adopts the snapshot.
  const std::string& snapshot_identity() const { return snapshot_identity_; }
  const std::string& version() const { return version_; }    ///< "15.20 (Debian …)"
  const std::string& encoding() const { return encoding_; }  ///< Of the database.

 private:
  Side(pg::ConnectOptions options, pg::Connection holder)
      : options_(std::move(options)), holder_(std::move(holder)) {}
  Status ReadServer(std::stop_token stop);
  Status Begin(std::stop_token stop, pg::Connection& lane, const std::string& begin) const;

  pg::ConnectOptions options_;
  pg::Connection holder_;
  std::string snapshot_;
  std::string snapshot_identity_;
  std::string version_;
  std::string encoding_;
};

}  // namespace cutover::mover
