// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "reconcilers/migration/checks/check.h"

namespace cutover::migration {

/// A read-only transaction that does not wait long for anybody's lock.
Result<pg::Transaction> BeginReading(std::stop_token stop, Deadline deadline,
                                     pg::Connection& connection);

/// Those columns of the plain table public.`name` whose values are built in; empty when there is no
/// such table. It is locked against change until the transaction ends. So reading these columns
/// runs none of the tenant's code, whoever reads: no view, no type or cast of the tenant's own.
Result<std::set<std::string>> LockPlainTable(std::stop_token stop, Deadline deadline,
                                             pg::Transaction& transaction, std::string_view name);

/// Every member of `baseline` must be in `found` with the same value; the error lists what differs.
/// `found` may have more.
Status CompareFigures(const Json& baseline, const Json& found);

/// Nobody but the operator has a session in the source database. A source that does not answer
/// passes: its fence is in its catalog, and the tenant must not be kept out for a dead server.
Result<std::string> SourceIsIdle(std::stop_token stop, Deadline deadline,
                                 const CheckContext& context);

/// The tenant's role has a session in the target database that is not the operator's own.
Result<std::string> TargetIsInUse(std::stop_token stop, Deadline deadline,
                                  const CheckContext& context);

/// A session of the tenant's role where the tenant is now.
Result<pg::Connection> ConnectAsTenant(std::stop_token stop, Deadline deadline,
                                       const CheckContext& context);

}  // namespace cutover::migration
