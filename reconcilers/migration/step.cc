// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/step.h"

#include "operator/base/log.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "reconcilers/migration/transitions.h"

namespace cutover::migration {
namespace {

// What a failed effect leads to. Terminal before the journal: undo (in Pending there is nothing
// yet). Otherwise: look again later.
Plan AfterFailure(api::Phase phase, const Error& error) {
  if (error.disposition == Disposition::kTerminal && CanUndo(phase) &&
      phase != api::Phase::kPending)
    return Plan::Undo(error.reason, error.message);
  Plan plan = Plan::Unknown(error);
  // In doubt it may have happened: looking is cheap, and only looking is safe.
  if (error.disposition == Disposition::kInDoubt) plan.wait = std::chrono::milliseconds(100);
  return plan;
}

// What was done and how long it took: behind closed doors every line of it is users' time. A
// heartbeat is not worth a line.
void LogEffect(const Plan& plan, std::chrono::steady_clock::time_point began) {
  if (plan.wait != std::chrono::milliseconds(0)) return;
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  LogInfo("effect done",
          {{"effect", Name(*plan.effect)}, {"milliseconds", std::to_string(took.count())}});
}

// While clients wait in a pooler, what is done within a phase takes milliseconds: writing its words
// down would take longer than doing it. The phase itself is always recorded first.
bool NotWorthWriting(const api::TenantMigration& migration, const Plan& plan,
                     const api::TenantMigrationStatus& status) {
  return status.cutover == migration.status.cutover && migration.spec.by_pooler() && plan.effect &&
         !plan.guard && !plan.trouble &&
         DoorsClosed(migration.status.phase, migration.spec.strategy);
}

// Records `status` on `migration`, which then is what the API server holds.
Status RecordIfChanged(World& world, std::stop_token stop, Deadline deadline,
                       api::TenantMigration& migration, const api::TenantMigrationStatus& status) {
  if (status == migration.status) return Ok();
  TRY_ASSIGN(migration.meta.resource_version, world.Record(stop, deadline, migration, status));
  migration.status = status;
  return Ok();
}

}  // namespace

Result<StepResult> RunOnce(World& world, std::stop_token stop, Deadline deadline,
                           const api::TenantMigration& migration) {
  Observation seen = world.Observe(stop, deadline, migration);
  Decision decision = Decide(migration, seen);
  StepResult result;
  result.status = Advance(migration, seen, decision);
  // An effect with a wait is one that is repeated at that pace, such as a heartbeat.
  bool at_once = decision.plan.wait == std::chrono::milliseconds(0);
  result.moved = (decision.plan.effect && at_once) || decision.plan.guard;
  result.wait = decision.plan.wait;
  api::TenantMigration current = migration;
  if (NotWorthWriting(migration, decision.plan, result.status))
    result.status = current.status;
  else
    TRY(RecordIfChanged(world, stop, deadline, current, result.status));
  result.resource_version = current.meta.resource_version;
  if (!decision.plan.effect) return result;

  auto began = std::chrono::steady_clock::now();
  Status done = world.Perform(stop, deadline, current, *decision.plan.effect);
  if (done) {
    LogEffect(decision.plan, began);
    return result;
  }
  if (done.error().reason == "Deposed" || done.error().reason == "Conflict")
    return tl::make_unexpected(done.error());
  Error error = WithContext(done.error(), Name(*decision.plan.effect));
  LogError("effect failed", error);
  decision.plan = AfterFailure(current.status.phase, error);
  result.status = Advance(current, seen, decision);
  result.moved = decision.plan.guard.has_value();
  result.wait = decision.plan.wait;
  TRY(RecordIfChanged(world, stop, deadline, current, result.status));
  result.resource_version = current.meta.resource_version;
  return result;
}

}  // namespace cutover::migration
