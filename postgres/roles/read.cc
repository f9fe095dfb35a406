// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <optional>
#include <utility>

#include "postgres/roles/set.h"

namespace cutover::pg {
namespace {

// pg_shdepend knows owners, grantees, default privileges and policies of this database's objects,
// and of the database itself. Roles that every cluster has are not in it. Our streams' roles have
// CONNECT on it while they last, and are no part of the tenant. Nor is our admin, who owns a closed
// database and schema cutover, and may be a member of every tenant's owner: neither what he is a
// member of nor who is a member of him is followed.
constexpr const char* kReferencedNames = R"(
  WITH RECURSIVE this AS (SELECT oid FROM pg_database WHERE datname = current_database()),
  direct AS (
    SELECT s.refobjid AS role, bool_or(s.deptype = 'o') AS owns
      FROM pg_shdepend s, this
     WHERE s.refclassid = 'pg_authid'::regclass
       AND (s.dbid = this.oid OR s.classid = 'pg_database'::regclass AND s.objid = this.oid)
       AND pg_get_userbyid(s.refobjid) <> current_user
     GROUP BY 1
    UNION ALL
    SELECT s.setrole, false FROM pg_db_role_setting s, this
     WHERE s.setdatabase = this.oid AND s.setrole <> 0
       AND pg_get_userbyid(s.setrole) <> current_user),
  members AS (
    SELECT role FROM direct WHERE owns
    UNION
    SELECT m.member FROM members JOIN pg_auth_members m ON m.roleid = members.role
      JOIN pg_roles r ON r.oid = m.member
     WHERE NOT r.rolsuper AND r.rolname <> current_user),
  wanted AS (
    SELECT role FROM direct
    UNION SELECT role FROM members
    UNION
    SELECT m.roleid FROM wanted JOIN pg_auth_members m ON m.member = wanted.role
     WHERE pg_get_userbyid(m.roleid) <> current_user)
  SELECT DISTINCT r.rolname FROM wanted JOIN pg_roles r ON r.oid = wanted.role
   WHERE r.rolname !~ '^pg_'
     AND r.rolname !~ '^cutover_(forward|reverse)_' ORDER BY 1)";

// Of each role that is granted something in this database and in no other, those of its members who
// log in and may use what it has.
constexpr const char* kLeftBehind = R"(
  WITH RECURSIVE below AS (
    SELECT DISTINCT s.refobjid AS top, s.refobjid AS role
      FROM pg_shdepend s JOIN pg_database d ON d.datname = current_database()
           JOIN pg_roles r ON r.oid = s.refobjid
     WHERE s.refclassid = 'pg_authid'::regclass AND NOT r.rolsuper AND r.rolname <> current_user
       AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid)
       AND NOT EXISTS (
             SELECT FROM pg_shdepend e
              WHERE e.refclassid = s.refclassid AND e.refobjid = s.refobjid
                AND (e.dbid NOT IN (0, d.oid)
                     OR e.classid = 'pg_database'::regclass AND e.objid <> d.oid))
    UNION
    SELECT b.top, m.member FROM below b JOIN pg_auth_members m ON m.roleid = b.role
      JOIN pg_roles r ON r.oid = m.member
     WHERE NOT r.rolsuper AND r.rolname <> current_user
       AND (coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
            OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true)))
  SELECT g.rolname, array_agg(m.rolname::text ORDER BY m.rolname)
    FROM below JOIN pg_roles g ON g.oid = below.top JOIN pg_roles m ON m.oid = below.role
   WHERE m.rolcanlogin AND m.rolname <> ALL ($1::text[]) AND m.rolname !~ '^pg_'
     AND m.rolname !~ '^cutover_(forward|reverse)_' AND g.rolname !~ '^pg_'
   GROUP BY 1 ORDER BY 1)";

