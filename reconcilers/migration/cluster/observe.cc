// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "mover/contract/progress.h"
#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover::migration {
namespace {

using api::Phase;

}  // namespace

// What a phase looks at. Everything else stays unobserved: while the doors are closed each read is
// time that users wait.
struct Needs {
  bool placement = false, databases = false, ledger = false, workloads = false, routes = false,
       wiring = false, page = false, jobs = false, copy = false;
  // Strategy Online: each end of each stream, and what stands in front.
  bool forward_publisher = false, forward_subscriber = false, reverse_publisher = false,
       reverse_subscriber = false, schema = false, poolers = false;
};

namespace {

Needs NeedsOf(Phase phase) {
  switch (phase) {
    case Phase::kPending:
      return {.placement = true};
    case Phase::kBackingUp:
      return {.jobs = true};
    case Phase::kPreparing:
      return {.databases = true, .ledger = true, .page = true};
    case Phase::kFencing:
      return {.databases = true, .workloads = true, .routes = true};
    case Phase::kCopying:
      return {.databases = true, .jobs = true, .copy = true};
    case Phase::kFinalizing:
    case Phase::kSwitching:
      return {.databases = true};
    case Phase::kVerifying:
      return {.databases = true, .copy = true};
    case Phase::kOpening:
      return {.placement = true, .databases = true, .workloads = true, .wiring = true};
    case Phase::kAdmitting:
      return {.routes = true};
    case Phase::kCompleting:
    case Phase::kRolledBack:
      return {.databases = true, .ledger = true, .page = true, .jobs = true};
    case Phase::kUndoing:
    case Phase::kRollingBack:
      return {.placement = true,
              .databases = true,
              .ledger = true,
              .workloads = true,
              .routes = true,
              .wiring = true,
              .page = true,
              .jobs = true};
    case Phase::kCompleted:
      return {.placement = true, .databases = true};
    default:
      return {};
  }
}

void NeedStreams(Needs& needs) {
  needs.forward_publisher = needs.forward_subscriber = true;
  needs.reverse_publisher = needs.reverse_subscriber = true;
}

// What Online looks at beside that. With switch Pooler, routes and workloads are left alone.
void AddOnlineNeeds(const api::TenantMigration& migration, Needs& needs) {
  switch (migration.status.phase) {
    case Phase::kPreparing:
      needs.forward_publisher = true;
      break;
    case Phase::kCatchingUp:
    case Phase::kAwaitingCutover:
      needs.databases = needs.schema = true;
      NeedStreams(needs);
      break;
    case Phase::kFencing:
      needs.forward_subscriber = needs.poolers = true;
      break;
    case Phase::kSwitching:
      needs.reverse_publisher = needs.reverse_subscriber = true;
      break;
    case Phase::kOpening:
      needs.forward_subscriber = needs.reverse_subscriber = needs.poolers = true;
      break;
    case Phase::kHypercare:
    case Phase::kCompleting:
      NeedStreams(needs);
      break;
    case Phase::kUndoing:
    case Phase::kRollingBack:
      NeedStreams(needs);
      needs.poolers = true;
      break;
    default:
      break;
  }
  if (!migration.spec.by_pooler()) {
    needs.poolers = false;
  } else if (needs.poolers) {
    needs.routes = needs.workloads = false;
  }
}

bool IsActive(const api::TenantMigration& migration) {
  Phase phase = migration.status.phase;
  return phase != Phase::kPending && phase != Phase::kCompleted && phase != Phase::kAborted &&
         phase != Phase::kFailed && phase != Phase::kRolledBack;
}

// Of two that both wait to begin, the older goes first; names decide within one second.
bool CameFirst(const api::TenantMigration& a, const api::TenantMigration& b) {
  return std::tie(a.meta.creation_timestamp, a.meta.name) <
         std::tie(b.meta.creation_timestamp, b.meta.name);
}

template <class T, class Describe>
void AppendDetail(std::string& detail, const T& item, Describe describe) {
  if (!detail.empty()) detail += "; ";
  detail += describe(item);
}

}  // namespace

