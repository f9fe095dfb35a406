// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "mover/plan/obstacle_search.h"
#include "mover/plan/role_names.h"
#include "postgres/roles.h"

namespace cutover::mover {
namespace {

struct Roles {
  pg::RoleSet source;  ///< Under their own names.
  pg::RoleSet target;  ///< Without those that an earlier attempt of this move has created.
  std::set<std::string> on_target;  ///< All names that are there or will be.
};

Result<Roles> ReadBothSides(ObstacleSearch& search) {
  Roles roles;
  TRY_ASSIGN(roles.source, pg::ReadReferencedRoles(search.stop, search.deadline, search.source));
  std::vector<std::string> names;
  for (const pg::Role& role : roles.source.roles) {
    names.push_back(search.Renamed(role.name));
    if (!role.superuser) roles.on_target.insert(names.back());
  }
  TRY_ASSIGN(roles.target, pg::ReadRoles(search.stop, search.deadline, search.target, names));
  std::erase_if(roles.target.roles, [&](const pg::Role& role) {
    return pg::IsCreatedBy(role, search.terms.migration_uid);
  });
  TRY_ASSIGN(pg::Rows all, search.OfTarget("SELECT rolname FROM pg_catalog.pg_roles"));
  for (const pg::Row row : all) roles.on_target.insert(row.Text(0));
  return roles;
}

std::string HowToRename(const std::string& role) {
  return "give it another name on the target (--map-role " + role + "=NAME)";
}

/// A password that would be lost, or would no longer open anything.
void PasswordComesAlong(ObstacleSearch& search, const pg::Role& role) {
  if (!role.can_login) return;
  const std::string object = "password of role " + role.name;
  if (!role.verifier_known)
    search.Add(object, "role " + pg::QuoteIdentifier(search.source_admin) + " may not read it",
               "on the source: GRANT SELECT ON pg_catalog.pg_authid TO " +
                   pg::QuoteIdentifier(search.source_admin) +
                   "; or create the role on the target with its password first; or accept that it "
                   "gets none, and set one afterwards");
  else if (role.verifier.starts_with("md5") && search.Renamed(role.name) != role.name)
    search.Add(object, "it is stored as MD5, which is bound to the role's name",
               "have the role set its password again, as SCRAM-SHA-256; or accept, and set one on "
               "the target afterwards");
}

Status CanBeCreated(ObstacleSearch& search, const pg::Role& role) {
  std::string attributes = " NOLOGIN";
  const bool powers = !search.terms.withhold_powers;
  if (powers && role.create_role) attributes += " CREATEROLE";
  if (role.create_database) attributes += " CREATEDB";
  if (powers && role.replication) attributes += " REPLICATION";
  if (powers && role.bypass_rls) attributes += " BYPASSRLS";
  TRY_ASSIGN(auto refusal, search.Try("CREATE ROLE cutover_probe_of_a_role" + attributes));
  if (refusal)
    search.Add(RoleObject(role.name), "it cannot be created on the target: " + refusal->message,
               "on the target: ALTER ROLE " + pg::QuoteIdentifier(search.target_admin) +
                   " CREATEROLE" + attributes.substr(8) + ", or have somebody create the role",
               false);
  for (const pg::StoredSetting& setting : role.settings) {
    TRY_ASSIGN(refusal, search.Try("ALTER ROLE CURRENT_USER SET " + setting.name + " = " +
                                   pg::SettingLiteral(setting.name, setting.value)));
    if (refusal)
      search.Add(
          SettingObject(setting), "the target refuses it: " + refusal->message,
          "on the source: ALTER ROLE " + pg::QuoteIdentifier(role.name) + " RESET " + setting.name);
  }
  return Ok();
}

/// A role's verdict, into obstacles. Roles have the names here that they have on the target.
Status Judge(ObstacleSearch& search, const pg::RoleFinding& finding, const pg::Role& role,
             const Roles& roles) {
  switch (finding.verdict) {
    case pg::RoleVerdict::kCreate:
      PasswordComesAlong(search, role);
      return CanBeCreated(search, role);
    case pg::RoleVerdict::kSame:
      if (role.can_login && !role.verifier_known)
        search.Note("role " + finding.role +
                    " is used on the target as it is there; whether its "
                    "password is the source's could not be seen");
      return Ok();
    case pg::RoleVerdict::kClash:
      search.Add(RoleObject(role.name), finding.message,
                 HowToRename(role.name) + ", or accept that the target's role is used as it is");
      return Ok();
    case pg::RoleVerdict::kSuperuser: {
      auto there = std::find_if(roles.target.roles.begin(), roles.target.roles.end(),
                                [&](const pg::Role& r) { return r.name == finding.role; });
      if (there != roles.target.roles.end() && !there->superuser)
        search.Add(RoleObject(role.name),
                   "it is a superuser on the source, and on the target an ordinary role of that "
                   "name, which would own what belongs to the superuser",
                   HowToRename(role.name));
      return Ok();  // An absent one is found by what belongs to it.
    }
    case pg::RoleVerdict::kPredefinedGroup:
      return Ok();
  }
  return Ok();
}

/// On a shared server such a membership would show this tenant the others, so nobody gets it
/// without being asked.
void PredefinedMemberships(ObstacleSearch& search, const pg::RoleSet& source) {
  for (const pg::Membership& membership : source.memberships) {
    if (!membership.group.starts_with("pg_")) continue;
    search.Add("membership of " + membership.member + " in " + membership.group,
               "it reaches beyond this database, and is not given on the target",
               "accept that, and where it is wanted, on the target afterwards: GRANT " +
                   membership.group + " TO " +
                   pg::QuoteIdentifier(search.Renamed(membership.member)));
  }
}

/// Every role that owns something, or that is granted something, must be there in the end. Roles
/// that the cluster was made with are known by what they own only.
Status EveryOwnerExists(ObstacleSearch& search, const Roles& roles) {
  std::map<std::string, std::string> used;
  for (const RestoreItem& item : search.script.items) {
    const std::string owner = OwnerOf(item);
    if (!owner.empty()) used.emplace(owner, "owns " + item.Describe());
  }
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT DISTINCT r.rolname FROM pg_catalog.pg_shdepend s"
                             " JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid JOIN"
                             " pg_catalog.pg_database d ON d.datname = current_database()"
                             " AND (s.dbid = d.oid OR s.dbid = 0 AND s.objid = d.oid)"
                             " WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass"
                             " AND r.rolname !~ '^pg_' AND (s.classid <>"
                             "  'pg_catalog.pg_database'::regclass OR $1)",
                             {search.terms.create}));
  for (const pg::Row row : rows) used.emplace(row.Text(0), "has privileges in the database");
  for (const auto& [role, what] : used) {
    if (roles.on_target.contains(search.Renamed(role))) continue;
    search.Add(RoleObject(role),
               "it " + what +
                   ", and will not be on the target (superusers and the role that we "
                   "are connected as are not copied)",
               "give it the name of a role that is there (--map-role " + role + "=" +
                   search.target_admin +
                   "), create it on the target, or on the source: REASSIGN "
                   "OWNED BY " +
                   pg::QuoteIdentifier(role) + " TO …",
               false);
  }
  return Ok();
}

