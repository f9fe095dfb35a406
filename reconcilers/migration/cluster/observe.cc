// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "mover/contract/progress.h"
#include "operator/base/check.h"
#include "operator/kube/for_each.h"
#include "operator/kube/metadata.h"
#include "postgres/roles.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/cluster/check_jobs.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/cluster/pod_start.h"
#include "reconcilers/migration/transitions.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover::migration {
namespace {

using api::Phase;
using wiring::VolumesAtStake;

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

Observation ClusterWorld::Observe(std::stop_token, Deadline, const api::TenantMigration&) {
  Observation seen;
  seen.now = context_.clock.WallNow();
  return seen;
}

void ClusterWorld::LookAt(std::stop_token stop, Deadline deadline,
                          const api::TenantMigration& migration, Subject subject,
                          Observation& seen) {
  Call call{stop, deadline, migration};
  switch (subject) {
    case Subject::kSource:
      seen.source = ObserveSide(call, Source(call));
      break;
    case Subject::kTarget:
      seen.target = ObserveSide(call, Target(call));
      break;
    case Subject::kCopyProgress:
      seen.copy_progress = ObserveProgress(call);
      break;
    case Subject::kCopyResult:
      seen.copy_result = ObserveResult(call);
      break;
    case Subject::kPreflight:
      ObservePreflight(call, seen);
      break;
    case Subject::kChecks:
      seen.checks = ObserveChecks(call, MomentOf(migration.status.phase), seen.now);
      // A page that is made for the first time takes seconds, and they are not the next phase's.
      if (migration.status.phase == api::Phase::kSmoke) seen.now = context_.clock.WallNow();
      break;
    case Subject::kBaselines:
      seen.baselines = ObserveBaselines(call);
      break;
    case Subject::kTenantLogin:
      seen.tenant_known = ObserveTenantLogin(call, pg::Side::kTarget);
      break;
    case Subject::kTenantLoginBack:
      seen.tenant_known_back = ObserveTenantLoginBack(call);
      break;
    case Subject::kForwardPublisher:
    case Subject::kForwardSubscriber:
    case Subject::kReversePublisher:
    case Subject::kReverseSubscriber:
    case Subject::kRehearsal:
    case Subject::kReverseSample:
    case Subject::kStructure:
    case Subject::kViews:
    case Subject::kSchema:
    case Subject::kPoolers:
      return LookAtStream(call, subject, seen);
    default:
      return LookAtCluster(call, subject, seen);
  }
}

void ClusterWorld::LookAtStream(const Call& call, Subject subject, Observation& seen) {
  using pg::Direction;
  switch (subject) {
    case Subject::kForwardPublisher:
      seen.forward_publisher = ObservePublisher(call, Direction::kForward);
      break;
    case Subject::kForwardSubscriber:
      seen.forward_subscriber = ObserveSubscriber(call, Direction::kForward);
      break;
    case Subject::kReversePublisher:
      seen.reverse_publisher = ObservePublisher(call, Direction::kReverse);
      break;
    case Subject::kReverseSubscriber:
      seen.reverse_subscriber = ObserveSubscriber(call, Direction::kReverse);
      break;
    case Subject::kRehearsal:
      seen.way_back_rehearsed = ObserveRehearsal(call);
      break;
    case Subject::kReverseSample:
      seen.reverse_sample = ObserveSample(call);
      break;
    case Subject::kStructure:
      seen.structure = ObserveStructure(call);
      break;
    case Subject::kViews:
      seen.views = ObserveViews(call);
      break;
    case Subject::kSchema:
      seen.schema_change = ObserveSchemaChange(call);
      break;
    default:
      seen.poolers = ObservePoolers(call);
  }
}

void ClusterWorld::LookAtCluster(const Call& call, Subject subject, Observation& seen) {
  auto& [stop, deadline, migration] = call;
  // What a namespace takes with it is nobody's to restore, and nothing new may be made there.
  auto going = [&] { return GoesWithItsNamespace(call); };
  switch (subject) {
    case Subject::kPlacement:
      seen.placement = ObservePlacement(call);
      break;
    case Subject::kLedger: {
      auto ledger = ReadLedger(call);
      seen.ledger_secret =
          "Secret " + LedgerName(migration) + " in namespace " + context_.config.namespace_name;
      seen.ledger_recorded = ledger ? Fact<bool>(ledger->has_value()) : Fact<bool>(ledger.error());
      break;
    }
    case Subject::kWorkloads:
      seen.workloads = going() ? WorkloadFacts{} : Fact<WorkloadFacts>(ObserveWorkloads(call));
      break;
    case Subject::kRoutes:
      seen.routes = going() ? RouteFacts{} : Fact<RouteFacts>(ObserveRoutes(call));
      break;
    case Subject::kWiring:
      seen.wiring = going() ? WiringFacts{.at_target = true, .detail = ""}
                            : Fact<WiringFacts>(ObserveWiring(call));
      break;
    case Subject::kWiringRestored:
      seen.wiring_restored = going() ? true : Fact<bool>(ObserveWiringRestored(call));
      break;
    case Subject::kOutdated:
      seen.requests_outdated = going() ? true : Fact<bool>(ObserveOutdated(call));
      break;
    case Subject::kMaintenancePage:
      seen.maintenance_page = ObservePage(call, seen.now);
      break;
    case Subject::kBackupJob:
      seen.backup_job =
          ObserveJob(stop, deadline, context_.client, context_.config,
                     migration.meta.namespace_name, migration, mover::JobKind::kBackup, seen.now);
      break;
    case Subject::kCopyJob:
      seen.copy_job = ObserveCopyJob(call, seen.now);
      break;
    case Subject::kCheckJobs:
      seen.check_jobs = ObserveAnyCheckJob(stop, deadline, context_.client, migration, seen.now);
      break;
    default:
      CHECK(false);
  }
}

// False when it cannot be told: then everything is restored as if it were to stay.
bool ClusterWorld::GoesWithItsNamespace(const Call& call) {
  if (!vanished_ && !call.migration.meta.deleting()) return false;
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
  facts.generation = placement.meta.generation;
  facts.server_name = placement.status.server_name;
  const Phase phase = call.migration.status.phase;
  const bool is_over = IsEnd(phase) || call.migration.meta.deleting();
  if (phase == Phase::kPending || (is_over && call.migration.spec.by_pooler())) {
    TRY_ASSIGN(facts.rival_migration, RivalOf(call));
  }
  return facts;
}

Result<std::string> ClusterWorld::RivalOf(const Call& call) {
  kube::ListOptions options;
  options.ns = call.migration.meta.namespace_name;
  std::string rival;
  const auto consider = [&](const Json& object) {
    // Nearly all are another placement's, and not worth decoding.
    const std::string& placement = object.At({"spec", "placementRef", "name"}).StringRef();
    if (!rival.empty() || placement != call.migration.spec.placement_name) return;
    auto other = api::DecodeTenantMigration(object);
    if (!other || other->meta.uid == call.migration.meta.uid) return;
    bool waits_before_us = other->status.phase == Phase::kPending && !other->meta.deleting() &&
                           CameFirst(*other, call.migration);
    if (IsActive(*other) || waits_before_us) rival = other->meta.name;
  };
  TRY(kube::ForEach(call.stop, call.deadline, context_.client, kube::kTenantMigration, options,
                    consider));
  return rival;
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
    const bool stays = AtStakeIn(call.migration.status.phase) == VolumesAtStake::kLeaveRunning &&
                       workload.MustNotStop();
    if (stays)
      AppendDetail(facts.left_running, workload,
                   [](const auto& item) { return item.ref.kind + " " + item.ref.name; });
    facts.scaled_down &= stays || workload.wanted_replicas == 0;
    facts.stopped &= stays || workload.StoppedFully();
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

Result<wiring::HostPort> ClusterWorld::SourceEndpoint(const Call& call) {
  TRY_ASSIGN(api::DatabaseServer source,
             ReadServer(call, call.migration.status.source_server_name));
  return wiring::HostPortOf(source);
}

Result<WiringFacts> ClusterWorld::ObserveWiring(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, call.migration.spec.target_server_name));
  wiring::Sides sides;
  TRY_ASSIGN(sides.source, SourceEndpoint(call));
  sides.target = wiring::HostPortOf(target);
  TRY_ASSIGN(wiring::WiringObservation observed,
             wiring::ObserveWiring(call.stop, call.deadline, WiringAccess(), placement, sides));
  return WiringFacts{observed.AllAt(wiring::Side::kTarget),
                     observed.Describe(wiring::Side::kTarget)};
}

