// SPDX-License-Identifier: Apache-2.0
// What roles without superuser may not do. Everything here is a no-op for superusers.
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mover/plan/obstacle_search.h"
#include "mover/plan/role_names.h"
#include "postgres/catalog.h"

namespace cutover::mover {
namespace {

constexpr int kMajorOfReadAllData = 14;

std::string HowToRead(int major, const std::string& table, const std::string& admin) {
  if (major >= kMajorOfReadAllData) return "on the source: GRANT pg_read_all_data TO " + admin;
  return "on the source: GRANT SELECT ON " + table + " TO " + admin + ", and USAGE on its schema";
}

/// Tables, sequences and large objects that `reader` would not read, or not read whole.
Result<std::vector<Obstacle>> FindUnreadable(const std::stop_token& stop, Deadline deadline,
                                             pg::Connection& source, const std::string& reader) {
  const std::string admin = pg::QuoteIdentifier(reader);
  TRY_ASSIGN(auto tables, pg::ReadUnreadableTables(stop, deadline, source, reader));
  TRY_ASSIGN(pg::Rows hidden,
             source.Query(stop, deadline,
                          "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
                          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                          " WHERE c.relkind IN ('r', 'p') AND"
                          " pg_catalog.has_table_privilege(c.oid, 'SELECT') AND"
                          " pg_catalog.row_security_active(c.oid)"));
  std::set<std::string> by_policy;
  for (const pg::Row row : hidden) by_policy.insert(row.Text(0));
  std::vector<Obstacle> found;
  for (const std::string& table : tables) {
    if (by_policy.contains(table))
      found.push_back({"table " + table, "row security hides rows from role " + admin,
                       "on the source: ALTER ROLE " + admin + " BYPASSRLS", false});
    else
      found.push_back({"table " + table, "role " + admin + " may not read it",
                       HowToRead(source.major_version(), table, admin), false});
  }
  TRY_ASSIGN(pg::Rows objects,
             source.Query(stop, deadline,
                          "SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m WHERE NOT"
                          " pg_catalog.pg_has_role(m.lomowner, 'USAGE') AND NOT EXISTS (SELECT"
                          "  FROM pg_catalog.aclexplode(m.lomacl) a WHERE a.privilege_type ="
                          "  'SELECT' AND (a.grantee = 0 OR"
                          "  pg_catalog.pg_has_role(a.grantee, 'USAGE'))) ORDER BY 1"));
  for (const pg::Row row : objects)
    found.push_back({"large object " + row.Text(0), "role " + admin + " may not read it",
                     "on the source: GRANT SELECT ON LARGE OBJECT " + row.Text(0) + " TO " + admin,
                     false});
  return found;
}

/// Before we own anything there: a database, roles, and acting as the roles that will own.
Status TargetTakesOrders(ObstacleSearch& search) {
  const std::string admin = pg::QuoteIdentifier(search.target_admin);
  TRY_ASSIGN(pg::Rows self,
             search.target.QueryOne(search.stop, search.deadline,
                                    "SELECT rolcreatedb, rolbypassrls,"
                                    " pg_catalog.has_database_privilege(current_database(),"
                                    "  'CREATE') FROM pg_catalog.pg_roles"
                                    " WHERE rolname = current_user"));
  if (search.terms.create && !self[0].Bool(0))
    search.Add("target server", "role " + admin + " may not create databases there",
               "on the target: ALTER ROLE " + admin + " CREATEDB", false);
  if (!search.terms.create && !self[0].Bool(2))
    search.Add("target database", "role " + admin + " may not create schemas in it",
               "on the target: GRANT CREATE ON DATABASE " +
                   pg::QuoteIdentifier(search.terms.target_database) + " TO " + admin,
               false);
  std::set<std::string> owners;
  for (const RestoreItem& item : search.script.items) {
    if (std::string owner = OwnerOf(item); !owner.empty()) owners.insert(std::move(owner));
  }
  for (const std::string& owner : owners) {
    TRY_ASSIGN(pg::Rows rows, search.OfTarget("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1"
                                              " AND NOT pg_catalog.pg_has_role(oid, 'USAGE')",
                                              {search.Renamed(owner)}));
    if (!rows.empty())
      search.Add(
          RoleObject(owner),
          "it is on the target already, and role " + admin + " may not act for it there",
          "on the target: GRANT " + pg::QuoteIdentifier(search.Renamed(owner)) + " TO " + admin,
          false);
  }
  if (self[0].Bool(1)) return Ok();
  TRY_ASSIGN(pg::Rows forced,
             search.OfSource("SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                             " WHERE c.relrowsecurity AND c.relforcerowsecurity"));
  for (const pg::Row row : forced)
    search.Add("table " + row.Text(0),
               "its row security binds the owner too, so that role " + admin +
                   " could not read the copy back to prove it",
               "on the target: ALTER ROLE " + admin + " BYPASSRLS", false);
  return Ok();
}

/// A publication shows what is in the database, and only to whoever may replicate.
bool GivesPower(const RestoreItem& item) { return !item.type.starts_with("PUBLICATION"); }

/// Kinds of entries that only a superuser restores.
bool NeedsSuperuser(const RestoreItem& item) {
  static const std::set<std::string> kinds = {
      "ACCESS METHOD",        "EVENT TRIGGER",   "FOREIGN DATA WRAPPER",
      "OPERATOR CLASS",       "OPERATOR FAMILY", "PUBLICATION TABLES IN SCHEMA",
      "PROCEDURAL LANGUAGE",  "SHELL TYPE",      "TEXT SEARCH PARSER",
      "TEXT SEARCH TEMPLATE", "TRANSFORM"};
  if (kinds.contains(item.type)) return true;
  if (item.type == "PUBLICATION") return item.sql.find(" FOR ALL TABLES") != std::string::npos;
  if (item.type == "CAST") return item.sql.find(" WITHOUT FUNCTION") != std::string::npos;
  return item.type == "ACL" && item.schema == "pg_catalog";
}

/// Because we are no superuser, or because we are one and the source's are not trusted.
Status EntriesCanBeRestored(ObstacleSearch& search) {
  const bool allowed = search.target_superuser;
  const std::string why =
      allowed
          ? "only a superuser may create it, and whoever was one on a server of his own is none "
            "on a shared one"
          : "only a superuser may create it on the target, and role " +
                pg::QuoteIdentifier(search.target_admin) + " is none";
  const std::string remedy =
      allowed ? "take it away on the source" : "let a superuser of the target run the move";
  for (const RestoreItem& item : search.script.items) {
    if (NeedsSuperuser(item) && (!allowed || GivesPower(item)))
      search.Add(item.type == "CAST" ? item.name : item.Describe(), why,
                 remedy + ", or accept that it stays behind");
  }
  TRY_ASSIGN(
      pg::Rows rows,
      search.OfSource("SELECT p.oid, p.prokind FROM pg_catalog.pg_proc p"
                      " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
                      " WHERE NOT l.lanpltrusted AND l.lanname <> 'sql' AND p.oid >= 16384"));
  for (const pg::Row row : rows) {
    const RestoreItem* item = search.Entry(static_cast<uint32_t>(row.Int(0)),
                                           row.Text(1) == "p" ? "PROCEDURE" : "FUNCTION");
    // Others may need a function, so it cannot simply stay.
    if (item != nullptr) search.Add(item->Describe(), why, remedy, false);
  }
  return Ok();
}

}  // namespace

Status RequireReadable(std::stop_token stop, Deadline deadline, pg::Connection& source) {
  TRY_ASSIGN(pg::Rows self, source.QueryOne(stop, deadline,
                                            "SELECT rolname, rolsuper FROM pg_catalog.pg_roles"
                                            " WHERE rolname = current_user"));
  if (self[0].Bool(1)) return Ok();
  TRY_ASSIGN(auto found, FindUnreadable(stop, deadline, source, self[0].Text(0)));
  TRY(WaiveObstacles(found, {}));
  return Ok();
}

Status FindPrivilegeObstacles(ObstacleSearch& search) {
  if (!search.source_superuser) {
    TRY_ASSIGN(auto found,
               FindUnreadable(search.stop, search.deadline, search.source, search.source_admin));
    std::move(found.begin(), found.end(), std::back_inserter(search.result.found));
  }
  if (!search.target_superuser) TRY(TargetTakesOrders(search));
  if (search.target_superuser && !search.terms.distrust_superusers) return Ok();
  return EntriesCanBeRestored(search);
}

}  // namespace cutover::mover
