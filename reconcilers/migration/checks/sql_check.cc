// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/checks/sql_check.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "reconcilers/migration/checks/http_check.h"

namespace cutover::migration {
namespace {

constexpr std::chrono::minutes kStatementBound{10};

}  // namespace

Result<pg::Connection> ConnectForCheck(std::stop_token stop, Deadline deadline,
                                       const pg::ConnectOptions& tenant) {
  pg::ConnectOptions options = tenant;
  options.application_name = kCheckApplicationName;
  // What we pin for our own work would make a query of the tenant's mean something else.
  options.settings.emplace_back("search_path", "\"$user\", public");
  options.settings.emplace_back("row_security", "on");
  return pg::Connection::Open(stop, deadline, options);
}

Result<std::string> QueryValue(std::stop_token stop, Deadline deadline, pg::Connection& connection,
                               const std::string& query) {
  using std::chrono::milliseconds;
  TRY_ASSIGN(pg::Transaction transaction,
             pg::Transaction::Begin(stop, deadline, connection,
                                    {pg::Transaction::Isolation::kReadCommitted, true}));
  // The client's own deadline closes the connection; the server's bound, just before it, leaves a
  // sentence about why.
  milliseconds left =
      std::clamp<milliseconds>(deadline.Remaining() * 9 / 10, milliseconds(1), kStatementBound);
  TRY(transaction.Exec(stop, deadline,
                       "SET LOCAL statement_timeout = " + std::to_string(left.count())));
  TRY_ASSIGN(pg::Rows rows, transaction.Query(stop, deadline, query));
  if (rows.size() != 1)
    return TerminalError("UnexpectedResult", "the query gave " + std::to_string(rows.size()) +
                                                 " rows instead of one row with one value");
  return rows[0].Text(0);
}

Status AskSql(std::stop_token stop, Deadline deadline, pg::Connection& tenant,
              const api::SqlCheck& check) {
  TRY_ASSIGN(std::string came, QueryValue(stop, deadline, tenant, check.query));
  if (came == check.expected) return Ok();
  return RetryError("UnexpectedValue", "the query gave \"" + Excerpt(came) + "\" instead of \"" +
                                           Excerpt(check.expected) + "\"");
}

Status RunSqlCheck(std::stop_token stop, Deadline deadline, const pg::ConnectOptions& tenant,
                   const api::SqlCheck& check) {
  TRY_ASSIGN(pg::Connection connection, ConnectForCheck(stop, deadline, tenant));
  return AskSql(stop, deadline, connection, check);
}

}  // namespace cutover::migration
