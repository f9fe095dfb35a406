// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// One server as a migration uses it: the tenant's database there, and the server around it.
/// Owns at most two sessions (one in the tenant's database, one beside it), opened at the first use
/// and again after they were lost. Not thread-safe.
///
/// Every effect is idempotent and checks the claim in the transaction that changes anything: a
/// newer epoch there makes it fail with reason "Deposed".
class DatabaseSide {
 public:
  /// `system_identifier` is the cluster that the server was known as first; empty: not known yet.
  /// Any other that answers under its name is nobody we may ask: everything fails with kRetry
  /// "IdentityChanged", since what it does not have says nothing of what the right one has.
  DatabaseSide(std::string server_name, std::string system_identifier, pg::ConnectOptions admin,
               std::string database);
  ~DatabaseSide();

  const std::string& server_name() const { return server_name_; }
  const pg::ConnectOptions& admin() const { return admin_; }
  const std::string& database() const { return database_; }

  /// `uid`: the migration's; `epoch`: this leader's.
  Result<DatabaseFacts> Observe(std::stop_token stop, Deadline deadline, const std::string& uid,
                                int64_t epoch);

  /// Whether the tenant's database is there.
  Result<bool> Exists(std::stop_token stop, Deadline deadline);
  /// A session in the tenant's database, as the administrator.
  Result<pg::Connection*> InDatabase(std::stop_token stop, Deadline deadline);
  /// A session in database "postgres", as the administrator.
  Result<pg::Connection*> Beside(std::stop_token stop, Deadline deadline);
  /// Closes the session in the tenant's database, which would be in the way of a DROP.
  void LeaveDatabase();

 private:
  /// Whether anything of ours is there beside the database itself.
  /// `error`, with which nobody could enter the database, or kRetry "HalfDropped".
  tl::unexpected<Error> WhyShut(std::stop_token stop, Deadline deadline, Error error);
  Result<bool> HasTraces(std::stop_token stop, Deadline deadline, const std::string& uid);
  Result<pg::Connection*> Session(std::stop_token stop, Deadline deadline,
                                  std::optional<pg::Connection>& session,
                                  const std::string& database);

  Status ProveIdentity(std::stop_token stop, Deadline deadline, pg::Connection& session);

  const std::string server_name_;
  const std::string system_identifier_;
  const pg::ConnectOptions admin_;
  const std::string database_;
  std::optional<pg::Connection> in_database_;
  std::optional<pg::Connection> beside_;
};

}  // namespace cutover::migration
