// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/transitions.h"

namespace cutover::migration {
namespace {

bool IsAsRetired(const DatabaseFacts& source) {
  return !source.foreign && (source.state == ControlState::kDropping ||
                             (source.state == ControlState::kRetired && source.ProvenFenced()));
}

// The last check before the one thing that nothing can undo: the source is ours, retired and still
// fenced, and the tenant is seen to live elsewhere. (It may have moved on from our target since.)
// Why the source has to stay; empty when it may be dropped.
std::string WhyKeepSource(const api::TenantMigration& migration, const Observation& seen) {
  const PlacementFacts& placement = *seen.placement;
  if (placement.server_name.empty() || placement.server_name == migration.status.source_server_name)
    return "the placement does not say that the tenant lives elsewhere";
  if (!IsHalfDropped(seen.source) && !IsAsRetired(*seen.source))
    return "it is not as it was retired: " + seen.source->detail;
  bool still_on_target = placement.server_name == migration.spec.target_server_name;
  if (still_on_target && (!seen.target->exists || seen.target->closed))
    return "the tenant's own is not open: " + seen.target->detail;
  return "";
}

Plan PlanRetention(const api::TenantMigration& migration, const Observation& seen) {
  constexpr std::chrono::minutes kLookAgain{5};
  const std::string kept = "keeping the source database past its retention: ";
  constexpr std::chrono::seconds kAskAgain{10};  // A server that is away is often back soon.
  if (migration.spec.reclaim_policy != api::ReclaimPolicy::kDelete ||
      migration.status.conditions.IsTrue("SourceReclaimed"))
    return Plan::Wait(std::chrono::milliseconds(0), "");
  auto until = EnteredAt(migration, seen) + std::chrono::seconds(migration.spec.retention_seconds);
  if (seen.now < until) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - seen.now);
    return Plan::Wait(std::min(left, std::chrono::milliseconds(3'600'000)), "");
  }
  ASK(seen.placement);
  // Before the databases, whose names only it says.
  if (seen.placement.known() && !seen.placement->exists)
    return Plan::Wait(kLookAgain,
                      kept + "DatabasePlacement " + migration.spec.placement_name +
                          " is gone, so nothing says where the tenant lives: create it again, or "
                          "drop the database by hand");
  ASK(seen.source);
  ASK(seen.target);
  const bool half_dropped = IsHalfDropped(seen.source);
  if ((!seen.source.known() && !half_dropped) || !seen.target.known() || !seen.placement.known())
    return Plan::Wait(kAskAgain, "");
  if (!half_dropped && !seen.source->exists) return Plan::Go(Guard::kSourceGone);
  if (std::string why = WhyKeepSource(migration, seen); !why.empty())
    return Plan::Wait(kLookAgain, kept + why);
  if (half_dropped || seen.source->state == ControlState::kDropping)
    return Plan::Do(Intent::kDropSource, "");
  // What nothing can undo is not left to one clock: this leader's may be ahead.
  ASK(seen.forward_publisher);
  if (!seen.forward_publisher.known()) return Plan::Wait(kAskAgain, "");
  const double until_seconds = std::chrono::duration<double>(until.time_since_epoch()).count();
  if (seen.forward_publisher->clock_seconds < until_seconds)
    return Plan::Wait(kLookAgain,
                      "keeping the source database: its retention ends at " + FormatTime(until) +
                          ", which is over by the operator's clock and not by that of server " +
                          migration.status.source_server_name + ": set right whichever is wrong");
  return Plan::Do(Intent::kDropSource, "");
}

// The tenant went back to the source, and is there still unless it has moved on: should the
// database there be gone, the copy may be all that is left of the tenant.
std::optional<Plan> KeepTheOnlyCopy(const api::TenantMigration& migration,
                                    const Observation& seen) {
  ASK(seen.placement);
  const std::string& source = migration.status.source_server_name;
  const bool has_moved_on = seen.placement.known() && seen.placement->exists &&
                            !seen.placement->server_name.empty() &&
                            seen.placement->server_name != source &&
                            seen.placement->server_name != migration.spec.target_server_name;
  if (has_moved_on) return std::nullopt;
  ASK(seen.source);
  if (!IsHalfDropped(seen.source)) {
    NEED(seen.source);
    if (seen.source->exists) return std::nullopt;
  }
  return Plan::Wait(std::chrono::seconds(30),
                    "the database that the tenant went back to is gone from server " + source +
                        ", so the copy on the target may be the only one: keeping it; restore the "
                        "database from it, or, once you have saved the copy, drop it yourself",
                    "SourceGone");
}

