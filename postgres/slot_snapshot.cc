// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <utility>

#include "operator/base/mutex.h"
#include "postgres/control.h"
#include "postgres/snapshot.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kMajorOfSlotOptions = 15;
/// How long a session that has just ended may seem to hold a slot.
constexpr seconds kReleasePatience{5};
constexpr seconds kCleanupTimeout{15};
constexpr milliseconds kLook{50};
/// Lets the client's deadline come first: the server's own bound is for clients that were killed.
constexpr seconds kServerGrace{2};
constexpr seconds kLockTimeoutMax{3600};

constexpr char kFindSlot[] =
    "SELECT active_pid, confirmed_flush_lsn IS NULL, database = pg_catalog.current_database()"
    " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

constexpr char kSlotAsMade[] =
    "SELECT confirmed_flush_lsn = $2::pg_catalog.pg_lsn, wal_status = 'lost'"
    " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

// Only transactions that have written are waited for. $1 is the session that waits.
constexpr char kWriters[] = R"(
SELECT 'process ' || pid || ' of role ' || coalesce(usename, '?') || ' in database '
       || coalesce(datname, '?') || ' (' || coalesce(nullif(application_name, ''), backend_type)
       || '), whose transaction is open for '
       || coalesce(extract(epoch FROM clock_timestamp() - xact_start)::bigint, 0) || ' s', xact_start
  FROM pg_catalog.pg_stat_activity
 WHERE backend_xid IS NOT NULL AND pid <> $1 AND pid <> pg_catalog.pg_backend_pid()
UNION ALL
SELECT 'the prepared transaction ' || quote_literal(gid) || ' of role ' || owner || ' in database '
       || database, prepared FROM pg_catalog.pg_prepared_xacts
ORDER BY 2 LIMIT 1)";

tl::unexpected<Error> SlotInUse(const std::string& slot, const std::string& why) {
  return TerminalError("SlotInUse", "replication slot " + slot + " " + why +
                                        "; if nobody needs it, drop it (SELECT "
                                        "pg_drop_replication_slot(" +
                                        QuoteLiteral(slot) + ")), then try again");
}

std::string CreateStatement(int major, const std::string& slot) {
  const std::string create =
      "CREATE_REPLICATION_SLOT " + QuoteIdentifier(slot) + " LOGICAL pgoutput ";
  return create + (major >= kMajorOfSlotOptions ? "(SNAPSHOT 'export')" : "EXPORT_SNAPSHOT");
}

/// A walsender is not told that its client is gone while it waits for a transaction: the server
/// itself has to give up.
ConnectOptions ReplicationOptions(ConnectOptions options, Deadline deadline) {
  const milliseconds bound = std::min<milliseconds>(deadline.Remaining(), kLockTimeoutMax);
  options.keywords.emplace_back("replication", "database");
  options.settings.emplace_back("lock_timeout", std::to_string((bound + kServerGrace).count()));
  return options;
}

/// What it means for people that the slot was not made in time.
Error ExplainWaiting(Connection& admin, const NewSlot& slot, int holder_pid, Error error) {
  error.disposition = Disposition::kRetry;
  error.reason = "SlotWaits";
  error.message = "replication slot " + slot.name +
                  " could not be made in time: it waits until everybody has ended who was writing "
                  "on the server";
  auto writers = admin.Query({}, Deadline::After(kCleanupTimeout), kWriters, {holder_pid});
  if (writers && !writers->empty()) error.message += ", such as " + (*writers)[0].Text(0);
  error.message += "; wait for that to end, or end it, then try again";
  return error;
}

/// The stream's first: where it has a reader, the watch is somebody's, too.
Status DropBoth(std::stop_token stop, Deadline deadline, Connection& admin, const NewSlot& slot) {
  TRY(DropIdleSlot(stop, deadline, admin, slot.name));
  return slot.watch.empty() ? Ok() : DropIdleSlot(stop, deadline, admin, slot.watch);
}

Status MakeRoom(std::stop_token stop, Deadline deadline, Connection& admin, const NewSlot& slot) {
  if (slot.replace_idle) return DropBoth(stop, deadline, admin, slot);
  TRY_ASSIGN(Rows found, admin.Query(stop, deadline, kFindSlot, {slot.name}));
  if (found.empty()) return Ok();
  return SlotInUse(slot.name, "is there already");
}

}  // namespace

