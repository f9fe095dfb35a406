// SPDX-License-Identifier: Apache-2.0
#include "postgres/roles.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "postgres/idle_transaction.h"
#include "postgres/replication.h"
#include "postgres/secrets.h"

namespace cutover::pg {
namespace {

constexpr int kMajorOfMembershipOptions = 16;

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

bool IsPredefined(const std::string& role) { return role.starts_with("pg_"); }

constexpr std::string_view kMark = "Created by Cutover, migration ";

std::string MarkOf(std::string_view migration_uid) {
  return std::string(kMark) + std::string(migration_uid);
}

/// A role that two tenants share, the first of whom has brought it along.
bool IsCreatedByAnother(const Role& role, std::string_view migration_uid) {
  return role.comment.starts_with(kMark) && role.comment != MarkOf(migration_uid);
}

/// The attributes as CREATE ROLE takes them; all are said, so that no default decides.
std::string Attributes(const Role& role) {
  auto flag = [](bool set, const char* name) { return std::string(set ? " " : " NO") + name; };
  std::string sql = flag(role.inherit, "INHERIT") + flag(role.create_role, "CREATEROLE") +
                    flag(role.create_database, "CREATEDB") + flag(role.can_login, "LOGIN");
  // Only what a superuser may grant is left unsaid when it is not wanted.
  if (role.replication) sql += " REPLICATION";
  if (role.bypass_rls) sql += " BYPASSRLS";
  sql += " CONNECTION LIMIT " + std::to_string(role.connection_limit);
  if (!role.verifier.empty()) sql += " PASSWORD " + QuoteLiteral(role.verifier);
  if (!role.valid_until.empty()) sql += " VALID UNTIL " + QuoteLiteral(role.valid_until);
  return sql;
}

/// What differs between two roles of one name, in words; empty when they are the same role. The
/// comment and the settings do not make another role of it.
std::string Difference(const Role& source, const Role& target) {
  std::string words;
  auto note = [&words](bool differs, const char* what) {
    if (differs) words += std::string(words.empty() ? "" : ", ") + what;
  };
  note(source.superuser != target.superuser, "SUPERUSER");
  note(source.inherit != target.inherit, "INHERIT");
  note(source.create_role != target.create_role, "CREATEROLE");
  note(source.create_database != target.create_database, "CREATEDB");
  note(source.can_login != target.can_login, "LOGIN");
  note(source.replication != target.replication, "REPLICATION");
  note(source.bypass_rls != target.bypass_rls, "BYPASSRLS");
  note(source.connection_limit != target.connection_limit, "CONNECTION LIMIT");
  note(source.valid_until != target.valid_until, "VALID UNTIL");
  note(source.verifier_known && target.verifier_known && source.verifier != target.verifier,
       "the password");
  return words;
}

/// A role of ours that the source's has changed since, by a new password for one.
Status BringUpToDate(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                     const Role& role) {
  std::string attributes = Attributes(role);
  if (role.verifier_known && role.verifier.empty()) attributes += " PASSWORD NULL";
  if (role.valid_until.empty()) attributes += " VALID UNTIL 'infinity'";
  return transaction.Exec(stop, deadline, "ALTER ROLE " + QuoteIdentifier(role.name) + attributes);
}

/// `role` in quotes.
Status ApplySettings(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                     const std::string& role, const std::vector<StoredSetting>& settings) {
  for (const StoredSetting& setting : settings) {
    Status set = transaction.Exec(stop, deadline,
                                  "ALTER ROLE " + role + " SET " + setting.name + " = " +
                                      SettingLiteral(setting.name, setting.value));
    if (set) continue;
    Error error =
        WithContext(std::move(set).error(), "role " + role + " with its setting " + setting.name);
    // Majors drop settings.
    if (error.disposition == Disposition::kTerminal)
      error.message +=
          "; on the source, ALTER ROLE " + role + " RESET " + setting.name + ", then try again";
    return tl::unexpected(std::move(error));
  }
  return Ok();
}

Status CreateRole(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                  const Role& role, std::string_view migration_uid) {
  const std::string name = QuoteIdentifier(role.name);
  Status created = transaction.Exec(stop, deadline, "CREATE ROLE " + name + Attributes(role));
  if (!created) return tl::unexpected(WithContext(std::move(created).error(), "role " + name));
  TRY(transaction.Exec(stop, deadline,
                       "COMMENT ON ROLE " + name + " IS " + QuoteLiteral(MarkOf(migration_uid))));
  TRY(ApplySettings(stop, deadline, transaction, name, role.settings));
  for (const SecurityLabel& label : role.labels) {
    TRY(transaction.Exec(stop, deadline,
                         "SECURITY LABEL FOR " + QuoteIdentifier(label.provider) + " ON ROLE " +
                             name + " IS " + QuoteLiteral(label.label)));
  }
  return Ok();
}

Result<bool> IsSuperuser(const std::stop_token& stop, Deadline deadline, Transaction& transaction) {
  TRY_ASSIGN(Rows rows,
             transaction.QueryOne(stop, deadline,
                                  "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"));
  return rows[0].Bool(0);
}

/// Who creates a role may administer it, but since 16 neither act as it nor use its privileges.
Status Borrow(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
              const std::string& role) {
  const bool options = transaction.connection().major_version() >= kMajorOfMembershipOptions;
  return transaction.Exec(stop, deadline,
                          "GRANT " + QuoteIdentifier(role) + " TO CURRENT_USER" +
                              (options ? " WITH INHERIT TRUE, SET TRUE" : ""));
}

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

const Role* Named(const RoleSet& set, std::string_view name) {
  auto found = std::find_if(set.roles.begin(), set.roles.end(),
                            [name](const Role& role) { return role.name == name; });
  return found == set.roles.end() ? nullptr : &*found;
}

struct Power {
  const char* name;
  bool Role::*held;
};
constexpr Power kPowers[] = {{"CREATEROLE", &Role::create_role},
                             {"REPLICATION", &Role::replication},
                             {"BYPASSRLS", &Role::bypass_rls}};

/// One that was there before, of whoever.
const Role* Stranger(const RoleSet& target, std::string_view name, std::string_view migration_uid) {
  const Role* there = Named(target, name);
  return there == nullptr || IsCreatedBy(*there, migration_uid) ? nullptr : there;
}

/// What a role that was there before has, shows when the two are compared.
bool IsWithheld(const Role& role, const Power& power, const RoleSet& target,
                std::string_view migration_uid) {
  return role.*power.held && Stranger(target, role.name, migration_uid) == nullptr;
}

RoleSet WithoutWithheld(RoleSet source, const RoleSet& target, std::string_view migration_uid) {
  for (Role& role : source.roles)
    for (const Power& power : kPowers)
      if (IsWithheld(role, power, target, migration_uid)) role.*power.held = false;
  return source;
}

/// Groups as well: one that is not ours to create may be there.
std::vector<std::string> NamesOf(const RoleSet& set) {
  std::set<std::string> names;
  for (const Role& role : set.roles) names.insert(role.name);
  for (const Membership& membership : set.memberships) names.insert(membership.group);
  return {names.begin(), names.end()};
}

Result<std::vector<std::string>> MarkedRoles(const std::stop_token& stop, Deadline deadline,
                                             Connection& connection,
                                             std::string_view migration_uid) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND "
                                         "shobj_description(oid, 'pg_authid') = $1 ORDER BY 1",
                                         {MarkOf(migration_uid)}));
  std::vector<std::string> names;
  for (Row row : rows) names.push_back(row.Text(0));
  return names;
}

