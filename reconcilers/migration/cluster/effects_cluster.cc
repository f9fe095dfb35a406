// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/error.h"
#include "operator/kube/finalizer.h"
#include "operator/kube/metadata.h"
#include "postgres/control.h"
#include "reconcilers/migration/cluster/check_jobs.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/outdate.h"
#include "reconcilers/wiring/routes.h"
#include "reconcilers/wiring/wiring.h"
#include "reconcilers/wiring/workloads.h"

namespace cutover::migration {
namespace {

kube::Key KeyOf(const api::TenantMigration& migration) {
  return {migration.meta.namespace_name, migration.meta.name};
}

mover::Endpoint EndpointOf(const pg::ConnectOptions& options, const char* ca_key) {
  mover::Endpoint endpoint;
  endpoint.host = options.host;
  endpoint.port = options.port;
  endpoint.database = options.database;
  endpoint.user = options.user;
  endpoint.ssl_mode = options.ssl_mode;
  if (!options.ca_pem.empty()) endpoint.ca_file = std::string(kOrderPath) + "/" + ca_key;
  return endpoint;
}

// One for each migration: a copy that was rolled back keeps its own while another move is on.
std::string PlacementFinalizer(const api::TenantMigration& migration) {
  return api::kMoveFinalizerPrefix + migration.meta.uid;
}

}  // namespace

wiring::VolumesAtStake AtStakeIn(api::Phase phase) {
  return phase == api::Phase::kRollingBack ? wiring::VolumesAtStake::kLeaveRunning
                                           : wiring::VolumesAtStake::kRefuse;
}

Status ClusterWorld::PerformOnCluster(const Call& call, Intent intent) {
  auto& [stop, deadline, migration] = call;
  kube::Client& client = context_.client;
  switch (intent) {
    case Intent::kAddFinalizer:
      TRY(kube::EnsureFinalizer(stop, deadline, client, kube::kTenantMigration, KeyOf(migration),
                                migration.meta.uid, api::kFinalizer));
      return Ok();
    case Intent::kRemoveFinalizer:
      return kube::RemoveFinalizer(stop, deadline, client, kube::kTenantMigration, KeyOf(migration),
                                   migration.meta.uid, api::kFinalizer);
    case Intent::kRecordLedger:
      return RecordLedger(call);
    case Intent::kDeleteLedger:
      return ForgetLedger(call);
    case Intent::kEnsureMaintenancePage:
      return wiring::EnsureMaintenancePage(
          stop, deadline, client, migration,
          {context_.config.operator_image, context_.config.image_pull_policy,
           context_.config.pods});
    case Intent::kDeleteMaintenancePage:
      return wiring::DeleteMaintenancePage(stop, deadline, client, migration);
    case Intent::kCreateBackupJob:
      return CreateBackupJob(call);
    case Intent::kCreateCopyJob:
      return CreateCopyJob(call);
    case Intent::kStartCheckJobs:
      return StartChecks(call);
    case Intent::kDeleteJobs:
      return DeleteJobs(call);
    case Intent::kPlaceOnTarget:
      return PlaceOn(call, migration.spec.target_server_name);
    case Intent::kPlaceOnSource:
      return PlaceOn(call, migration.status.source_server_name);
    default:
      break;
  }
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  if (intent == Intent::kStopWorkloads)
    return wiring::StopWorkloads(stop, deadline, client, placement,
                                 AtStakeIn(migration.status.phase));
  if (intent == Intent::kFlipRoutes)
    return wiring::FlipToMaintenance(stop, deadline, client, placement,
                                     wiring::MaintenanceBackendOf(migration));
  if (intent == Intent::kApplyWiring) return ApplyWiring(call);
  TRY_ASSIGN(Ledger ledger, NeedLedger(call));
  if (intent == Intent::kStartWorkloads)
    return wiring::RestoreWorkloads(stop, deadline, client, placement, ledger.workloads);
  if (intent == Intent::kRestoreRoutes)
    return wiring::RestoreRoutes(stop, deadline, client, placement, ledger.routes);
  if (intent == Intent::kRestoreWiring) {
    TRY_ASSIGN(wiring::HostPort source, SourceEndpoint(call));
    return wiring::RestoreWiring(stop, deadline, WiringAccess(), placement, ledger.wiring, source);
  }
  if (intent == Intent::kOutdateRequests) return OutdateRequests(call);
  return TerminalError("UnknownIntent", "no effect for " + std::string(Name(intent)));
}

// Written before anything it speaks of is changed; the first record wins.
Status ClusterWorld::RecordLedger(const Call& call) {
  auto& [stop, deadline, migration] = call;
  kube::Key key{migration.meta.namespace_name, migration.spec.placement_name};
  TRY_ASSIGN(auto object, context_.client.Get(stop, deadline, kube::kDatabasePlacement, key));
  if (!object)
    return RetryError("PlacementNotFound", "DatabasePlacement " + key.ToString() + " is gone");
  TRY_ASSIGN(api::DatabasePlacement placement, api::DecodeDatabasePlacement(*object));
  // 0: preflight passed under an operator that did not write this down.
  const int64_t checked = migration.status.placement_generation;
  if (checked != 0 && placement.meta.generation != checked)
    return TerminalError(
        "PlacementChanged",
        "DatabasePlacement " + key.ToString() + " has changed since preflight passed (generation " +
            std::to_string(checked) + ", now " + std::to_string(placement.meta.generation) +
            "), so what would be moved is not what was checked");
  // One that was deleted and made again has the same generation, and was checked by nobody.
  if (placement.status.server_name != migration.status.source_server_name)
    return TerminalError("PlacementChanged",
                         "DatabasePlacement " + key.ToString() +
                             " was replaced since preflight passed: it does not say that the "
                             "tenant is on server " +
                             migration.status.source_server_name +
                             ", so what would be moved is not what was checked");
  Ledger ledger;
  ledger.migration = Json::Object({{"namespace", migration.meta.namespace_name},
                                   {"name", migration.meta.name},
                                   {"attempt", migration.status.attempt},
                                   {"sourceServerName", migration.status.source_server_name},
                                   {"targetServerName", migration.spec.target_server_name},
                                   {"online", migration.spec.online()},
                                   {"byPooler", migration.spec.by_pooler()}});
  ledger.placement = std::move(*object);
  TRY_ASSIGN(ledger.workloads, wiring::RecordWorkloads(stop, deadline, context_.client, placement));
  TRY_ASSIGN(ledger.routes, wiring::RecordRoutes(stop, deadline, context_.client, placement));
  TRY_ASSIGN(ledger.wiring, wiring::RecordWiring(stop, deadline, WiringAccess(), placement));
  return WriteLedgerOnce(stop, deadline, context_.client, context_.config.namespace_name, migration,
                         ledger);
}

// Deleted in mid-move it would take its own Service along, and with it the way to either side.
// After the ledger, with which this goes, so none is left where no ledger is.
Status ClusterWorld::HoldPlacement(const Call& call) {
  TRY_ASSIGN(Ledger ledger, NeedLedger(call));
  const Json& metadata = ledger.placement["metadata"];
  TRY(kube::EnsureFinalizer(call.stop, call.deadline, context_.client, kube::kDatabasePlacement,
                            {call.migration.meta.namespace_name, metadata["name"].AsString()},
                            metadata["uid"].AsString(), PlacementFinalizer(call.migration)));
  return Ok();
}

Status ClusterWorld::ForgetLedger(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(auto ledger, ReadLedger(call));
  if (ledger) {
    const Json& metadata = ledger->placement["metadata"];
    TRY(kube::RemoveFinalizer(stop, deadline, context_.client, kube::kDatabasePlacement,
                              {migration.meta.namespace_name, metadata["name"].AsString()},
                              metadata["uid"].AsString(), PlacementFinalizer(migration)));
  }
  ledger_.reset();
  return DeleteLedger(stop, deadline, context_.client, context_.config.namespace_name, migration);
}

// As the tenant's own role, in the tenant's namespace, where the volume and the password are.
Status ClusterWorld::CreateBackupJob(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  pg::ConnectOptions tenant = source->admin().WithDatabase(placement.spec.database_name);
  tenant.user = placement.spec.owner;
  MoverJob job;
  job.spec.kind = mover::JobKind::kBackup;
  job.spec.migration_uid = call.migration.meta.uid;
  job.spec.attempt = static_cast<int>(call.migration.status.attempt);
  job.spec.epoch = context_.config.epoch();
  job.spec.source = EndpointOf(tenant, "source-ca.crt");
  job.spec.jobs = call.migration.spec.copy_jobs;
  job.spec.backup_directory = std::string(kBackupPath) + "/" + placement.meta.name + "-" +
                              call.migration.meta.uid.substr(0, 8) + "-" +
                              std::to_string(call.migration.status.attempt);
  job.namespace_name = call.migration.meta.namespace_name;
  job.source_password = {placement.spec.password_secret_ref.name,
                         placement.spec.password_secret_ref.key};
  job.source_ca_pem = tenant.ca_pem;
  job.claim_name = call.migration.spec.backup_claim_name;
  return CreateMoverJob(call.stop, call.deadline, context_.client, context_.config, call.migration,
                        job);
}

// The mover works only under a control row that has reached its order's epoch. When the leader
// has changed since the target was prepared, this Job is the first thing that the new one does
// there.
Status ClusterWorld::RaiseTargetEpoch(const Call& call, DatabaseSide& target) {
  TRY_ASSIGN(pg::Connection * inside, target.InDatabase(call.stop, call.deadline));
  return pg::WithEpoch(
      call.stop, call.deadline, *inside,
      pg::Claim{call.migration.meta.uid, context_.config.epoch(), pg::Side::kTarget},
      [](pg::Transaction&, const pg::Control&) { return Ok(); });
}

Result<CopySides> ClusterWorld::FindCopySides(const Call& call) {
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  return CopySides{EndpointOf(source->admin().WithDatabase(source->database()), "source-ca.crt"),
                   EndpointOf(target->admin().WithDatabase(target->database()), "target-ca.crt")};
}

// As the administrator on both sides, in the operator's namespace, where those passwords are.
Status ClusterWorld::CreateCopyJob(const Call& call) {
  TRY_ASSIGN(DatabaseSide * source, Source(call));
  TRY_ASSIGN(DatabaseSide * target, Target(call));
  TRY_ASSIGN(api::DatabaseServer source_server, ReadServer(call, source->server_name()));
  TRY_ASSIGN(api::DatabaseServer target_server, ReadServer(call, target->server_name()));
  TRY(RaiseTargetEpoch(call, *target));
  MoverJob job;
  job.spec.kind = mover::JobKind::kClone;
  job.spec.migration_uid = call.migration.meta.uid;
  job.spec.attempt = static_cast<int>(call.migration.status.attempt);
  job.spec.epoch = context_.config.epoch();
  TRY_ASSIGN(CopySides sides, FindCopySides(call));
  job.spec.source = std::move(sides.source);
  job.spec.target = std::move(sides.target);
  job.spec.withhold_powers = target_server.spec.server_class == api::ServerClass::kShared;
  job.spec.distrust_superusers =
      job.spec.withhold_powers && source_server.spec.server_class == api::ServerClass::kDedicated;
  if (ThrottleIsUnknown(context_.config, call.migration.spec)) {
    TRY_ASSIGN(auto last, ReadOrder(call.stop, call.deadline, context_.client,
                                    {context_.config.namespace_name,
                                     JobName(call.migration, mover::JobKind::kClone)}));
    if (last) job.spec.throttle_query = last->throttle_query;
  }
  OrderCopy(context_.config, call.migration.spec, job.spec);
  if (call.migration.spec.online())
    job.spec.slot = pg::StreamName(call.migration.meta.uid, pg::Direction::kForward);
  job.namespace_name = context_.config.namespace_name;
  job.source_password = {source_server.spec.admin_secret_name, "password"};
  job.target_password = {target_server.spec.admin_secret_name, "password"};
  job.source_ca_pem = source->admin().ca_pem;
  job.target_ca_pem = target->admin().ca_pem;
  return CreateMoverJob(call.stop, call.deadline, context_.client, context_.config, call.migration,
                        job);
}

// Users are on the target by now, or about to be: that is the place that the Jobs ask about.
Status ClusterWorld::StartChecks(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, call.migration.spec.target_server_name));
  TRY_ASSIGN(pg::ConnectOptions admin, AdminOptions(call, call.migration.spec.target_server_name));
  TenantPlace place;
  place.host = target.spec.endpoint.host;
  place.port = target.spec.endpoint.port;
  place.database = placement.spec.database_name;
  place.user = placement.spec.owner;
  place.ssl_mode = admin.ssl_mode;
  place.password = {placement.spec.password_secret_ref.name,
                    placement.spec.password_secret_ref.key};
  return StartCheckJobs(call.stop, call.deadline, context_.client, call.migration,
                        MomentOf(call.migration.status.phase), context_.clock.WallNow(), place);
}

