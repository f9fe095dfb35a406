// SPDX-License-Identifier: Apache-2.0
#include "operator/api/write_pause.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Users come before tidiness: routes are given back after this even if the workload is not ready,
// since its own error says more than our page; and a pooler that does not answer keeps the move
// from going on for no longer.
constexpr std::chrono::minutes kReadyBound{2};

// Pods are given this long to end by themselves, with their transactions.
constexpr std::chrono::seconds kPodsPatience{120};
constexpr std::chrono::seconds kPodsPatienceOnline{30};

std::optional<WallTime> FindEntered(const api::TenantMigration& migration) {
  for (auto stage = migration.status.stages.rbegin(); stage != migration.status.stages.rend();
       ++stage)
    if (stage->name == Name(migration.status.phase) && stage->started_at) return stage->started_at;
  return std::nullopt;
}

// Waiting for them is a courtesy; the fence, which comes next, ends the sessions that they have,
// and is the proof that nobody writes. One that is on a dead node never goes, and users are out
// meanwhile: so never for longer than half of what they may be kept out at all.
bool PodsHadTheirTime(const api::TenantMigration& migration, const Observation& seen) {
  const api::TenantMigrationStatus& status = migration.status;
  const bool back = status.phase == api::Phase::kRollingBack;
  std::optional<WallTime> since = back ? status.rollback.fenced_at : status.cutover.fenced_at;
  if (!since) since = FindEntered(migration);
  if (!since) return true;  // Of a migration that has vanished: nobody knows when it began.
  std::chrono::milliseconds patience =
      migration.spec.online() ? kPodsPatienceOnline : kPodsPatience;
  if (const std::optional<int> bound = api::WritePauseSecondsMax(migration.spec))
    patience = std::min(patience, std::chrono::milliseconds(int64_t{*bound} * 500));
  return seen.now - *since >= patience;
}

// Nobody waits yet, and asking in vain would count as closing the doors: while going back users go
// on meanwhile, and so does the stream by which they may.
Plan AwaitAllPoolers(const api::TenantMigration& migration, const Error& silent) {
  Plan plan = Plan::Unknown(silent, "no client is stopped before every pooler answers: ");
  const bool back = migration.status.phase == api::Phase::kRollingBack;
  if (back && migration.spec.online()) plan.effect = Intent::kWatchReverseStream;
  return plan;
}

}  // namespace

WallTime EnteredAt(const api::TenantMigration& migration, const Observation& seen) {
  return FindEntered(migration).value_or(seen.now);
}

std::optional<Plan> CloseDoors(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.spec.by_pooler()) {
    NEED(seen.poolers);
    if (seen.poolers->paused && !seen.poolers->silent) return std::nullopt;
    if (seen.poolers->silent) {
      // That asks all of them, and resumes the rest in vain. Behind a fence nobody is let in; where
      // it is not known whether there is one, that is looked for next.
      const bool back = migration.status.phase == api::Phase::kRollingBack;
      const Fact<DatabaseFacts>& side = back ? seen.target : seen.source;
      ASK(side);
      if (!side.known() || !side->exists || side->closed) return std::nullopt;
      if (seen.poolers->resumed) return AwaitAllPoolers(migration, *seen.poolers->silent);
    }
    return Plan::Do(Intent::kPausePoolers, "pausing the poolers");
  }
  NEED(seen.routes);
  if (!seen.routes->at_maintenance)
    return Plan::Do(Intent::kFlipRoutes, "sending users to the maintenance page");
  NEED(seen.workloads);
  if (seen.workloads->stopped) return std::nullopt;
  // Asked for again whenever an autoscaler or Git has scaled back meanwhile.
  if (!seen.workloads->scaled_down)
    return Plan::Do(Intent::kStopWorkloads, "stopping the workloads");
  if (PodsHadTheirTime(migration, seen)) return std::nullopt;
  return Plan::Wait(std::chrono::milliseconds(250), seen.workloads->detail);
}