constexpr const char* kReadRoles = R"(
  SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
         rolbypassrls, rolconnlimit,
         coalesce(nullif(rolvaliduntil, 'infinity')::text, ''),
         coalesce(shobj_description(oid, 'pg_authid'), ''),
         EXISTS (
           WITH RECURSIVE above AS (
             SELECT w.oid AS role
             UNION SELECT m.roleid FROM above JOIN pg_auth_members m ON m.member = above.role)
           SELECT FROM above JOIN pg_roles g ON g.oid = above.role
            WHERE g.rolsuper OR g.rolname ~ '^pg_' OR g.rolname = current_user)
    FROM pg_roles w
   WHERE rolname = ANY ($1::text[]) AND rolname !~ '^pg_' ORDER BY rolname COLLATE "C")";

constexpr const char* kMayReadVerifiers =
    "SELECT has_column_privilege('pg_authid', 'rolpassword', 'SELECT')"
    " AND has_column_privilege('pg_authid', 'rolname', 'SELECT')";

constexpr const char* kReadVerifiers =
    "SELECT rolname, rolpassword FROM pg_authid"
    " WHERE rolname = ANY ($1::text[]) AND rolpassword IS NOT NULL";

constexpr const char* kReadRoleLabels =
    "SELECT r.rolname, l.provider, l.label FROM pg_shseclabel l"
    " JOIN pg_roles r ON r.oid = l.objoid AND l.classoid = 'pg_authid'::regclass"
    " WHERE r.rolname = ANY ($1::text[]) ORDER BY 1, 2";

/// From 16 on a membership has options of its own, and as many rows as it has grantors; before, the
/// member's attribute decides.
constexpr const char* kReadMemberships = R"(
  SELECT g.rolname, m.rolname, bool_or(a.admin_option), bool_or(a.inherit_option),
         bool_or(a.set_option), coalesce(w.rolname, ''), bool_or(g.rolsuper)
    FROM pg_auth_members a
         JOIN pg_roles g ON g.oid = a.roleid
         JOIN pg_roles m ON m.oid = a.member
         LEFT JOIN pg_roles w ON w.oid = a.grantor AND NOT w.rolsuper
              AND w.rolname = ANY ($1::text[])
   WHERE m.rolname = ANY ($1::text[]) AND (g.rolname = ANY ($1::text[]) OR g.rolname ~ '^pg_' OR g.rolsuper)
   GROUP BY 1, 2, 6 ORDER BY 1, 2, 6)";

constexpr const char* kReadMembershipsBefore16 = R"(
  SELECT g.rolname, m.rolname, bool_or(a.admin_option), bool_or(m.rolinherit), true, '',
         bool_or(g.rolsuper)
    FROM pg_auth_members a
         JOIN pg_roles g ON g.oid = a.roleid
         JOIN pg_roles m ON m.oid = a.member
   WHERE m.rolname = ANY ($1::text[]) AND (g.rolname = ANY ($1::text[]) OR g.rolname ~ '^pg_' OR g.rolsuper)
   GROUP BY 1, 2 ORDER BY 1, 2)";

constexpr const char* kReadRoleSettings = R"(
  SELECT r.rolname, split_part(item, '=', 1), substr(item, strpos(item, '=') + 1)
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
         CROSS JOIN unnest(s.setconfig) AS item
   WHERE s.setdatabase = 0 AND r.rolname = ANY ($1::text[]) ORDER BY 1, 2)";

int MajorOf(const Connection& connection) { return connection.major_version(); }
int MajorOf(Transaction& transaction) { return transaction.connection().major_version(); }

/// By name, where there is a password; nothing when passwords may not be read.
template <class Session>
Result<std::optional<std::map<std::string, std::string>>> ReadVerifiers(
    const std::stop_token& stop, Deadline deadline, Session& session,
    const std::vector<std::string>& names) {
  std::optional<std::map<std::string, std::string>> verifiers;
  TRY_ASSIGN(Rows allowed, session.QueryOne(stop, deadline, kMayReadVerifiers));
  if (!allowed[0].Bool(0)) return verifiers;
  TRY_ASSIGN(Rows rows, session.Query(stop, deadline, kReadVerifiers, {names}));
  verifiers.emplace();
  for (Row row : rows) (*verifiers)[row.Text(0)] = row.Text(1);
  return verifiers;
}

