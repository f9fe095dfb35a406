// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "mover/plan/obstacle_search.h"
#include "mover/plan/role_names.h"
#include "operator/base/enumerate.h"
#include "postgres/roles.h"

namespace cutover::mover {
namespace {

constexpr size_t kNamesMax = 10;  // In a sentence.

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
  for (const pg::Membership& membership : roles.source.memberships)
    names.push_back(search.Renamed(membership.group));
  for (const pg::MembersLeftBehind& left : roles.source.left_behind)
    for (const std::string& member : left.members) names.push_back(search.Renamed(member));
  TRY_ASSIGN(roles.target, pg::ReadRoles(search.stop, search.deadline, search.target, names));
  std::erase_if(roles.target.roles, [&](const pg::Role& role) {
    return pg::IsCreatedBy(role, search.terms.migration_uid);
  });
  TRY_ASSIGN(pg::Rows all, search.OfTarget("SELECT rolname FROM pg_catalog.pg_roles"));
  for (const pg::Row row : all) roles.on_target.insert(row.Text(0));
  return roles;
}

/// A role's name on the source, of its name on the target.
std::string SourceName(const ObstacleSearch& search, const std::string& role) {
  for (const auto& [source, target] : search.terms.role_names)
    if (target == role) return source;
  return role;
}

/// For a statement on the source.
std::string QuotedNames(const ObstacleSearch& search, const std::vector<std::string>& roles) {
  std::string list;
  for (const std::string& role : roles)
    list += (list.empty() ? "" : ", ") + pg::QuoteIdentifier(SourceName(search, role));
  return list;
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
    TRY_ASSIGN(refusal, search.TrySetting(setting));
    if (refusal)
      search.Add(pg::SettingObject(setting), "the target refuses it: " + refusal->message,
                 "on the source: ALTER ROLE " + pg::QuoteIdentifier(role.name) + " RESET " +
                     pg::QuoteSettingName(setting.name));
  }
  return Ok();
}

/// Nothing of a role that was on the target before is changed.
void SettingsAreThere(ObstacleSearch& search, const std::string& name, const pg::Role& role,
                      const Roles& roles) {
  for (const pg::Role& there : roles.target.roles) {
    if (there.name != name) continue;
    for (const pg::StoredSetting& setting : pg::MissingSettings(role, there))
      search.Add(pg::SettingObject(setting),
                 "role " + name + " is on the target already, without it or with another value",
                 "on the target: " + pg::DescribeSetting(name, setting) +
                     "; or accept that it is there as it is");
  }
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
      SettingsAreThere(search, finding.role, role, roles);
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
  }
  return Ok();
}

/// Memberships that will not be on the target. One that reaches beyond the database would show this
/// tenant the others of a shared server, or make him its master, so nobody gets it without being
/// asked.
void MembershipsComeAlong(ObstacleSearch& search, const Roles& roles) {
  pg::RoleSet renamed = roles.source;
  RenameRoles(search.terms.role_names, renamed);
  const auto verdicts = pg::JudgeMemberships(renamed, roles.target, search.terms.migration_uid);
  for (size_t at = 0; at < verdicts.size(); ++at) {
    const pg::Membership& membership = roles.source.memberships[at];
    if (verdicts[at] == pg::MembershipVerdict::kLeft) {
      pg::Membership wanted = renamed.memberships[at];
      wanted.grantor.clear();
      search.Add(pg::MembershipObject(membership),
                 "both roles are on the target already, and there it is not given, or not in full",
                 "on the target: " + pg::GrantStatement(wanted, search.target.major_version()) +
                     "; or accept that it is not given");
    }
    const bool beyond = verdicts[at] == pg::MembershipVerdict::kReachesBeyond;
    const bool to_stranger = verdicts[at] == pg::MembershipVerdict::kToStranger;
    const bool of_strangers = to_stranger || verdicts[at] == pg::MembershipVerdict::kOfStranger;
    if (!beyond && !(of_strangers && search.terms.withhold_powers)) continue;
    search.Add(pg::MembershipObject(membership),
               beyond ? "it reaches beyond this database, and is not given on the target"
               : to_stranger
                   ? "the member is on the target already and may be another tenant's, since no "
                     "password proves it to be the same, so it is not given"
                   : "the group is on the target already and may be another tenant's, so it is "
                     "not given",
               "accept that, and where it is wanted, on the target afterwards: GRANT " +
                   pg::QuoteIdentifier(renamed.memberships[at].group) + " TO " +
                   pg::QuoteIdentifier(renamed.memberships[at].member));
  }
}

/// Nothing to wait for: a second database of one tenant finds his groups there.
void NamesAreTaken(ObstacleSearch& search, const Roles& roles) {
  if (!search.terms.withhold_powers) return;
  pg::RoleSet renamed = roles.source;
  RenameRoles(search.terms.role_names, renamed);
  const auto names = pg::FindTakenByName(renamed, roles.target, search.terms.migration_uid);
  if (names.empty()) return;
  search.Note(
      "no password proves that these roles of the target are the source's, so what the "
      "database grants to them, and what they own in it, goes to whoever has them there: " +
      Enumerate(names, kNamesMax));
}

/// Whoever logs in and is granted nothing but a membership is not followed, or a group of many
/// tenants would bring them all; but this database may be what he works with.
void MembersComeAlong(ObstacleSearch& search, const Roles& roles) {
  if (search.terms.preflight_passed) return;
  pg::RoleSet renamed = roles.source;
  RenameRoles(search.terms.role_names, renamed);
  for (const pg::MembersLeftBehind& left : pg::StillLeftBehind(renamed, roles.target))
    search.Add(pg::MembersObject(SourceName(search, left.group)),
               Enumerate(left.members, kNamesMax) +
                   " reach the database only through this role, and do not come along",
               "on the source: GRANT CONNECT ON DATABASE " +
                   pg::QuoteIdentifier(search.source.options().database) + " TO " +
                   QuotedNames(search, left.members) +
                   ", with which they do; or accept that they stay behind");
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
  MembershipsComeAlong(search, roles);
  NamesAreTaken(search, roles);
  MembersComeAlong(search, roles);
  for (const pg::Role& role : roles.source.roles) {
    pg::RoleSet renamed{{role}, {}};
    RenameRoles(search.terms.role_names, renamed);
    for (const pg::RoleFinding& finding : pg::CompareRoles(renamed, roles.target))
      TRY(Judge(search, finding, role, roles));
  }
  TRY(FindParameterObstacles(search, roles.source));
  TRY(EveryOwnerExists(search, roles));
  return RolesOfSettingsExist(search, roles);
}

}  // namespace cutover::mover
