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

// What the doors wait for beside the target; nothing when they may close.
std::optional<Plan> NotYet(const api::TenantMigration& migration, const Observation& seen) {
  const auto& spec = migration.spec;
  const bool is_early = spec.window_start && seen.now < *spec.window_start;
  if (!Approved(migration))
    return Plan::Wait(
        std::chrono::seconds(30),
        "ready to close the doors" +
            (is_early ? ", not before the window, which starts at " + FormatTime(*spec.window_start)
                      : std::string()) +
            "; answer with: kubectl annotate tm " + migration.meta.name + " -n " +
            migration.meta.namespace_name + " --overwrite cutover.dev/approve=\"$(date +%s)\"",
        "AwaitingApproval");
  if (!is_early) return std::nullopt;
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*spec.window_start - seen.now);
  return Plan::Wait(std::min(left, std::chrono::milliseconds(30'000)),
                    "waiting for the window, which starts at " + FormatTime(*spec.window_start),
                    "AwaitingWindow");
}

// A fence that would be refused is not tried: users would be stopped for nothing, again and again.
std::optional<Plan> AwaitFence(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.source);
  const auto why = WhyNoFence(seen.source, migration.status.source_server_name);
  if (!why) return std::nullopt;
  return Plan::Unknown(*why, "the doors stay open: ");
}

// Online, the target goes on following while the doors wait, and has to be close when they close.
std::optional<Plan> KeepFollowing(const api::TenantMigration& migration, const Observation& seen,
                                  std::optional<Plan> waiting) {
  if (auto plan = TroubleOfStream(migration, seen)) return plan;
  if (!FollowsClosely(migration, seen))
    return Plan::Go(Guard::kFellBehind,
                    DescribeLag(*seen.forward_subscriber, *seen.forward_publisher));
  if (!waiting || waiting->effect || waiting->look_at) return waiting;
  waiting->effect = Intent::kWatchStream;
  waiting->wait = std::min(waiting->wait, std::chrono::milliseconds(5'000));
  return waiting;
}

}  // namespace

/// AwaitingCutover: ready to close the doors. Leaves when approved and inside the window, with a
/// page that is ready; a window that has passed undoes the preparations, since they must not
/// linger.
Plan PlanAwaitingCutover(const api::TenantMigration& migration, const Observation& seen) {
  const auto& spec = migration.spec;
  if (auto plan = LetLeftBehindGo(migration, seen)) return *plan;
  if (spec.window_end && seen.now >= *spec.window_end)
    return Plan::Undo("WindowMissed", "the window ended at " + FormatTime(*spec.window_end) +
                                          " before the doors could be closed: create a new "
                                          "TenantMigration with a later window");
  auto waiting = NotYet(migration, seen);
  // It was ready when it was made, which may be days ago: users would be sent to nothing.
  if (!waiting && !spec.by_pooler()) waiting = AwaitMaintenancePage(seen);
  if (!waiting) waiting = AwaitFence(migration, seen);
  if (spec.online()) waiting = KeepFollowing(migration, seen, std::move(waiting));
  if (waiting) return *waiting;
  // A way back that is not there is found while users work. Approval may have been waited for for
  // days since it was laid.
  if (spec.online()) {
    NEED(seen.way_back_rehearsed);
    NEED(seen.reverse_subscriber);
    if (!*seen.way_back_rehearsed || !seen.reverse_subscriber->address_current)
      return Plan::Do(Intent::kRehearseWayBack, "trying the way back before the doors close");
  }
  // One whom the target's pg_hba.conf keeps out, or who has another password there, would be
  // noticed only when it is the only side that he has.
  NEED(seen.tenant_known);
  if (!*seen.tenant_known)
    return Plan::Do(Intent::kPrepareTarget,
                    "giving the tenant's role on the target the password that it has by now");
  // Poolers that cannot be asked now could not be paused; and what it takes to reach them is done
  // before clients wait.
  if (spec.by_pooler()) {
    NEED(seen.poolers);
    if (seen.poolers->silent) return Plan::Unknown(*seen.poolers->silent);
  }
  return Plan::Go(Guard::kDoorsMayClose);
}

}  // namespace cutover::migration
