// SPDX-License-Identifier: Apache-2.0
#include "postgres/access.h"

#include <algorithm>
#include <set>
#include <utility>

#include "operator/base/log.h"

namespace cutover::pg {
namespace {

// aclexplode() of the list, or of what a NULL list stands for.
constexpr const char* kReadAccess = R"(
  SELECT pg_get_userbyid(d.datdba), d.datconnlimit,
         pg_get_userbyid(a.grantor),
         CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
         a.privilege_type, a.is_grantable
    FROM pg_database d
         LEFT JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a ON true
   WHERE d.datname = $1)";

std::string Grantee(const std::string& role) {
  return role.empty() ? "PUBLIC" : QuoteIdentifier(role);
}

/// `wanted` without what names roles that are gone (`there`: those that are not): nobody can hold
/// those privileges any more.
DatabaseAccess WithoutLostRoles(const Rows& there, DatabaseAccess wanted) {
  std::set<std::string> roles = {""};
  for (Row row : there) roles.insert(row.Text(0));
  std::erase_if(wanted.acl, [&](const AclItem& item) {
    bool lost = !roles.contains(item.grantor) || !roles.contains(item.grantee);
    if (lost)
      LogWarn("privilege left out, because its role no longer exists",
              {{"grantor", item.grantor}, {"grantee", item.grantee}});
    return lost;
  });
  return wanted;
}

/// What the owner granted is revoked, and with it, by CASCADE, what others passed on.
void RevokeAll(const std::string& database, const DatabaseAccess& current,
               std::vector<Statement>* statements) {
  std::set<std::string> grantees;
  for (const AclItem& item : current.acl) grantees.insert(item.grantee);
  for (const std::string& grantee : grantees)
    statements->push_back(
        {"REVOKE ALL ON DATABASE " + database + " FROM " + Grantee(grantee) + " CASCADE", {}});
}

void GrantOne(const std::string& database, const AclItem& item, const std::string& owner,
              std::vector<Statement>* statements) {
  // The server records as grantor whom the statement runs as; for a superuser that is the owner.
  const bool as_another = item.grantor != owner;
  if (as_another) statements->push_back({"SET LOCAL ROLE " + QuoteIdentifier(item.grantor), {}});
  statements->push_back({"GRANT " + item.privilege + " ON DATABASE " + database + " TO " +
                             Grantee(item.grantee) + (item.grantable ? " WITH GRANT OPTION" : ""),
                         {}});
  if (as_another) statements->push_back({"SET LOCAL ROLE NONE", {}});
}

/// Grants in rounds: first the owner's, then those of roles which by then hold a grant option.
Status GrantAll(const std::string& database, const DatabaseAccess& wanted,
                std::vector<Statement>* statements) {
  std::vector<AclItem> waiting = wanted.acl;
  std::set<std::pair<std::string, std::string>> can_grant;  // role, privilege
  while (!waiting.empty()) {
    std::vector<AclItem> later;
    for (const AclItem& item : waiting) {
      bool ready =
          item.grantor == wanted.owner || can_grant.contains({item.grantor, item.privilege});
      if (ready)
        GrantOne(database, item, wanted.owner, statements);
      else
        later.push_back(item);
    }
    if (later.size() == waiting.size())
      return TerminalError("AclNotRestored", "no role is left that could grant " +
                                                 later.front().privilege + " as " +
                                                 QuoteIdentifier(later.front().grantor));
    for (const AclItem& item : waiting) {
      bool done = std::find(later.begin(), later.end(), item) == later.end();
      if (done && item.grantable) can_grant.insert({item.grantee, item.privilege});
    }
    waiting = std::move(later);
  }
  return Ok();
}

/// From `current` to `wanted`.
Result<std::vector<Statement>> ChangesOfAccess(const std::string& database,
                                               const DatabaseAccess& current,
                                               const DatabaseAccess& wanted) {
  std::vector<Statement> statements;
  // The list is emptied before the owner changes, since a change of owner rewrites the list, and
  // filled after it, since the owner is who grants.
  RevokeAll(database, current, &statements);
  if (current.owner != wanted.owner)
    statements.push_back(
        {"ALTER DATABASE " + database + " OWNER TO " + QuoteIdentifier(wanted.owner), {}});
  TRY(GrantAll(database, wanted, &statements));
  if (current.connection_limit != wanted.connection_limit)
    statements.push_back({"ALTER DATABASE " + database + " CONNECTION LIMIT " +
                              std::to_string(wanted.connection_limit),
                          {}});
  return statements;
}

}  // namespace

