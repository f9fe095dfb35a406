// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/database.h"

namespace cutover::pg {

/// A role as pg_authid has it. Holds a password verifier: never log one.
struct Role {
  std::string name;
  bool superuser = false;
  bool inherit = true;
  bool create_role = false;
  bool create_database = false;
  bool can_login = false;
  bool replication = false;
  bool bypass_rls = false;
  /// Whoever is a member of it may act beyond one database: it is a superuser or the role that
  /// asks, or a member, be it through others, of one of these or of a predefined role.
  bool reaches_beyond = false;
  int connection_limit = -1;
  std::string verifier;        ///< "SCRAM-SHA-256$…"; empty without a password.
  bool verifier_known = true;  ///< False where pg_authid may not be read; `verifier` is empty then.
  std::string valid_until;     ///< Empty is forever.
  std::string comment;
  std::vector<StoredSetting> settings;  ///< `ALTER ROLE … SET`, for all databases.
  std::vector<SecurityLabel> labels;
};

/// `member` is a member of `group`.
struct Membership {
  std::string group;
  std::string member;
  bool admin_option = false;
  /// Options of the membership itself from 16 on. Before, a member inherits when its own attribute
  /// says so, and may always SET ROLE; that is what is read from an older server.
  bool inherit_option = true;
  bool set_option = true;
  /// From 16 on, where one role may be granted to another by several: who granted it, if that is a
  /// role of the set. Empty: an admin, on the target whoever creates the roles there.
  std::string grantor = {};
  bool of_superuser = false;  ///< The group is a superuser where this was read.

  auto operator<=>(const Membership&) const = default;
};

/// Login roles that reach the database only as members of `group`, which is granted something in
/// it.
struct MembersLeftBehind {
  std::string group;
  std::vector<std::string> members;
};

struct RoleSet {
  std::vector<Role> roles;
  std::vector<Membership> memberships;
  /// Known of referenced roles only. Groups that are granted something in other databases, too, are
  /// not among them: their members are hardly this database's.
  std::vector<MembersLeftBehind> left_behind = {};
};

/// The roles that the database of `connection` cannot do without: owners, grantees, subjects of
/// policies and default privileges, roles with settings in it; members of the roles that own
/// something, and, upwards, the groups of all of these. Groups are not followed downwards, or one
/// group of all tenants would bring them all along: RoleSet::left_behind says whom that leaves. The
/// admin role itself is left out. Predefined roles (pg_*) appear as groups in memberships only; so
/// does an admin who is a superuser. Passwords need a superuser, or GRANT SELECT ON pg_authid;
/// without, they come as unknown.
Result<RoleSet> ReadReferencedRoles(std::stop_token stop, Deadline deadline,
                                    Connection& connection);

/// Their names only; needs no privilege on pg_authid. Predefined roles are not among them.
Result<std::vector<std::string>> ReadReferencedRoleNames(std::stop_token stop, Deadline deadline,
                                                         Connection& connection);

/// Named roles of a server, those that exist, with the memberships among them.
Result<RoleSet> ReadRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                          const std::vector<std::string>& names);

enum class RoleVerdict {
  kCreate,     ///< Absent on the target.
  kSame,       ///< There, with the same attributes and password.
  kClash,      ///< There, but another one: its tenant would be locked out, or ours let in.
  kSuperuser,  ///< A superuser of the source is never created or changed on the target.
};

struct RoleFinding {
  std::string role;
  RoleVerdict verdict = RoleVerdict::kCreate;
  std::string message;
};

/// Pure: what would have to happen to each role of `source`. Passwords are compared where both are
/// known.
std::vector<RoleFinding> CompareRoles(const RoleSet& source, const RoleSet& target);

enum class MembershipVerdict {
  kGrant,       ///< It will be given: the group, and maybe the member, is brought by the move.
  kOfStranger,  ///< The move brings the member only: the group was there before, and may be
                ///< another tenant's. Given unless Powers::kWithhold.
  kToStranger,  ///< The move brings the group only, and nothing but its name says that the member
                ///< is the source's: see FindTakenByName(). Given unless Powers::kWithhold.
  kThere,       ///< Given on the target already, with all that it may.
  kReachesBeyond,  ///< Never given, since on a shared server it would show this tenant the others,
                   ///< or make him the master of the server: the group is predefined, or a
                   ///< superuser on the source, or Role::reaches_beyond on the target.
  kLeft,           ///< Not given: both roles are the target's own, and not ours to widen.
  kNotAsked,       ///< Of a superuser, of no role of the set, or of one that clashes.
};

/// Pure: what would have to happen to each membership of `source`, in their order. `target` holds
/// whatever exists there of the members and groups of `source`.
std::vector<MembershipVerdict> JudgeMemberships(const RoleSet& source, const RoleSet& target,
                                                std::string_view migration_uid);