/// Whoever grants a membership must have been given the right to, by one that comes before. Where
/// the right came in another way (from a group of groups), the grant is ours.
std::vector<Membership> InOrderOfGrants(std::vector<Membership> memberships) {
  std::vector<Membership> ordered;
  auto may_grant = [&ordered](const Membership& wanted) {
    return wanted.grantor.empty() ||
           std::any_of(ordered.begin(), ordered.end(), [&](const Membership& given) {
             return given.group == wanted.group && given.member == wanted.grantor &&
                    given.admin_option;
           });
  };
  while (!memberships.empty()) {
    auto next = std::find_if(memberships.begin(), memberships.end(), may_grant);
    if (next == memberships.end()) {
      next = memberships.begin();
      next->grantor.clear();
    }
    auto same = std::find_if(ordered.begin(), ordered.end(), [&](const Membership& given) {
      return given.group == next->group && given.member == next->member &&
             given.grantor == next->grantor;
    });
    if (same == ordered.end()) {
      ordered.push_back(std::move(*next));
    } else {
      same->admin_option |= next->admin_option;
      same->inherit_option |= next->inherit_option;
      same->set_option |= next->set_option;
    }
    memberships.erase(next);
  }
  return ordered;
}

}  // namespace

bool IsGiven(const Membership& wanted, const RoleSet& target) {
  if (wanted.group == wanted.member) return true;  // Two roles that become one.
  bool given = false, admin = false, inherit = false, set = false;
  for (const Membership& there : target.memberships) {
    if (there.group != wanted.group || there.member != wanted.member) continue;
    given = true;
    admin |= there.admin_option;
    inherit |= there.inherit_option;
    set |= there.set_option;
  }
  return given && admin >= wanted.admin_option && inherit >= wanted.inherit_option &&
         set >= wanted.set_option;
}

