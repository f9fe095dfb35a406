// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/migration/world.h"

namespace cutover::migration {

struct StepResult {
  Observation seen;
  api::TenantMigrationStatus status;    ///< As decided.
  api::TenantMigrationStatus recorded;  ///< As the API server holds it.
  std::string resource_version;         ///< Of the object with the recorded status.
  bool moved = false;                   ///< Something was done or decided: look again at once.
  std::chrono::milliseconds wait{
      0};  ///< When not moved: look again after this; 0: when it changes.
};

/// One round: observe, decide, record what is about to be done, do it. Keeps nothing between calls:
/// whoever comes next, after whatever crash, goes on from status and the databases.
///
/// What is about to be done is recorded first, so that status tells the truth while an effect
/// hangs; that it was done is never recorded but seen. Errors: Conflict (read the object again) and
/// Deposed (stop) are returned; everything else that goes wrong is in the status.
///
/// While clients wait in a pooler, a record would take longer than what it tells of, so there only
/// some are made: entering Fencing, entering Switching (which also finds out whether a person has
/// commanded something meanwhile, before the journal), the doors' opening, and whatever goes wrong
/// or has to be waited for. Phases between them are entered in `status` alone: hand that to the
/// next round with `recorded`, or lose it; the databases lead through the same phases again.
Result<StepResult> RunOnce(World& world, std::stop_token stop, Deadline deadline,
                           const api::TenantMigration& migration,
                           const api::TenantMigrationStatus& recorded);

/// Of a migration that is over and asks for nothing (no look, no effect, nothing to record): how
/// long it rests, 0 for until it changes. Nothing when RunOnce has something to find out or to do.
///
/// Pure, and true of a version that is behind the API server's, too: out of an end only an
/// annotation, a deletion and time lead, and the first two are changes that call for another look.
std::optional<std::chrono::milliseconds> RestOf(const api::TenantMigration& migration,
                                                WallTime now);

}  // namespace cutover::migration