Observation ClusterWorld::Observe(std::stop_token stop, Deadline deadline,
                                  const api::TenantMigration& migration) {
  Call call{stop, deadline, migration};
  Phase phase = migration.status.phase;
  Needs needs = NeedsOf(phase);
  // An end that nobody deletes and that drops nothing has nothing to look at.
  if (phase == Phase::kRolledBack && !migration.meta.deleting()) needs = {};
  if (phase == Phase::kCompleted && migration.spec.reclaim_policy != api::ReclaimPolicy::kDelete)
    needs = {};
  if (migration.spec.online()) AddOnlineNeeds(migration, needs);
  Observation seen;
  seen.now = context_.clock.WallNow();
  if (migration.spec.by_pooler() && FirstThingsFirst(call, needs, seen)) return seen;
  if (needs.placement) seen.placement = ObservePlacement(call);
  if (needs.databases) {
    seen.source = ObserveSide(call, Source(call));
    seen.target = ObserveSide(call, Target(call));
  }
  if (needs.ledger) {
    auto ledger = ReadLedger(call);
    seen.ledger_recorded = ledger ? Fact<bool>(ledger->has_value()) : Fact<bool>(ledger.error());
  }
  ObserveStreams(call, needs, seen);
  if (needs.workloads) seen.workloads = ObserveWorkloads(call);
  if (needs.routes) seen.routes = ObserveRoutes(call);
  if (needs.wiring) seen.wiring = ObserveWiring(call);
  if (needs.page) seen.maintenance_page = ObservePage(call);
  if (needs.jobs) {
    seen.backup_job = ObserveJob(stop, deadline, context_.client, migration.meta.namespace_name,
                                 migration, mover::JobKind::kBackup);
    seen.copy_job = ObserveJob(stop, deadline, context_.client, context_.config.namespace_name,
                               migration, mover::JobKind::kClone);
  }
  if (needs.copy) {
    seen.copy_progress = ObserveProgress(call);
    seen.copy_result = ObserveResult(call);
  }
  if (migration.meta.deleting() && NamespaceIsGoing(call)) {
    // What the namespace takes with it is nobody's to restore, and nothing new may be made there.
    if (needs.workloads) seen.workloads = WorkloadFacts{};
    if (needs.routes) seen.routes = RouteFacts{};
    if (needs.wiring)
      seen.wiring = WiringFacts{.at_target = true, .as_recorded = true, .detail = ""};
  }
  if (phase == Phase::kPreflight) seen.preflight = ObservePreflight(call);
  if (phase == Phase::kSmoke) seen.checks = ObserveChecks(call, api::CheckWhen::kSmoke);
  if (phase == Phase::kHypercare) seen.checks = ObserveChecks(call, api::CheckWhen::kHypercare);
  return seen;
}

// While clients wait in a pooler: what the phase looks at first, alone. True when it leads to an
// effect, so that nothing else would be looked at.
bool ClusterWorld::FirstThingsFirst(const Call& call, Needs& needs, Observation& seen) {
  Phase phase = call.migration.status.phase;
  if (call.migration.meta.deleting()) return false;
  if (phase == Phase::kFencing) {
    seen.poolers = ObservePoolers(call);
    needs.poolers = false;
    return seen.poolers.known() && !seen.poolers->paused;
  }
  if (phase != Phase::kOpening) return false;
  seen.target = ObserveSide(call, Target(call));
  if (!seen.target.known() || seen.target->state != ControlState::kOpen) return true;
  seen.wiring = ObserveWiring(call);
  if (!seen.wiring.known() || !seen.wiring->at_target) return true;
  seen.placement = ObservePlacement(call);
  if (!seen.placement.known() ||
      (seen.placement->exists &&
       seen.placement->server_name != call.migration.spec.target_server_name))
    return true;
  seen.poolers = ObservePoolers(call);
  if (seen.poolers.known() && !seen.poolers->resumed) return true;
  needs.wiring = needs.placement = needs.poolers = false;
  return false;
}

