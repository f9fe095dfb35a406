// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// The status that follows from a decision: phase, stages, conditions, progress. Pure. Equal inputs
/// give equal statuses, and a decision that changes nothing gives the status it was given, so that
/// a converged object causes no write.
api::TenantMigrationStatus Advance(const api::TenantMigration& migration, const Observation& seen,
                                   const Decision& decision);

}  // namespace cutover::migration
