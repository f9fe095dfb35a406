// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "operator/base/json.h"
#include "postgres/changes.h"
#include "postgres/idle_transaction.h"
#include "postgres/replication/stream.h"
#include "postgres/stream_names.h"

namespace cutover::pg {
namespace {

// Whoever has a transaction number keeps a slot from being made, in whichever database (trap 71).
constexpr const char* kInTheWay = R"(
  SELECT usename, datname, to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
  UNION ALL
  SELECT owner, database, to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
    FROM pg_prepared_xacts
   ORDER BY 3, 1, 2)";

constexpr const char* kReadPublisher = R"(
  SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
         EXISTS (SELECT FROM pg_publication WHERE pubname = $1),
         s.slot_name IS NOT NULL, coalesce(s.active, false), coalesce(s.wal_status, ''),
         coalesce(pg_wal_lsn_diff(p.now, s.restart_lsn), 0)::bigint,
         coalesce(s.safe_wal_size, -1),
         coalesce(greatest(pg_wal_lsn_diff(p.now, s.confirmed_flush_lsn), 0), 0)::bigint,
         extract(epoch FROM clock_timestamp()))";
// By the direction.
constexpr const char* kSubscriberRecord = "subscriber-timeline";
constexpr const char* kFromLedger = R"(,
         EXISTS (SELECT FROM cutover.ledger WHERE kind = 'replica-identity'),
         (SELECT (value #>> '{}')::bigint FROM cutover.ledger
           WHERE kind = 'subscriber-timeline' AND name = )";
constexpr const char* kFromSlot = R"(
    FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                      ELSE pg_current_wal_lsn() END AS now) p
         LEFT JOIN pg_replication_slots s ON s.slot_name = $1)";

constexpr const char* kFindStreamSlots = R"(
  SELECT slot_name, database, coalesce(restart_lsn::text, '')
    FROM pg_replication_slots WHERE slot_name ~ $1 AND slot_type = 'logical' ORDER BY slot_name)";
constexpr const char* kEndReader =
    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
    " WHERE active_pid IS NOT NULL AND slot_name = $1";
constexpr const char* kDropFoundSlot =
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
constexpr const char* kThatVerySlot = " AND coalesce(restart_lsn::text, '') = $2";

/// Whether the slot is there, and ours; terminal when another one has taken its name.
Result<bool> FindSlot(const std::stop_token& stop, Deadline deadline, Connection& connection,
                      const std::string& name) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT plugin = 'pgoutput' AND"
                                         " database = current_database()"
                                         " FROM pg_replication_slots WHERE slot_name = $1",
                                         {name}));
  if (rows.empty()) return false;
  if (!rows[0].Bool(0))
    return TerminalError("ForeignSlot", "the replication slot " + name +
                                            " is not of this database or does not use pgoutput; "
                                            "drop it with pg_drop_replication_slot");
  return true;
}

Status CreateNow(const std::stop_token& stop, Deadline deadline, Connection& connection,
                 const std::string& name, std::optional<int64_t> under_epoch) {
  const Statement create = UnderEpoch(
      "SELECT pg_create_logical_replication_slot($1, 'pgoutput') WHERE true", name, under_epoch);
  TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, connection));
  TRY(EndStatementsBefore(stop, deadline, transaction));
  TRY_ASSIGN(Rows made, transaction.Query(stop, deadline, create.sql, create.params));
  if (made.empty())
    return TerminalError("Deposed", "a newer leader has taken over before the replication slot " +
                                        name + " was made");
  return transaction.Commit(stop, deadline);
}

Status EndReaderAndDrop(const std::stop_token& stop, Deadline deadline, Connection& connection,
                        const Statement& end_reader, const Statement& drop) {
  while (true) {
    TRY(connection.Query(stop, deadline, end_reader.sql, end_reader.params));
    auto dropped = connection.Query(stop, deadline, drop.sql, drop.params);
    // 42704: somebody else has dropped it in between.
    if (dropped || connection.last_sqlstate() == "42704") return Ok();
    // 55006: its WAL sender has not ended yet, or the subscriber was back before us.
    const bool in_use = connection.last_sqlstate() == "55006";
    if (!in_use || deadline.Remaining() < 2 * kLookAgainAfter)
      return tl::unexpected(std::move(dropped).error());
    std::this_thread::sleep_for(kLookAgainAfter);
  }
}

tl::unexpected<Error> SlotWaits(const std::stop_token& stop, Deadline deadline,
                                Connection& connection) {
  std::vector<std::string> holders;
  auto rows = connection.Query(stop, deadline, kInTheWay);
  if (!rows) return tl::unexpected(std::move(rows).error());
  for (Row row : *rows)
    holders.push_back("role " + QuoteIdentifier(row.Text(0)) + " in database " +
                      QuoteIdentifier(row.Text(1)) + " since " + row.Text(2));
  return RetryError("SlotWaits",
                    "a replication slot can be made once the transactions that are open on the "
                    "server have ended; " +
                        (holders.empty() ? std::string("they have by now") : Some(holders)));
}

}  // namespace

