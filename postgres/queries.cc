// SPDX-License-Identifier: Apache-2.0
//
// What of a connection is made of its Query, so that another one can stand in for connection.cc.
#include <string>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "postgres/connection.h"

namespace cutover::pg {

Result<Rows> Connection::QueryOne(std::stop_token stop, Deadline deadline, const std::string& sql,
                                  const Params& params) {
  TRY_ASSIGN(Rows rows, Query(std::move(stop), deadline, sql, params));
  if (rows.size() != 1)
    return TerminalError("UnexpectedResult", "expected one row of " + options().Describe() +
                                                 ", got " + std::to_string(rows.size()));
  return rows;
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Result<Rows> Transaction::Query(std::stop_token stop, Deadline deadline, const std::string& sql,
                                const Params& params) {
  CHECK(connection_ != nullptr);
  return connection_->Query(std::move(stop), deadline, sql, params);
}

Result<Rows> Transaction::QueryOne(std::stop_token stop, Deadline deadline, const std::string& sql,
                                   const Params& params) {
  CHECK(connection_ != nullptr);
  return connection_->QueryOne(std::move(stop), deadline, sql, params);
}

Result<std::vector<Rows>> Transaction::QueryEach(std::stop_token stop, Deadline deadline,
                                                 const std::vector<Statement>& statements) {
  CHECK(connection_ != nullptr);
  return connection_->QueryEach(std::move(stop), deadline, statements);
}

}  // namespace cutover::pg
