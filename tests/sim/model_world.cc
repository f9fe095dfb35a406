// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/model_world.h"

#include "reconcilers/migration/phases/phases.h"

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

PublisherFacts PublisherOf(const ModelStream& stream) {
  PublisherFacts facts;
  facts.traces = stream.published || stream.slot;
  facts.published = stream.published;
  facts.slot = stream.slot;
  facts.slot_lost = stream.slot_lost;
  return facts;
}

SubscriberFacts SubscriberOf(const ModelStream& stream, WallTime now, bool stands_still) {
  SubscriberFacts facts;
  facts.exists = stream.exists;
  facts.enabled = stream.enabled;
  facts.working = stream.enabled && stream.slot && !stands_still;
  facts.marker = stream.marker;
  // Waits run eight times as fast here.
  if (stream.heartbeat != WallTime())
    facts.heartbeat_age_seconds = std::chrono::duration<double>(now - stream.heartbeat).count() / 8;
  return facts;
}

void Apply(const ModelDatabase& publisher, ModelDatabase& subscriber, ModelStream& stream) {
  subscriber.rows += stream.rows_on_the_way;
  stream.rows_on_the_way = publisher.rows - stream.sent_rows;
  stream.sent_rows = publisher.rows;
  stream.marker = stream.marker_on_the_way;
  stream.marker_on_the_way = stream.marker_written;
  stream.heartbeat = stream.heartbeat_written;
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
  // Online: the slot begins where the snapshot was taken, so it holds all that is newer.
  model_.forward.slot = model_.migration.spec.online();
  model_.forward.sent_rows = model_.target.rows = model_.source.rows;
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
  if (model_.route_at_maintenance || model_.pods == 0 || model_.poolers_paused) return;
  ModelDatabase& used = model_.wiring == ModelSide::kSource ? model_.source : model_.target;
  if (!used.Writable()) return;
  used.rows += 1;
  model_.acknowledged_rows += 1;
}

void ModelWorld::RunStreams() {
  if (!model_.source_up || !model_.target_up) return;
  ModelStream &forward = model_.forward, &reverse = model_.reverse;
  if (forward.enabled && forward.slot && !forward.slot_lost && !model_.forward_stands_still)
    Apply(model_.source, model_.target, forward);
  if (reverse.enabled && reverse.slot) Apply(model_.target, model_.source, reverse);
}

void ModelWorld::ObserveStreams(Observation& seen) {
  const ModelStream &forward = model_.forward, &reverse = model_.reverse;
  Error source = Down("source"), target = Down("target");
  if (model_.source_up) {
    seen.forward_publisher = PublisherOf(forward);
    seen.reverse_subscriber = SubscriberOf(reverse, now, false);
    seen.schema_changed = model_.schema_changed;
  } else {
    seen.forward_publisher = source;
    seen.reverse_subscriber = source;
    seen.schema_changed = source;
  }
  if (model_.target_up) {
    seen.forward_subscriber = SubscriberOf(forward, now, model_.forward_stands_still);
    seen.reverse_publisher = PublisherOf(reverse);
  } else {
    seen.forward_subscriber = target;
    seen.reverse_publisher = target;
  }
  seen.poolers = PoolerFacts{model_.poolers_paused, !model_.poolers_paused, {}, true, ""};
}

