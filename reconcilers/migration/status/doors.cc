// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <optional>

#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/status/change.h"

namespace cutover::migration {
namespace {

using api::Phase;

// Whether somebody else, as a GitOps tool does, has led routes back to workloads that work on the
// target already. What is written there from then on is the users'.
bool UsersAreInEarly(const Change& change) {
  const Observation& seen = change.seen;
  const Phase phase = change.migration.status.phase;
  if (phase != Phase::kOpening && phase != Phase::kSmoke) return false;
  const bool may_be_elsewhere =
      phase == Phase::kOpening && (!seen.target.known() || seen.target->closed ||
                                   !seen.wiring.known() || !seen.wiring->at_target);
  return change.migration.spec.online() && !may_be_elsewhere && seen.routes.known() &&
         !seen.routes->at_maintenance && seen.workloads.known() && seen.workloads->as_recorded;
}

// Whether users are seen to be let in, on whichever side.
bool UsersAreIn(const Change& change) {
  const Observation& seen = change.seen;
  Phase phase = change.migration.status.phase;
  if (!change.migration.spec.by_pooler() && UsersAreInEarly(change)) return true;
  bool forward = phase == Phase::kAdmitting;
  if (change.migration.spec.by_pooler()) {
    if (!seen.poolers.known() || !seen.poolers->resumed) return false;
    if (phase == Phase::kOpening)
      return seen.poolers->proven && seen.target.known() && !seen.target->closed &&
             seen.wiring.known() && seen.wiring->at_target;
  } else {
    if (!seen.routes.known() || !seen.routes->as_recorded) return false;
    // While going back, the routes may not have been flipped at all yet, or not flipped back.
    if (!forward && (!seen.workloads.known() || !seen.workloads->as_recorded)) return false;
  }
  if (forward) return true;
  bool back = phase == Phase::kUndoing || phase == Phase::kRollingBack;
  return back && seen.source.known() && !seen.source->closed;
}

// Clients begin to wait when their pooler is paused, or that is tried, however long ago the phase
// was entered.
void NoteDoorsClosed(const Change& change) {
  const auto& poolers = change.seen.poolers;
  if (!poolers.known()) return;
  Phase phase = change.migration.status.phase;
  auto& cutover = change.status.cutover;
  const bool closes = phase == Phase::kFencing || phase == Phase::kUndoing;
  if (closes && poolers->tried_since && cutover.fenced_at && !cutover.opened_at)
    cutover.fenced_at = poolers->tried_since;
  if (!poolers->paused || !poolers->since) return;
  auto& rollback = change.status.rollback;
  bool going_back =
      phase == Phase::kRollingBack && change.status.cutover.opened_at && !rollback.opened_at;
  if (going_back) rollback.fenced_at = *poolers->since;
}

bool ClosesDoors(const std::optional<Intent>& effect) {
  return effect == Intent::kFlipRoutes || effect == Intent::kStopWorkloads ||
         effect == Intent::kPausePoolers || effect == Intent::kFenceTarget;
}

bool KeepsWayBackOpen(const std::optional<Intent>& effect) {
  return effect == Intent::kWatchReverseStream || effect == Intent::kTakeSample ||
         effect == Intent::kSettleSample;
}

// While going back waits with its doors open, users wait for nothing. A pooler that could not be
// paused is tried again later: each time its clients have waited, too.
void NoteWaitWithDoorsOpen(const Change& change) {
  if (change.migration.status.phase != Phase::kRollingBack) return;
  const Plan& plan = change.plan;
  auto& rollback = change.status.rollback;
  const bool missed = plan.reason == "PoolerNotPaused" && !plan.effect;
  if (missed || KeepsWayBackOpen(plan.effect)) rollback.fenced_at.reset();
  if (missed) {
    const auto until_now = std::chrono::duration_cast<std::chrono::seconds>(
        change.seen.now - EnteredAt(change.migration, change.seen));
    change.status.cutover.retry_at =
        change.seen.now + std::clamp(until_now, kBackOffMin, kBackOffMax);
  }
  if (change.status.cutover.opened_at && ClosesDoors(plan.effect) && !rollback.fenced_at)
    rollback.fenced_at = change.seen.now;
}

// What was written before this fence is not behind the marker of another one: one that was given up
// opens the target again, and the drain after the next has to wait for a marker of its own.
void NoteFenceOfTarget(const Change& change) {
  const Observation& seen = change.seen;
  const bool fences = change.plan.effect == Intent::kFenceTarget && seen.target.known() &&
                      seen.target->state != ControlState::kFenced;
  if (fences && change.migration.spec.online()) change.status.cutover.attempts += 1;
}

void NoteDoorsOpen(const Change& change) {
  if (!UsersAreIn(change)) return;
  ClosePause(change, change.status.cutover);
  ClosePause(change, change.status.rollback);
}

}  // namespace

void NoteDoors(const Change& change) {
  NoteDoorsClosed(change);
  NoteWaitWithDoorsOpen(change);
  NoteFenceOfTarget(change);
  NoteDoorsOpen(change);
}

}  // namespace cutover::migration
