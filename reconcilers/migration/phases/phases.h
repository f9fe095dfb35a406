// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/plan.h"

namespace cutover::migration {

// One phase, one file. Each function is pure: no client, no clock (`Observation::now` is the time).
// Each is asked again after every effect and every change, and after every crash, so it must derive
// what is left to do from the observation alone.

Plan PlanPending(const api::TenantMigration& migration, const Observation& seen);
Plan PlanPreflight(const api::TenantMigration& migration, const Observation& seen);
Plan PlanBackingUp(const api::TenantMigration& migration, const Observation& seen);
Plan PlanPreparing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanAwaitingCutover(const api::TenantMigration& migration, const Observation& seen);
Plan PlanFencing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanCopying(const api::TenantMigration& migration, const Observation& seen);
Plan PlanFinalizing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanVerifying(const api::TenantMigration& migration, const Observation& seen);
Plan PlanSwitching(const api::TenantMigration& migration, const Observation& seen);
Plan PlanOpening(const api::TenantMigration& migration, const Observation& seen);
Plan PlanSmoke(const api::TenantMigration& migration, const Observation& seen);
Plan PlanAdmitting(const api::TenantMigration& migration, const Observation& seen);
Plan PlanHypercare(const api::TenantMigration& migration, const Observation& seen);
Plan PlanCompleting(const api::TenantMigration& migration, const Observation& seen);
Plan PlanUndoing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanRollingBack(const api::TenantMigration& migration, const Observation& seen);
/// Completed, Aborted, Failed, RolledBack: what is left to do in an end.
Plan PlanEnd(const api::TenantMigration& migration, const Observation& seen);

// What several phases share (common.cc); nothing when it is done.

/// Workloads as recorded, then the routes once these are ready.
std::optional<Plan> LetUsersBackIn(const api::TenantMigration& migration, const Observation& seen);
/// The maintenance page and the Jobs gone.
std::optional<Plan> RemoveHelpers(const Observation& seen);

/// When the current phase was entered; `seen.now` when status does not know it.
WallTime EnteredAt(const api::TenantMigration& migration, const Observation& seen);

}  // namespace cutover::migration
