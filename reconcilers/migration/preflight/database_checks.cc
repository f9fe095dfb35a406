// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "postgres/connection.h"
#include "postgres/roles.h"
#include "postgres/stream_names.h"
#include "reconcilers/migration/preflight/findings.h"

namespace cutover::migration {
namespace {

// A transaction that has been open for this long will be cut off by the fence.
constexpr int64_t kLongTransactionSeconds = 300;

std::string DatabaseOf(const PreflightFacts& facts) {
  return "database " + facts.placement.spec.database_name;
}
std::string SourceOf(const PreflightFacts& facts) {
  return "DatabaseServer " + facts.source_server_name;
}
std::string TargetOf(const PreflightFacts& facts) {
  return "DatabaseServer " + facts.migration.spec.target_server_name;
}

// "run on DatabaseServer x: STATEMENT"
std::string Run(const std::string& server, const std::string& statement) {
  return "run on " + server + ": " + statement;
}

/// Whether the migration's author has said that this may stay behind. Objects are named as the
/// mover names them, which refuses them, too: mover/plan/obstacles.h.
bool IsAccepted(const PreflightFacts& facts, const std::string& object) {
  const std::vector<std::string>& accept = facts.migration.spec.copy_accept;
  return std::find(accept.begin(), accept.end(), object) != accept.end();
}

/// Blocking, unless it was accepted.
void AddWaivable(const PreflightFacts& facts, const char* reason, const std::string& object,
                 const std::string& why, const std::string& remedy, Findings& findings) {
  if (IsAccepted(facts, object))
    findings.push_back({Severity::kWarning, reason, why + ", as accepted"});
  else
    findings.push_back({Severity::kBlocking, reason,
                        why + ": " + remedy + ", or create a new TenantMigration with \"" + object +
                            "\" in copy.accept"});
}

void AddMissingPrivileges(const pg::ServerFacts& server, const std::string& admin,
                          const std::string& name, Findings& findings) {
  for (const pg::MissingPrivilege& missing : server.missing_privileges)
    findings.push_back({Severity::kBlocking, "MissingPrivilege",
                        "the operator's role " + admin + " lacks " + missing.privilege + " on " +
                            name + ": " + Run(name, missing.remedy)});
}

/// To be said one after the other.
std::string Script(const std::vector<std::string>& statements) {
  std::string all;
  for (const std::string& statement : statements) all += (all.empty() ? "" : "; ") + statement;
  return all;
}

/// The operator's role owns what is fenced, so its members could open it again: no fence would ever
/// be proven, with the tenant's users out.
void AddAdminMembers(const std::vector<AdminMember>& members, const std::string& admin,
                     const std::string& server, Findings& findings) {
  if (members.empty()) return;
  std::vector<std::string> names, statements;
  for (const AdminMember& member : members) {
    if (std::find(names.begin(), names.end(), member.name) == names.end())
      names.push_back(member.name);
    if (std::find(statements.begin(), statements.end(), member.revoke) == statements.end())
      statements.push_back(member.revoke);
  }
  findings.push_back({Severity::kBlocking, "AdminHasMembers",
                      "whoever is a member of the operator's role " + admin + " on " + server +
                          " could open a fenced database again, so that no fence is ever proven (" +
                          List(names) + "): " + Run(server, Script(statements)) +
                          ", or let spec.adminSecretRef name a role without members"});
}

/// The worker of an enabled subscription is started again within seconds of being ended, and as its
/// owner, whom the fence need not keep out: either no fence is proven, or rows are written to the
/// source after they were copied, or after the stream's end.
void AddSubscriptionsThatWrite(const PreflightFacts& facts, Findings& findings) {
  std::vector<std::string> names, statements;
  for (const pg::Subscription& subscription : facts.source->database.subscriptions) {
    if (!subscription.enabled || pg::IsOfStream(subscription.name)) continue;
    names.push_back(subscription.name);
    statements.push_back("ALTER SUBSCRIPTION " + pg::QuoteIdentifier(subscription.name) +
                         " DISABLE");
  }
  if (names.empty()) return;
  findings.push_back(
      {Severity::kBlocking, "SubscriptionsWrite",
       "subscriptions write into " + DatabaseOf(facts) +
           ", and would go on doing so under the fence (" + List(names) + "): connect to it on " +
           SourceOf(facts) + " and say " + Script(statements) +
           ", or drop them; until they go on on the target after the switch (docs/faq.md has the "
           "statements) nothing arrives, and their publishers keep WAL for them"});
}

/// Memberships that the tenant's roles would not have on the target.
void AddMemberships(const PreflightFacts& facts, const pg::RoleSet& source,
                    const pg::RoleSet& target, Findings& findings) {
  const auto verdicts = pg::JudgeMemberships(source, target, facts.migration.meta.uid);
  for (size_t at = 0; at < verdicts.size(); ++at) {
    const pg::Membership& membership = source.memberships[at];
    const std::string& group = membership.group;
    if (verdicts[at] == pg::MembershipVerdict::kLeft) {
      pg::Membership wanted = membership;
      wanted.grantor.clear();
      AddWaivable(facts, "RoleNotCopied", pg::MembershipObject(membership),
                  "role " + membership.member + " is a member of " + group +
                      ", and on the target, where both are already, it is none, or not in full",
                  "make it one (" +
                      Run(TargetOf(facts),
                          pg::GrantStatement(wanted, facts.target->server.version_number / 10000)) +
                      ")",
                  findings);
    }
    if (verdicts[at] != pg::MembershipVerdict::kReachesBeyond) continue;
    AddWaivable(facts, "RoleNotCopied", pg::MembershipObject(membership),
                "role " + membership.member + " is a member of " + group +
                    ", which reaches beyond its database and is not given on the target",
                "end it (" +
                    Run(SourceOf(facts), "REVOKE " + pg::QuoteIdentifier(group) + " FROM " +
                                             pg::QuoteIdentifier(membership.member)) +
                    ")",
                findings);
  }
}

/// Whoever logs in and reaches the database by a membership only.
void AddMembersLeftBehind(const PreflightFacts& facts, const pg::RoleSet& source,
                          const pg::RoleSet& target, Findings& findings) {
  for (const pg::MembersLeftBehind& left : pg::StillLeftBehind(source, target)) {
    std::string quoted;
    for (const std::string& member : left.members)
      quoted += (quoted.empty() ? "" : ", ") + pg::QuoteIdentifier(member);
    AddWaivable(
        facts, "RoleNotCopied", pg::MembersObject(left.group),
        "who reaches " + DatabaseOf(facts) + " only as a member of role " + left.group +
            " does not come along (" + List(left.members) + ")",
        "grant them something there, with which they do (" +
            Run(SourceOf(facts), "GRANT CONNECT ON DATABASE " +
                                     pg::QuoteIdentifier(facts.placement.spec.database_name) +
                                     " TO " + quoted) +
            ")",
        findings);
  }
}

/// What a role has on the source, and not on the target, where it was before the move.
void AddMissingSettings(const PreflightFacts& facts, const std::string& name,
                        const pg::RoleSet& source, const pg::RoleSet& target, Findings& findings) {
  auto named = [&name](const pg::RoleSet& set) {
    return std::find_if(set.roles.begin(), set.roles.end(),
                        [&name](const pg::Role& role) { return role.name == name; });
  };
  // What this move has made it will bring up to date.
  if (pg::IsCreatedBy(*named(target), facts.migration.meta.uid)) return;
  for (const pg::StoredSetting& setting : pg::MissingSettings(*named(source), *named(target)))
    AddWaivable(facts, "RoleNotCopied", pg::SettingObject(setting),
                "role " + name +
                    " has not, or has otherwise, on the target, where it is already, "
                    "its setting " +
                    setting.name,
                "give it there (" + Run(TargetOf(facts), pg::DescribeSetting(name, setting)) + ")",
                findings);
}

/// The move makes tables in schema cutover of the tenant's database, which such a publication sends
/// to subscribers that have none: they stop, and their slots fill the source's disk.
void AddAllTablesPublications(const PreflightFacts& facts, Findings& findings) {
  const SourceFacts& source = *facts.source;
  if (source.all_tables_publications.empty()) return;
  const std::string sent = "the move's own tables in schema cutover of " + DatabaseOf(facts) +
                           " are sent to whoever subscribes to what is published FOR ALL TABLES (" +
                           List(source.all_tables_publications) + ")";
  if (source.slots_being_read.empty())
    findings.push_back({Severity::kWarning, "AllTablesPublished",
                        sent + ": a subscriber that has no such tables stops at the first row"});
  else
    findings.push_back(
        {Severity::kBlocking, "AllTablesPublished",
         sent + ": whoever reads slots " + List(source.slots_being_read) +
             " would stop at the first row, having no such tables, and the slots would fill the "
             "disk of " +
             SourceOf(facts) +
             "; make a publication that names its tables or schemas (FOR TABLE …, from PostgreSQL "
             "15 on FOR TABLES IN SCHEMA …) in place of each, or end the subscriptions first: they "
             "do not move along"});
}

void AddNotExcludable(const PreflightFacts& facts, Findings& findings) {
  std::vector<std::string> unknown;
  for (const pg::NotExcludable& table : facts.source->not_excludable) {
    if (table.partitioned)
      findings.push_back({Severity::kHopeless, "ExcludedTablePartitioned",
                          "copy.excludeTables names a table without rows of its own: " +
                              table.WhatToName() + "; create a new TenantMigration"});
    else
      unknown.push_back(table.name);
  }
  if (!unknown.empty())
    findings.push_back({Severity::kHopeless, "ExcludedTableNotFound",
                        DatabaseOf(facts) + " has no table " + List(unknown) +
                            ", which copy.excludeTables names: create a new TenantMigration with "
                            "names of tables as schema.table"});
}

/// The copy would fail at its very end, with the tenant's users out.
void AddBrokenReferences(const PreflightFacts& facts, Findings& findings) {
  for (const pg::BrokenReference& reference : facts.source->broken_references) {
    if (reference.whole)
      AddWaivable(facts, "ExcludedRowsNeeded", reference.Object(),
                  "rows of " + reference.table + " refer to rows of " + reference.referenced +
                      ", which copy.excludeTables names, so that the target would refuse foreign "
                      "key " +
                      reference.constraint,
                  "exclude " + reference.Referring() + " too in a new TenantMigration", findings);
    else
      findings.push_back({Severity::kHopeless, "ExcludedRowsNeeded",
                          "rows of " + reference.table + " refer to rows of the partition " +
                              reference.referenced +
                              ", which copy.excludeTables names, so that the target would refuse "
                              "foreign key " +
                              reference.constraint +
                              ": create a new TenantMigration that excludes " +
                              reference.Referring() + " too, or copies the partition"});
  }
}

}  // namespace

Findings NeverToOlderMajor(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  const pg::ServerFacts& source = facts.source->server;
  const pg::ServerFacts& target = facts.target->server;
  if (target.version_number / 10000 >= source.version_number / 10000) return findings;
  findings.push_back({Severity::kHopeless, "OlderMajor",
                      "PostgreSQL on " + TargetOf(facts) + " is " + target.version +
                          ", older than " + source.version + " on " + SourceOf(facts) +
                          ": create a TenantMigration to a server of the same or a newer major"});
  return findings;
}

Findings TenantIsAsThePlacementSays(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings)) return findings;
  if (facts.source->server.in_recovery)
    findings.push_back({Severity::kBlocking, "SourceIsStandby",
                        SourceOf(facts) + " is a standby, which cannot be fenced: point "
                                          "spec.endpoint at the primary"});
  const std::string& owner = facts.source->database.properties.access.owner;
  if (owner != facts.placement.spec.owner)
    findings.push_back(
        {Severity::kBlocking, "OwnerMismatch",
         DatabaseOf(facts) + " belongs to role " + owner + ", not to " +
             facts.placement.spec.owner + " as DatabasePlacement " + facts.placement.meta.name +
             " says: correct spec.database.owner, or " +
             Run(SourceOf(facts),
                 "ALTER DATABASE " + pg::QuoteIdentifier(facts.placement.spec.database_name) +
                     " OWNER TO " + pg::QuoteIdentifier(facts.placement.spec.owner))});
  return findings;
}

