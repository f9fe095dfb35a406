// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Holds with the check's words, for a person to judge, or goes back with everything that users have
// written since: only where the spec asks for it, and only while that loses nothing.
std::optional<Plan> JudgeChecks(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.checks);
  for (const CheckOutcome& check : *seen.checks) {
    if (check.passed) continue;
    std::string words = "check " + check.name + ": " + check.message;
    bool go_back = migration.spec.on_failed_checks == api::OnFailedChecks::kRollback;
    if (go_back && WayBackIsOpen(seen)) return Plan::RollBack("HypercareCheckFailed", words);
    Plan plan = Plan::Wait(std::chrono::seconds(5), "holding: " + words, "HypercareCheckFailed");
    plan.trouble = true;
    return plan;
  }
  return std::nullopt;
}

// Online: what is left of the stream to the target goes, since its slot would keep WAL for nothing;
// the one back is watched.
std::optional<Plan> KeepWayBack(const Observation& seen) {
  if (auto plan = TurnStream(seen)) return plan;
  ASK(seen.reverse_publisher);
  ASK(seen.forward_publisher);
  // A source that is away keeps its own; that is no reason not to go on watching.
  if (!seen.forward_publisher.known()) return std::nullopt;
  return RemoveForwardStream(seen);
}

}  // namespace

/// Hypercare: users work on the target, checks run on, and Online the way back stays open.
Plan PlanHypercare(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.meta.deleting()) return Plan::Go(Guard::kHypercareOver, "deleted: finishing");
  bool online = migration.spec.online();
  if (online) {
    if (auto plan = KeepWayBack(seen)) return *plan;
  }
  if (auto plan = JudgeChecks(migration, seen)) {
    if (online && !plan->guard) plan->effect = Intent::kWatchReverseStream;
    return *plan;
  }
  auto over = EnteredAt(migration, seen) + std::chrono::seconds(migration.spec.hypercare_seconds);
  if (seen.now >= over) return Plan::Go(Guard::kHypercareOver);
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(over - seen.now);
  Plan plan = Plan::Wait(std::min(left, std::chrono::milliseconds(online ? 2'000 : 5'000)),
                         "users are in; watching until " + FormatTime(over));
  if (online) plan.effect = Intent::kWatchReverseStream;
  return plan;
}

}  // namespace cutover::migration
