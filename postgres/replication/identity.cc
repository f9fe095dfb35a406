// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "operator/base/json.h"
#include "postgres/event_triggers.h"
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

// Where the ledger keeps the identities that tables had; each under the table's OID, which stays
// when the table is renamed.
constexpr std::string_view kRecordKind = "replica-identity";

// Everybody who wants the table, readers included, waits behind us for as long as we wait for it.
constexpr const char* kWaitBriefly = "SET LOCAL lock_timeout = '100ms'";

struct TableIdentity {
  std::string oid;
  std::string schema;
  std::string table;
  std::string identity;  ///< pg_class.relreplident: "d", "n", "i", "f"
  std::string index;     ///< For "i": that index.

  std::string quoted() const { return QuoteQualified(schema, table); }
};

Json ToJson(const TableIdentity& table) {
  return Json::Object({{"schema", table.schema},
                       {"table", table.table},
                       {"identity", table.identity},
                       {"index", table.index}});
}

Result<std::vector<TableIdentity>> ReadTables(const std::stop_token& stop, Deadline deadline,
                                              Connection& connection, const std::string& where,
                                              const Params& params = {}) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         R"(
      SELECT c.oid, n.nspname, c.relname, c.relreplident,
             (SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
               WHERE x.indrelid = c.oid AND x.indisreplident)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE )" + where + R"( ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C")",
                                         params));
  std::vector<TableIdentity> tables;
  for (Row row : rows)
    tables.push_back({row.Text(0), row.Text(1), row.Text(2), row.Text(3), row.Text(4)});
  return tables;
}

std::string WithoutIdentity() {
  return std::string(kStreamedTables) + " AND NOT " + std::string(kHasIdentity);
}

// The lock is held for no longer than the commit takes. It is tried again, later each time.
Status Alter(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
             const std::string& table, const std::string& clause) {
  TRY(SilenceEventTriggers(stop, deadline, transaction));
  TRY(transaction.Exec(stop, deadline, kWaitBriefly));
  Status altered =
      transaction.Exec(stop, deadline, "ALTER TABLE ONLY " + table + " REPLICA IDENTITY " + clause);
  if (altered || altered.error().reason != "LockNotAvailable") return altered;
  return RetryError("TableInUse", "table " + table +
                                      " is in use, so that its replica identity cannot be set: "
                                      "somebody's transaction on it, or a vacuum, is to end first");
}

/// Records what the table has and sets it to FULL, unless somebody was quicker.
Status SetToFull(const std::stop_token& stop, Deadline deadline, Connection& connection,
                 const Claim& claim, const TableIdentity& table) {
  Status set = WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(RecordOnce(stop, deadline, transaction, kRecordKind, table.oid, ToJson(table)));
        return Alter(stop, deadline, transaction, table.quoted(), "FULL");
      });
  if (!set)
    return tl::unexpected(
        WithContext(std::move(set).error(), "replica identity of " + table.quoted()));
  return Ok();
}

/// The clause of ALTER TABLE. Of an index that was gone already nothing was left to identify by.
std::string Clause(const Json& record) {
  const std::string identity = record["identity"].AsString();
  if (identity == "d") return "DEFAULT";
  if (identity == "i" && !record["index"].AsString().empty())
    return "USING INDEX " + QuoteIdentifier(record["index"].AsString());
  return "NOTHING";
}

Status RestoreOne(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const Claim& claim, const LedgerEntry& record) {
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        // Where it is no longer FULL, somebody else has decided since.
        TRY_ASSIGN(Rows rows, transaction.Query(stop, deadline,
                                                "SELECT n.nspname, c.relname FROM pg_class c"
                                                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                                                " WHERE c.oid = $1::oid AND c.relreplident = 'f'",
                                                {record.name}));
        for (Row row : rows)
          TRY(Alter(stop, deadline, transaction, QuoteQualified(row.Text(0), row.Text(1)),
                    Clause(record.value)));
        return ForgetRecord(stop, deadline, transaction, kRecordKind, record.name);
      });
}

}  // namespace

Result<std::vector<std::string>> TablesWithoutIdentity(std::stop_token stop, Deadline deadline,
                                                       Connection& connection) {
  TRY_ASSIGN(std::vector<TableIdentity> tables,
             ReadTables(stop, deadline, connection, WithoutIdentity()));
  std::vector<std::string> names;
  for (const TableIdentity& table : tables) names.push_back(table.quoted());
  return names;
}

Status SetReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& connection,
                            const Claim& claim) {
  TRY_ASSIGN(std::vector<TableIdentity> tables,
             ReadTables(stop, deadline, connection, WithoutIdentity()));
  for (const TableIdentity& table : tables)
    TRY(SetToFull(stop, deadline, connection, claim, table));
  return Ok();
}

Status AdoptReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& source,
                              Connection& target, const Claim& target_claim) {
  TRY_ASSIGN(std::vector<LedgerEntry> records, ReadRecords(stop, deadline, source, kRecordKind));
  if (records.empty()) return Ok();
  TRY_ASSIGN(std::vector<TableIdentity> tables,
             ReadTables(stop, deadline, target, "c.relkind = 'r' AND c.relreplident = 'f'"));
  return WithEpoch(
      stop, deadline, target, target_claim,
      [&](Transaction& transaction, const Control&) -> Status {
        for (const LedgerEntry& record : records) {
          auto same = std::find_if(tables.begin(), tables.end(), [&](const TableIdentity& table) {
            return table.schema == record.value["schema"].AsString() &&
                   table.table == record.value["table"].AsString();
          });
          if (same == tables.end()) continue;
          TRY(RecordOnce(stop, deadline, transaction, kRecordKind, same->oid, record.value));
        }
        return Ok();
      });
}

Status RestoreReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& connection,
                                const Claim& claim) {
  TRY_ASSIGN(std::vector<LedgerEntry> records,
             ReadRecords(stop, deadline, connection, kRecordKind));
  for (const LedgerEntry& record : records)
    TRY(RestoreOne(stop, deadline, connection, claim, record));
  return Ok();
}

}  // namespace cutover::pg
