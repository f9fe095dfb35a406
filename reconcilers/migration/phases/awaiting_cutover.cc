// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

bool Approved(const api::TenantMigration& migration) {
  if (migration.spec.approval == api::Approval::kAutomatic) return true;
  std::string token = migration.meta.Annotation(api::kApproveAnnotation);
  return !token.empty() && token != migration.status.handled.approve;
}

}  // namespace

/// AwaitingCutover: ready to close the doors. Leaves when approved and inside the window; a window
/// that has passed undoes the preparations, since they must not linger.
Plan PlanAwaitingCutover(const api::TenantMigration& migration, const Observation& seen) {
  const auto& spec = migration.spec;
  if (spec.window_end && seen.now >= *spec.window_end)
    return Plan::Undo("WindowMissed", "the window ended at " + FormatTime(*spec.window_end) +
                                          " before the doors could be closed: create a new "
                                          "TenantMigration with a later window");
  if (!Approved(migration))
    return Plan::Wait(std::chrono::seconds(30),
                      "ready to close the doors; answer with: kubectl annotate tm " +
                          migration.meta.name + " -n " + migration.meta.namespace_name +
                          " --overwrite cutover.dev/approve=\"$(date +%s)\"",
                      "AwaitingApproval");
  if (spec.window_start && seen.now < *spec.window_start) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(*spec.window_start - seen.now);
    return Plan::Wait(std::min(left, std::chrono::milliseconds(30'000)),
                      "waiting for the window, which starts at " + FormatTime(*spec.window_start),
                      "AwaitingWindow");
  }
  return Plan::Go(Guard::kDoorsMayClose);
}

}  // namespace cutover::migration