std::string MembershipObject(const Membership& membership) {
  return "membership of " + membership.member + " in " + membership.group;
}

std::string MembersObject(const std::string& group) { return "members of " + group; }

std::string SettingObject(const StoredSetting& setting) {
  return "setting " + setting.name + " of role " + setting.role;
}

std::string GrantStatement(const Membership& membership, int major) {
  std::string sql =
      "GRANT " + QuoteIdentifier(membership.group) + " TO " + QuoteIdentifier(membership.member);
  if (major < kMajorOfMembershipOptions)
    return sql + (membership.admin_option ? " WITH ADMIN OPTION" : "");
  auto option = [](bool set) { return set ? "TRUE" : "FALSE"; };
  return sql + " WITH ADMIN " + option(membership.admin_option) + ", INHERIT " +
         option(membership.inherit_option) + ", SET " + option(membership.set_option) +
         (membership.grantor.empty() ? "" : " GRANTED BY " + QuoteIdentifier(membership.grantor));
}

std::string DescribeSetting(std::string_view role, const StoredSetting& setting) {
  const bool own = setting.name.find('.') == std::string::npos;
  return "ALTER ROLE " + QuoteIdentifier(role) + " SET " + setting.name + " = " +
         (own ? SettingLiteral(setting.name, setting.value) : "…");
}

std::vector<StoredSetting> MissingSettings(const Role& source, const Role& target) {
  std::vector<StoredSetting> missing;
  for (const StoredSetting& wanted : source.settings) {
    if (std::none_of(target.settings.begin(), target.settings.end(), [&](const auto& there) {
          return there.name == wanted.name && there.value == wanted.value;
        }))
      missing.push_back(wanted);
  }
  return missing;
}

std::vector<MembersLeftBehind> StillLeftBehind(const RoleSet& source, const RoleSet& target) {
  std::vector<MembersLeftBehind> left = source.left_behind;
  for (MembersLeftBehind& of : left) {
    std::erase_if(of.members, [&](const std::string& member) {
      return std::any_of(target.memberships.begin(), target.memberships.end(),
                         [&](const auto& m) { return m.group == of.group && m.member == member; });
    });
  }
  std::erase_if(left, [](const MembersLeftBehind& of) { return of.members.empty(); });
  return left;
}

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

std::vector<RoleFinding> CompareRoles(const RoleSet& source, const RoleSet& target) {
  std::map<std::string, const Role*> on_target;
  for (const Role& role : target.roles) on_target[role.name] = &role;
  std::vector<RoleFinding> findings;
  for (const Role& role : source.roles) {
    const std::string name = QuoteIdentifier(role.name);
    auto found = on_target.find(role.name);
    if (role.superuser) {
      findings.push_back({role.name, RoleVerdict::kSuperuser,
                          "role " + name + " is a superuser of the source; it is not copied"});
    } else if (found == on_target.end()) {
      findings.push_back({role.name, RoleVerdict::kCreate, "role " + name + " will be created"});
    } else if (std::string differs = Difference(role, *found->second); differs.empty()) {
      findings.push_back({role.name, RoleVerdict::kSame, "role " + name + " is there already"});
    } else {
      findings.push_back({role.name, RoleVerdict::kClash,
                          "role " + name + " exists on the target and differs in " + differs +
                              "; rename one of them, or make them the same"});
    }
  }
  return findings;
}

