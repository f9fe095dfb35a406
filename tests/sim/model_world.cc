// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/model_world.h"

namespace cutover::migration {
namespace {

DatabaseFacts Facts(const ModelDatabase& database) {
  DatabaseFacts facts;
  facts.exists = database.exists;
  facts.state = database.state;
  facts.closed = database.closed;
  return facts;
}

Error Down(const char* server) {
  return RetryError("Unreachable", std::string(server) + " does not answer").value();
}

// A compare-and-set of the control row, as the real one is.
Status CompareAndSet(ModelDatabase& database, ControlState from, ControlState to) {
  if (database.state == to) return Ok();
  if (database.state != from)
    return TerminalError("StateMismatch", "control row reads " + std::string(Name(database.state)));
  database.state = to;
  return Ok();
}

}  // namespace

void ModelWorld::RunJobs() {
  if (model_.backup_job.exists && !model_.backup_job.succeeded && --model_.backup_left <= 0) {
    model_.backup_job.succeeded = true;
    model_.backup_job.message = "read back";
  }
  JobFacts& copy = model_.copy_job;
  if (!copy.exists || copy.succeeded || copy.failed || --model_.copy_left > 0) return;
  if (model_.copy_fails) {
    copy.failed = true;
    copy.message = "the target's disk is full";
    return;
  }
  copy.succeeded = true;
  model_.target.rows = model_.source.rows;
  model_.target.verified_equal = !model_.copy_differs;
  CopyResult result;
  result.attempt = model_.migration.status.attempt;
  result.equal = !model_.copy_differs;
  result.mismatches = model_.copy_differs ? 1 : 0;
  result.rows = model_.target.rows;
  model_.copy_result = result;
}

// Users write whenever they can: through the route, a pod, the wiring, into a database that lets
// them.
void ModelWorld::UsersWrite() {
  if (model_.route_at_maintenance || model_.pods == 0) return;
  ModelDatabase& used = model_.wiring == ModelSide::kSource ? model_.source : model_.target;
  if (!used.Writable()) return;
  used.rows += 1;
  model_.acknowledged_rows += 1;
}

Observation ModelWorld::Observe(std::stop_token, Deadline, const api::TenantMigration&) {
  RunJobs();
  UsersWrite();
  if (model_.pods != model_.replicas) model_.pods = model_.replicas;
  Observation seen;
  seen.now = now;
  PlacementFacts placement;
  placement.exists = model_.placement_exists;
  placement.server_name = model_.placed_on == ModelSide::kSource ? "shared" : "dedicated";
  placement.rival_migration = model_.rival;
  seen.placement = placement;
  seen.ledger_recorded = model_.ledger;
  WorkloadFacts workloads;
  workloads.scaled_down = model_.replicas == 0;
  workloads.stopped = model_.replicas == 0 && model_.pods == 0;
  workloads.as_recorded = model_.replicas == 2;
  workloads.ready = model_.pods == model_.replicas &&
                    !(model_.pods_never_ready && model_.wiring == ModelSide::kTarget);
  seen.workloads = workloads;
  seen.routes = RouteFacts{model_.route_at_maintenance, !model_.route_at_maintenance, ""};
  seen.wiring =
      WiringFacts{model_.wiring == ModelSide::kTarget, model_.wiring == ModelSide::kSource, ""};
  seen.maintenance_page = MaintenancePageFacts{model_.page, model_.page};
  seen.backup_job = model_.backup_job;
  seen.copy_job = model_.copy_job;
  seen.copy_progress = std::optional<CopyProgress>();
  seen.copy_result = model_.target_up ? Fact<std::optional<CopyResult>>(model_.copy_result)
                                      : Fact<std::optional<CopyResult>>(Down("target"));
  seen.source = model_.source_up ? Fact<DatabaseFacts>(Facts(model_.source)) : Down("source");
  seen.target = model_.target_up ? Fact<DatabaseFacts>(Facts(model_.target)) : Down("target");
  seen.preflight = model_.findings;
  CheckOutcome smoke{"login", !model_.smoke_fails, "status 500", 30};
  seen.checks = std::vector<CheckOutcome>{smoke};
  return seen;
}

Status ModelWorld::WithFault(const std::function<Status()>& change) {
  bool here = effects++ == fault_at;
  if (here && fault == Fault::kDieBefore) throw Killed{};
  if (here && fault == Fault::kRefused) return RetryError("Refused", "not now");
  Status done = change();
  check(model_);
  if (here && fault == Fault::kDieAfter) throw Killed{};
  if (here && fault == Fault::kAnswerLost) return InDoubtError("AnswerLost", "connection lost");
  return done;
}

Status ModelWorld::Perform(std::stop_token, Deadline, const api::TenantMigration&, Intent intent) {
  return WithFault([&] { return Change(intent); });
}

Result<std::string> ModelWorld::Record(std::stop_token, Deadline, const api::TenantMigration&,
                                       const api::TenantMigrationStatus& status) {
  TRY(WithFault([&] {
    model_.migration.status = status;
    return Ok();
  }));
  return model_.migration.meta.resource_version;
}

Status ModelWorld::Change(Intent intent) {
  performed.push_back(intent);
  switch (intent) {
    case Intent::kClaimSource:
    case Intent::kFenceSource:
    case Intent::kJournal:
    case Intent::kRetireSource:
    case Intent::kUnfenceSource:
    case Intent::kReopenSource:
    case Intent::kCleanSource:
    case Intent::kDropSource:
      return ChangeSource(intent);
    case Intent::kPrepareTarget:
    case Intent::kFinalizeTarget:
    case Intent::kMarkVerified:
    case Intent::kOpenTarget:
    case Intent::kCleanTarget:
    case Intent::kDropTarget:
    case Intent::kFenceTarget:
      return ChangeTarget(intent);
    default:
      return ChangeCluster(intent);
  }
}

Status ModelWorld::ChangeSource(Intent intent) {
  if (!model_.source_up) return tl::make_unexpected(Down("source"));
  if (epoch_ < model_.epoch) return TerminalError("Deposed", "a newer leader acts");
  model_.epoch = epoch_;
  ModelDatabase& source = model_.source;
  switch (intent) {
    case Intent::kClaimSource:
      return CompareAndSet(source, ControlState::kNone, ControlState::kOpen);
    case Intent::kFenceSource:
      TRY(CompareAndSet(source, ControlState::kOpen, ControlState::kFenced));
      source.closed = true;
      return Ok();
    case Intent::kJournal:
      return CompareAndSet(source, ControlState::kFenced, ControlState::kJournaled);
    case Intent::kRetireSource:
      return CompareAndSet(source, ControlState::kJournaled, ControlState::kRetired);
    case Intent::kUnfenceSource:
      TRY(CompareAndSet(source, ControlState::kFenced, ControlState::kOpen));
      source.closed = false;
      return Ok();
    case Intent::kReopenSource:
      TRY(CompareAndSet(source, ControlState::kJournaled, ControlState::kReopened));
      source.closed = false;
      return Ok();
    case Intent::kCleanSource:
      source.state = ControlState::kNone;
      return Ok();
    default:
      source = ModelDatabase();
      model_.source_dropped = true;
      return Ok();
  }
}

Status ModelWorld::ChangeTarget(Intent intent) {
  if (!model_.target_up) return tl::make_unexpected(Down("target"));
  if (epoch_ < model_.epoch) return TerminalError("Deposed", "a newer leader acts");
  model_.epoch = epoch_;
  ModelDatabase& target = model_.target;
  switch (intent) {
    case Intent::kPrepareTarget:
      if (target.exists) return Ok();
      target.exists = true;
      target.closed = true;
      target.state = ControlState::kPreparing;
      return Ok();
    case Intent::kFinalizeTarget:
      return CompareAndSet(target, ControlState::kPreparing, ControlState::kCopied);
    case Intent::kMarkVerified:
      return CompareAndSet(target, ControlState::kCopied, ControlState::kVerified);
    case Intent::kOpenTarget:
      TRY(CompareAndSet(target, ControlState::kVerified, ControlState::kOpen));
      target.closed = false;
      return Ok();
    case Intent::kCleanTarget:
      target.state = ControlState::kNone;
      return Ok();
    case Intent::kDropTarget:
      target = ModelDatabase();
      model_.copy_result.reset();
      return Ok();
    default:
      TRY(CompareAndSet(
          target,
          target.state == ControlState::kVerified ? ControlState::kVerified : ControlState::kOpen,
          ControlState::kFenced));
      target.closed = true;
      return Ok();
  }
}

Status ModelWorld::ChangeCluster(Intent intent) {
  switch (intent) {
    case Intent::kAddFinalizer:
      model_.migration.meta.finalizers = {api::kFinalizer};
      break;
    case Intent::kRemoveFinalizer:
      model_.migration.meta.finalizers.clear();
      break;
    case Intent::kCreateBackupJob:
      model_.backup_job.exists = true;
      break;
    case Intent::kCreateCopyJob:
      model_.copy_job.exists = true;
      break;
    case Intent::kDeleteJobs:
      model_.backup_job = model_.copy_job = JobFacts();
      model_.backup_left = 2;
      model_.copy_left = 3;
      break;
    case Intent::kRecordLedger:
      model_.ledger = true;
      break;
    case Intent::kDeleteLedger:
      model_.ledger = false;
      break;
    case Intent::kEnsureMaintenancePage:
      model_.page = true;
      break;
    case Intent::kDeleteMaintenancePage:
      model_.page = false;
      break;
    case Intent::kFlipRoutes:
      model_.route_at_maintenance = true;
      break;
    case Intent::kRestoreRoutes:
      model_.route_at_maintenance = false;
      break;
    case Intent::kStopWorkloads:
      model_.replicas = 0;
      break;
    case Intent::kStartWorkloads:
      model_.replicas = 2;
      break;
    case Intent::kApplyWiring:
      model_.wiring = ModelSide::kTarget;
      break;
    case Intent::kRestoreWiring:
      model_.wiring = ModelSide::kSource;
      break;
    case Intent::kPlaceOnTarget:
      model_.placed_on = ModelSide::kTarget;
      break;
    case Intent::kPlaceOnSource:
      model_.placed_on = ModelSide::kSource;
      break;
    default:
      return TerminalError("Unmodelled", std::string(Name(intent)));
  }
  return Ok();
}

}  // namespace cutover::migration