std::optional<Plan> LetUsersBackIn(const api::TenantMigration& migration, const Observation& seen) {
  if (migration.spec.by_pooler()) {
    NEED(seen.poolers);
    const bool opening = migration.status.phase == api::Phase::kOpening;
    const bool proof_needed = opening && !migration.status.cutover.opened_at;
    if (!seen.poolers->resumed || (proof_needed && !seen.poolers->proven))
      return Plan::Do(Intent::kResumePoolers, "letting clients go on");
    if (opening) return std::nullopt;  // The stream is turned first.
    return AwaitSilentPoolers(migration, seen);
  }
  NEED(seen.workloads);
  if (!seen.workloads->as_recorded)
    return Plan::Do(Intent::kStartWorkloads, "starting the workloads again");
  NEED(seen.routes);
  if (seen.routes->as_recorded) return std::nullopt;
  bool waited = seen.now - EnteredAt(migration, seen) > kReadyBound;
  if (!seen.workloads->ready && !waited)
    return Plan::Wait(std::chrono::milliseconds(250), seen.workloads->detail);
  return Plan::Do(Intent::kRestoreRoutes, "letting users in again");
}

std::optional<Plan> SeeWhetherUsersAreIn(const api::TenantMigration& migration,
                                         const Observation& seen) {
  if (!migration.spec.online() || migration.spec.by_pooler()) return std::nullopt;
  if (migration.status.cutover.opened_at) return std::nullopt;
  ASK(seen.routes);
  ASK(seen.workloads);
  return std::nullopt;
}

std::optional<Plan> AwaitSilentPoolers(const api::TenantMigration& migration,
                                       const Observation& seen) {
  NEED(seen.poolers);
  const std::optional<WallTime> since = FindEntered(migration);  // None of one that has vanished.
  if (!seen.poolers->silent || !since || seen.now - *since > kReadyBound) return std::nullopt;
  return Plan::Unknown(*seen.poolers->silent, "clients go on, but not at every pooler: ");
}

ObjectsAtStake FindObjectsAtStake(const api::TenantMigration& migration) {
  if (migration.status.cutover.attempts == 0) return {};  // The doors were never tried.
  return {.doors = !migration.spec.by_pooler(),
          .wiring = migration.status.phase == api::Phase::kRollingBack};
}

std::optional<Plan> OutdateRequests(const api::TenantMigration& migration,
                                    const Observation& seen) {
  const ObjectsAtStake stake = FindObjectsAtStake(migration);
  if (!stake.doors && !stake.wiring) return std::nullopt;
  NEED(seen.requests_outdated);
  if (*seen.requests_outdated) return std::nullopt;
  return Plan::Do(Intent::kOutdateRequests,
                  "making sure that no former leader's request comes late");
}

bool IsHalfDropped(const Fact<DatabaseFacts>& side) {
  return !side.known() && side.error().reason == "HalfDropped";
}

bool SourceIsGone(const Observation& seen) {
  if (!seen.source.known()) return false;
  return !seen.source->exists || seen.source->state == ControlState::kNone;
}

std::string WhySourceIsGone(const api::TenantMigration& migration) {
  return "the database that the tenant has left is no longer on server " +
         migration.status.source_server_name + ", so there is nothing to go back to";
}

Plan AwaitPod(const PodHindrance& hindrance) {
  Plan plan = Plan::Wait(std::chrono::seconds(2), hindrance.words, "PodCannotStart");
  plan.trouble = true;
  return plan;
}

std::optional<Plan> AwaitMaintenancePage(const Observation& seen) {
  NEED(seen.maintenance_page);
  if (!seen.maintenance_page->exists || seen.maintenance_page->half)
    return Plan::Do(Intent::kEnsureMaintenancePage, "starting the maintenance page");
  if (seen.maintenance_page->ready) return std::nullopt;
  if (seen.maintenance_page->hindrance) return AwaitPod(*seen.maintenance_page->hindrance);
  return Plan::Wait(std::chrono::milliseconds(500), "waiting for the maintenance page's pod");
}

std::optional<Plan> RemoveHelpers(const Observation& seen) {
  NEED(seen.maintenance_page);
  if (seen.maintenance_page->exists)
    return Plan::Do(Intent::kDeleteMaintenancePage, "removing the maintenance page");
  NEED(seen.backup_job);
  NEED(seen.copy_job);
  NEED(seen.check_jobs);
  bool any = false;
  for (const JobFacts* jobs : {&*seen.backup_job, &*seen.copy_job, &*seen.check_jobs}) {
    if (jobs->exists && !jobs->going) return Plan::Do(Intent::kDeleteJobs, "removing the Jobs");
    any |= jobs->exists && !jobs->abandoned;
  }
  // Asking again would not make their pods end any sooner.
  if (any) return Plan::Wait(std::chrono::milliseconds(500), "waiting for the Jobs' pods to end");
  return std::nullopt;
}

}  // namespace cutover::migration
