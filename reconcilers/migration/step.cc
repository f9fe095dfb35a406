// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/step.h"

#include <algorithm>

#include "operator/api/write_pause.h"
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
  if (error.reason == "EpochBehind") {
    Plan hold = Plan::Wait(std::chrono::seconds(10), error.message, "EpochBehind");
    hold.trouble = true;
    return hold;
  }
  Plan plan = Plan::Unknown(error);
  // In doubt it may have happened: looking is cheap, and only looking is safe.
  if (error.disposition == Disposition::kInDoubt) plan.wait = std::chrono::milliseconds(100);
  return plan;
}

// Each try has all users of the table stand behind us for a moment, so it is tried the less often
// the longer it has been tried in vain.
constexpr std::chrono::milliseconds kTableInUseMin{2'000}, kTableInUseMax{60'000};

std::chrono::milliseconds WaitAfterFailure(const Plan& plan,
                                           const api::TenantMigrationStatus& failed, WallTime now) {
  if (plan.reason != "TableInUse" || plan.guard || !failed.reason_since) return plan.wait;
  const auto tried =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - *failed.reason_since);
  return std::clamp(tried, kTableInUseMin, kTableInUseMax);
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

// Of two statuses while clients wait in a pooler: whether `after` tells nothing but how far that
// has come. See RunOnce().
bool MayGoUnrecorded(const api::TenantMigration& migration, const Plan& plan,
                     const api::TenantMigrationStatus& after) {
  const api::TenantMigrationStatus& before = migration.status;
  auto behind_closed_doors = [&](api::Phase phase) {
    return migration.spec.by_pooler() && DoorsClosed(phase, migration.spec.strategy);
  };
  bool goes_on = (plan.effect || plan.guard) && !plan.trouble;
  return goes_on && behind_closed_doors(before.phase) && behind_closed_doors(after.phase) &&
         (after.phase != api::Phase::kSwitching || before.phase == after.phase) &&
         !after.cutover.opened_at && after.handled == before.handled;
}

// Whether both databases are looked at even when the decision needs but one: the gauge of writable
// sides rests on both. Not while clients wait in a pooler.
bool SidesAreGauged(const api::TenantMigration& migration) {
  api::Phase phase = migration.status.phase;
  switch (phase) {
    case api::Phase::kPending:
    case api::Phase::kPreflight:
    case api::Phase::kBackingUp:
      return false;
    case api::Phase::kUndoing:
    case api::Phase::kRollingBack:
      return !migration.spec.by_pooler();
    default:
      return !IsEnd(phase) &&
             !(migration.spec.by_pooler() && DoorsClosed(phase, migration.spec.strategy));
  }
}

// Behind doors that may be opened again, nothing is waited for much longer than users may wait:
// what is cut short is given up by the next round, or done again. A round that begins when their
// time is up does no more than that, and has all the time for it.
Deadline WithinWritePause(Deadline deadline, const api::TenantMigration& migration, WallTime now) {
  constexpr std::chrono::seconds kGrace{1};
  const api::Phase phase = migration.status.phase;
  const auto& closed_at = migration.status.cutover.fenced_at;
  const std::optional<int> bound = api::WritePauseSecondsMax(migration.spec);
  if (!DoorsClosed(phase, migration.spec.strategy) || !CanUndo(phase)) return deadline;
  if (!bound || !closed_at) return deadline;
  const auto left = *closed_at + std::chrono::seconds(*bound) - now;
  return left > left.zero() ? deadline.OrAfter(left + kGrace) : deadline;
}

// One round's migration, and what the API server holds of it.
struct Round {
  World& world;
  std::stop_token stop;
  Deadline deadline;
  api::TenantMigration migration;  ///< At the version that was recorded last.
  api::TenantMigrationStatus recorded;

  // Each look settles one fact, so this comes to an end.
  Decision DecideLooking(Observation& seen) {
    const Deadline until = WithinWritePause(deadline, migration, seen.now);
    while (true) {
      Decision decision = Decide(migration, seen);
      if (!decision.plan.look_at) return decision;
      world.LookAt(stop, until, migration, *decision.plan.look_at, seen);
    }
  }
  // Before a pooler is paused its clients wait for nothing, and the pause has a bound of its own.
  Status Perform(Intent effect, WallTime now) {
    const Deadline until =
        effect == Intent::kPausePoolers ? deadline : WithinWritePause(deadline, migration, now);
    return world.Perform(stop, until, migration, effect);
  }
  void LookAtBothSides(Observation& seen) {
    if (seen.source.unseen()) world.LookAt(stop, deadline, migration, Subject::kSource, seen);
    if (seen.target.unseen()) world.LookAt(stop, deadline, migration, Subject::kTarget, seen);
  }
  Status Record(const api::TenantMigrationStatus& status) {
    migration.status = status;
    if (status == recorded) return Ok();
    TRY_ASSIGN(migration.meta.resource_version, world.Record(stop, deadline, migration, status));
    recorded = status;
    return Ok();
  }
  StepResult End(const Observation& seen, bool moved, std::chrono::milliseconds wait) const {
    return {seen, migration.status, recorded, migration.meta.resource_version, moved, wait};
  }
};

}  // namespace

Result<StepResult> RunOnce(World& world, std::stop_token stop, Deadline deadline,
                           const api::TenantMigration& migration,
                           const api::TenantMigrationStatus& recorded) {
  Round round{world, stop, deadline, migration, recorded};
  Observation seen = world.Observe(stop, deadline, migration);
  Decision decision = round.DecideLooking(seen);
  if (SidesAreGauged(migration)) round.LookAtBothSides(seen);
  const Plan& plan = decision.plan;
  api::TenantMigrationStatus status = Advance(migration, seen, decision);
  if (MayGoUnrecorded(migration, plan, status))
    round.migration.status = status;
  else
    TRY(round.Record(status));
  // An effect with a wait is one that is repeated at that pace, such as a heartbeat.
  bool at_once = plan.wait == std::chrono::milliseconds(0);
  StepResult result = round.End(seen, (plan.effect && at_once) || plan.guard, plan.wait);
  if (!plan.effect) return result;

  auto began = std::chrono::steady_clock::now();
  Status done = round.Perform(*plan.effect, seen.now);
  if (done) {
    LogEffect(plan, began);
    return result;
  }
  if (done.error().reason == "Deposed" || done.error().reason == "Conflict")
    return tl::make_unexpected(done.error());
  Error error = WithContext(done.error(), Name(*plan.effect));
  LogError("effect failed", error);
  decision.plan = AfterFailure(round.migration.status.phase, error);
  api::TenantMigrationStatus failed = Advance(round.migration, seen, decision);
  // What has been recorded before the effect says that it is tried again, and not that the trouble
  // it was tried for is over.
  failed.reason_since = ReasonSince(migration.status, failed, seen.now);
  TRY(round.Record(failed));
  return round.End(seen, decision.plan.guard.has_value(),
                   WaitAfterFailure(decision.plan, failed, seen.now));
}

std::optional<std::chrono::milliseconds> RestOf(const api::TenantMigration& migration,
                                                WallTime now) {
  if (!IsEnd(migration.status.phase)) return std::nullopt;
  Observation seen;
  seen.now = now;
  const Decision decision = Decide(migration, seen);
  const Plan& plan = decision.plan;
  if (plan.look_at || plan.effect || plan.guard) return std::nullopt;
  if (Advance(migration, seen, decision) != migration.status) return std::nullopt;
  return plan.wait;
}

}  // namespace cutover::migration