Result<SlotSnapshot> SlotSnapshot::Create(std::stop_token stop, Deadline deadline,
                                          const ConnectOptions& options, const NewSlot& slot) {
  TRY_ASSIGN(Connection admin, Connection::Open(stop, deadline, options));
  TRY(MakeRoom(stop, deadline, admin, slot));
  TRY_ASSIGN(Connection holder,
             Connection::Open(stop, deadline, ReplicationOptions(options, deadline)));
  const int holder_pid = holder.backend_pid();
  auto create = [&]() -> Result<SlotSnapshot> {
    TRY_ASSIGN(Rows made,
               holder.QueryOne(stop, deadline, CreateStatement(holder.major_version(), slot.name)));
    const Row row = made[0];
    SlotSnapshot snapshot(std::move(holder), row.Text(2), row.Text(1));
    if (slot.watch.empty()) return snapshot;
    // A copy begins where its model does, and waits for nobody.
    TRY(admin.Query(stop, deadline,
                    "SELECT pg_catalog.pg_copy_logical_replication_slot($1, $2, false)",
                    {slot.name, slot.watch}));
    return snapshot;
  };
  Result<SlotSnapshot> made = create();
  if (made) return made;
  Error error = std::move(made).error();
  if (error.reason == "DuplicateObject") return SlotInUse(slot.name, "is there already");
  const bool waited = error.reason == "LockNotAvailable" || error.reason == "DeadlineExceeded";
  if (waited) error = ExplainWaiting(admin, slot, holder_pid, std::move(error));
  // The answer may have been lost rather than the slot, and the admin's session with it.
  const Deadline cleanup = Deadline::After(kCleanupTimeout);
  if (!admin.usable()) {
    TRY_ASSIGN(admin, Connection::Open({}, cleanup, options));
  }
  TRY(DropBoth({}, cleanup, admin, slot));
  return tl::unexpected(std::move(error));
}

Status CheckSlotUnread(std::stop_token stop, Deadline deadline, Connection& connection,
                       const std::string& slot, const std::string& begins_at) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kSlotAsMade, {slot, begins_at}));
  std::string why;
  if (rows.empty())
    why = "is gone";
  else if (rows[0].Bool(1))
    why = "has lost its log (see max_slot_wal_keep_size)";
  else if (!rows[0].Bool(0))
    why = "was made anew or read by somebody";
  else
    return Ok();
  return RetryError("SlotLost", "replication slot " + slot + ", which was made for this copy, " +
                                    why + "; copy again");
}

Result<std::optional<int64_t>> RetainedBytes(std::stop_token stop, Deadline deadline,
                                             Connection& connection, const std::string& slot) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, R"(
      SELECT coalesce(pg_wal_lsn_diff(
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                    ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint
        FROM pg_replication_slots WHERE slot_name = $1)",
                                         {slot}));
  if (rows.empty()) return std::optional<int64_t>();
  return std::optional<int64_t>(rows[0].Int(0));
}

Status DropIdleSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                    const std::string& slot, std::optional<int64_t> under_epoch) {
  const Deadline release = deadline.OrAfter(kReleasePatience);
  while (true) {
    TRY_ASSIGN(Rows found, connection.Query(stop, deadline, kFindSlot, {slot}));
    if (found.empty()) return Ok();
    if (!found[0].Bool(2)) return SlotInUse(slot, "is another database's, or a physical one");
    if (found[0].IsNull(0)) break;
    const std::string process = found[0].Text(0);
    if (release.Expired()) return SlotInUse(slot, "is read by process " + process);
    // Not made yet, so nobody reads it: whoever was to have it has died.
    if (found[0].Bool(1))
      TRY(connection.Query(stop, deadline, "SELECT pg_catalog.pg_terminate_backend($1)",
                           {process}));
    if (!SleepUntil(stop, deadline.OrAfter(kLook)))
      return RetryError("Stopped", "dropping replication slot " + slot + " was stopped");
  }
  const Statement drop =
      UnderEpoch("SELECT pg_catalog.pg_drop_replication_slot($1) WHERE true", slot, under_epoch);
  auto dropped = connection.Query(stop, deadline, drop.sql, drop.params);
  if (dropped || connection.last_sqlstate() == "42704") return Ok();
  return tl::unexpected(std::move(dropped).error());
}

}  // namespace cutover::pg