void ClusterWorld::ObserveStreams(const Call& call, const Needs& needs, Observation& seen) {
  using pg::Direction;
  if (needs.forward_publisher) seen.forward_publisher = ObservePublisher(call, Direction::kForward);
  if (needs.forward_subscriber)
    seen.forward_subscriber = ObserveSubscriber(call, Direction::kForward);
  if (needs.reverse_publisher) seen.reverse_publisher = ObservePublisher(call, Direction::kReverse);
  if (needs.reverse_subscriber)
    seen.reverse_subscriber = ObserveSubscriber(call, Direction::kReverse);
  if (needs.schema) seen.schema_changed = ObserveSchemaChanged(call);
  if (needs.poolers) seen.poolers = ObservePoolers(call);
}

// False when it cannot be told: then everything is restored as if it were to stay.
bool ClusterWorld::NamespaceIsGoing(const Call& call) {
  auto found = context_.client.Get(call.stop, call.deadline, kube::kNamespace,
                                   {"", call.migration.meta.namespace_name});
  return found && (!*found || kube::IsDeleting(**found));
}

Result<PlacementFacts> ClusterWorld::ObservePlacement(const Call& call) {
  kube::Key key{call.migration.meta.namespace_name, call.migration.spec.placement_name};
  TRY_ASSIGN(auto object,
             context_.client.Get(call.stop, call.deadline, kube::kDatabasePlacement, key));
  PlacementFacts facts;
  if (!object) return facts;
  TRY_ASSIGN(api::DatabasePlacement placement, api::DecodeDatabasePlacement(*object));
  facts.exists = true;
  facts.server_name = placement.status.server_name;
  if (call.migration.status.phase == Phase::kPending) {
    TRY_ASSIGN(facts.rival_migration, RivalOf(call));
  }
  return facts;
}

Result<std::string> ClusterWorld::RivalOf(const Call& call) {
  kube::ListOptions options;
  options.ns = call.migration.meta.namespace_name;
  TRY_ASSIGN(kube::ObjectList all,
             context_.client.List(call.stop, call.deadline, kube::kTenantMigration, options));
  for (const Json& object : all.items) {
    auto other = api::DecodeTenantMigration(object);
    if (!other || other->meta.uid == call.migration.meta.uid) continue;
    if (other->spec.placement_name != call.migration.spec.placement_name) continue;
    bool waits_before_us = other->status.phase == Phase::kPending && !other->meta.deleting() &&
                           CameFirst(*other, call.migration);
    if (IsActive(*other) || waits_before_us) return other->meta.name;
  }
  return std::string();
}

Result<WorkloadFacts> ClusterWorld::ObserveWorkloads(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  TRY_ASSIGN(auto workloads,
             wiring::ObserveWorkloads(call.stop, call.deadline, context_.client, placement,
                                      ledger ? ledger->workloads : Json()));
  WorkloadFacts facts;
  for (const wiring::WorkloadObservation& workload : workloads) {
    // One that somebody deleted is stopped, and is not ours to make again.
    if (!workload.exists) continue;
    facts.scaled_down &= workload.wanted_replicas == 0;
    facts.stopped &= workload.StoppedFully();
    facts.as_recorded &= workload.as_recorded;
    facts.ready &= workload.Ready();
    AppendDetail(facts.detail, workload, [](const auto& item) { return item.Describe(); });
  }
  return facts;
}

Result<RouteFacts> ClusterWorld::ObserveRoutes(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  TRY_ASSIGN(auto routes,
             wiring::ObserveRoutes(call.stop, call.deadline, context_.client, placement,
                                   wiring::MaintenanceBackendOf(call.migration),
                                   ledger ? ledger->routes : Json()));
  RouteFacts facts;
  for (const wiring::RouteObservation& route : routes) {
    if (route.state == wiring::RouteState::kAbsent) continue;
    facts.at_maintenance &= route.state == wiring::RouteState::kMaintenance;
    // What somebody else has set since is theirs; what counts is that no page of ours is left.
    facts.as_recorded &= route.state == wiring::RouteState::kOriginal;
    AppendDetail(facts.detail, route, [](const auto& item) {
      return item.ref.kind + " " + item.ref.name + ": " + std::string(Name(item.state));
    });
  }
  return facts;
}

