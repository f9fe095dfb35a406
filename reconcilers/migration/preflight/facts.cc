// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/facts.h"

#include <chrono>
#include <utility>

#include "operator/kube/resource.h"
#include "postgres/control.h"
#include "postgres/tables_only.h"
#include "reconcilers/migration/preflight/online.h"
#include "reconcilers/migration/preflight/reach.h"

namespace cutover::migration {
namespace {

// One part of the reading: a dead server must not take the time of all the others.
constexpr std::chrono::seconds kPartBound{10};

/// One call's arguments, and the connections' options once they are known.
struct Gathering {
  std::stop_token stop;
  Deadline deadline;
  const PreflightInputs& inputs;

  Deadline Part() const { return deadline.OrAfter(kPartBound); }
  kube::Client& client() const { return inputs.access.client; }
  const std::string& ns() const { return inputs.placement.meta.namespace_name; }
};

Result<std::optional<api::DatabaseServer>> ReadServer(const Gathering& g, const std::string& name) {
  TRY_ASSIGN(std::optional<Json> object,
             g.client().Get(g.stop, g.Part(), kube::kDatabaseServer, {"", name}));
  if (!object) return std::optional<api::DatabaseServer>();
  TRY_ASSIGN(api::DatabaseServer server, api::DecodeDatabaseServer(*object));
  return std::optional(std::move(server));
}

Result<pg::ConnectOptions> AdminOf(const Gathering& g,
                                   const Fact<std::optional<api::DatabaseServer>>& server,
                                   const std::string& name) {
  if (!server.known()) return tl::make_unexpected(server.error());
  if (!*server)
    return RetryError("ServerNotFound", "DatabaseServer " + name + " does not exist: create it");
  return g.inputs.admin_options(g.stop, g.Part(), **server);
}

// --- PostgreSQL ----------------------------------------------------------------------------------

Result<std::vector<std::string>> ReadNames(const Gathering& g, pg::Connection& connection,
                                           const char* sql, const pg::Params& params = {}) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(g.stop, g.Part(), sql, params));
  std::vector<std::string> names;
  for (pg::Row row : rows) names.push_back(row.Text(0));
  return names;
}

// Whoever may act as a superuser or as the operator's own role walks through every fence.
Result<std::vector<std::string>> ReadUnfenceable(const Gathering& g, pg::Connection& connection,
                                                 const std::vector<std::string>& owners) {
  return ReadNames(g, connection,
                   "SELECT r.rolname FROM pg_catalog.pg_roles r "
                   "WHERE (r.rolsuper OR r.rolname = current_user) AND EXISTS ("
                   "SELECT FROM pg_catalog.pg_roles o WHERE o.rolname = ANY ($1::text[])"
                   " AND pg_catalog.pg_has_role(o.oid, r.oid, 'MEMBER')) "
                   "ORDER BY r.rolname",
                   {owners});
}

// Whoever the fence's proof would find (postgres/fence.cc), with the direct membership through
// which each comes. The kind of membership does not matter: with ADMIN OPTION alone, which whoever
// creates a role has from version 16 on, a role gives itself the rest.
Result<std::vector<AdminMember>> ReadAdminMembers(const Gathering& g, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(g.stop, g.Part(),
                                             "SELECT r.rolname, m.rolname, g.rolname "
                                             "FROM pg_catalog.pg_auth_members a "
                                             "JOIN pg_catalog.pg_roles o ON o.oid = a.roleid "
                                             "JOIN pg_catalog.pg_roles m ON m.oid = a.member "
                                             "LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor "
                                             "JOIN pg_catalog.pg_roles r "
                                             "ON pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') "
                                             "WHERE o.rolname = current_user AND r.rolcanlogin "
                                             "AND NOT r.rolsuper AND r.rolname <> current_user "
                                             "ORDER BY 1, 2, 3"));
  const std::string admin = pg::QuoteIdentifier(connection.options().user);
  std::vector<AdminMember> members;
  for (pg::Row row : rows) {
    std::string revoke = "REVOKE " + admin + " FROM " + pg::QuoteIdentifier(row.Text(1));
    // From 16 on a grant is its grantor's, and another's statement leaves it as it is.
    if (connection.major_version() >= 16 && !row.IsNull(2))
      revoke += " GRANTED BY " + pg::QuoteIdentifier(row.Text(2));
    members.push_back({row.Text(0), std::move(revoke)});
  }
  return members;
}

