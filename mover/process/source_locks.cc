// SPDX-License-Identifier: Apache-2.0
#include "mover/process/source_locks.h"

#include <chrono>
#include <string>
#include <utility>

namespace cutover::mover {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10);

// We only read, so what is in our way is always of this one mode. Who has it comes before who waits
// for it.
constexpr char kBlockers[] =
    "SELECT n.nspname || '.' || c.relname, a.pid, a.usename, a.application_name, l.granted"
    " FROM pg_catalog.pg_locks l"
    " JOIN pg_catalog.pg_class c ON c.oid = l.relation"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p', 'm')"
    " AND l.database = (SELECT oid FROM pg_catalog.pg_database"
    "                   WHERE datname = pg_catalog.current_database())"
    " AND n.nspname !~ '^pg_' ORDER BY l.granted DESC, 1 LIMIT 1";

/// pg_dump bounds its waiting by statement_timeout, and says so in the server's words.
bool SpeaksOfLock(const Error& error) {
  return error.reason == "LockNotAvailable" ||
         (error.reason == "ProgramFailed" &&
          error.message.find("statement timeout") != std::string::npos);
}

}  // namespace

std::string LockWaitFlag(int seconds_max) {
  return "--lock-wait-timeout=" + std::to_string(seconds_max) + "s";
}

Error ExplainLock(std::stop_token stop, const pg::ConnectOptions& source, Error error) {
  if (!SpeaksOfLock(error)) return error;
  error.disposition = Disposition::kRetry;
  error.reason = "SourceTableLocked";
  const Deadline deadline = Deadline::After(kTimeout);
  auto connection = pg::Connection::Open(stop, deadline, source);
  auto rows = connection ? connection->Query(stop, deadline, kBlockers)
                         : tl::make_unexpected(connection.error());
  if (!rows || rows->empty()) {
    error.message = "a table of the source was locked for too long (" + error.message +
                    "); run it again when nobody changes the structure";
    return error;
  }
  const pg::Row row = (*rows)[0];
  error.message = "table " + row.Text(0) + " of the source is locked by process " + row.Text(1) +
                  " of role " + row.Text(2) + " (" + row.Text(3) + ")" +
                  (row.Bool(4) ? "" : ", which itself waits for the lock") +
                  "; wait for that to end, or end it, then try again";
  return error;
}

}  // namespace cutover::mover