Result<WiringFacts> ClusterWorld::ObserveWiring(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer source,
             ReadServer(call, call.migration.status.source_server_name));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, call.migration.spec.target_server_name));
  wiring::Sides sides;
  sides.source = {source.spec.endpoint.host, source.spec.endpoint.port};
  sides.target = wiring::HostPort{target.spec.endpoint.host, target.spec.endpoint.port};
  TRY_ASSIGN(wiring::WiringObservation observed,
             wiring::ObserveWiring(call.stop, call.deadline, WiringAccess(), placement, sides));
  WiringFacts facts;
  facts.at_target = observed.AllAt(wiring::Side::kTarget);
  facts.detail = observed.Describe(wiring::Side::kTarget);
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  if (ledger) {
    TRY_ASSIGN(bool restored, wiring::WiringIsAsRecorded(call.stop, call.deadline, WiringAccess(),
                                                         placement, ledger->wiring));
    // A Service follows the server it leads to, so its addresses are no part of the record.
    facts.as_recorded = restored && observed.AllAt(wiring::Side::kSource);
  }
  return facts;
}

Result<MaintenancePageFacts> ClusterWorld::ObservePage(const Call& call) {
  TRY_ASSIGN(auto page, wiring::ObserveMaintenancePage(call.stop, call.deadline, context_.client,
                                                       call.migration));
  return MaintenancePageFacts{page.exists, page.ready, page.half};
}

Result<DatabaseFacts> ClusterWorld::ObserveSide(const Call& call, Result<DatabaseSide*> side) {
  if (!side) return tl::make_unexpected(std::move(side).error());
  return (*side)->Observe(call.stop, call.deadline, call.migration.meta.uid);
}

Result<std::optional<CopyProgress>> ClusterWorld::ObserveProgress(const Call& call) {
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(pg::Connection * inside, target->InDatabase(call.stop, call.deadline));
  TRY_ASSIGN(auto progress,
             mover::ReadProgress(call.stop, call.deadline, *inside, call.migration.meta.uid));
  if (!progress || progress->attempt != call.migration.status.attempt)
    return std::optional<CopyProgress>();
  CopyProgress copy;
  copy.stage = progress->current_stage;
  for (const mover::StageProgress& stage : progress->stages) {
    if (stage.stage != "copy") continue;
    copy.bytes_done = stage.bytes_done;
    copy.bytes_total = std::max(stage.bytes_total, stage.bytes_done);
    copy.tables_done = stage.tables_done;
    copy.tables_total = stage.tables_total;
  }
  return std::optional<CopyProgress>(copy);
}

Result<std::optional<CopyResult>> ClusterWorld::ObserveResult(const Call& call) {
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(pg::Connection * inside, target->InDatabase(call.stop, call.deadline));
  TRY_ASSIGN(
      auto json,
      mover::ReadResult(call.stop, call.deadline, *inside, call.migration.meta.uid,
                        static_cast<int>(call.migration.status.attempt), mover::JobKind::kClone));
  if (!json) return std::optional<CopyResult>();
  // "Unproven" is no result: the Job may be tried again, and its end decides.
  if ((*json)["verdict"].StringRef() == "Unproven") return std::optional<CopyResult>();
  CopyResult result;
  result.attempt = (*json)["attempt"].AsInt(-1);
  result.equal = (*json)["verdict"].StringRef() == "Equal";
  result.level = (*json)["level"].AsString();
  result.tables = (*json)["tables"].AsInt();
  result.rows = (*json)["rows"].AsInt();
  result.bytes = (*json)["bytes"].AsInt();
  result.mismatches = (*json)["mismatchCount"].AsInt();
  result.report = std::to_string(result.tables) + " tables, " + std::to_string(result.rows) +
                  " rows compared at level " + result.level + ": ";
  result.report += result.equal ? "equal" : std::to_string(result.mismatches) + " differences";
  for (const Json& mismatch : (*json)["mismatches"].Items()) {
    result.report += "; " + mismatch["table"].AsString() + " (" + mismatch["kind"].AsString() + ")";
    if (result.report.size() > 500) break;
  }
  return std::optional<CopyResult>(result);
}

}  // namespace cutover::migration