Status MakeSlot(const std::stop_token& stop, Deadline deadline, Connection& connection,
                const std::string& name, std::optional<int64_t> under_epoch) {
  Status made = CreateNow(stop, deadline, connection, name, under_epoch);
  if (!made && WasEndedInTime(made.error())) return SlotWaits(stop, deadline, connection);
  return made;
}

Status RemoveSlot(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const std::string& name, std::optional<int64_t> under_epoch) {
  return EndReaderAndDrop(stop, deadline, connection, {kEndReader, {name}},
                          UnderEpoch(kDropFoundSlot, name, under_epoch));
}

Status EnsureSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                  const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  TRY(RaiseEpoch(stop, deadline, connection, claim));
  TRY_ASSIGN(bool exists, FindSlot(stop, deadline, connection, name));
  if (exists) return Ok();
  if (direction == Direction::kReverse) TRY(ForgetRogueWrites(stop, deadline, connection, claim));
  // A leader that froze here must not make it when everything has been removed: it would keep the
  // log for ever.
  return MakeSlot(stop, deadline, connection, name, claim.epoch);
}

Status NoteRunningTransactions(std::stop_token stop, Deadline deadline, Connection& connection) {
  if (connection.major_version() < 16) return Ok();
  TRY(connection.Query(stop, deadline,
                       "SELECT CASE WHEN has_function_privilege("
                       "'pg_catalog.pg_log_standby_snapshot()', 'EXECUTE')"
                       " THEN pg_catalog.pg_log_standby_snapshot() END"));
  return Ok();
}

Status DropSlot(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
                Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  Status forgotten =
      WithEpoch(stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) {
        return ForgetRecord(stop, deadline, transaction, kSubscriberRecord, Name(direction));
      });
  TRY(forgotten);
  return RemoveSlot(stop, deadline, connection, name, claim.epoch);
}

Status RecordSubscriber(std::stop_token stop, Deadline deadline, Connection& publisher,
                        const Claim& publisher_claim, Connection& subscriber, Direction direction) {
  TRY_ASSIGN(SubscriberFacts now, ObserveSubscriber(stop, deadline, subscriber,
                                                    publisher_claim.migration_uid, direction));
  return WithEpoch(stop, deadline, publisher, publisher_claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(RecordOnce(stop, deadline, transaction, kSubscriberRecord, Name(direction),
                                    Json(now.timeline)));
                     return Ok();
                   });
}

Result<PublisherFacts> ObservePublisher(std::stop_token stop, Deadline deadline,
                                        Connection& connection, std::string_view migration_uid,
                                        Direction direction) {
  const std::string name = StreamName(migration_uid, direction);
  const std::string head = kReadPublisher;
  Result<Rows> rows = connection.QueryOne(
      stop, deadline, head + kFromLedger + QuoteLiteral(Name(direction)) + ")" + kFromSlot, {name});
  // 42P01: no ledger, no records.
  if (!rows && connection.last_sqlstate() == "42P01")
    rows = connection.QueryOne(stop, deadline, head + ", false, NULL" + kFromSlot, {name});
  TRY(rows);
  Row row = (*rows)[0];
  PublisherFacts facts;
  facts.role_exists = row.Bool(0);
  facts.publication_exists = row.Bool(1);
  facts.slot_exists = row.Bool(2);
  facts.slot_active = row.Bool(3);
  facts.wal_status = row.Text(4);
  facts.retained_bytes = row.Int(5);
  facts.safe_wal_bytes = row.Int(6);
  facts.lag_bytes = row.Int(7);
  facts.clock_seconds = row.Double(8);
  facts.identities_changed = row.Bool(9);
  facts.subscriber_timeline = row.Int(10);
  return facts;
}

bool StreamSlot::IsOf(std::string_view migration_uid) const {
  for (const std::string& stream : StreamNames(migration_uid)) {
    if (name == stream || name == WatchSlotName(stream)) return true;
  }
  return false;
}

Result<std::vector<StreamSlot>> FindStreamSlots(std::stop_token stop, Deadline deadline,
                                                Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kFindStreamSlots, {kStreamNamePattern}));
  std::vector<StreamSlot> slots;
  for (Row row : rows) slots.push_back({row.Text(0), row.Text(1), row.Text(2)});
  return slots;
}

Status RemoveStreamSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                        const StreamSlot& slot) {
  const Params params = {slot.name, slot.position};
  return EndReaderAndDrop(stop, deadline, connection,
                          {std::string(kEndReader) + kThatVerySlot, params},
                          {std::string(kDropFoundSlot) + kThatVerySlot, params});
}

}  // namespace cutover::pg