Findings TenantCanBeFenced(const PreflightFacts& facts) {
  Findings findings;
  if (Have(facts.target, findings))
    AddAdminMembers(facts.target->admin_members, facts.target->admin, TargetOf(facts), findings);
  if (!Have(facts.source, findings)) return findings;
  AddAdminMembers(facts.source->admin_members, facts.source->admin, SourceOf(facts), findings);
  AddSubscriptionsThatWrite(facts, findings);
  if (facts.source->unfenceable_roles.empty()) return findings;
  const std::string& owner = facts.source->database.properties.access.owner;
  findings.push_back({Severity::kHopeless, "SuperuserOwner",
                      "role " + owner + ", the owner of " + DatabaseOf(facts) + ", may act as " +
                          List(facts.source->unfenceable_roles) +
                          ", whom no fence keeps out: give the database to an ordinary role of "
                          "its own (ALTER DATABASE … OWNER TO …, REASSIGN OWNED), let the "
                          "workload log in as that one, and create a new TenantMigration"});
  return findings;
}

Findings OperatorMayDoItsWork(const PreflightFacts& facts) {
  Findings findings;
  if (Have(facts.source, findings)) {
    AddMissingPrivileges(facts.source->server, facts.source->admin, SourceOf(facts), findings);
    const std::string& owner = facts.source->database.properties.access.owner;
    if (!facts.source->server.admin_is_superuser && !facts.source->admin_owns_database)
      findings.push_back({Severity::kBlocking, "MissingPrivilege",
                          "the operator's role " + facts.source->admin + " may not close " +
                              DatabaseOf(facts) + ": " +
                              Run(SourceOf(facts), "GRANT " + pg::QuoteIdentifier(owner) + " TO " +
                                                       pg::QuoteIdentifier(facts.source->admin))});
  }
  if (Have(facts.target, findings)) {
    AddMissingPrivileges(facts.target->server, facts.target->admin, TargetOf(facts), findings);
    if (facts.target->server.in_recovery)
      findings.push_back({Severity::kBlocking, "TargetIsStandby",
                          TargetOf(facts) + " is a standby, which takes no writes: point "
                                            "spec.endpoint at the primary"});
  }
  return findings;
}

