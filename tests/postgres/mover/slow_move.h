// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mover/clone.h"
#include "mover/contract/job_spec.h"
#include "tests/postgres/servers.h"

namespace cutover::mover::testing {

/// A tenant's database with a few tables of the same size, each of them a chunk of its own, and its
/// copy that may be interrupted: with a rate of a few MiB a second a case has seconds to do so.
/// Both, and the roles, are dropped at the end. Methods abort or fail the test when a server does
/// not answer.
class SlowMove {
 public:
  static constexpr int kTables = 8;
  static constexpr int kRowsPerTable = 1600;  ///< 1 KiB each.

  SlowMove() : SlowMove(pg::testing::Servers().source, pg::testing::Servers().target) {}
  SlowMove(const pg::ConnectOptions& source, const pg::ConnectOptions& target,
           int rows_per_table = kRowsPerTable);
  ~SlowMove();
  SlowMove(const SlowMove&) = delete;
  SlowMove& operator=(const SlowMove&) = delete;

  pg::ConnectOptions Source() const { return database_->Options(); }
  pg::ConnectOptions Copy() const { return target_.WithDatabase(copy_); }
  const std::string& tenant() const { return tenant_->name(); }
  const std::string& directory() const { return directory_; }  ///< For files; empty at first.

  /// "clone" with all that it needs, and `more`.
  std::vector<std::string> CloneArguments(const std::vector<std::string>& more = {}) const;
  /// The source as the program's --source takes it.
  std::string SourceConninfo() const;
  std::vector<std::pair<std::string, std::string>> Environment() const;
  /// The same move as the program would see it, to be made within this process.
  CloneOptions Options() const;

  /// Makes the fenced and claimed target database, as the operator does before it orders a Job.
  JobSpec PrepareJob() const;
  /// The file that `job --spec` reads; it is never seen half written.
  std::string WriteSpec(const JobSpec& spec) const;

  /// What the copy's ledger says is committed, by table: when. Empty when there is no copy yet.
  std::map<std::string, std::string> Committed() const;
  /// Waits until at least so many chunks are committed; fails the test after half a minute.
  void AwaitCommitted(size_t chunks) const;
  /// Whether the copy is there and its plan is written: rows are being copied.
  void AwaitPlan() const;

  /// No session in either database, no replication slot, no prepared transaction; nothing was
  /// written into the source; and the role that came along carries the migration's mark unless the
  /// copy is open. Servers get some seconds to notice that a client is gone.
  void ExpectNothingLeft() const;
  /// The tenant, with the right password, is refused.
  void ExpectClosed() const;
  /// The tenant sees all rows of all tables.
  void ExpectOpenAndWhole() const;

 private:
  std::optional<std::string> ReadCopy(const std::string& sql) const;
  Result<pg::Connection> ConnectTenant() const;
  static void ExpectNobodyIn(const pg::ConnectOptions& server, const std::string& database);

  pg::ConnectOptions source_;
  pg::ConnectOptions target_;
  int rows_per_table_;
  std::unique_ptr<pg::testing::TestRole> tenant_;
  std::unique_ptr<pg::testing::TestDatabase> database_;
  std::string copy_;
  std::string directory_;
};

}  // namespace cutover::mover::testing
