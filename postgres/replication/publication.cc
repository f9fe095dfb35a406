// SPDX-License-Identifier: Apache-2.0
#include "postgres/event_triggers.h"
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

// No keys, on purpose: a row is changed by deleting the old one and adding the new, which the other
// side can apply whatever it has, so that these two tables never stop a stream.
constexpr const char* kCreateTables = R"(
  CREATE TABLE IF NOT EXISTS cutover.heartbeat (
    side text NOT NULL, beaten_at timestamptz NOT NULL);
  CREATE TABLE IF NOT EXISTS cutover.marker (
    side text NOT NULL, number bigint NOT NULL);
  REVOKE ALL ON cutover.heartbeat, cutover.marker FROM PUBLIC;
  ALTER TABLE cutover.heartbeat REPLICA IDENTITY FULL;
  ALTER TABLE cutover.marker REPLICA IDENTITY FULL)";

constexpr const char* kHasTables =
    "SELECT to_regclass('cutover.heartbeat') IS NOT NULL"
    " AND to_regclass('cutover.marker') IS NOT NULL";

Result<bool> Exists(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                    const std::string& publication) {
  TRY_ASSIGN(Rows rows,
             transaction.Query(stop, deadline, "SELECT FROM pg_publication WHERE pubname = $1",
                               {publication}));
  return !rows.empty();
}

/// Tables that belong into `publication` and are not. Terminal when the tenant could no longer
/// update or delete rows of one of them.
Result<std::vector<std::string>> MissingTables(const std::stop_token& stop, Deadline deadline,
                                               Transaction& transaction, int major,
                                               const std::string& publication,
                                               const std::vector<std::string>& exclude_tables) {
  TRY_ASSIGN(Rows rows,
             transaction.Query(stop, deadline,
                               "SELECT n.nspname, c.relname, " + std::string(kHasIdentity) + ", " +
                                   IdentityIsGenerated(major) + R"(
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE ()" + std::string(kStreamedTables) +
                                   R"( AND n.nspname || '.' || c.relname <> ALL ($2::text[])
              OR n.nspname = 'cutover' AND c.relname IN ('heartbeat', 'marker'))
         AND c.oid NOT IN (SELECT r.prrelid FROM pg_publication_rel r
                             JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1)
       ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")",
                               {publication, exclude_tables}));
  std::vector<std::string> missing;
  std::vector<std::string> without_identity, generated;
  for (Row row : rows) {
    missing.push_back(QuoteQualified(row.Text(0), row.Text(1)));
    if (!row.Bool(2)) without_identity.push_back(missing.back());
    if (row.Bool(3)) generated.push_back(missing.back());
  }
  if (!generated.empty())
    return TerminalError("ReplicaIdentityGenerated",
                         "if these tables were published, their rows could no longer be updated or "
                         "deleted, since generated columns tell them apart: " +
                             Some(generated) +
                             "; give each a primary key of ordinary columns, and where it is FULL "
                             "the REPLICA IDENTITY DEFAULT, or choose strategy Offline");
  if (!without_identity.empty())
    return TerminalError("ReplicaIdentityMissing",
                         "if these tables were published, their rows could no longer be updated or "
                         "deleted: " +
                             Some(without_identity) +
                             "; give each a primary key, or let the migration set REPLICA "
                             "IDENTITY FULL");
  return missing;
}

std::string ListOfTables(const std::vector<std::string>& tables) {
  std::string list;
  for (const std::string& table : tables) list += (list.empty() ? "ONLY " : ", ONLY ") + table;
  return list;
}

}  // namespace

Status EnsureStreamTables(const std::stop_token& stop, Deadline deadline,
                          Transaction& transaction) {
  TRY_ASSIGN(Rows rows, transaction.QueryOne(stop, deadline, kHasTables));
  if (rows[0].Bool(0)) return Ok();
  return transaction.Exec(stop, deadline, kCreateTables);
}

Status EnsurePublication(std::stop_token stop, Deadline deadline, Connection& connection,
                         const Claim& claim, Direction direction,
                         const std::vector<std::string>& exclude_tables) {
  const std::string name = StreamName(claim.migration_uid, direction);
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        TRY(EnsureStreamTables(stop, deadline, transaction));
        TRY_ASSIGN(bool exists, Exists(stop, deadline, transaction, name));
        TRY_ASSIGN(std::vector<std::string> missing,
                   MissingTables(stop, deadline, transaction, connection.major_version(), name,
                                 exclude_tables));
        if (missing.empty()) return Ok();
        return transaction.Exec(stop, deadline,
                                exists ? "ALTER PUBLICATION " + QuoteIdentifier(name) +
                                             " ADD TABLE " + ListOfTables(missing)
                                       : "CREATE PUBLICATION " + QuoteIdentifier(name) +
                                             " FOR TABLE " + ListOfTables(missing) +
                                             " WITH (publish_via_partition_root = false)");
      });
}

Status DropPublication(std::stop_token stop, Deadline deadline, Connection& connection,
                       const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY(SilenceEventTriggers(stop, deadline, transaction));
                     return transaction.Exec(stop, deadline,
                                             "DROP PUBLICATION IF EXISTS " + QuoteIdentifier(name));
                   });
}

}  // namespace cutover::pg
