// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// Since when `after` has its phase and its reason, which is that of condition Ready, if it follows
/// `before`. Pure.
///
/// Another phase begins anew, also with the same reason; so does another reason, and so does none
/// any more, which Ready says with the phase's name. Another message does not. Where `before` does
/// not say it, having been written by an operator that did not keep it, it begins with the next
/// status that differs from it in anything else.
std::optional<WallTime> ReasonSince(const api::TenantMigrationStatus& before,
                                    const api::TenantMigrationStatus& after, WallTime now);

/// The status that follows from a decision: phase, stages, conditions, progress. Pure. Equal inputs
/// give equal statuses, and a decision that changes nothing gives the status it was given, so that
/// a converged object causes no write.
api::TenantMigrationStatus Advance(const api::TenantMigration& migration, const Observation& seen,
                                   const Decision& decision);

}  // namespace cutover::migration
