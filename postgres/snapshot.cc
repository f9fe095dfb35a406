// SPDX-License-Identifier: Apache-2.0
#include "postgres/snapshot.h"

namespace cutover::pg {
namespace {

constexpr Transaction::Options kReadOnlySnapshot = {Transaction::Isolation::kRepeatableRead,
                                                    /*read_only=*/true};

}  // namespace

Result<ExportedSnapshot> ExportedSnapshot::Export(std::stop_token stop, Deadline deadline,
                                                  const ConnectOptions& options) {
  TRY_ASSIGN(Connection opened, Connection::Open(stop, deadline, options));
  auto connection = std::make_unique<Connection>(std::move(opened));
  TRY_ASSIGN(Transaction transaction,
             Transaction::Begin(stop, deadline, *connection, kReadOnlySnapshot));
  TRY_ASSIGN(Rows rows, transaction.QueryOne(stop, deadline, "SELECT pg_export_snapshot()"));
  return ExportedSnapshot(std::move(connection), std::move(transaction), rows[0].Text(0));
}

Status ExportedSnapshot::CheckHeld(std::stop_token stop, Deadline deadline) {
  if (!connection_->in_transaction())
    return TerminalError("SnapshotLost", "the connection that held the snapshot is gone");
  TRY(transaction_.Query(stop, deadline, "SELECT 1"));
  return Ok();
}

bool SaysSnapshotLost(const Connection& connection) {
  // 22023: no such snapshot (any more); 42704 since PostgreSQL 17 says the same.
  const std::string& sqlstate = connection.last_sqlstate();
  return sqlstate == "22023" || sqlstate == "42704";
}

Result<Transaction> BeginWithSnapshot(std::stop_token stop, Deadline deadline,
                                      Connection& connection, const std::string& snapshot_id) {
  TRY_ASSIGN(Transaction transaction,
             Transaction::Begin(stop, deadline, connection, kReadOnlySnapshot));
  Status imported =
      transaction.Exec(stop, deadline, "SET TRANSACTION SNAPSHOT " + QuoteLiteral(snapshot_id));
  if (!imported && SaysSnapshotLost(connection))
    return TerminalError("SnapshotLost", "snapshot " + snapshot_id + " is no longer exported");
  TRY(imported);
  return transaction;
}

}  // namespace cutover::pg
