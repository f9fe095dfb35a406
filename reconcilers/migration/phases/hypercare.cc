// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Hypercare: users work on the target, checks run on. A failing check holds the migration here
/// with its words, for a person to judge; the strategy Offline has no reverse stream that could
/// carry users' writes back, so nothing goes back by itself.
Plan PlanHypercare(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.meta.deleting()) return Plan::Go(Guard::kHypercareOver, "deleted: finishing");
  NEED(seen.checks);
  for (const CheckOutcome& check : *seen.checks) {
    if (check.passed) continue;
    Plan plan =
        Plan::Wait(std::chrono::seconds(5), "holding: check " + check.name + ": " + check.message,
                   "HypercareCheckFailed");
    plan.trouble = true;
    return plan;
  }
  auto over = EnteredAt(migration, seen) + std::chrono::seconds(migration.spec.hypercare_seconds);
  if (seen.now >= over) return Plan::Go(Guard::kHypercareOver);
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(over - seen.now);
  return Plan::Wait(std::min(left, std::chrono::milliseconds(5'000)),
                    "users are in; watching until " + FormatTime(over));
}

}  // namespace cutover::migration
