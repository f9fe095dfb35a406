// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// Preparing: all that can be done before users notice. Order: first the ledger, without which
/// nothing may be changed, since it says what was there and which database is meant; then the claim
/// on the source database, which keeps every other operator out; then what takes time.
Plan PlanPreparing(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.ledger_recorded);
  if (!*seen.ledger_recorded)
    return Plan::Do(Intent::kRecordLedger, "writing down replicas, routes and wiring as they are");
  NEED(seen.source);
  if (seen.source->foreign)
    return Plan::Undo("ForeignMigration",
                      "the source database is held by another migration: " + seen.source->detail);
  if (seen.source->state == ControlState::kNone)
    return Plan::Do(Intent::kClaimSource, "claiming the source database");
  bool needs_page = !migration.spec.by_pooler();
  if (needs_page) {
    NEED(seen.maintenance_page);
    if (!seen.maintenance_page->exists || seen.maintenance_page->half)
      return Plan::Do(Intent::kEnsureMaintenancePage, "starting the maintenance page");
  }
  NEED(seen.target);
  if (seen.target->foreign)
    return Plan::Undo("TargetExists",
                      "the target database belongs to somebody else: " + seen.target->detail);
  if (seen.target->state == ControlState::kNone)
    return Plan::Do(Intent::kPrepareTarget, "creating the target database, closed to everybody");
  if (migration.spec.online()) {
    NEED(seen.forward_publisher);
    if (!seen.forward_publisher->published)
      return Plan::Do(Intent::kPublishSource, "publishing the source's tables");
  }
  if (needs_page) {
    if (auto plan = AwaitMaintenancePage(seen)) return *plan;
  }
  return Plan::Go(migration.spec.online() ? Guard::kSourcePublished : Guard::kTargetPrepared);
}

}  // namespace cutover::migration