/// Pure: whether the member has all of it on `target`, be it in several grants.
bool IsGiven(const Membership& wanted, const RoleSet& target);

/// Whether a tenant's roles may bring what reaches beyond his database: not onto a server that
/// others share.
enum class Powers { kBring, kWithhold };

/// Something of a source's roles that is not given with Powers::kWithhold.
struct WithheldPower {
  std::string object;  ///< "REPLICATION of role a", "membership of a in b"
  std::string why;
  std::string statement;  ///< By which the source's tenant does without it.
};

/// Pure: CREATEROLE, REPLICATION and BYPASSRLS of roles that this migration creates, and the
/// memberships that are MembershipVerdict::kOfStranger or kToStranger. What a role that is there
/// already has there, it keeps.
std::vector<WithheldPower> FindWithheld(const RoleSet& source, const RoleSet& target,
                                        std::string_view migration_uid);

/// Pure: the roles of `source` that were on `target` before this migration and are
/// RoleVerdict::kSame without a proof: nobody logs in as them by a password that both sides have.
/// Where tenants share a server, what the database grants to such a role may go to another
/// tenant's.
std::vector<std::string> FindTakenByName(const RoleSet& source, const RoleSet& target,
                                         std::string_view migration_uid);

/// Pure: the settings of `source` that `target`, the same role, has not or has otherwise.
std::vector<StoredSetting> MissingSettings(const Role& source, const Role& target);

/// Pure: `left_behind` of `source`, under its own names, without those whom `target`, under the
/// same ones, has in their groups. `target` has whatever exists there of these roles.
std::vector<MembersLeftBehind> StillLeftBehind(const RoleSet& source, const RoleSet& target);

/// How copy.accept, --accept, obstacles and differences name these.
std::string RoleObject(const std::string& name);
std::string MembershipObject(const Membership& membership);
std::string MembersObject(const std::string& group);
std::string SettingObject(const StoredSetting& setting);
std::string LabelsObject(const std::string& provider);

/// Pure: takes out of `roles` what is accepted by these names: roles, which are used on the target
/// as they are there, and settings and labels of the others.
void LeaveOut(const std::set<std::string>& accepted, RoleSet& roles);

/// "GRANT … TO …" with its options, as a server of `major` takes them.
std::string GrantStatement(const Membership& membership, int major);

/// "ALTER ROLE … SET … = …" for somebody to read: without the value of a setting that is not
/// PostgreSQL's own ("app.key"), which may be a secret.
std::string DescribeSetting(std::string_view role, const StoredSetting& setting);

/// Creates the absent roles of `wanted`, which are the source's, with their verifiers, attributes
/// and settings, gives the memberships that JudgeMemberships() says, and marks each role, by its
/// comment, as created by this migration, so that undo finds them whatever has died in between. One
/// of these whose password, attributes, settings or memberships were changed on the source since
/// gets the new ones. One that another migration has created, and that is the same, loses that
/// mark: it is needed by both from now on, and undoing the other must not take it away. Superusers
/// are left alone; kWithhold leaves out what FindWithheld() finds. Terminal "RoleClash".
/// Repeatable. A role whose password is unknown is created without one. When we are no superuser we
/// become a member of each role that we create, as a restore has to act for it: see ReturnRoles().
/// The statements are kept out of the server's log as far as our privileges allow.
Status CreateRoles(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   const RoleSet& wanted, std::string_view migration_uid,
                   Powers powers = Powers::kBring);

/// Whether this migration created the role, by its mark.
bool IsCreatedBy(const Role& role, std::string_view migration_uid);

/// Gives the role of the server of `transaction` the password that its namesake has elsewhere, by
/// its verifier, and out of the server's log like the above.
Status SetVerifier(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   const std::string& role, const std::string& verifier);
/// Whether anything of the server's that is not in the database of `connection` is that role's, or
/// open to it by name: whoever uses that logs in with the same password.
Result<bool> IsNeededElsewhere(std::stop_token stop, Deadline deadline, Connection& connection,
                               const std::string& role);

/// Ends the memberships of our own in `roles` that CreateRoles() took. Safe to repeat, and without
/// effect for a superuser.
Status ReturnRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                   const RoleSet& roles);

/// Whether roles are there that this migration created and has neither dropped nor kept.
Result<bool> HasCreatedRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                             std::string_view migration_uid);

/// Undo: drops the roles that this migration created, those of its streams included, after its
/// target database is dropped.
/// Returns those that could not be, because something on the server depends on them by now.
Result<std::vector<std::string>> DropCreatedRoles(std::stop_token stop, Deadline deadline,
                                                  Connection& connection,
                                                  std::string_view migration_uid);

/// Completion: the marks become the comments that the roles have on the source.
Status KeepCreatedRoles(std::stop_token stop, Deadline deadline, Connection& connection,
                        const RoleSet& source, std::string_view migration_uid);

}  // namespace cutover::pg