Status ClusterWorld::DeleteJobs(const Call& call) {
  for (const std::string& ns : {call.migration.meta.namespace_name, context_.config.namespace_name})
    TRY(DeleteMoverJobs(call.stop, call.deadline, context_.client, ns, call.migration));
  return Ok();
}

Status ClusterWorld::ApplyWiring(const Call& call) {
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  TRY_ASSIGN(api::DatabaseServer target, ReadServer(call, call.migration.spec.target_server_name));
  return wiring::ApplyWiring(call.stop, call.deadline, WiringAccess(), placement,
                             wiring::WantedOn(target, placement));
}

// Another leader, and another cutover of this one: requests of their own are on their way.
std::string ClusterWorld::OutdatingNow(const Call& call) const {
  return std::to_string(context_.config.epoch()) + "/" + std::to_string(MarkerOf(call.migration));
}

// The note comes last: a leader that dies before it begins again.
Status ClusterWorld::OutdateRequests(const Call& call) {
  auto& [stop, deadline, migration] = call;
  TRY_ASSIGN(api::DatabasePlacement placement, NeedPlacement(call));
  const ObjectsAtStake stake = FindObjectsAtStake(migration);
  TRY(wiring::OutdateRequests(stop, deadline, WiringAccess(), placement,
                              {.wiring = stake.wiring, .doors = stake.doors}));
  ledger_.reset();
  return NoteOutdated(stop, deadline, context_.client, context_.config.namespace_name, migration,
                      OutdatingNow(call));
}

// The one field of the placement's status that a migration owns, under a manager of its own, so
// that neither reconciler takes the other's fields away.
Status ClusterWorld::PlaceOn(const Call& call, const std::string& server_name) {
  kube::Key key{call.migration.meta.namespace_name, call.migration.spec.placement_name};
  TRY_ASSIGN(auto placement,
             context_.client.Get(call.stop, call.deadline, kube::kDatabasePlacement, key));
  if (!placement) return Ok();
  kube::PatchOptions options;
  options.type = kube::PatchType::kJsonMerge;
  options.subresource = "status";
  options.field_manager = "cutover-migration";
  Json patch = Json::Object({{"status", Json::Object({{"serverName", server_name}})}});
  // What a leader that froze here sends late must not lead the tenant elsewhere once its successor
  // is through: by then the placement's own reconciler has written that the move is over.
  patch.MutableAt("metadata").Set("resourceVersion", kube::ResourceVersionOf(*placement));
  auto patched = context_.client.Patch(call.stop, call.deadline, kube::kDatabasePlacement, key,
                                       patch, options);
  if (!patched && !kube::IsNotFound(patched.error())) return tl::make_unexpected(patched.error());
  return Ok();
}

}  // namespace cutover::migration