Result<bool> ClusterWorld::ObserveWiringRestored(const Call& call) {
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  if (!ledger) return false;
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  // What is not our own Service need not name the source: it may not have done so before the move.
  TRY_ASSIGN(wiring::HostPort source, SourceEndpoint(call));
  return wiring::WiringIsAsRecorded(call.stop, call.deadline, WiringAccess(), placement,
                                    ledger->wiring, source);
}

Result<bool> ClusterWorld::ObserveOutdated(const Call& call) {
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  return !ledger || ledger->outdated == OutdatingNow(call);
}

// A DatabaseServer that cannot be read is no reason to order anything else.
Result<JobFacts> ClusterWorld::ObserveCopyJob(const Call& call, WallTime now) {
  const bool is_asked = call.migration.status.phase == Phase::kCopying;
  auto sides = is_asked ? FindCopySides(call) : Result<CopySides>(CopySides());
  return ObserveJob(call.stop, call.deadline, context_.client, context_.config,
                    context_.config.namespace_name, call.migration, mover::JobKind::kClone, now,
                    is_asked && sides ? &*sides : nullptr);
}

Result<MaintenancePageFacts> ClusterWorld::ObservePage(const Call& call, WallTime now) {
  const auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(auto page, wiring::ObserveMaintenancePage(stop, deadline, context_.client, migration));
  MaintenancePageFacts facts{page.exists, page.ready, page.half};
  const Phase phase = migration.status.phase;
  const bool is_waited_for = phase == Phase::kPreparing || phase == Phase::kAwaitingCutover;
  if (!is_waited_for || facts.ready || facts.half || !facts.exists) return facts;
  if (!MayBeHindered(page.deployment, now)) return facts;
  TRY_ASSIGN(auto pods, wiring::PodsOfMaintenancePage(stop, deadline, context_.client, migration));
  facts.hindrance =
      FindHindrance({"Deployment", "images.operator", page.deployment, true}, pods, now);
  return facts;
}

