// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Admitting: users in, by giving the routes back exactly what they had. From the first route on,
/// going back would lose what users write on the target.
Plan PlanAdmitting(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.spec.by_pooler()) return Plan::Go(Guard::kUsersAreIn);
  NEED(seen.routes);
  if (!seen.routes->as_recorded) return Plan::Do(Intent::kRestoreRoutes, "letting users in");
  return Plan::Go(Guard::kUsersAreIn);
}

}  // namespace cutover::migration
