// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// One privilege of an access control list, as aclexplode() has it.
struct AclItem {
  std::string grantor;
  std::string grantee;    ///< Empty is PUBLIC: PostgreSQL allows no role without a name.
  std::string privilege;  ///< CONNECT, CREATE, TEMPORARY
  bool grantable = false;

  auto operator<=>(const AclItem&) const = default;
};

/// Who may do what with one database: what the fence takes away and gives back. Two lists are the
/// same when they allow the same, so a NULL list equals the default list written out.
struct DatabaseAccess {
  std::string owner;
  int connection_limit = -1;
  std::vector<AclItem> acl;  ///< Sorted; the default list spelled out.

  bool operator==(const DatabaseAccess&) const = default;
};

Json ToJson(const DatabaseAccess& access);
/// Terminal "LedgerCorrupted" when `json` was not made by ToJson().
Result<DatabaseAccess> DatabaseAccessFrom(const Json& json);

/// Reads the access of `database`; terminal "DatabaseNotFound" when there is none.
Result<DatabaseAccess> ReadAccess(std::stop_token stop, Deadline deadline, Connection& connection,
                                  std::string_view database);

/// What ReadAccess() asks and makes of the answer, for whoever asks it beside others.
Statement AccessStatement(std::string_view database);
Result<DatabaseAccess> AccessFrom(const Rows& rows, std::string_view database);

/// Makes the access of `database` exactly `wanted`, grants by others than the owner included, and
/// reads it back before saying so. Privileges of roles that no longer exist are left out, with a
/// warning in the log. Needs a superuser, or a role that is a member of all grantors.
Status ApplyAccess(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   std::string_view database, const DatabaseAccess& wanted);

}  // namespace cutover::pg