Result<DatabaseFacts> ClusterWorld::ObserveSide(const Call& call, Result<DatabaseSide*> side) {
  if (!side) return tl::make_unexpected(std::move(side).error());
  return (*side)->Observe(call.stop, call.deadline, call.migration.meta.uid,
                          context_.config.epoch());
}

// Whether a role that we made on the target has another password than the source's has by now, and
// `side` may be given that of the other one.
Result<bool> ClusterWorld::PasswordChangedSince(const Call& call, const std::string& role,
                                                pg::Side side) {
  auto& [stop, deadline, migration] = call;
  std::vector<pg::Role> found;
  for (pg::Side where : {pg::Side::kSource, pg::Side::kTarget}) {
    TRY_ASSIGN(DatabaseSide * database, SideOf(call, where));
    TRY_ASSIGN(pg::Connection * beside, database->Beside(stop, deadline));
    TRY_ASSIGN(pg::RoleSet roles, pg::ReadRoles(stop, deadline, *beside, {role}));
    if (roles.roles.empty()) return false;
    found.push_back(std::move(roles.roles.front()));
  }
  const bool differs = pg::IsCreatedBy(found[1], migration.meta.uid) && found[0].verifier_known &&
                       found[0].verifier != found[1].verifier;
  if (!differs || side == pg::Side::kTarget) return differs;
  // The source's is not ours: it may be the login of others who have not moved.
  if (found[0].superuser || found[1].verifier.empty()) return false;
  TRY_ASSIGN(pg::Connection * inside, InsideOf(call, pg::Side::kSource));
  TRY_ASSIGN(const bool needed, pg::IsNeededElsewhere(stop, deadline, *inside, role));
  return !needed;
}

// A server looks at the password, and at its pg_hba.conf, before it looks at the database: of one
// that is closed, being refused it says that the rest is right.
Result<bool> ClusterWorld::ObserveTenantLogin(const Call& call, pg::Side side) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(std::string password, ReadTenantPassword(stop, deadline, context_.client, placement));
  TRY_ASSIGN(DatabaseSide * closed, SideOf(call, side));
  const auto login =
      pg::Connection::Open(stop, deadline, AsTenant(closed->admin(), placement, password));
  if (login) return true;
  const Error& refusal = login.error();
  if (refusal.reason == "InsufficientPrivilege" || refusal.reason == "TooManyConnections")
    return true;
  if (refusal.reason != "AuthenticationFailed") return tl::make_unexpected(refusal);
  TRY_ASSIGN(const bool changed, PasswordChangedSince(call, placement.spec.owner, side));
  if (changed) return false;
  const api::SecretKeyRef& ref = placement.spec.password_secret_ref;
  const bool back = side == pg::Side::kSource;
  return RetryError("TenantLoginRefused",
                    refusal.message + ": after " + (back ? "going back" : "the switch") +
                        " users would find no way in, so they stay where they are; let role " +
                        placement.spec.owner + " in by pg_hba.conf of server " +
                        closed->server_name() + ", or, if its password was changed since the " +
                        (back ? "switch" : "copy began") + ", give it the one in key " + ref.key +
                        " of Secret " + ref.name + " there, too");
}

// With its namespace the tenant's Secret goes and whoever logs in by it, and none can be made
// there: nobody is shut out. In one that lives users work on, and their Secret may only have
// another name.
Result<bool> ClusterWorld::ObserveTenantLoginBack(const Call& call) {
  Result<bool> known = ObserveTenantLogin(call, pg::Side::kSource);
  if (known || known.error().reason != "PasswordSecretNotFound") return known;
  return GoesWithItsNamespace(call) ? Result<bool>(true) : known;
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
    copy.rows_done = stage.rows_done;
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
  // What was compared under the snapshot is the copy; what came by the stream, FinalizeTarget()
  // has.
  if (call.migration.spec.online() && call.migration.status.phase == api::Phase::kVerifying) {
    TRY_ASSIGN(result.left_out, ReadNotCompared(call, *inside));
  }
  return std::optional<CopyResult>(result);
}

}  // namespace cutover::migration
