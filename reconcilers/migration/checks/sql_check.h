// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::migration {

/// A session of the tenant's own role for checks: the tenant's usual search_path, which our
/// sessions otherwise pin to nothing, and an application name by which such sessions are known.
Result<pg::Connection> ConnectForCheck(std::stop_token stop, Deadline deadline,
                                       const pg::ConnectOptions& tenant);

/// The one value that `query` returns, in a read-only transaction that the server itself ends when
/// the deadline passes. NULL reads as an empty text. Terminal "UnexpectedResult" for anything but
/// one row of one column.
Result<std::string> QueryValue(std::stop_token stop, Deadline deadline, pg::Connection& connection,
                               const std::string& query);

/// Asks in a session of ConnectForCheck; the error says what came instead.
Status AskSql(std::stop_token stop, Deadline deadline, pg::Connection& tenant,
              const api::SqlCheck& check);

/// ConnectForCheck and AskSql.
Status RunSqlCheck(std::stop_token stop, Deadline deadline, const pg::ConnectOptions& tenant,
                   const api::SqlCheck& check);

/// application_name of the operator's own sessions as the tenant's role.
inline constexpr char kCheckApplicationName[] = "cutover-check";

}  // namespace cutover::migration
