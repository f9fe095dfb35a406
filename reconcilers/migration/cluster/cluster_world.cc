// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/cluster_world.h"

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/check_jobs.h"
#include "reconcilers/migration/preflight/checks.h"
#include "reconcilers/migration/preflight/facts.h"
#include "reconcilers/migration/profiles/profile.h"
#include "reconcilers/migration/tally.h"
#include "reconcilers/server/admin_login.h"

namespace cutover::migration {
namespace {

// Checks are tried again, until their own timeouts or at their intervals: one look at all of them
// is bounded.
constexpr std::chrono::seconds kChecksBound{20};

// Whoever holds the lease is not deposed: his count is from before the database's, since the Lease
// was deleted, made anew in another namespace, or restored. That no other operator is at work only
// a person can know, so nothing is raised here.
Error EpochBehind(const Error& deposed, const std::string& namespace_name) {
  return Error{
      Disposition::kRetry, "EpochBehind",
      "the tenant's database says: " + deposed.message +
          ". Yet this process leads: its Lease counts from too low, having been made anew or "
          "restored. If no other operator works on this migration, raise it to the "
          "database's epoch, by kubectl -n " +
          namespace_name +
          " patch lease LEASE --type merge -p '{\"spec\":{\"leaseTransitions\":EPOCH}}', and "
          "restart the operator; with --leader-elect=false it is 1 for ever, so let it elect"};
}

}  // namespace

ClusterWorld::ClusterWorld(const ClusterContext& context, bool vanished)
    : context_(context), vanished_(vanished) {}
ClusterWorld::~ClusterWorld() = default;

Status ClusterWorld::Perform(std::stop_token stop, Deadline deadline,
                             const api::TenantMigration& migration, Intent intent) {
  // The databases fence a deposed leader out by themselves; Kubernetes objects have no such guard,
  // so whoever has lost the lease does not begin.
  if (context_.config.epoch() == 0)
    return RetryError("Deposed", "this process does not hold the lease any more");
  Status done = Dispatch({stop, deadline, migration}, intent);
  const bool leads = context_.config.epoch() != 0;
  if (!done && done.error().reason == "Deposed" && leads)
    return tl::make_unexpected(EpochBehind(done.error(), context_.config.namespace_name));
  return done;
}

Status ClusterWorld::Dispatch(const Call& call, Intent intent) {
  switch (intent) {
    case Intent::kClaimSource:
    case Intent::kFenceSource:
    case Intent::kCloseSourceAgain:
    case Intent::kJournal:
    case Intent::kRetireSource:
    case Intent::kDropSource:
    case Intent::kUnfenceSource:
    case Intent::kTakePasswordBack:
    case Intent::kReopenSource:
    case Intent::kCleanSource:
      return PerformOnSource(call, intent);
    case Intent::kPrepareTarget:
    case Intent::kFinalizeTarget:
    case Intent::kMarkVerified:
    case Intent::kOpenTarget:
    case Intent::kCleanTarget:
    case Intent::kDropTarget:
    case Intent::kFenceTarget:
    case Intent::kReopenTarget:
      return PerformOnTarget(call, intent);
    case Intent::kPublishSource:
    case Intent::kStartForwardStream:
    case Intent::kLayWayBack:
    case Intent::kRehearseWayBack:
    case Intent::kRefreshViews:
    case Intent::kWatchStream:
    case Intent::kPrepareAgain:
    case Intent::kDrainForward:
    case Intent::kStopForwardStream:
    case Intent::kStartReverseStream:
    case Intent::kWatchReverseStream:
    case Intent::kReaddressWayBack:
    case Intent::kGiveUpWayBack:
    case Intent::kTakeSample:
    case Intent::kSettleSample:
    case Intent::kDropForwardSubscriber:
    case Intent::kDropForwardPublisher:
    case Intent::kDropReverseSubscriber:
    case Intent::kDropReversePublisher:
    case Intent::kDrainReverse:
      return PerformOnStream(call, intent);
    case Intent::kPausePoolers:
      return PausePoolers(call);
    case Intent::kResumePoolers:
      return ResumePoolers(call);
    default:
      return PerformOnCluster(call, intent);
  }
}

// Conditional on the version that was decided on: a person's command that arrived meanwhile is seen
// first, and a leader that is out of date writes nothing.
Result<std::string> ClusterWorld::Record(std::stop_token stop, Deadline deadline,
                                         const api::TenantMigration& migration,
                                         const api::TenantMigrationStatus& status) {
  kube::Key key{migration.meta.namespace_name, migration.meta.name};
  Json object = kube::NewObject(kube::kTenantMigration, key);
  object.MutableAt("metadata").Set("resourceVersion", migration.meta.resource_version);
  object.MutableAt("metadata").Set("uid", migration.meta.uid);
  object.Set("status", api::EncodeStatus(status));
  kube::WriteOptions options;
  options.field_manager = "cutover-status";
  options.subresource = "status";
  TRY_ASSIGN(Json stored,
             context_.client.Update(stop, deadline, kube::kTenantMigration, object, options));
  return kube::ResourceVersionOf(stored);
}

Result<std::optional<Ledger>> ClusterWorld::ReadLedger(const Call& call) {
  if (ledger_) return ledger_;
  TRY_ASSIGN(ledger_, migration::ReadLedger(call.stop, call.deadline, context_.client,
                                            context_.config.namespace_name, call.migration));
  return ledger_;
}

Result<Ledger> ClusterWorld::NeedLedger(const Call& call) {
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  if (!ledger)
    return RetryError("LedgerMissing", "Secret " + LedgerName(call.migration) + " is missing in " +
                                           context_.config.namespace_name +
                                           ": it says what has to be restored");
  return std::move(*ledger);
}

Result<api::DatabasePlacement> ClusterWorld::NeedPlacement(const Call& call) {
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  if (ledger) return api::DecodeDatabasePlacement(ledger->placement);
  kube::Key key{call.migration.meta.namespace_name, call.migration.spec.placement_name};
  TRY_ASSIGN(auto object,
             context_.client.Get(call.stop, call.deadline, kube::kDatabasePlacement, key));
  if (!object)
    return RetryError("PlacementNotFound",
                      "DatabasePlacement " + key.ToString() + " does not exist: create it");
  return api::DecodeDatabasePlacement(*object);
}

Result<api::DatabaseServer> ClusterWorld::ReadServer(const Call& call, const std::string& name) {
  if (auto known = servers_.find(name); known != servers_.end()) return known->second;
  TRY_ASSIGN(auto object,
             context_.client.Get(call.stop, call.deadline, kube::kDatabaseServer, {"", name}));
  if (!object)
    return RetryError("ServerNotFound", "DatabaseServer " + name + " does not exist: create it");
  TRY_ASSIGN(api::DatabaseServer server, api::DecodeDatabaseServer(*object));
  return servers_.emplace(name, std::move(server)).first->second;
}

Result<pg::ConnectOptions> ClusterWorld::AdminOptions(const Call& call,
                                                      const std::string& server_name) {
  TRY_ASSIGN(api::DatabaseServer server, ReadServer(call, server_name));
  return server::AdminLogin(call.stop, call.deadline, context_.client,
                            context_.config.namespace_name, server);
}

Result<std::unique_ptr<DatabaseSide>> ClusterWorld::OpenSide(const Call& call,
                                                             const std::string& server_name) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer server, ReadServer(call, server_name));
  TRY_ASSIGN(pg::ConnectOptions admin, server::AdminLogin(call.stop, call.deadline, context_.client,
                                                          context_.config.namespace_name, server));
  return std::make_unique<DatabaseSide>(server_name, server.status.system_identifier,
                                        std::move(admin), placement.spec.database_name);
}