Findings NoPreparedTransactions(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings)) return findings;
  std::vector<std::string> gids;
  for (const pg::PreparedTransaction& prepared : facts.source->database.prepared_transactions)
    gids.push_back(pg::QuoteLiteral(prepared.gid) + " of " + prepared.owner);
  if (gids.empty()) return findings;
  findings.push_back({Severity::kBlocking, "PreparedTransactions",
                      DatabaseOf(facts) +
                          " holds prepared transactions, which the fence cannot "
                          "end (" +
                          List(gids) +
                          "): connect to it and say COMMIT PREPARED or ROLLBACK "
                          "PREPARED for each"});
  return findings;
}

Findings TargetHasNoSuchDatabase(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.target, findings) || !facts.target->database_exists) return findings;
  // The record of where the tenant is may be older than the databases, as a restored etcd is.
  if (!facts.source.known() || facts.source->retired) {
    findings.push_back(
        {Severity::kBlocking, "TargetExists",
         TargetOf(facts) + " already has a " + DatabaseOf(facts) +
             ", and the source was retired by a move that was over, or cannot be asked: it may be "
             "the tenant's own, so do not drop it before you know; if it is, set "
             "DatabasePlacement " +
             facts.placement.meta.name +
             " and its wiring to that server, as the runbook CutoverPersonNeeded says under "
             "MoveWasOver"});
    return findings;
  }
  findings.push_back(
      {Severity::kBlocking, "TargetExists",
       TargetOf(facts) + " already has a " + DatabaseOf(facts) +
           ": delete the earlier TenantMigration that was rolled back and keeps "
           "it, or, if nobody needs it, " +
           Run(TargetOf(facts),
               "DROP DATABASE " + pg::QuoteIdentifier(facts.placement.spec.database_name))});
  return findings;
}