// A table that cannot be searched in seconds is left to the mover, which searches it to the end
// before it copies anything.
Result<std::vector<pg::BrokenReference>> ReadBrokenReferences(const Gathering& g,
                                                              pg::Connection& connection) {
  using References = std::vector<pg::BrokenReference>;
  const std::vector<std::string>& excluded = g.inputs.migration.spec.copy_exclude_tables;
  if (excluded.empty()) return References();
  TRY(connection.Exec(g.stop, g.Part(), "SET statement_timeout TO '3s'"));
  TRY(connection.Exec(g.stop, g.Part(), pg::kTablesOnly));
  Result<References> broken = pg::FindBrokenReferences(g.stop, g.Part(), connection, excluded);
  const bool too_big = !broken && connection.last_sqlstate() == "57014";
  if (!connection.usable()) return broken;
  TRY(connection.Exec(g.stop, g.Part(), pg::kAnyRelation));
  TRY(connection.Exec(g.stop, g.Part(), "RESET statement_timeout"));
  return too_big ? Result<References>(References()) : std::move(broken);
}

Status ReadPublishing(const Gathering& g, pg::Connection& connection, SourceFacts& facts) {
  TRY_ASSIGN(facts.all_tables_publications,
             ReadNames(g, connection,
                       "SELECT pubname FROM pg_catalog.pg_publication WHERE puballtables "
                       "ORDER BY 1"));
  // Other plugins know no publications. Which ones a slot is read for is said by no catalog.
  TRY_ASSIGN(facts.slots_being_read,
             ReadNames(g, connection,
                       "SELECT slot_name FROM pg_catalog.pg_replication_slots "
                       "WHERE database = current_database() AND plugin = 'pgoutput' AND active "
                       "AND slot_name !~ '^cutover_' ORDER BY 1"));
  return Ok();
}

/// Asked once, as the copy will ask it every second.
Result<std::string> FindThrottleProblem(const Gathering& g, pg::Connection& connection) {
  const auto known = g.inputs.throttle_queries.find(g.inputs.migration.spec.copy_throttle_query);
  if (known == g.inputs.throttle_queries.end()) return std::string();
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(g.stop, g.Part(), connection));
  TRY(transaction.Exec(g.stop, g.Part(), "SET TRANSACTION READ ONLY"));
  auto answer = transaction.Query(g.stop, g.Part(), known->second);
  if (!answer && answer.error().disposition != Disposition::kTerminal)
    return tl::make_unexpected(std::move(answer).error());
  TRY(transaction.Rollback(g.stop, g.Part()));
  return answer ? std::string() : answer.error().message;
}

// A schema that is not ours says nothing of the kind.
Result<bool> IsRetired(const Gathering& g, pg::Connection& connection) {
  const auto control = pg::ReadControl(g.stop, g.Part(), connection);
  if (!control && control.error().reason == "ForeignSchema") return false;
  if (!control) return tl::make_unexpected(control.error());
  return *control && (*control)->state == pg::ControlState::kRetired;
}