std::vector<MembershipVerdict> JudgeMemberships(const RoleSet& source, const RoleSet& target,
                                                std::string_view migration_uid) {
  std::vector<MembershipVerdict> verdicts;
  // Absent ones too: whatever of `source` is absent is created.
  auto is_brought = [&](const std::string& name) {
    return Stranger(target, name, migration_uid) == nullptr &&
           (Named(source, name) != nullptr || Named(target, name) != nullptr);
  };
  for (const Membership& membership : source.memberships) {
    const Role* member = Named(source, membership.member);
    const Role* stranger = Stranger(target, membership.member, migration_uid);
    const Role* group = Named(target, membership.group);
    if (member == nullptr || member->superuser ||
        (stranger != nullptr && !Difference(*member, *stranger).empty()))
      verdicts.push_back(MembershipVerdict::kNotAsked);
    else if (IsGiven(membership, target))
      verdicts.push_back(MembershipVerdict::kThere);
    else if (IsPredefined(membership.group) || membership.of_superuser ||
             (group != nullptr && group->reaches_beyond))
      verdicts.push_back(MembershipVerdict::kReachesBeyond);
    else if (is_brought(membership.group))
      verdicts.push_back(MembershipVerdict::kGrant);
    else if (group != nullptr && stranger == nullptr)
      verdicts.push_back(MembershipVerdict::kOfStranger);
    else
      verdicts.push_back(MembershipVerdict::kLeft);
  }
  return verdicts;
}

std::vector<WithheldPower> FindWithheld(const RoleSet& source, const RoleSet& target,
                                        std::string_view migration_uid) {
  std::vector<WithheldPower> found;
  for (const Role& role : source.roles) {
    if (role.superuser) continue;  // Not copied at all.
    for (const Power& power : kPowers) {
      if (!IsWithheld(role, power, target, migration_uid)) continue;
      const std::string name = power.name;
      found.push_back({name + " of role " + role.name,
                       "role " + role.name + " has " + name +
                           ", which is power over others and is not given on a server that tenants "
                           "share",
                       "ALTER ROLE " + QuoteIdentifier(role.name) + " NO" + name});
    }
  }
  const auto verdicts = JudgeMemberships(source, target, migration_uid);
  for (size_t at = 0; at < verdicts.size(); ++at) {
    if (verdicts[at] != MembershipVerdict::kOfStranger) continue;
    const Membership& membership = source.memberships[at];
    found.push_back({MembershipObject(membership),
                     "role " + membership.member + " is a member of " + membership.group +
                         ", and a role of that name is on the target already, whose rights are not "
                         "given on a server that tenants share",
                     "REVOKE " + QuoteIdentifier(membership.group) + " FROM " +
                         QuoteIdentifier(membership.member)});
  }
  return found;
}

Status CreateRoles(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   const RoleSet& wanted, std::string_view migration_uid, Powers powers) {
  // Verifiers are among the statements.
  TRY(KeepOutOfLogs(stop, deadline, transaction));
  TRY_ASSIGN(RoleSet target, ReadNamed(stop, deadline, transaction, NamesOf(wanted)));
  const RoleSet source =
      powers == Powers::kWithhold ? WithoutWithheld(wanted, target, migration_uid) : wanted;
  std::set<std::string> absent, outdated;
  for (const RoleFinding& finding : CompareRoles(source, target)) {
    if (finding.verdict == RoleVerdict::kCreate) absent.insert(finding.role);
    if (finding.verdict == RoleVerdict::kSame &&
        IsCreatedByAnother(*Named(target, finding.role), migration_uid))
      TRY(transaction.Exec(stop, deadline,
                           "COMMENT ON ROLE " + QuoteIdentifier(finding.role) + " IS NULL"));
    if (finding.verdict != RoleVerdict::kClash) continue;
    if (!IsCreatedBy(*Named(target, finding.role), migration_uid))
      return TerminalError("RoleClash", finding.message);
    outdated.insert(finding.role);
  }
  TRY_ASSIGN(bool superuser, IsSuperuser(stop, deadline, transaction));
  for (const Role& role : source.roles) {
    if (outdated.contains(role.name)) TRY(BringUpToDate(stop, deadline, transaction, role));
    const Role* there = Named(target, role.name);
    if (there != nullptr && !role.superuser && IsCreatedBy(*there, migration_uid))
      TRY(ApplySettings(stop, deadline, transaction, QuoteIdentifier(role.name),
                        MissingSettings(role, *there)));
    if (!absent.contains(role.name)) continue;
    TRY(CreateRole(stop, deadline, transaction, role, migration_uid));
    if (!superuser) TRY(Borrow(stop, deadline, transaction, role.name));
  }
  const auto verdicts = JudgeMemberships(source, target, migration_uid);
  std::vector<Membership> memberships;
  for (size_t at = 0; at < verdicts.size(); ++at) {
    if (verdicts[at] == MembershipVerdict::kGrant ||
        (verdicts[at] == MembershipVerdict::kOfStranger && powers == Powers::kBring))
      memberships.push_back(source.memberships[at]);
  }
  for (const Membership& membership : InOrderOfGrants(std::move(memberships)))
    TRY(transaction.Exec(stop, deadline,
                         GrantStatement(membership, transaction.connection().major_version())));
  return Ok();
}

