// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Finalizing: what the copy does not carry by itself. Every sequence is set from the source and
/// compared, and the figures that the profile will ask for again after the switch are read from the
/// fenced source.
Plan PlanFinalizing(const api::TenantMigration&, const Observation& seen) {
  NEED(seen.target);
  if (seen.target->state == ControlState::kPreparing)
    return Plan::Do(Intent::kFinalizeTarget, "setting sequences, reading the profile's figures");
  if (seen.target->state == ControlState::kCopied || seen.target->state == ControlState::kVerified)
    return Plan::Go(Guard::kFinalized);
  return Plan::Undo("TargetChanged", "the target database is not the one that was copied into (" +
                                         std::string(Name(seen.target->state)) + ")");
}

}  // namespace cutover::migration
