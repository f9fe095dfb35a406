// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "mover/clone.h"
#include "mover/process/reporter.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/database.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// The database that a clone fills: made, claimed, emptied, and opened at the end. One thread,
/// except Connect().
class TargetDatabase {
 public:
  /// Both must outlive it.
  TargetDatabase(const CloneOptions& options, Reporter& reporter)
      : options_(options), reporter_(reporter) {}

  /// A session as restoring wants it. Thread-safe.
  Result<pg::Connection> Connect(std::stop_token stop) const;

  /// Creates the database where it was ordered, as `source` is but fenced; takes the lock that
  /// keeps a second mover away, and the ledger; proves that this run may write here. That the
  /// server is new enough and the encoding the source's, FindObstacles() has seen to. Repeatable.
  Status Prepare(std::stop_token stop, const pg::DatabaseProperties& source);

  /// Drops what an earlier run of this very migration left, and claims the database for this one.
  /// "TargetNotEmpty" when it holds anything else: only our own ledger lets us drop.
  Status Empty(std::stop_token stop);

  /// From here on the reporter writes into the ledger. Only once the database is known to be ours:
  /// what it writes is what says so.
  void StartReporting();

  /// The roles that the source's database cannot do without.
  Status CreateRoles(std::stop_token stop, const pg::RoleSet& roles);

  /// The copy is proven: gives the roles their comments back, removes our traces, and, where the
  /// database was made by us, lets its tenant in as `access` says.
  Status Open(std::stop_token stop, const pg::RoleSet& roles, const pg::DatabaseAccess& access);

 private:
  Status TakeLedger(std::stop_token stop);
  Status Claim(std::stop_token stop, pg::Connection& target);

  const CloneOptions& options_;
  Reporter& reporter_;
  std::optional<pg::Connection> ledger_;  ///< Until the reporter has it; holds the movers' lock.
};

}  // namespace cutover::mover