Result<DatabaseSide*> ClusterWorld::Source(const Call& call) {
  if (!source_) {
    TRY_ASSIGN(source_, OpenSide(call, call.migration.status.source_server_name));
  }
  return source_.get();
}

Result<DatabaseSide*> ClusterWorld::Target(const Call& call) {
  if (!target_) {
    TRY_ASSIGN(target_, OpenSide(call, call.migration.spec.target_server_name));
  }
  return target_.get();
}

wiring::Access ClusterWorld::WiringAccess() const {
  return {context_.client, context_.resolver, context_.config.namespace_name};
}

void ClusterWorld::ObservePreflight(const Call& call, Observation& seen) {
  const Result<api::DatabasePlacement> found = NeedPlacement(call);
  if (!found) {
    seen.preflight = found.error();
    return;
  }
  const api::DatabasePlacement& placement = *found;
  PreflightInputs inputs{
      .migration = call.migration,
      .placement = placement,
      .source_server_name = call.migration.status.source_server_name,
      .now = seen.now,
      .access = WiringAccess(),
      .admin_options =
          [this](std::stop_token stop, Deadline deadline, const api::DatabaseServer& server) {
            return server::AdminLogin(stop, deadline, context_.client,
                                      context_.config.namespace_name, server);
          },
      .profile = ProfileOf(placement.spec.profile),
      .prometheus_urls = context_.config.prometheus_urls,
      .throttle_queries = context_.config.throttle_queries,
      .placements = context_.placements ? context_.placements() : Placements()};
  const PreflightFacts facts = GatherPreflight(call.stop, call.deadline, inputs);
  seen.preflight = CheckPreflight(facts);
  seen.preflight_lines = LinesOfPreflight(facts);
}

