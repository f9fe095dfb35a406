// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/plan.h"
#include "reconcilers/migration/transitions.h"

/// What Advance() is made of: each function writes its part of the status, and only that. Pure.
namespace cutover::migration {

/// One look and what was decided by it, as they change the status.
struct Change {
  const api::TenantMigration& migration;
  const Observation& seen;
  const Plan& plan;
  api::TenantMigrationStatus& status;

  void Set(std::string type, api::ConditionStatus value, std::string reason,
           std::string message) const {
    api::Condition condition;
    condition.type = std::move(type);
    condition.status = value;
    condition.reason = std::move(reason);
    condition.message = std::move(message);
    condition.observed_generation = migration.meta.generation;
    status.conditions.Set(std::move(condition), seen.now);
  }
};

/// The stage of `phase`, made where it is not there yet.
api::Stage& StageOf(api::TenantMigrationStatus& status, api::Phase phase);
void OpenStage(const Change& change, api::Phase phase);

/// The phase behind `guard`, and what the guard proves: conditions, moments, attempts.
void Enter(const Change& change, Guard guard, api::Phase from, api::Phase to);

/// Since when users have been out, and until when: on the way there and on the way back.
void NoteDoors(const Change& change);
/// A pause that has begun, and ends now that users are in again. Pause: CutoverStatus or
/// RollbackStatus.
template <class Pause>
void ClosePause(const Change& change, Pause& pause) {
  if (!pause.fenced_at || pause.opened_at) return;
  const auto& poolers = change.seen.poolers;
  pause.opened_at = poolers.known() && poolers->since ? *poolers->since : change.seen.now;
  pause.write_pause_milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(*pause.opened_at - *pause.fenced_at)
          .count();
}

/// How long doors that were closed in vain stay open before they are closed again.
inline constexpr std::chrono::seconds kBackOffMin{30}, kBackOffMax{600};

/// How far copy and stream have come.
void NoteProgress(const Change& change);

/// RollbackReady as long as there is a way back to be asked about, and InSync of the way there.
void NoteStreams(const Change& change);

/// How it ended, in a sentence; empty for a phase that is no end.
std::string EndMessage(const api::TenantMigrationStatus& status);
/// Ready, Succeeded, Reconciling, Stalled, as kstatus reads them.
void SetSummary(const Change& change);

}  // namespace cutover::migration
