// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication/stream.h"
#include "postgres/secrets.h"

namespace cutover::pg {
namespace {

// Some platforms end a WAL sender after 5 seconds without an answer (trap 68), while an apply
// worker that is busy with one big transaction answers at its end: this is PostgreSQL's own
// default.
constexpr const char* kWalSenderTimeout = "60s";

Result<std::string> CurrentDatabase(const std::stop_token& stop, Deadline deadline,
                                    Transaction& transaction) {
  TRY_ASSIGN(Rows rows, transaction.QueryOne(stop, deadline, "SELECT current_database()"));
  return QuoteIdentifier(rows[0].Text(0));
}

}  // namespace

Status MakeStreamRole(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                      const std::string& name, const std::string& password,
                      const std::string& comment) {
  const std::string role = QuoteIdentifier(name);
  TRY_ASSIGN(std::vector<std::string> existing, ExistingRoles(stop, deadline, transaction, {name}));
  TRY(transaction.Exec(stop, deadline,
                       (existing.empty() ? "CREATE ROLE " : "ALTER ROLE ") + role +
                           " LOGIN REPLICATION NOINHERIT PASSWORD " +
                           QuoteLiteral(ScramVerifier(password))));
  TRY(transaction.Exec(
      stop, deadline,
      "ALTER ROLE " + role + " SET wal_sender_timeout = " + QuoteLiteral(kWalSenderTimeout)));
  TRY(transaction.Exec(stop, deadline, "COMMENT ON ROLE " + role + " IS " + QuoteLiteral(comment)));
  TRY_ASSIGN(std::string database, CurrentDatabase(stop, deadline, transaction));
  return transaction.Exec(stop, deadline, "GRANT CONNECT ON DATABASE " + database + " TO " + role);
}

Status EnsureReplicationRole(std::stop_token stop, Deadline deadline, Connection& connection,
                             const Claim& claim, Direction direction, const std::string& password) {
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(KeepOutOfLogs(stop, deadline, transaction));
        return MakeStreamRole(stop, deadline, transaction,
                              StreamName(claim.migration_uid, direction), password,
                              "Replication of Cutover, migration " + claim.migration_uid);
      });
}

Status DropReplicationRole(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  const std::string role = QuoteIdentifier(name);
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     TRY_ASSIGN(std::vector<std::string> existing,
                                ExistingRoles(stop, deadline, transaction, {name}));
                     if (existing.empty()) return Ok();
                     TRY(transaction.Query(stop, deadline,
                                           "SELECT pg_terminate_backend(pid)"
                                           " FROM pg_stat_activity WHERE usename = $1",
                                           {name}));
                     TRY_ASSIGN(std::string database, CurrentDatabase(stop, deadline, transaction));
                     TRY(transaction.Exec(stop, deadline,
                                          "REVOKE ALL ON DATABASE " + database + " FROM " + role));
                     return transaction.Exec(stop, deadline, "DROP ROLE " + role);
                   });
}

}  // namespace cutover::pg
