// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/plan.h"

namespace cutover::migration {

/// What one decision does to status besides the plan: tokens that were seen.
struct Decision {
  Plan plan;
  api::HandledTokens handled;
};

/// The whole decision, pure: commands and deletion first, then bounds, then the phase's own plan.
/// Deterministic in its arguments; never blocks; never fails.
Decision Decide(const api::TenantMigration& migration, const Observation& seen);

}  // namespace cutover::migration
