// SPDX-License-Identifier: Apache-2.0
#include "mover/target_database.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "mover/contract/progress.h"
#include "mover/schema/leftovers.h"
#include "operator/base/check.h"
#include "postgres/event_triggers.h"

namespace cutover::mover {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);
/// Longer than a server needs to notice that the node of the mover before us is dead.
constexpr auto kLockTimeout = std::chrono::seconds(90);
/// All index builds of a run together; each gets its share as maintenance_work_mem.
constexpr int kIndexMemoryMebibytes = 1024;
constexpr int kIndexMemoryMebibytesMin = 64;
constexpr char kLockForMovers[] = "SELECT pg_catalog.pg_advisory_lock(7233970, 1)";

}  // namespace

Result<pg::Connection> TargetDatabase::Connect(std::stop_token stop) const {
  pg::ConnectOptions options = options_.target;
  const int memory_mebibytes =
      std::max(kIndexMemoryMebibytes / std::max(options_.jobs, 1), kIndexMemoryMebibytesMin);
  options.settings.insert(
      options.settings.end(),
      {{"check_function_bodies", "off"},
       // Commits need not wait for the disk: the result is written by a session that does, and
       // its commit carries all before it.
       {"synchronous_commit", "off"},
       {"maintenance_work_mem", std::to_string(memory_mebibytes) + "MB"},
       // One worker a build: the jobs are the parallelism, and memory is counted per process.
       {"max_parallel_maintenance_workers", "0"}});
  return pg::Connection::Open(stop, Deadline::After(kConnectTimeout), options);
}

Status TargetDatabase::Prepare(std::stop_token stop, const pg::DatabaseProperties& source) {
  if (options_.admin) {
    pg::DatabaseProperties wanted = source;
    wanted.name = options_.target.database;
    TRY(pg::CreateTargetDatabase(
        stop, Deadline::Never(), *options_.admin, wanted,
        pg::Claim{options_.migration_uid, options_.epoch, pg::Side::kTarget}));
  }
  return TakeLedger(stop);
}

/// The ledger's session also holds the lock that keeps a second mover of the database away, such
/// as one whose pod was declared dead too early.
Status TargetDatabase::TakeLedger(std::stop_token stop) {
  const Deadline deadline = Deadline::After(kLockTimeout);
  pg::ConnectOptions options = options_.target;
  // Also one whose last answer has not been taken. This session never leaves any unread for long.
  options.settings.emplace_back("tcp_user_timeout", "30000");
  TRY_ASSIGN(pg::Connection ledger, pg::Connection::Open(stop, deadline, options));
  Status locked = ledger.Exec(stop, deadline, kLockForMovers);
  if (!locked && locked.error().reason == "DeadlineExceeded")
    return RetryError("MoverBusy",
                      "another mover works in the target database; wait until it has ended");
  TRY(locked);
  if (options_.authorize) TRY(options_.authorize(stop, ledger));
  TRY(CreateLedger(stop, Deadline::Never(), ledger));
  ledger_.emplace(std::move(ledger));
  return Ok();
}

void TargetDatabase::StartReporting() {
  CHECK(ledger_.has_value());
  reporter_.AttachLedger(std::move(*ledger_), options_.migration_uid, options_.attempt);
  ledger_.reset();
}

Status TargetDatabase::Empty(std::stop_token stop) {
  TRY_ASSIGN(pg::Connection target, Connect(stop));
  TRY_ASSIGN(std::string found, FindForeignObject(stop, Deadline::Never(), target));
  if (found.empty()) return Claim(stop, target);
  TRY_ASSIGN(auto progress, ReadProgress(stop, Deadline::Never(), target, options_.migration_uid));
  if (!progress)
    return TerminalError("TargetNotEmpty",
                         "the target database holds " + found +
                             ", which is not of this migration; name an empty database, or "
                             "drop this one");
  TRY(DropLeftovers(stop, target));
  return Claim(stop, target);
}

Status TargetDatabase::Claim(std::stop_token stop, pg::Connection& target) {
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(ForgetRun(stop, Deadline::Never(), target, options_.migration_uid, options_.attempt,
                JobKind::kClone));
  // The claim comes before the first object, so that a run that dies next is recognized.
  StageProgress claim;
  claim.stage = "schema";
  TRY(WriteStage(stop, Deadline::Never(), target, options_.migration_uid, options_.attempt, claim));
  return transaction.Commit(stop, Deadline::Never());
}

Status TargetDatabase::CreateRoles(std::stop_token stop, const pg::RoleSet& roles) {
  TRY_ASSIGN(pg::Connection target, Connect(stop));
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(pg::CreateRoles(stop, Deadline::Never(), transaction, roles, options_.migration_uid,
                      options_.withhold_powers ? pg::Powers::kWithhold : pg::Powers::kBring));
  return transaction.Commit(stop, Deadline::Never());
}

Status TargetDatabase::Open(std::stop_token stop, const pg::RoleSet& roles,
                            const pg::DatabaseAccess& access) {
  TRY_ASSIGN(pg::Connection target, Connect(stop));
  TRY(pg::KeepCreatedRoles(stop, Deadline::Never(), target, roles, options_.migration_uid));
  reporter_.DetachLedger();
  TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), target));  // They are the tenant's now.
  // Together: as long as the claim is there the database is closed, and a new run may empty it.
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(transaction.Exec(stop, Deadline::Never(), "SET LOCAL synchronous_commit TO on"));
  if (options_.admin)
    TRY(pg::ApplyAccess(stop, Deadline::Never(), transaction, options_.target.database, access));
  TRY(transaction.Exec(stop, Deadline::Never(), "DROP SCHEMA cutover CASCADE"));
  TRY(transaction.Commit(stop, Deadline::Never()));
  return pg::ReturnRoles(stop, Deadline::Never(), target, roles);
}

}  // namespace cutover::mover
