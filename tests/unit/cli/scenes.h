// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/view/snapshot.h"
#include "operator/api/tenant_migration.h"

namespace cutover::cli::testing {

/// 2026-11-21T03:04:05Z: somebody was woken up.
WallTime Night();

/// A migration as the operator leaves it: typed, so that encoding it is the operator's own. Its
/// phases were entered ten seconds after each other, the present one 42 seconds before Night().
api::TenantMigration MigrationIn(api::Phase phase);

/// Sets Ready and Reconciling as the operator does while something goes on.
void GoOn(api::TenantMigration& migration, const std::string& reason, const std::string& message,
          bool trouble = false);

/// The object as the API server gives it.
Json ObjectOf(const api::TenantMigration& migration);

/// What one sees of it at Night(): two servers that are ready, and an operator that leads.
Snapshot Seen(const api::TenantMigration& migration);

/// A migration in `phase` with what its status then holds: progress, proof, moments, conditions.
api::TenantMigration Typical(api::Phase phase);

/// The same of strategy Online in Hypercare, with its way back open.
api::TenantMigration OnlineInHypercare();

/// A check of Hypercare whose last run was twelve seconds ago, and one is due each minute.
api::CheckStatus CheckThat(const std::string& name, api::CheckResult result, int64_t failures,
                           const std::string& message);

/// Every phase that there is.
std::vector<api::Phase> AllPhases();

}  // namespace cutover::cli::testing
