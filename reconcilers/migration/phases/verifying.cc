// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Verifying: nothing switches unverified. Leaves on a result of this attempt that says equal and
/// counts no mismatch; anything else undoes.
Plan PlanVerifying(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.copy_result);
  const auto& result = *seen.copy_result;
  if (!result || result->attempt != migration.status.attempt)
    return Plan::Undo("VerificationMissing",
                      "the target database holds no verification result of this attempt");
  if (!result->Proven()) return Plan::Undo("VerificationFailed", result->report);
  NEED(seen.target);
  if (seen.target->state == ControlState::kCopied)
    return Plan::Do(Intent::kMarkVerified, "both sides are equal");
  if (seen.target->state != ControlState::kVerified)
    return Plan::Undo("TargetChanged", "the target database is not the one that was verified (" +
                                           std::string(Name(seen.target->state)) + ")");
  return Plan::Go(Guard::kVerified, result->Describe());
}

}  // namespace cutover::migration
