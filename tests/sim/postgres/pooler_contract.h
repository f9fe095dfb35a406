// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "postgres/connection.h"
#include "postgres/pooler.h"

namespace cutover::sim {

/// Two servers that both hold a tenant, empty; a pooler whose entry for the tenant has a host that
/// leads to the source, and an entry to ask through; and one client of the tenant's, who writes row
/// after row through the pooler. Takes away what was made when it goes. For one thread.
class PoolerPlace {
 public:
  /// What a client's transaction has come to within a moment.
  enum class Outcome { kDone, kWaits, kError };

  virtual ~PoolerPlace() = default;
  virtual pg::PoolerLogin Admin() const = 0;
  virtual std::string database() const = 0;  ///< Its entry has the same name.
  virtual std::string host() const = 0;      ///< As the entry has it.
  /// In the tenant's database.
  virtual pg::ConnectOptions SourceAdmin() const = 0;
  virtual pg::ConnectOptions TargetAdmin() const = 0;
  /// For PoolerProof.
  virtual std::string owner() const = 0;
  virtual std::string password() const = 0;

  /// The client writes a row, unless an earlier one waits: then it is that one's outcome. It waits
  /// once it has waited for `patience`.
  virtual Outcome Write(std::chrono::milliseconds patience) = 0;
  /// The rows that are there.
  virtual int RowsOn(const pg::ConnectOptions& server) = 0;
  /// The tenant's sessions there, all of them the pooler's.
  virtual int SessionsOn(const pg::ConnectOptions& server) = 0;
  /// Connections that are opened from here on.
  virtual void LeadToTarget() = 0;
  /// The tenant is not let in on the source any more, and its sessions there end.
  virtual void FenceSource() = 0;
  /// Another client begins a transaction, and does not end it.
  virtual void HoldTransaction() = 0;
  /// The pooler dies,
  virtual void Kill() = 0;
  /// and comes back.
  virtual void Restart() = 0;
};

struct PoolerSubject {
  std::string name;
  std::function<std::unique_ptr<PoolerPlace>()> make;
};
std::ostream& operator<<(std::ostream& out, const PoolerSubject& subject);

/// What the operator relies on in PgBouncer, said through pg::Poolers as the operator says it, and
/// what clients of it see meanwhile. The same cases run against the model (in sim_model_test) and
/// against a PgBouncer before real servers (in sim_pooler_contract_pg_test).
class PoolerContract : public ::testing::TestWithParam<PoolerSubject> {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

  /// What becomes of a write that somebody serves, or refuses.
  PoolerPlace::Outcome Write() { return place_->Write(std::chrono::seconds(60)); }
  /// Of one that nobody serves, perhaps.
  PoolerPlace::Outcome WriteAndSeeIfItWaits() {
    return place_->Write(std::chrono::milliseconds(700));
  }
  /// Sessions of the tenant that are left there once those that are being closed have ended.
  int SessionsThatStayOn(const pg::ConnectOptions& server);
  pg::PoolerEntry Entry();
  /// Transactions are waited for but shortly.
  Result<pg::PauseReport> Pause(std::function<Status()> end_transactions = {});
  pg::Connection Connect(const pg::ConnectOptions& server);
  pg::PoolerProof ProofOf(const pg::ConnectOptions& server);

  std::unique_ptr<PoolerPlace> place_ = GetParam().make();
  pg::Poolers poolers_{{place_->Admin()}};
  const std::vector<std::string> entries_{place_->database()};
};

}  // namespace cutover::sim