Result<SourceFacts> ReadSource(const Gathering& g, pg::Connection& connection) {
  SourceFacts facts;
  const std::string& owner = g.inputs.placement.spec.owner;
  facts.admin = connection.options().user;
  TRY_ASSIGN(facts.server, pg::ProbeServer(g.stop, g.Part(), connection));
  TRY_ASSIGN(facts.database, pg::ObserveDatabase(g.stop, g.Part(), connection));
  facts.roles = pg::ReadReferencedRoles(g.stop, g.Part(), connection);
  TRY_ASSIGN(facts.not_excludable,
             pg::FindNotExcludable(g.stop, g.Part(), connection,
                                   g.inputs.migration.spec.copy_exclude_tables));
  TRY_ASSIGN(facts.broken_references, ReadBrokenReferences(g, connection));
  TRY(ReadPublishing(g, connection, facts));
  TRY_ASSIGN(facts.throttle_problem, FindThrottleProblem(g, connection));
  TRY_ASSIGN(facts.retired, IsRetired(g, connection));
  const std::string& held_by = facts.database.properties.access.owner;
  TRY_ASSIGN(facts.unfenceable_roles, ReadUnfenceable(g, connection, {held_by, owner}));
  TRY_ASSIGN(facts.admin_members, ReadAdminMembers(g, connection));
  TRY_ASSIGN(pg::Rows member,
             connection.QueryOne(g.stop, g.Part(), "SELECT pg_catalog.pg_has_role($1, 'MEMBER')",
                                 {held_by}));
  facts.admin_owns_database = member[0].Bool(0);
  TRY_ASSIGN(pg::Rows known,
             connection.QueryOne(g.stop, g.Part(), "SELECT pg_catalog.to_regrole($1) IS NOT NULL",
                                 {pg::QuoteIdentifier(owner)}));
  if (known[0].Bool(0)) {
    TRY_ASSIGN(facts.unreadable_tables,
               pg::ReadUnreadableTables(g.stop, g.Part(), connection, owner));
  }
  return facts;
}

std::string ProbeCollation(const pg::DatabaseProperties& source) {
  std::string definition;
  if (source.locale_provider == "libc")
    definition = "LC_COLLATE = " + pg::QuoteLiteral(source.collate) +
                 ", LC_CTYPE = " + pg::QuoteLiteral(source.ctype);
  else
    definition = "LOCALE = " + pg::QuoteLiteral(source.locale);
  return "CREATE COLLATION pg_temp.cutover_probe (PROVIDER = " + source.locale_provider + ", " +
         definition + ")";
}

// A collation is made, and never committed: only the server itself knows which locales it has.
Result<std::string> FindLocaleProblem(const Gathering& g, pg::Connection& connection,
                                      const pg::DatabaseProperties& source) {
  TRY_ASSIGN(pg::Rows encoding, connection.QueryOne(g.stop, g.Part(), "SHOW server_encoding"));
  // A locale of another encoding than this database's cannot be tried here. CREATE DATABASE will
  // tell, in Preparing, while users still work.
  if (encoding[0].Text(0) != source.encoding) return std::string();
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(g.stop, g.Part(), connection));
  Status made = transaction.Exec(g.stop, g.Part(), ProbeCollation(source));
  std::string sqlstate = connection.last_sqlstate();
  if (made) return std::string();
  // 22023: no such locale; 42704: no such name; 0A000: built without ICU.
  if (sqlstate != "22023" && sqlstate != "42704" && sqlstate != "0A000")
    return tl::make_unexpected(made.error());
  return made.error().message;
}

Fact<pg::RoleSet> ReadSameRoles(const Gathering& g, pg::Connection& connection,
                                const Fact<pg::RoleSet>& source) {
  if (!source.known()) return source.error();
  std::vector<std::string> names;
  for (const pg::Role& role : source->roles) names.push_back(role.name);
  for (const pg::Membership& membership : source->memberships) names.push_back(membership.group);
  for (const pg::MembersLeftBehind& left : source->left_behind)
    names.insert(names.end(), left.members.begin(), left.members.end());
  return pg::ReadRoles(g.stop, g.Part(), connection, names);
}

