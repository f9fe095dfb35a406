// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/replication.h"

namespace cutover::sim {

/// Two servers, and on the source a tenant: a login role that owns a database with the sequence
/// public.orders at 7. Takes away what was made when it goes.
class PostgresPlace {
 public:
  virtual ~PostgresPlace() = default;
  virtual pg::ConnectOptions SourceAdmin() const = 0;  ///< A superuser, in database postgres.
  virtual pg::ConnectOptions TargetAdmin() const = 0;
  virtual std::string database() const = 0;
  virtual std::string owner() const = 0;
  virtual std::string password() const = 0;
  /// Differs from that of every other place.
  virtual std::string uid() const = 0;
  /// Returns when the client of `transaction`, which is open, has said nothing for as long as the
  /// transaction may last without a word from it; some time later when it may for ever.
  virtual void FallSilent(pg::Transaction& transaction) = 0;
};

struct PostgresSubject {
  std::string name;
  std::function<std::unique_ptr<PostgresPlace>()> make;
};
std::ostream& operator<<(std::ostream& out, const PostgresSubject& subject);

/// What the operator relies on in PostgreSQL, said through postgres/ as the operator says it. The
/// same cases run against the model (in sim_model_test) and against real servers of two majors (in
/// sim_postgres_contract_pg_test).
class PostgresContract : public ::testing::TestWithParam<PostgresSubject> {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }

  pg::Connection Connect(const pg::ConnectOptions& options);
  /// As the administrator, in the tenant's database on the source.
  pg::Connection Inside() {
    return Connect(place_->SourceAdmin().WithDatabase(place_->database()));
  }
  pg::ConnectOptions Tenant(const pg::ConnectOptions& admin) const;
  pg::Claim Source(int64_t epoch = 1) const { return {place_->uid(), epoch, pg::Side::kSource}; }
  pg::Claim Target(int64_t epoch = 1) const { return {place_->uid(), epoch, pg::Side::kTarget}; }
  pg::ControlState StateOf(pg::Connection& connection);
  /// Roles, and the database on the target, closed.
  Status Prepare();
  Status MoveTarget(pg::ControlState from, pg::ControlState to);
  /// As the administrator, in the database of the side that publishes.
  pg::Connection Publisher(pg::Direction direction);
  pg::Connection Subscriber(pg::Direction direction);
  pg::Claim PublisherClaim(pg::Direction direction) const;
  pg::Claim SubscriberClaim(pg::Direction direction) const;
  /// How the subscriber's server reaches the tenant's database on the publisher's.
  pg::PublisherAddress Address(pg::Direction direction) const;
  /// The stream, up to a subscription that is disabled, after Prepare().
  Status Lay(pg::Direction direction);
  /// Prepare(), and the stream to the target, enabled or not.
  Status Stream(bool enabled);
  /// Waits until the target has applied a marker of that number; what it has, at the end.
  int64_t MarkerOnTarget(int64_t awaited);
  /// Takes everything of the stream away again.
  Status EndStream(pg::Direction direction = pg::Direction::kForward);

  std::unique_ptr<PostgresPlace> place_ = GetParam().make();
};

}  // namespace cutover::sim