Findings LocaleCanBeReproduced(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  if (facts.target->locale_problem.empty()) return findings;
  const pg::DatabaseProperties& source = facts.source->database.properties;
  std::string locale = source.locale_provider == "libc"
                           ? source.collate + " / " + source.ctype
                           : source.locale_provider + " " + source.locale;
  findings.push_back({Severity::kBlocking, "LocaleMissing",
                      TargetOf(facts) + " cannot make a database with encoding " + source.encoding +
                          " and locale " + locale + ": " + facts.target->locale_problem +
                          "; install the locale on that server's machine or in its image and "
                          "restart it"});
  return findings;
}

Findings ExtensionsAreAvailable(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  for (const pg::Extension& extension : facts.source->database.extensions) {
    auto available = facts.target->extensions.find(extension.name);
    if (available == facts.target->extensions.end()) {
      AddWaivable(facts, "ExtensionMissing", "extension " + extension.name,
                  "extension " + extension.name + " " + extension.version +
                      " is not available on " + TargetOf(facts),
                  "install the package that brings it there, or drop it from " + DatabaseOf(facts) +
                      " if nothing uses it",
                  findings);
      continue;
    }
    const auto& versions = available->second.versions;
    if (std::find(versions.begin(), versions.end(), extension.version) != versions.end()) continue;
    findings.push_back({Severity::kWarning, "ExtensionVersion",
                        "extension " + extension.name + " will be of version " +
                            available->second.default_version + " instead of " + extension.version +
                            ", which " + TargetOf(facts) + " does not have"});
  }
  return findings;
}