bool IsCreatedBy(const Role& role, std::string_view migration_uid) {
  return role.comment == MarkOf(migration_uid);
}

Status SetVerifier(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   const std::string& role, const std::string& verifier) {
  TRY(KeepOutOfLogs(stop, deadline, transaction));
  return transaction.Exec(
      stop, deadline,
      "ALTER ROLE " + QuoteIdentifier(role) + " PASSWORD " + QuoteLiteral(verifier));
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

Status ReturnRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                   const RoleSet& roles) {
  // Only grants that we made ourselves: since 16 a role's creator keeps one made by the server, and
  // what somebody else granted us is not ours to give up.
  std::vector<std::string> names;
  for (const Role& role : roles.roles) names.push_back(role.name);
  TRY_ASSIGN(Rows rows,
             connection.Query(stop, deadline,
                              "SELECT g.rolname FROM pg_auth_members a"
                              " JOIN pg_roles g ON g.oid = a.roleid"
                              " JOIN pg_roles m ON m.oid = a.member AND m.rolname = current_user"
                              " WHERE a.grantor = a.member AND NOT m.rolsuper"
                              " AND g.rolname = ANY ($1::text[])",
                              {names}));
  for (Row row : rows) {
    TRY(connection.Exec(stop, deadline,
                        "REVOKE " + QuoteIdentifier(row.Text(0)) + " FROM CURRENT_USER"));
  }
  return Ok();
}

Result<bool> HasCreatedRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                             std::string_view migration_uid) {
  TRY_ASSIGN(std::vector<std::string> names,
             MarkedRoles(stop, deadline, connection, migration_uid));
  return !names.empty();
}

namespace {

// False when something depends on it by now. In a transaction, so that the DROP of a leader who was
// frozen before it does not arrive when another attempt has made the role again.
Result<bool> DropUnused(const std::stop_token& stop, Deadline deadline, Connection& connection,
                        const std::string& role) {
  TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, connection));
  Status dropped = transaction.Exec(stop, deadline, "DROP ROLE IF EXISTS " + QuoteIdentifier(role));
  if (!dropped && connection.last_sqlstate() == "2BP01") return false;
  TRY(dropped);
  TRY(transaction.Commit(stop, deadline));
  return true;
}

}  // namespace

Result<std::vector<std::string>> DropCreatedRoles(std::stop_token stop, Deadline deadline,
                                                  Connection& connection,
                                                  std::string_view migration_uid) {
  // A database that went by another hand has left those that streams read it by. They go first: it
  // is by the marked ones that whoever comes next knows that something is left.
  std::vector<std::string> names = StreamNames(migration_uid);
  TRY_ASSIGN(const std::vector<std::string> marked,
             MarkedRoles(stop, deadline, connection, migration_uid));
  names.insert(names.end(), marked.begin(), marked.end());
  // One that granted a membership can only go after the role that it granted.
  std::vector<std::string> left;
  for (bool again = true; again; names = std::exchange(left, {})) {
    for (const std::string& name : names) {
      TRY_ASSIGN(const bool dropped, DropUnused(stop, deadline, connection, name));
      if (!dropped) left.push_back(name);
    }
    again = !left.empty() && left.size() < names.size();
  }
  return names;
}

Status KeepCreatedRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                        const RoleSet& source, std::string_view migration_uid) {
  TRY_ASSIGN(std::vector<std::string> names,
             MarkedRoles(stop, deadline, connection, migration_uid));
  if (names.empty()) return Ok();
  TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, connection));
  for (const std::string& name : names) {
    auto role = std::find_if(source.roles.begin(), source.roles.end(),
                             [&](const Role& candidate) { return candidate.name == name; });
    bool has_comment = role != source.roles.end() && !role->comment.empty();
    TRY(transaction.Exec(stop, deadline,
                         "COMMENT ON ROLE " + QuoteIdentifier(name) + " IS " +
                             (has_comment ? QuoteLiteral(role->comment) : "NULL")));
  }
  return transaction.Commit(stop, deadline);
}

}  // namespace cutover::pg
