// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

using api::Phase;

bool KeepsTooMuch(const api::TenantMigration& migration, const PublisherFacts& side) {
  return side.slot && side.retained_bytes > migration.spec.retained_wal_bytes_max;
}

// Of one publisher, before the switch. A slot that is lost, or keeps too much, ends the move: only
// a new copy can go on from there.
std::optional<Plan> SlotTrouble(const api::TenantMigration& migration,
                                const Fact<PublisherFacts>& publisher, const std::string& server) {
  if (!publisher.known() || !publisher->slot) return std::nullopt;
  const PublisherFacts& side = *publisher;
  if (side.slot_lost) return SlotLost(server);
  if (!KeepsTooMuch(migration, side) && !side.RunsOutOfWal()) return std::nullopt;
  return Plan::Undo("WalRetentionExceeded",
                    "server " + server + " keeps " + Megabytes(side.retained_bytes) +
                        " of WAL for the move: it writes faster than the other side reads, or the "
                        "other side is away; try again at a quieter time, or raise "
                        "copy.maxRetainedWalBytes and the server's max_slot_wal_keep_size");
}

// Whether going back, or the smoke checks, may take as long as they take while users work. Opening
// is over once they are in.
bool UsersWorkOn(const api::TenantMigrationStatus& status) {
  if (status.phase == Phase::kRollingBack)
    return status.cutover.opened_at && !status.rollback.fenced_at;
  return status.phase != Phase::kOpening && UsersWriteOnTarget(status);
}

// After the switch nothing can be undone. The server's other tenants come before the way back.
std::optional<Plan> GiveUpWayBack(const api::TenantMigration& migration, const Observation& seen) {
  ASK(seen.reverse_publisher);
  if (!seen.reverse_publisher.known() || !KeepsTooMuch(migration, *seen.reverse_publisher))
    return std::nullopt;
  // Whoever closed the doors last may have died before that was recorded.
  if (migration.status.phase == Phase::kRollingBack) {
    ASK(seen.target);
    if (!seen.target.known() || seen.target->state != ControlState::kOpen || seen.target->closed)
      return std::nullopt;
  }
  Plan plan = Plan::Do(Intent::kGiveUpWayBack, DescribeWayBackGivenUp(migration));
  plan.trouble = true;
  return plan;
}

}  // namespace

Plan SlotLost(const std::string& server) {
  return Plan::Undo("SlotLost", "server " + server +
                                    " has thrown away WAL that the move needed: raise "
                                    "max_slot_wal_keep_size there");
}

std::optional<Plan> BoundRetainedWal(const api::TenantMigration& migration,
                                     const Observation& seen) {
  if (!migration.spec.online()) return std::nullopt;
  switch (migration.status.phase) {
    case Phase::kCopying:
    case Phase::kCatchingUp:
    case Phase::kAwaitingCutover:
      ASK(seen.forward_publisher);
      ASK(seen.reverse_publisher);
      if (auto plan =
              SlotTrouble(migration, seen.forward_publisher, migration.status.source_server_name))
        return plan;
      return SlotTrouble(migration, seen.reverse_publisher, migration.spec.target_server_name);
    default:
      if (UsersWorkOn(migration.status)) return GiveUpWayBack(migration, seen);
      return std::nullopt;
  }
}

bool WayBackIsGivenUp(const api::TenantMigration& migration, const Observation& seen) {
  if (!seen.reverse_publisher.known()) return false;
  const PublisherFacts& target = *seen.reverse_publisher;
  if (target.slot) return KeepsTooMuch(migration, target);
  return FindWayBackGivenUp(migration.status) != nullptr;
}

const api::Condition* FindWayBackGivenUp(const api::TenantMigrationStatus& status) {
  const api::Condition* ready = status.conditions.Find("RollbackReady");
  return ready != nullptr && ready->reason == "WayBackGivenUp" ? ready : nullptr;
}

std::string DescribeWayBackGivenUp(const api::TenantMigration& migration) {
  return "the way back was given up: server " + migration.spec.target_server_name +
         " had to keep more WAL for it than copy.maxRetainedWalBytes (" +
         Megabytes(migration.spec.retained_wal_bytes_max) +
         "), since the source was away or could not keep up, and others share its disk; users work "
         "on, on the target; going back is left only without what had not arrived on the source: "
         "cutover.dev/rollback, and cutover.dev/accept-data-loss with the same token";
}

}  // namespace cutover::migration