Findings RolesDoNotClash(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  const auto& source = facts.source->roles;
  const auto& target = facts.target->roles;
  if (!Have(source, findings) || !Have(target, findings)) return findings;
  for (const pg::RoleFinding& role : pg::CompareRoles(*source, *target)) {
    switch (role.verdict) {
      case pg::RoleVerdict::kCreate:
        break;
      case pg::RoleVerdict::kSame:
        AddMissingSettings(facts, role.role, *source, *target, findings);
        break;
      case pg::RoleVerdict::kClash:
        AddWaivable(facts, "RoleClash", "role " + role.role,
                    "role " + role.role + " of " + TargetOf(facts) + " is another one",
                    role.message, findings);
        break;
      case pg::RoleVerdict::kSuperuser:
        findings.push_back(
            {Severity::kWarning, "RoleNotCopied", "role " + role.role + ": " + role.message});
        break;
    }
  }
  AddMemberships(facts, *source, *target, findings);
  AddMembersLeftBehind(facts, *source, *target, findings);
  return findings;
}

// A waiver may be the tenant's own, so what is accepted is left behind, and never given.
Findings RolesKeepToTheirDatabase(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings) || !Have(facts.target, findings)) return findings;
  const auto& source = facts.source->roles;
  const auto& target = facts.target->roles;
  if (!Have(source, findings) || !Have(target, findings) || !Have(facts.target_server, findings) ||
      !*facts.target_server ||
      (*facts.target_server)->spec.server_class != api::ServerClass::kShared)
    return findings;
  for (const pg::WithheldPower& power :
       pg::FindWithheld(*source, *target, facts.migration.meta.uid))
    AddWaivable(facts, "RoleNotCopied", power.object, power.why,
                "do without it (" + Run(SourceOf(facts), power.statement) + ")", findings);
  const auto by_name = pg::FindTakenByName(*source, *target, facts.migration.meta.uid);
  if (!by_name.empty())
    findings.push_back({Severity::kWarning, "RoleTakenByName",
                        "roles of these names are on " + TargetOf(facts) +
                            " already and are taken for the tenant's, though nobody logs in as "
                            "them by a password that would prove it; if they are another "
                            "tenant's, he gets what " +
                            DatabaseOf(facts) +
                            " grants to them and what they own in it, so rename them on one side "
                            "first: " +
                            List(by_name)});
  return findings;
}

Findings CopyCanBeDoneAsOrdered(const PreflightFacts& facts) {
  Findings findings;
  const std::string& throttle = facts.migration.spec.copy_throttle_query;
  if (!throttle.empty() && !facts.throttle_queries.contains(throttle)) {
    std::vector<std::string> known;
    for (const auto& entry : facts.throttle_queries) known.push_back(entry.first);
    findings.push_back({Severity::kBlocking, "ThrottleQueryUnknown",
                        "copy.throttleQuery names " + throttle + ", and the operator knows " +
                            (known.empty() ? "no queries" : List(known)) +
                            ": name one that it knows, take it away, or start the operator with "
                            "--throttle-query " +
                            throttle + "=SQL (the chart's value throttleQueries)"});
  }
  if (!Have(facts.source, findings)) return findings;
  AddNotExcludable(facts, findings);
  AddBrokenReferences(facts, findings);
  if (!facts.source->throttle_problem.empty())
    findings.push_back({Severity::kBlocking, "ThrottleQueryFailed",
                        "copy.throttleQuery, " + throttle + ", cannot be asked on " +
                            SourceOf(facts) + ": " + facts.source->throttle_problem +
                            ": name another, take it away, or correct it where the operator is "
                            "started"});
  const std::vector<std::string>& excluded = facts.migration.spec.copy_exclude_tables;
  if (!excluded.empty())
    findings.push_back({Severity::kWarning, "RowsStayBehind",
                        "the rows of " + List(excluded) +
                            " are not copied: they stay on the source, and in the backup if there "
                            "is one"});
  return findings;
}

