// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Switching: the journal, and nothing else. One compare-and-set in the source database, made only
/// while the fence is proven and the target is verified and still closed. If its answer is lost,
/// the next observation tells whether it happened.
/// Online, the way back has to stand before there is no other.
Plan PlanSwitching(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.source);
  if (seen.source->state == ControlState::kJournaled) return Plan::Go(Guard::kJournaled);
  if (!seen.source->ProvenFenced())
    return Plan::Undo("FenceBroken", "somebody opened the source database before the switch: " +
                                         seen.source->detail);
  NEED(seen.target);
  if (seen.target->state != ControlState::kVerified || !seen.target->closed)
    return Plan::Undo("TargetChanged",
                      "the target database is not as it was verified: " + seen.target->detail);
  if (migration.spec.online()) {
    NEED(seen.reverse_publisher);
    NEED(seen.reverse_subscriber);
    if (StreamBackIsGone(seen))
      return Plan::Undo("NoWayBack", "the way back does not stand: " + WhyWayBackIsShut(seen));
  }
  return Plan::Do(Intent::kJournal, "writing the journal: from here only forward");
}

}  // namespace cutover::migration
