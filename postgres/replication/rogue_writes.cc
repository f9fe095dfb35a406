// SPDX-License-Identifier: Apache-2.0
#include "operator/base/json.h"
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

// What was found stays found until the slot is made anew: a leader that dies after it has read the
// slot must not leave a successor who sees nothing.
constexpr std::string_view kRecordKind = "rogue-writes";
constexpr std::string_view kRecordName = "found";

// Decoded changes that the server holds at a time, beyond those of one transaction; it spills them
// to disk. Each slice reads the WAL again from the slot's restart position, so not too few.
constexpr int kChangesPerSlice = 200'000;

// pgoutput's messages, known by their first byte: O(rigin) follows B(egin) in a transaction that
// came by a subscription; I(nsert), U(pdate), D(elete) are followed by the table's OID, T(runcate)
// by a number of them and a byte; C(ommit) by a byte, where it begins and where it ends.
constexpr const char* kReadSlice = R"(
  WITH messages AS MATERIALIZED (
    SELECT xid::text AS xid, chr(get_byte(data, 0)) AS kind, data
      FROM pg_logical_slot_peek_binary_changes($1::text::name, $2::pg_lsn, $3::integer,
             'proto_version', '1', 'publication_names', $1::text)),
  streamed AS (
    SELECT m.xid
      FROM messages m JOIN pg_subscription s ON s.subname = $4
           JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database()
     WHERE m.kind = 'O' AND substring(m.data FROM 10)
                            = convert_to('pg_' || s.oid, 'UTF8') || '\x00'::bytea),
  foreigners AS MATERIALIZED (
    SELECT xid, kind, data FROM messages
     WHERE kind IN ('I', 'U', 'D', 'T') AND xid NOT IN (SELECT xid FROM streamed)),
  changed AS (
    SELECT xid, substring(data FROM 2 FOR 4) AS relation FROM foreigners WHERE kind <> 'T'
    UNION ALL
    SELECT f.xid, substring(f.data FROM 7 + 4 * n FOR 4)
      FROM foreigners f, generate_series(0, (length(f.data) - 6) / 4 - 1) n WHERE f.kind = 'T'),
  tables AS (
    SELECT c.xid, n.nspname, r.relname
      FROM (SELECT xid, ('x' || encode(relation, 'hex'))::bit(32)::bigint::oid AS oid
              FROM changed GROUP BY 1, 2) c
           LEFT JOIN pg_class r ON r.oid = c.oid
           LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
     WHERE n.nspname IS DISTINCT FROM 'cutover')
  SELECT (SELECT count(*) FROM messages) >= $3::integer,
         (SELECT max((encode(substring(data FROM 11 FOR 4), 'hex') || '/' ||
                      encode(substring(data FROM 15 FOR 4), 'hex'))::pg_lsn)
            FROM messages WHERE kind = 'C'),
         (SELECT count(DISTINCT xid) FROM tables),
         (SELECT coalesce(quote_ident(nspname) || '.' || quote_ident(relname),
                          'a table that is gone')
            FROM tables ORDER BY xid::bigint, 1 LIMIT 1))";

Result<RogueWrites> ReadFound(const std::stop_token& stop, Deadline deadline,
                              Connection& connection) {
  RogueWrites found;
  TRY_ASSIGN(std::optional<Json> record,
             ReadRecord(stop, deadline, connection, kRecordKind, kRecordName));
  if (!record) return found;
  found.transactions = (*record)["transactions"].AsInt();
  found.first_table = (*record)["firstTable"].AsString();
  return found;
}

Status RecordFound(const std::stop_token& stop, Deadline deadline, Connection& connection,
                   const Claim& claim, const RogueWrites& found) {
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(ForgetRecord(stop, deadline, transaction, kRecordKind, kRecordName));
                     TRY(RecordOnce(stop, deadline, transaction, kRecordKind, kRecordName,
                                    Json::Object({{"transactions", found.transactions},
                                                  {"firstTable", found.first_table}})));
                     return Ok();
                   });
}

Status AdvanceTo(const std::stop_token& stop, Deadline deadline, Connection& connection,
                 const std::string& slot, const std::string& position) {
  TRY(connection.Query(stop, deadline,
                       "SELECT pg_replication_slot_advance(slot_name,"
                       " greatest(confirmed_flush_lsn, $2::pg_lsn))"
                       " FROM pg_replication_slots WHERE slot_name = $1",
                       {slot, position}));
  return Ok();
}

}  // namespace

Status ForgetRogueWrites(const std::stop_token& stop, Deadline deadline, Connection& connection,
                         const Claim& claim) {
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) {
                     return ForgetRecord(stop, deadline, transaction, kRecordKind, kRecordName);
                   });
}

Result<RogueWrites> FindRogueWrites(std::stop_token stop, Deadline deadline, Connection& connection,
                                    const Claim& claim) {
  const std::string slot = StreamName(claim.migration_uid, Direction::kReverse);
  const std::string stream = StreamName(claim.migration_uid, Direction::kForward);
  // Its COMMIT puts on disk, and so within the slot's reach, what others have not waited for.
  TRY(RaiseEpoch(stop, deadline, connection, claim));
  TRY_ASSIGN(Rows now, connection.QueryOne(stop, deadline, "SELECT pg_current_wal_flush_lsn()"));
  const std::string end = now[0].Text(0);
  TRY_ASSIGN(RogueWrites found, ReadFound(stop, deadline, connection));
  for (bool more = true; more;) {
    TRY_ASSIGN(Rows slice, connection.QueryOne(stop, deadline, kReadSlice,
                                               {slot, end, kChangesPerSlice, stream}));
    more = slice[0].Bool(0);
    if (slice[0].Int(2) > 0) {
      found.transactions += slice[0].Int(2);
      if (found.first_table.empty()) found.first_table = slice[0].Text(3);
      // Only looked at so far: recorded first, then passed. A crash in between counts them twice.
      TRY(RecordFound(stop, deadline, connection, claim, found));
    }
    TRY(AdvanceTo(stop, deadline, connection, slot, more ? slice[0].Text(1) : end));
  }
  return found;
}

}  // namespace cutover::pg