CheckContext ClusterWorld::MakeCheckContext(const Call& call,
                                            const api::DatabasePlacement& placement,
                                            const std::string& server_name) {
  CheckContext context;
  context.namespace_name = placement.meta.namespace_name;
  context.database = placement.spec.database_name;
  context.owner = placement.spec.owner;
  context.source_admin = AdminOptions(call, call.migration.status.source_server_name);
  context.target_admin = AdminOptions(call, call.migration.spec.target_server_name);
  auto admin = AdminOptions(call, server_name);
  auto password = ReadTenantPassword(call.stop, call.deadline, context_.client, placement);
  if (!admin)
    context.tenant = admin.error();
  else if (!password)
    context.tenant = password.error();
  else
    context.tenant = AsTenant(*admin, placement, *password);
  auto ledger = ReadLedger(call);
  if (!ledger)
    context.backends = ledger.error();
  else
    context.backends = wiring::OriginalBackends(call.stop, call.deadline, context_.client,
                                                placement, *ledger ? (*ledger)->routes : Json());
  context.checks = call.migration.spec.checks;
  context.so_far = call.migration.status.checks;
  context.prometheus_urls = context_.config.prometheus_urls;
  context.clock = &context_.clock;
  return context;
}

Result<std::vector<CheckOutcome>> ClusterWorld::ObserveChecks(const Call& call,
                                                              api::CheckWhen moment, WallTime now) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  CheckContext context = MakeCheckContext(call, placement, call.migration.spec.target_server_name);
  TRY_ASSIGN(Json baseline, ReadBaseline(call));
  context.builtin = ProfileOf(placement.spec.profile).Checks(baseline);
  // By pooler they go on before the first check; with workloads that stop, after the smoke checks.
  context.users_are_in = call.migration.spec.by_pooler() || moment == api::CheckWhen::kHypercare;
  auto ran = RunChecks(call.stop, call.deadline.OrAfter(kChecksBound), moment, context);
  if (!ran.known()) return tl::make_unexpected(ran.error());
  std::vector<CheckOutcome> outcomes = *ran;
  TRY_ASSIGN(auto jobs, ObserveCheckJobs(call.stop, call.deadline, context_.client, call.migration,
                                         moment, now));
  for (CheckOutcome& job : jobs) outcomes.push_back(std::move(job));
  return outcomes;
}

// Before the move: the routes lead to workloads on the source, and so does the tenant's login.
Result<std::vector<CheckOutcome>> ClusterWorld::ObserveBaselines(const Call& call) {
  const api::TenantMigration& migration = call.migration;
  bool lacking = false;
  for (const api::Check& check : migration.spec.checks)
    lacking |= LacksBaseline(migration.status.checks, check);
  if (!lacking) return std::vector<CheckOutcome>();
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  CheckContext context = MakeCheckContext(call, placement, migration.status.source_server_name);
  auto measured = MeasureBaselines(call.stop, call.deadline.OrAfter(kChecksBound), context);
  if (!measured.known()) return tl::make_unexpected(measured.error());
  return measured.value();
}

}  // namespace cutover::migration