Result<TargetFacts> ReadTarget(const Gathering& g, pg::Connection& connection,
                               const Fact<SourceFacts>& source) {
  TargetFacts facts;
  facts.admin = connection.options().user;
  TRY_ASSIGN(facts.server, pg::ProbeServer(g.stop, g.Part(), connection));
  TRY_ASSIGN(
      pg::Rows exists,
      connection.QueryOne(g.stop, g.Part(),
                          "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)",
                          {g.inputs.placement.spec.database_name}));
  facts.database_exists = exists[0].Bool(0);
  TRY_ASSIGN(facts.admin_members, ReadAdminMembers(g, connection));
  TRY_ASSIGN(facts.extensions, pg::ReadAvailableExtensions(g.stop, g.Part(), connection));
  if (!source.known()) return facts;
  facts.roles = ReadSameRoles(g, connection, source->roles);
  if (!facts.server.in_recovery) {
    TRY_ASSIGN(facts.locale_problem, FindLocaleProblem(g, connection, source->database.properties));
  }
  return facts;
}

Result<bool> TryTenantLogin(const Gathering& g, const pg::ConnectOptions& tenant) {
  TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(g.stop, g.Part(), tenant));
  return connection.usable();
}

void GatherSource(const Gathering& g, const pg::ConnectOptions& admin, PreflightFacts& facts) {
  auto connection = pg::Connection::Open(g.stop, g.Part(),
                                         admin.WithDatabase(g.inputs.placement.spec.database_name));
  if (!connection) {
    facts.source = connection.error();
    facts.profile = connection.error();
    return;
  }
  facts.source = ReadSource(g, *connection);
  facts.profile = g.inputs.profile.Preflight(g.stop, g.Part(), *connection);
}

void GatherTarget(const Gathering& g, const pg::ConnectOptions& admin, PreflightFacts& facts) {
  auto connection = pg::Connection::Open(g.stop, g.Part(), admin);
  if (connection)
    facts.target = ReadTarget(g, *connection, facts.source);
  else
    facts.target = connection.error();
}

Result<pg::ConnectOptions> TenantOf(const Gathering& g, const pg::ConnectOptions& admin) {
  TRY_ASSIGN(std::string password,
             ReadTenantPassword(g.stop, g.Part(), g.client(), g.inputs.placement));
  return AsTenant(admin, g.inputs.placement, password);
}

/// Everything that is asked of the two servers. The source comes first: what it has decides what
/// the target is asked for.
void GatherDatabases(const Gathering& g, PreflightFacts& facts, CheckContext& context) {
  context.source_admin = AdminOf(g, facts.source_server, facts.source_server_name);
  context.target_admin =
      AdminOf(g, facts.target_server, g.inputs.migration.spec.target_server_name);
  if (context.source_admin.known()) {
    GatherSource(g, *context.source_admin, facts);
    context.tenant = TenantOf(g, *context.source_admin);
  } else {
    facts.source = context.source_admin.error();
    facts.profile = context.source_admin.error();
    context.tenant = context.source_admin.error();
  }
  if (context.tenant.known())
    facts.tenant_login = TryTenantLogin(g, *context.tenant);
  else
    facts.tenant_login = context.tenant.error();
  if (context.target_admin.known())
    GatherTarget(g, *context.target_admin, facts);
  else
    facts.target = context.target_admin.error();
}

// --- Kubernetes ----------------------------------------------------------------------------------

Result<std::map<std::string, std::string>> ReadNamespaceLabels(const Gathering& g) {
  TRY_ASSIGN(std::optional<Json> object,
             g.client().Get(g.stop, g.Part(), kube::kNamespace, {"", g.ns()}));
  std::map<std::string, std::string> labels;
  if (!object) return labels;
  for (const auto& [key, value] : object->At({"metadata", "labels"}).Members())
    labels[key] = value.AsString();
  return labels;
}

Result<bool> FindBackupClaim(const Gathering& g) {
  TRY_ASSIGN(std::optional<Json> claim,
             g.client().Get(g.stop, g.Part(), kube::kPersistentVolumeClaim,
                            {g.ns(), g.inputs.migration.spec.backup_claim_name}));
  return claim && claim->At({"status", "phase"}).AsString() != "Lost" &&
         claim->At({"metadata", "deletionTimestamp"}).IsNull();
}

