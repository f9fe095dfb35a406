// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/lent_privileges.h"

#include <set>
#include <string>
#include <utility>

#include "mover/plan/role_names.h"

namespace cutover::mover {
namespace {

/// Schemas with roles that own something in them.
std::set<std::pair<std::string, std::string>> OwnersBySchema(const RestoreScript& script) {
  std::set<std::pair<std::string, std::string>> owners;
  for (const RestoreItem& item : script.items) {
    if (item.schema.empty() || item.schema == "-" || item.schema == "pg_catalog") continue;
    if (std::string owner = OwnerOf(item); !owner.empty()) owners.emplace(item.schema, owner);
  }
  return owners;
}

Result<bool> IsSuperuser(const std::stop_token& stop, Deadline deadline, pg::Connection& target) {
  TRY_ASSIGN(pg::Rows self, target.QueryOne(stop, deadline,
                                            "SELECT rolsuper FROM pg_catalog.pg_roles"
                                            " WHERE rolname = current_user"));
  return self[0].Bool(0);
}

/// A statement on each schema and role for which `condition`, on n and r, holds. A schema whose
/// name a dump's comment cannot say (with a newline) is not found: giving its objects away then
/// fails by name.
Result<std::string> ForEach(const std::stop_token& stop, Deadline deadline, pg::Connection& target,
                            const RestoreScript& script, const std::string& statement,
                            const std::string& condition) {
  const std::string query = "SELECT format('" + statement +
                            "', n.nspname, r.rolname) FROM pg_catalog.pg_namespace n,"
                            " pg_catalog.pg_roles r WHERE n.nspname = $1 AND r.rolname = $2"
                            " AND r.rolname <> current_user AND " +
                            condition;
  std::string sql;
  for (const auto& [schema, role] : OwnersBySchema(script)) {
    TRY_ASSIGN(pg::Rows rows, target.Query(stop, deadline, query, {schema, role}));
    if (!rows.empty()) sql += rows[0].Text(0) + ";\n";
  }
  return sql;
}

/// The same on the database, for owners of publications.
Result<std::string> ForEachPublisher(const std::stop_token& stop, Deadline deadline,
                                     pg::Connection& target, const RestoreScript& script,
                                     const std::string& statement, const std::string& condition) {
  std::set<std::string> publishers;
  for (const RestoreItem& item : script.items) {
    if (item.type == "PUBLICATION") publishers.insert(OwnerOf(item));
  }
  const std::string query = "SELECT format('" + statement +
                            "', d.datname, r.rolname) FROM pg_catalog.pg_database d,"
                            " pg_catalog.pg_roles r WHERE d.datname = current_database()"
                            " AND r.rolname = $1 AND r.rolname <> current_user AND " +
                            condition;
  std::string sql;
  for (const std::string& role : publishers) {
    TRY_ASSIGN(pg::Rows rows, target.Query(stop, deadline, query, {role}));
    if (!rows.empty()) sql += rows[0].Text(0) + ";\n";
  }
  return sql;
}

}  // namespace

Status LendCreate(std::stop_token stop, Deadline deadline, pg::Connection& target,
                  const RestoreScript& script) {
  TRY_ASSIGN(bool superuser, IsSuperuser(stop, deadline, target));
  if (superuser) return Ok();
  TRY_ASSIGN(std::string sql,
             ForEach(stop, deadline, target, script, "GRANT CREATE ON SCHEMA %I TO %I",
                     "NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')"));
  TRY_ASSIGN(std::string on_database,
             ForEachPublisher(stop, deadline, target, script, "GRANT CREATE ON DATABASE %I TO %I",
                              "NOT pg_catalog.has_database_privilege(r.oid, d.oid, 'CREATE')"));
  return target.Exec(stop, deadline, sql + on_database);
}

Status TakeBackCreate(std::stop_token stop, Deadline deadline, pg::Connection& target,
                      const RestoreScript& script) {
  TRY_ASSIGN(bool superuser, IsSuperuser(stop, deadline, target));
  if (superuser) return Ok();
  TRY_ASSIGN(std::string sql,
             ForEach(stop, deadline, target, script, "REVOKE CREATE ON SCHEMA %I FROM %I",
                     "n.nspowner <> r.oid AND EXISTS (SELECT FROM"
                     " pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = r.oid"
                     " AND a.privilege_type = 'CREATE')"));
  for (const RestoreItem& item : script.items) {
    if (!sql.empty() && item.type == "ACL" && item.name.starts_with("SCHEMA ")) sql += item.sql;
  }
  TRY_ASSIGN(
      std::string on_database,
      ForEachPublisher(stop, deadline, target, script, "REVOKE CREATE ON DATABASE %I FROM %I",
                       "d.datdba <> r.oid AND EXISTS (SELECT FROM"
                       " pg_catalog.aclexplode(d.datacl) a WHERE a.grantee = r.oid"
                       " AND pg_catalog.pg_get_userbyid(a.grantor) = current_user"
                       " AND a.privilege_type = 'CREATE')"));
  sql += on_database;
  if (sql.empty()) return Ok();
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, deadline, target));
  TRY(transaction.Exec(stop, deadline, sql));
  return transaction.Commit(stop, deadline);
}

}  // namespace cutover::mover
