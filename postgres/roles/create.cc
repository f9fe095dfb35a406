// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <utility>

#include "postgres/idle_transaction.h"
#include "postgres/replication.h"
#include "postgres/roles/set.h"
#include "postgres/secrets.h"

namespace cutover::pg {
namespace {

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

/// A role of ours that the source's has changed since, by a new password for one.
Status BringUpToDate(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                     const Role& role) {
  std::string attributes = Attributes(role);
  if (role.verifier_known && role.verifier.empty()) attributes += " PASSWORD NULL";
  if (role.valid_until.empty()) attributes += " VALID UNTIL 'infinity'";
  return transaction.Exec(stop, deadline, "ALTER ROLE " + QuoteIdentifier(role.name) + attributes);
}

/// What the target's server does not take of a role: with what to do about it.
tl::unexpected<Error> Refused(Error error, const std::string& role, const std::string& object,
                              const std::string& remedy) {
  error = WithContext(std::move(error), "role " + role + " with its " + object);
  if (error.disposition == Disposition::kTerminal)
    error.message += "; " + remedy + ", then try again, or leave it behind: \"" + object +
                     "\" in copy.accept of another try";
  return tl::unexpected(std::move(error));
}

/// `role` in quotes.
Status ApplySettings(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                     const std::string& role, const std::vector<StoredSetting>& settings) {
  for (const StoredSetting& setting : settings) {
    Status set = transaction.Exec(
        stop, deadline, "ALTER ROLE " + role + " " + SetClause(setting.name, setting.value));
    // Majors drop settings.
    if (!set)
      return Refused(
          std::move(set).error(), role, SettingObject(setting),
          "on the source, ALTER ROLE " + role + " RESET " + QuoteSettingName(setting.name));
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
    Status labelled = transaction.Exec(stop, deadline,
                                       "SECURITY LABEL FOR " + QuoteIdentifier(label.provider) +
                                           " ON ROLE " + name + " IS " + QuoteLiteral(label.label));
    if (!labelled)
      return Refused(std::move(labelled).error(), name, LabelsObject(label.provider),
                     "load the label provider on the target's server");
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

Status CreateRoles(std::stop_token stop, Deadline deadline, Transaction& transaction,
                   const RoleSet& wanted, std::string_view migration_uid, Powers powers) {
  // Verifiers are among the statements.
  TRY(KeepOutOfLogs(stop, deadline, transaction));
  TRY_ASSIGN(RoleSet target, ReadRolesWithin(stop, deadline, transaction, NamesOf(wanted)));
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
    const bool of_strangers = verdicts[at] == MembershipVerdict::kOfStranger ||
                              verdicts[at] == MembershipVerdict::kToStranger;
    if (verdicts[at] == MembershipVerdict::kGrant || (of_strangers && powers == Powers::kBring))
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