/// ALTER ROLE … IN DATABASE … SET of a role that will not be there. Nothing else binds such a role
/// to the database, so its absence would show only in what verification finds.
Status RolesOfSettingsExist(ObstacleSearch& search, const Roles& roles) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT r.rolname, pg_catalog.split_part(item, '=', 1)"
                             " FROM pg_catalog.pg_db_role_setting s"
                             " JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
                             " JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
                             " CROSS JOIN pg_catalog.unnest(s.setconfig) AS item"
                             " WHERE d.datname = pg_catalog.current_database() ORDER BY 1, 2"));
  for (const pg::Row row : rows) {
    const std::string role = row.Text(0);
    if (roles.on_target.contains(search.Renamed(role))) continue;
    search.Add(DatabaseSettingObject({role, row.Text(1), ""}),
               "role " + role + " will not be on the target",
               "create the role there, or give it the name of one that is there (--map-role " +
                   role + "=NAME), or accept that the setting stays behind");
  }
  return Ok();
}

void RoleNamesAreUsed(ObstacleSearch& search, const Roles& roles) {
  std::set<std::string> known = {search.source_admin};
  for (const pg::Role& role : roles.source.roles) known.insert(role.name);
  for (const RestoreItem& item : search.script.items) known.insert(OwnerOf(item));
  std::map<std::string, std::string> taken;
  for (const auto& [source, target] : search.terms.role_names) {
    if (!known.contains(source))
      search.Add(RoleObject(source),
                 "it shall get another name, but the database knows no such role",
                 "correct the name", false);
    // Two roles that become one would share what was kept apart.
    auto [other, fresh] = taken.emplace(target, source);
    if (fresh) continue;
    std::string note = "roles ";
    note.append(other->second).append(" and ").append(source).append(" become one, ");
    search.Note(note.append(target));
  }
}

}  // namespace

Status FindRoleObstacles(ObstacleSearch& search) {
  TRY_ASSIGN(Roles roles, ReadBothSides(search));
  RoleNamesAreUsed(search, roles);
  PredefinedMemberships(search, roles.source);
  for (const pg::Role& role : roles.source.roles) {
    pg::RoleSet renamed{{role}, {}};
    RenameRoles(search.terms.role_names, renamed);
    for (const pg::RoleFinding& finding : pg::CompareRoles(renamed, roles.target))
      TRY(Judge(search, finding, role, roles));
  }
  TRY(EveryOwnerExists(search, roles));
  return RolesOfSettingsExist(search, roles);
}

}  // namespace cutover::mover
