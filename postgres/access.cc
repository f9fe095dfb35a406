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

Result<DatabaseAccess> AccessOf(const Rows& rows, std::string_view database) {
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

Result<DatabaseAccess> ReadInTransaction(const std::stop_token& stop, Deadline deadline,
                                         Transaction& transaction, std::string_view database) {
  TRY_ASSIGN(Rows rows, transaction.Query(stop, deadline, kReadAccess, {database}));
  return AccessOf(rows, database);
}

/// `wanted` without what names roles that are gone: nobody can hold those privileges any more.
Result<DatabaseAccess> WithoutLostRoles(const std::stop_token& stop, Deadline deadline,
                                        Transaction& transaction, DatabaseAccess wanted) {
  TRY_ASSIGN(Rows rows, transaction.Query(stop, deadline, "SELECT rolname FROM pg_roles"));
  std::set<std::string> roles = {""};
  for (Row row : rows) roles.insert(row.Text(0));
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
Status RevokeAll(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                 const std::string& database, const DatabaseAccess& current) {
  std::set<std::string> grantees;
  for (const AclItem& item : current.acl) grantees.insert(item.grantee);
  for (const std::string& grantee : grantees) {
    TRY(transaction.Exec(
        stop, deadline,
        "REVOKE ALL ON DATABASE " + database + " FROM " + Grantee(grantee) + " CASCADE"));
  }
  return Ok();
}

Status GrantOne(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                const std::string& database, const AclItem& item, const std::string& owner) {
  std::string grant = "GRANT " + item.privilege + " ON DATABASE " + database + " TO " +
                      Grantee(item.grantee) + (item.grantable ? " WITH GRANT OPTION" : "");
  // The server records as grantor whom the statement runs as; for a superuser that is the owner.
  if (item.grantor != owner)
    grant =
        "SET LOCAL ROLE " + QuoteIdentifier(item.grantor) + "; " + grant + "; SET LOCAL ROLE NONE";
  return transaction.Exec(stop, deadline, grant);
}

/// Grants in rounds: first the owner's, then those of roles which by then hold a grant option.
Status GrantAll(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                const std::string& database, const DatabaseAccess& wanted) {
  std::vector<AclItem> waiting = wanted.acl;
  std::set<std::pair<std::string, std::string>> can_grant;  // role, privilege
  while (!waiting.empty()) {
    std::vector<AclItem> later;
    for (const AclItem& item : waiting) {
      bool ready =
          item.grantor == wanted.owner || can_grant.contains({item.grantor, item.privilege});
      if (!ready) {
        later.push_back(item);
        continue;
      }
      TRY(GrantOne(stop, deadline, transaction, database, item, wanted.owner));
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

Result<DatabaseAccess> ReadAccess(std::stop_token stop, Deadline deadline, Connection& connection,
                                  std::string_view database) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kReadAccess, {database}));
  return AccessOf(rows, database);
}

Status ApplyAccess(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   std::string_view database, const DatabaseAccess& wanted) {
  TRY_ASSIGN(DatabaseAccess possible, WithoutLostRoles(stop, deadline, transaction, wanted));
  TRY_ASSIGN(DatabaseAccess current, ReadInTransaction(stop, deadline, transaction, database));
  if (current == possible) return Ok();
  const std::string name = QuoteIdentifier(database);
  // The list is emptied before the owner changes, since a change of owner rewrites the list, and
  // filled after it, since the owner is who grants.
  TRY(RevokeAll(stop, deadline, transaction, name, current));
  if (current.owner != possible.owner) {
    TRY(transaction.Exec(
        stop, deadline, "ALTER DATABASE " + name + " OWNER TO " + QuoteIdentifier(possible.owner)));
  }
  TRY(GrantAll(stop, deadline, transaction, name, possible));
  if (current.connection_limit != possible.connection_limit) {
    TRY(transaction.Exec(stop, deadline,
                         "ALTER DATABASE " + name + " CONNECTION LIMIT " +
                             std::to_string(possible.connection_limit)));
  }
  TRY_ASSIGN(DatabaseAccess reached, ReadInTransaction(stop, deadline, transaction, database));
  if (reached != possible)
    return TerminalError("AclNotRestored", "the access of database " + name +
                                               " did not become what it has to be; wanted " +
                                               ToJson(possible).Dump() + ", got " +
                                               ToJson(reached).Dump());
  return Ok();
}

}  // namespace cutover::pg