// Dropping the copy needs the ledger, which says which database it is; so the ledger goes after it.
std::optional<Plan> DropCopy(const api::TenantMigration& migration, const Observation& seen) {
  constexpr char kDroppingTheCopy[] = "dropping the copy on the target";
  NEED(seen.ledger_recorded);
  if (!*seen.ledger_recorded) return std::nullopt;
  ASK(seen.target);
  if (IsHalfDropped(seen.target)) return Plan::Do(Intent::kDropTarget, kDroppingTheCopy);
  NEED(seen.target);
  if (seen.target->exists && seen.target->OursToDrop()) {
    if (auto plan = KeepTheOnlyCopy(migration, seen)) return plan;
  }
  if (seen.target->OursToDrop()) return Plan::Do(Intent::kDropTarget, kDroppingTheCopy);
  return Plan::Do(Intent::kDeleteLedger, "removing the ledger");
}

bool IsOnTarget(const api::TenantMigration& migration, const PlacementFacts& placement) {
  return placement.server_name == migration.spec.target_server_name;
}

// Whether the tenant is where this migration has left it. One that vanished half way was settled
// either way.
bool IsAtHome(const api::TenantMigration& migration, const PlacementFacts& placement) {
  const bool on_target = IsOnTarget(migration, placement);
  const bool on_source = placement.server_name == migration.status.source_server_name;
  if (!IsEnd(migration.status.phase)) return on_target || on_source;
  return migration.status.phase == api::Phase::kCompleted ? on_target : on_source;
}

// Whether poolers are still to be looked at.
bool MayBePausedLate(const api::TenantMigration& migration, const Observation& seen) {
  return HasPausedPoolers(migration) && seen.now - EnteredAt(migration, seen) < kLatePauseMax;
}

}  // namespace

bool HasPausedPoolers(const api::TenantMigration& migration) {
  return migration.spec.by_pooler() && migration.status.cutover.attempts > 0;
}

std::optional<Plan> LetLeftBehindGo(const api::TenantMigration& migration,
                                    const Observation& seen) {
  constexpr std::chrono::seconds kTurn{2};
  if (!MayBePausedLate(migration, seen)) return std::nullopt;
  const auto elapsed = seen.now - EnteredAt(migration, seen);
  if ((elapsed / kTurn) % (kLookAtPoolers / kTurn) != 0) return std::nullopt;
  ASK(seen.poolers);
  if (!seen.poolers.known() || seen.poolers->resumed) return std::nullopt;
  return Plan::Do(Intent::kResumePoolers, "letting clients go on at a pooler that was left paused");
}

std::optional<Plan> LetLateClientsGo(const api::TenantMigration& migration,
                                     const Observation& seen) {
  ASK(seen.poolers);
  if (!seen.poolers.known() || seen.poolers->resumed) return std::nullopt;
  // A later migration that has paused them has been under way for long by then.
  ASK(seen.placement);
  if (!seen.placement.known() || !seen.placement->rival_migration.empty()) return std::nullopt;
  if (!IsAtHome(migration, *seen.placement)) return std::nullopt;
  const Fact<DatabaseFacts>& home =
      IsOnTarget(migration, *seen.placement) ? seen.target : seen.source;
  ASK(home);
  if (!home.known() || home->closed) return std::nullopt;
  return Plan::Do(Intent::kResumePoolers, "");
}

/// The ends. Completed waits for the source's retention; RolledBack keeps the copy for forensics;
/// every end lets go of its finalizer once the object is deleted. Where poolers were paused they
/// are looked at for a while.
Plan PlanEnd(const api::TenantMigration& migration, const Observation& seen) {
  const bool may_be_paused = MayBePausedLate(migration, seen);
  if (may_be_paused) {
    if (auto plan = LetLateClientsGo(migration, seen)) return *plan;
  }
  bool held = migration.meta.HasFinalizer(api::kFinalizer);
  if (migration.meta.deleting() && held) {
    if (migration.status.phase == api::Phase::kRolledBack) {
      if (auto plan = DropCopy(migration, seen)) return *plan;
    }
    return Plan::Do(Intent::kRemoveFinalizer, "");
  }
  Plan plan = Plan::Wait(std::chrono::milliseconds(0), "");
  if (migration.status.phase == api::Phase::kCompleted) plan = PlanRetention(migration, seen);
  const bool only_waits = !plan.look_at && !plan.effect && !plan.guard;
  if (only_waits && may_be_paused && (plan.wait.count() == 0 || plan.wait > kLookAtPoolers))
    plan.wait = kLookAtPoolers;
  return plan;
}

}  // namespace cutover::migration