Json ToJson(const DatabaseAccess& access) {
  Json acl = Json::Array();
  for (const AclItem& item : access.acl) {
    acl.Append(Json::Object({{"grantor", item.grantor},
                             {"grantee", item.grantee},
                             {"privilege", item.privilege},
                             {"grantable", item.grantable}}));
  }
  return Json::Object({{"owner", access.owner},
                       {"connectionLimit", access.connection_limit},
                       {"acl", std::move(acl)}});
}

Result<DatabaseAccess> DatabaseAccessFrom(const Json& json) {
  if (!json["owner"].IsString() || !json["connectionLimit"].IsInt() || !json["acl"].IsArray())
    return TerminalError("LedgerCorrupted", "the record of a database's access is not one");
  DatabaseAccess access;
  access.owner = json["owner"].AsString();
  access.connection_limit = static_cast<int>(json["connectionLimit"].AsInt());
  for (const Json& item : json["acl"].Items()) {
    access.acl.push_back({item["grantor"].AsString(), item["grantee"].AsString(),
                          item["privilege"].AsString(), item["grantable"].AsBool()});
  }
  std::sort(access.acl.begin(), access.acl.end());
  return access;
}

Statement AccessStatement(std::string_view database) { return {kReadAccess, {database}}; }

Result<DatabaseAccess> AccessFrom(const Rows& rows, std::string_view database) {
  if (rows.empty())
    return TerminalError("DatabaseNotFound",
                         "database " + QuoteIdentifier(database) + " does not exist");
  DatabaseAccess access;
  access.owner = rows[0].Text(0);
  access.connection_limit = static_cast<int>(rows[0].Int(1));
  for (Row row : rows) {
    if (!row.IsNull(4)) access.acl.push_back({row.Text(2), row.Text(3), row.Text(4), row.Bool(5)});
  }
  std::sort(access.acl.begin(), access.acl.end());
  return access;
}

Result<DatabaseAccess> ReadAccess(std::stop_token stop, Deadline deadline, Connection& connection,
                                  std::string_view database) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kReadAccess, {database}));
  return AccessFrom(rows, database);
}

Status ApplyAccess(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   std::string_view database, const DatabaseAccess& wanted) {
  TRY_ASSIGN(auto seen, transaction.QueryEach(
                            stop, deadline,
                            {{"SELECT rolname FROM pg_roles", {}}, AccessStatement(database)}));
  const DatabaseAccess possible = WithoutLostRoles(seen[0], wanted);
  TRY_ASSIGN(DatabaseAccess current, AccessFrom(seen[1], database));
  if (current == possible) return Ok();
  const std::string name = QuoteIdentifier(database);
  TRY_ASSIGN(std::vector<Statement> statements, ChangesOfAccess(name, current, possible));
  statements.push_back(AccessStatement(database));
  TRY_ASSIGN(auto answers, transaction.QueryEach(stop, deadline, statements));
  TRY_ASSIGN(DatabaseAccess reached, AccessFrom(answers.back(), database));
  if (reached != possible)
    return TerminalError("AclNotRestored", "the access of database " + name +
                                               " did not become what it has to be; wanted " +
                                               ToJson(possible).Dump() + ", got " +
                                               ToJson(reached).Dump());
  return Ok();
}

}  // namespace cutover::pg
