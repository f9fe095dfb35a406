// SPDX-License-Identifier: Apache-2.0
#include "postgres/replication/stream.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "operator/base/enumerate.h"

namespace cutover::pg {
namespace {

constexpr size_t kNameBytesMax = 63;
constexpr size_t kItemsNamedMax = 10;
// Before that, FULL stands for the columns that are sent.
constexpr int kRefusesGeneratedIdentity = 18;

}  // namespace

const std::string_view kStreamedTables = R"(
  c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
  AND NOT EXISTS (
    SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
       AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND c.oid <> ALL (coalesce(e.extconfig, '{}'))))";

const std::string_view kHasIdentity = R"(
  (c.relreplident = 'f' OR EXISTS (
    SELECT FROM pg_index i
     WHERE i.indrelid = c.oid AND i.indisvalid
       AND (c.relreplident = 'd' AND i.indisprimary AND i.indimmediate
            OR c.relreplident = 'i' AND i.indisreplident))))";

// Whoever applies looks by the primary key where there is no identity index, with FULL, too. What
// an index only INCLUDEs is no part of an identity.
std::string IdentityIsGenerated(int major) {
  std::string key = R"(
  (EXISTS (
    SELECT FROM pg_index i
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated <> ''
                              AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
     WHERE i.indrelid = c.oid
       AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END))";
  if (major >= kRefusesGeneratedIdentity)
    key += " OR (c.relreplident = 'f' OR NOT " + std::string(kHasIdentity) + R"()
    AND EXISTS (SELECT FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attgenerated <> '' AND NOT a.attisdropped))";
  return key + ")";
}

std::string_view Name(Direction direction) {
  return direction == Direction::kForward ? "forward" : "reverse";
}

std::string StreamName(std::string_view migration_uid, Direction direction) {
  std::string name = "cutover_" + std::string(Name(direction)) + "_";
  for (char c : migration_uid) {
    const auto letter = static_cast<unsigned char>(c);
    name += std::isalnum(letter) != 0 ? static_cast<char>(std::tolower(letter)) : '_';
  }
  return name.substr(0, kNameBytesMax);
}

std::vector<std::string> StreamNames(std::string_view migration_uid) {
  return {StreamName(migration_uid, Direction::kForward),
          StreamName(migration_uid, Direction::kReverse)};
}

Status RaiseEpoch(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const Claim& claim) {
  return WithEpoch(stop, deadline, connection, claim,
                   [](Transaction&, const Control&) { return Ok(); });
}

Status EndStatementsBefore(const std::stop_token& stop, Deadline deadline,
                           Transaction& transaction) {
  // A second is left for the rollback and for a look at who is in the way.
  const int64_t remaining = deadline.Remaining().count();
  const int64_t patience = std::max<int64_t>(remaining - std::min<int64_t>(remaining / 2, 1000), 1);
  return transaction.Exec(
      stop, deadline,
      "SET LOCAL statement_timeout = " + std::to_string(std::min<int64_t>(patience, 86'400'000)));
}

bool WasEndedInTime(const Error& error) { return error.reason == "Cancelled"; }

Result<std::vector<std::string>> ExistingRoles(const std::stop_token& stop, Deadline deadline,
                                               Transaction& transaction,
                                               const std::vector<std::string>& roles) {
  TRY_ASSIGN(Rows rows, transaction.Query(stop, deadline,
                                          "SELECT rolname FROM pg_roles"
                                          " WHERE rolname = ANY ($1::text[])",
                                          {roles}));
  std::vector<std::string> existing;
  for (Row row : rows) {
    if (std::find(roles.begin(), roles.end(), row.Text(0)) != roles.end())
      existing.push_back(row.Text(0));
  }
  return existing;
}

DatabaseAccess WithoutRoles(DatabaseAccess access, const std::vector<std::string>& roles) {
  std::erase_if(access.acl, [&](const AclItem& item) {
    return std::find(roles.begin(), roles.end(), item.grantee) != roles.end();
  });
  return access;
}

Result<DatabaseAccess> WithStreamRoles(const std::stop_token& stop, Deadline deadline,
                                       Transaction& transaction, DatabaseAccess access,
                                       std::string_view migration_uid) {
  TRY_ASSIGN(std::vector<std::string> existing,
             ExistingRoles(stop, deadline, transaction, StreamNames(migration_uid)));
  access = WithoutRoles(std::move(access), existing);
  for (const std::string& role : existing)
    access.acl.push_back({access.owner, role, "CONNECT", false});
  std::sort(access.acl.begin(), access.acl.end());
  return access;
}

std::string Some(const std::vector<std::string>& items) { return Enumerate(items, kItemsNamedMax); }

}  // namespace cutover::pg