// What the ledger will need: every route there, and none at a maintenance page of ours.
Result<bool> FindRoutes(const Gathering& g) {
  TRY_ASSIGN(Json record, wiring::RecordRoutes(g.stop, g.Part(), g.client(), g.inputs.placement));
  return !record.IsNull();
}

Fact<std::vector<wiring::Finding>> FindTraps(const Gathering& g, const PreflightFacts& facts) {
  for (const auto* server : {&facts.source_server, &facts.target_server}) {
    if (!server->known()) return server->error();
    if (!**server)
      return Error{Disposition::kRetry, "ServerNotFound",
                   "the wiring was not looked at, since a DatabaseServer does not exist"};
  }
  wiring::Sides sides{wiring::HostPortOf(**facts.source_server),
                      wiring::HostPortOf(**facts.target_server)};
  return wiring::FindPrecedenceTraps(g.stop, g.Part(), g.inputs.access, g.inputs.placement, sides);
}

Result<std::vector<std::string>> FindMissingCronJobs(const Gathering& g) {
  std::vector<std::string> missing;
  for (const api::Check& check : g.inputs.migration.spec.checks) {
    if (!check.job) continue;
    TRY_ASSIGN(auto found, g.client().Get(g.stop, g.Part(), kube::kCronJob,
                                          {g.ns(), check.job->cron_job_name}));
    if (!found) missing.push_back(check.job->cron_job_name);
  }
  return missing;
}

void GatherCluster(const Gathering& g, PreflightFacts& facts) {
  const api::DatabasePlacement& placement = g.inputs.placement;
  facts.namespace_labels = ReadNamespaceLabels(g);
  facts.workloads = wiring::ObserveWorkloads(g.stop, g.Part(), g.client(), placement);
  facts.routes = FindRoutes(g);
  facts.autoscalers = wiring::FindAutoscalers(g.stop, g.Part(), g.client(), placement);
  facts.wiring = FindTraps(g, facts);
  facts.wired_objects = wiring::ReadWiredObjects(g.stop, g.Part(), g.client(), placement);
  facts.missing_cron_jobs = FindMissingCronJobs(g);
  if (g.inputs.migration.spec.backup_mode == api::BackupMode::kRequired)
    facts.backup_claim = FindBackupClaim(g);
}

}  // namespace

PreflightFacts GatherPreflight(std::stop_token stop, Deadline deadline,
                               const PreflightInputs& inputs) {
  Gathering g{std::move(stop), deadline, inputs};
  PreflightFacts facts;
  facts.migration = inputs.migration;
  facts.placement = inputs.placement;
  facts.source_server_name = inputs.source_server_name;
  facts.now = inputs.now;
  facts.placements = inputs.placements;
  facts.source_server = ReadServer(g, inputs.source_server_name);
  facts.target_server = ReadServer(g, inputs.migration.spec.target_server_name);

  CheckContext context;
  context.namespace_name = inputs.placement.meta.namespace_name;
  context.database = inputs.placement.spec.database_name;
  context.owner = inputs.placement.spec.owner;
  context.http = inputs.http;
  context.checks = inputs.migration.spec.checks;
  context.prometheus_urls = facts.prometheus_urls = inputs.prometheus_urls;
  facts.throttle_queries = inputs.throttle_queries;
  GatherDatabases(g, facts, context);
  GatherCluster(g, facts);
  facts.reach = FindUnreachable(g.stop, deadline, inputs, facts);
  if (inputs.migration.spec.online())
    facts.online =
        GatherOnline(g.stop, deadline, inputs, facts, context.source_admin, context.target_admin);
  facts.checks = RunChecks(g.stop, deadline, api::CheckWhen::kPreflight, context);
  return facts;
}

}  // namespace cutover::migration
