// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/migration/world.h"

namespace cutover::migration {

struct StepResult {
  api::TenantMigrationStatus status;  ///< As recorded.
  std::string resource_version;       ///< Of the object with that status.
  bool moved = false;                 ///< Something was done or decided: look again at once.
  std::chrono::milliseconds wait{
      0};  ///< When not moved: look again after this; 0: when it changes.
};

/// One round: observe, decide, record what is about to be done, do it. Keeps nothing between calls:
/// whoever comes next, after whatever crash, goes on from status and the databases.
///
/// What is about to be done is recorded first, so that status tells the truth while an effect
/// hangs (but for the words alone, while clients wait in a pooler); that it was done is never
/// recorded but seen. Errors: Conflict (read the object again) and Deposed (stop) are returned;
/// everything else that goes wrong is in the status.
Result<StepResult> RunOnce(World& world, std::stop_token stop, Deadline deadline,
                           const api::TenantMigration& migration);

}  // namespace cutover::migration
