// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <utility>

#include "postgres/roles/set.h"

namespace cutover::pg {
namespace {

bool IsPredefined(const std::string& role) { return role.starts_with("pg_"); }

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

/// Whoever knows its password here knows it there. A role without a login is used by its members,
/// whatever its password is.
bool IsProven(const Role& source, const Role& target) {
  return source.can_login && target.can_login && source.verifier_known && target.verifier_known &&
         !source.verifier.empty() && source.verifier == target.verifier;
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

}  // namespace

const Role* Named(const RoleSet& set, std::string_view name) {
  auto found = std::find_if(set.roles.begin(), set.roles.end(),
                            [name](const Role& role) { return role.name == name; });
  return found == set.roles.end() ? nullptr : &*found;
}

RoleSet WithoutWithheld(RoleSet source, const RoleSet& target, std::string_view migration_uid) {
  for (Role& role : source.roles)
    for (const Power& power : kPowers)
      if (IsWithheld(role, power, target, migration_uid)) role.*power.held = false;
  return source;
}

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

std::string RoleObject(const std::string& name) { return "role " + name; }

std::string MembershipObject(const Membership& membership) {
  return "membership of " + membership.member + " in " + membership.group;
}

std::string MembersObject(const std::string& group) { return "members of " + group; }

std::string SettingObject(const StoredSetting& setting) {
  return "setting " + setting.name + " of role " + setting.role;
}

std::string LabelsObject(const std::string& provider) { return "security labels of " + provider; }

void LeaveOut(const std::set<std::string>& accepted, RoleSet& roles) {
  std::erase_if(roles.roles,
                [&](const Role& role) { return accepted.contains(RoleObject(role.name)); });
  for (Role& role : roles.roles) {
    std::erase_if(role.settings, [&](const StoredSetting& setting) {
      return accepted.contains(SettingObject(setting));
    });
    std::erase_if(role.labels, [&](const SecurityLabel& label) {
      return accepted.contains(LabelsObject(label.provider));
    });
  }
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
  return "ALTER ROLE " + QuoteIdentifier(role) + " " +
         (own ? SetClause(setting.name, setting.value)
              : "SET " + QuoteSettingName(setting.name) + " = …");
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
      verdicts.push_back(stranger == nullptr || IsProven(*member, *stranger)
                             ? MembershipVerdict::kGrant
                             : MembershipVerdict::kToStranger);
    else if (group != nullptr && stranger == nullptr)
      verdicts.push_back(MembershipVerdict::kOfStranger);
    else
      verdicts.push_back(MembershipVerdict::kLeft);
  }
  return verdicts;
}

std::vector<std::string> FindTakenByName(const RoleSet& source, const RoleSet& target,
                                         std::string_view migration_uid) {
  std::vector<std::string> names;
  for (const Role& role : source.roles) {
    const Role* there = Stranger(target, role.name, migration_uid);
    if (there != nullptr && !role.superuser && Difference(role, *there).empty() &&
        !IsProven(role, *there))
      names.push_back(role.name);
  }
  return names;
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
    const bool to_stranger = verdicts[at] == MembershipVerdict::kToStranger;
    if (!to_stranger && verdicts[at] != MembershipVerdict::kOfStranger) continue;
    const Membership& membership = source.memberships[at];
    found.push_back(
        {MembershipObject(membership),
         "role " + membership.member + " is a member of " + membership.group +
             (to_stranger ? ", and a role named " + membership.member +
                                " is on the target already, which no password proves to be the "
                                "same and which is given no rights on a server that tenants "
                                "share"
                          : ", and a role of that name is on the target already, whose rights "
                            "are not given on a server that tenants share"),
         "REVOKE " + QuoteIdentifier(membership.group) + " FROM " +
             QuoteIdentifier(membership.member)});
  }
  return found;
}

}  // namespace cutover::pg
