// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Smoke: the checks ask the workloads themselves, past the route, before a user can. A check may
/// go on failing until its own timeout, since workloads take their time; then the tenant goes back
/// by itself. Nothing of any user is lost: none is in.
Plan PlanSmoke(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.checks);
  auto elapsed = seen.now - EnteredAt(migration, seen);
  std::string failing;
  for (const CheckOutcome& check : *seen.checks) {
    if (check.passed) continue;
    if (!failing.empty()) failing += "; ";
    failing += check.name + ": " + check.message;
    if (elapsed >= std::chrono::seconds(check.timeout_seconds))
      return Plan::RollBack("SmokeFailed", "check " + failing);
  }
  if (!failing.empty()) return Plan::Wait(std::chrono::milliseconds(500), "not yet: " + failing);
  return Plan::Go(Guard::kSmokePassed,
                  std::to_string(seen.checks->size()) + " smoke checks passed");
}

}  // namespace cutover::migration