Findings TenantCanBackItselfUp(const PreflightFacts& facts) {
  Findings findings;
  if (facts.migration.spec.backup_mode != api::BackupMode::kRequired) return findings;
  const std::string& claim = facts.migration.spec.backup_claim_name;
  if (Have(facts.backup_claim, findings) && !*facts.backup_claim)
    findings.push_back({Severity::kBlocking, "BackupClaimNotFound",
                        "PersistentVolumeClaim " + claim +
                            " for the backup does not exist in "
                            "namespace " +
                            facts.placement.meta.namespace_name +
                            ", is being deleted, or has lost its volume: create it"});
  if (!Have(facts.source, findings) || facts.source->unreadable_tables.empty()) return findings;
  findings.push_back({Severity::kBlocking, "BackupIncomplete",
                      "role " + facts.placement.spec.owner +
                          ", which makes the backup, cannot "
                          "read all of " +
                          List(facts.source->unreadable_tables) +
                          ": make it the owner of these tables, or grant it SELECT on them and "
                          "USAGE on their schemas, and let no row security hide rows from it"});
  return findings;
}

Findings WhatDoesNotMoveByItself(const PreflightFacts& facts) {
  Findings findings;
  if (!Have(facts.source, findings)) return findings;
  const pg::DatabaseFacts& database = facts.source->database;
  auto warn = [&findings](const char* reason, std::string message) {
    findings.push_back({Severity::kWarning, reason, std::move(message)});
  };
  std::vector<std::string> subscriptions;
  for (const pg::Subscription& subscription : database.subscriptions)
    if (!subscription.enabled) subscriptions.push_back(subscription.name);  // Others block.
  if (!subscriptions.empty())
    warn("SubscriptionsStop",
         "subscriptions arrive disabled and knowing none of their tables; enabled as they are they "
         "would pass over all that arrives (docs/faq.md has the statements to go on by): " +
             List(subscriptions));
  if (!database.publications.empty())
    warn("PublicationsLoseSubscribers",
         "whoever subscribes to these publications must be pointed at the target: " +
             List(database.publications));
  AddAllTablesPublications(facts, findings);
  if (!database.foreign_tables.empty())
    warn("ForeignTables",
         "foreign tables keep their remote servers, which the target must be "
         "able to reach: " +
             List(database.foreign_tables));
  std::vector<std::string> triggers;
  for (const pg::EventTrigger& trigger : database.event_triggers) triggers.push_back(trigger.name);
  if (!triggers.empty())
    warn("EventTriggers",
         "event triggers do not fire while the schema is restored: " + List(triggers));
  for (const std::string& tablespace : database.tablespaces)
    AddWaivable(facts, "TablespacesDropped", "tablespace " + tablespace,
                "what lies in tablespace " + tablespace + " lands in the target's default one",
                "move it (" +
                    Run(SourceOf(facts), "ALTER TABLE ALL IN TABLESPACE " +
                                             pg::QuoteIdentifier(tablespace) +
                                             " SET TABLESPACE pg_default") +
                    ")",
                findings);
  for (const std::string& table : database.unenforced_tables)
    AddWaivable(facts, "ConstraintsNotEnforced", "triggers of the constraints of " + table,
                "nobody is held to the foreign keys of table " + table +
                    ", whose triggers are switched off, and on the target they would be on again",
                "switch them on (" +
                    Run(SourceOf(facts), "ALTER TABLE " + table + " ENABLE TRIGGER ALL") + ")",
                findings);
  if (database.oldest_transaction_age_seconds > kLongTransactionSeconds)
    warn("LongTransaction", "a transaction has been open for more than " +
                                std::to_string(kLongTransactionSeconds) +
                                " s; it will be cut off if it is still open when the doors close");
  return findings;
}

}  // namespace cutover::migration