Observation ModelWorld::Observe(std::stop_token, Deadline, const api::TenantMigration&) {
  RunJobs();
  RunStreams();
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
  seen.check_jobs = JobFacts();
  seen.copy_progress = std::optional<CopyProgress>();
  seen.copy_result = model_.target_up ? Fact<std::optional<CopyResult>>(model_.copy_result)
                                      : Fact<std::optional<CopyResult>>(Down("target"));
  seen.source = model_.source_up ? Fact<DatabaseFacts>(Facts(model_.source)) : Down("source");
  seen.target = model_.target_up ? Fact<DatabaseFacts>(Facts(model_.target)) : Down("target");
  ObserveStreams(seen);
  seen.preflight = model_.findings;
  CheckOutcome smoke{.name = "login",
                     .verdict = model_.smoke_fails ? Verdict::kFailed : Verdict::kPassed,
                     .message = "status 500",
                     .timeout_seconds = 30,
                     .failure_threshold = 1};
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

// On condition that nobody has written to the object meanwhile; here a person's commands do.
Result<std::string> ModelWorld::Record(std::stop_token, Deadline,
                                       const api::TenantMigration& migration,
                                       const api::TenantMigrationStatus& status) {
  const api::ObjectMeta& held = model_.migration.meta;
  if (held.annotations != migration.meta.annotations ||
      held.deletion_timestamp != migration.meta.deletion_timestamp)
    return RetryError("Conflict", "the object has been modified");
  TRY(WithFault([&] {
    if (recorded.empty() || recorded.back() != status.phase) recorded.push_back(status.phase);
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
    case Intent::kPublishSource:
    case Intent::kStartForwardStream:
    case Intent::kLayWayBack:
    case Intent::kWatchStream:
    case Intent::kWatchReverseStream:
    case Intent::kPrepareAgain:
    case Intent::kDrainForward:
    case Intent::kDrainReverse:
    case Intent::kStopForwardStream:
    case Intent::kStartReverseStream:
      return ChangeStream(intent);
    case Intent::kDropForwardSubscriber:
    case Intent::kDropForwardPublisher:
    case Intent::kDropReverseSubscriber:
    case Intent::kDropReversePublisher:
      return DropStreamPart(intent);
    default:
      return ChangeCluster(intent);
  }
}

Status ModelWorld::ChangeStream(Intent intent) {
  if (!model_.source_up) return tl::make_unexpected(Down("source"));
  if (!model_.target_up) return tl::make_unexpected(Down("target"));
  if (epoch_ < model_.epoch) return TerminalError("Deposed", "a newer leader acts");
  model_.epoch = epoch_;
  ModelStream &forward = model_.forward, &reverse = model_.reverse;
  switch (intent) {
    case Intent::kPublishSource:
      forward.published = true;
      return Ok();
    case Intent::kStartForwardStream:
      forward.exists = forward.enabled = true;
      return Ok();
    case Intent::kLayWayBack:
      reverse.published = reverse.slot = reverse.exists = true;
      reverse.sent_rows = model_.target.rows;
      return Ok();
    case Intent::kWatchStream:
      forward.heartbeat_written = now;
      if (model_.rogue_write) return TerminalError("TargetDiverged", "somebody wrote there");
      return Ok();
    case Intent::kWatchReverseStream:
      reverse.heartbeat_written = now;
      return Ok();
    case Intent::kPrepareAgain:
      model_.target.state = ControlState::kPreparing;
      return Ok();
    case Intent::kDrainForward:
      forward.marker_written = MarkerOf(model_.migration);
      if (model_.forward_stands_still) return RetryError("NotDrained", "not there yet");
      return Ok();
    case Intent::kDrainReverse:
      reverse.marker_written = MarkerOf(model_.migration);
      return Ok();
    case Intent::kStopForwardStream:
      forward.enabled = false;
      return Ok();
    default:
      reverse.enabled = true;
      return Ok();
  }
}

Status ModelWorld::DropStreamPart(Intent intent) {
  bool on_source =
      intent == Intent::kDropForwardPublisher || intent == Intent::kDropReverseSubscriber;
  if (on_source ? !model_.source_up : !model_.target_up)
    return tl::make_unexpected(Down(on_source ? "source" : "target"));
  bool of_forward =
      intent == Intent::kDropForwardPublisher || intent == Intent::kDropForwardSubscriber;
  ModelStream& stream = of_forward ? model_.forward : model_.reverse;
  if (intent == Intent::kDropForwardPublisher || intent == Intent::kDropReversePublisher)
    stream.published = stream.slot = stream.slot_lost = false;
  else
    stream.exists = stream.enabled = false;
  return Ok();
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
      model_.reverse.enabled = false;
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
      if (model_.migration.spec.online()) {
        if (model_.schema_changed) return TerminalError("SchemaChanged", "a column was added");
        if (model_.target.rows != model_.source.rows)
          return TerminalError("VerificationFailed", "changed rows differ");
        if (model_.rogue_write) return TerminalError("TargetDiverged", "somebody wrote there");
        model_.reverse.sent_rows = model_.target.rows;  // The slot is advanced.
      }
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
    case Intent::kPausePoolers:
      if (model_.pauses_that_fail > 0) {
        model_.pauses_that_fail -= 1;
        return TerminalError("PoolerNotPaused", "a transaction is open");
      }
      model_.poolers_paused = true;
      break;
    case Intent::kResumePoolers:
      model_.poolers_paused = false;
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