template <class Session>
Result<RoleSet> ReadNamed(const std::stop_token& stop, Deadline deadline, Session& session,
                          const std::vector<std::string>& names) {
  RoleSet set;
  TRY_ASSIGN(Rows rows, session.Query(stop, deadline, kReadRoles, {names}));
  TRY_ASSIGN(Rows memberships,
             session.Query(stop, deadline,
                           MajorOf(session) >= kMajorOfMembershipOptions ? kReadMemberships
                                                                         : kReadMembershipsBefore16,
                           {names}));
  TRY_ASSIGN(Rows settings, session.Query(stop, deadline, kReadRoleSettings, {names}));
  TRY_ASSIGN(Rows labels, session.Query(stop, deadline, kReadRoleLabels, {names}));
  TRY_ASSIGN(auto verifiers, ReadVerifiers(stop, deadline, session, names));
  for (Row row : rows) {
    Role role;
    role.name = row.Text(0);
    role.superuser = row.Bool(1);
    role.inherit = row.Bool(2);
    role.create_role = row.Bool(3);
    role.create_database = row.Bool(4);
    role.can_login = row.Bool(5);
    role.replication = row.Bool(6);
    role.bypass_rls = row.Bool(7);
    role.connection_limit = static_cast<int>(row.Int(8));
    role.valid_until = row.Text(9);
    role.comment = row.Text(10);
    role.reaches_beyond = row.Bool(11);
    role.verifier_known = verifiers.has_value();
    if (verifiers && verifiers->contains(role.name)) role.verifier = verifiers->at(role.name);
    for (Row label : labels) {
      if (label.Text(0) == role.name) role.labels.push_back({label.Text(1), label.Text(2)});
    }
    for (Row setting : settings) {
      if (setting.Text(0) == role.name)
        role.settings.push_back({role.name, setting.Text(1), setting.Text(2)});
    }
    set.roles.push_back(std::move(role));
  }
  for (Row row : memberships)
    set.memberships.push_back({row.Text(0), row.Text(1), row.Bool(2), row.Bool(3), row.Bool(4),
                               row.Text(5), row.Bool(6)});
  return set;
}

}  // namespace

Result<std::vector<std::string>> ReadReferencedRoleNames(std::stop_token stop, Deadline deadline,
                                                         Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kReferencedNames));
  std::vector<std::string> names;
  for (Row row : rows) names.push_back(row.Text(0));
  return names;
}

Result<RoleSet> ReadReferencedRoles(std::stop_token stop, Deadline deadline,
                                    Connection& connection) {
  TRY_ASSIGN(std::vector<std::string> names, ReadReferencedRoleNames(stop, deadline, connection));
  TRY_ASSIGN(RoleSet set, ReadNamed(stop, deadline, connection, names));
  TRY_ASSIGN(Rows left, connection.Query(stop, deadline, kLeftBehind, {names}));
  for (Row row : left) set.left_behind.push_back({row.Text(0), row.TextArray(1)});
  return set;
}

Result<RoleSet> ReadRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                          const std::vector<std::string>& names) {
  return ReadNamed(stop, deadline, connection, names);
}

Result<RoleSet> ReadRolesWithin(const std::stop_token& stop, Deadline deadline,
                                Transaction& transaction, const std::vector<std::string>& names) {
  return ReadNamed(stop, deadline, transaction, names);
}

// A database is itself among the objects that all databases share.
Result<bool> IsNeededElsewhere(std::stop_token stop, Deadline deadline, Connection& connection,
                               const std::string& role) {
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, R"(
      SELECT EXISTS (
        SELECT FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
               JOIN pg_database d ON d.datname = current_database()
         WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = $1
           AND CASE WHEN s.classid = 'pg_database'::regclass THEN s.objid <> d.oid
                    ELSE s.dbid NOT IN (0, d.oid) END))",
                                            {role}));
  return rows[0].Bool(0);
}

}  // namespace cutover::pg
