// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/orphans/late_pause.h"

#include <optional>
#include <utility>

#include "operator/base/log.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

bool LatePauses::Remember(const api::TenantMigration& gone) {
  if (!HasPausedPoolers(gone)) return false;
  const SteadyTime now = context_.clock.SteadyNow();
  MutexLock lock(mutex_);
  Forget(now);
  Gone& entry = gone_[gone.meta.uid];
  entry = {gone, now + kLatePauseMax};
  // By this it is known to be over, and rivals are looked for: whoever takes the finalizer away by
  // hand before he deletes leaves none.
  if (!gone.meta.deleting()) entry.migration.meta.deletion_timestamp = context_.clock.WallNow();
  return true;
}

// Also for a standby, which remembers and does not look.
void LatePauses::Forget(SteadyTime now) {
  std::erase_if(gone_, [now](const auto& item) { return item.second.forgotten_at <= now; });
}

Result<kube::Step> LatePauses::LookAfter(std::stop_token stop, Deadline deadline,
                                         const std::string& uid) {
  if (context_.config.epoch() == 0) return kube::Step::Done();
  std::optional<api::TenantMigration> migration;
  {
    MutexLock lock(mutex_);
    Forget(context_.clock.SteadyNow());
    if (auto found = gone_.find(uid); found != gone_.end()) migration = found->second.migration;
  }
  if (!migration) return kube::Step::Done();
  ClusterWorld world(context_);
  Observation seen = world.Observe(stop, deadline, *migration);
  std::optional<Plan> plan = LetLateClientsGo(*migration, seen);
  for (; plan && plan->look_at; plan = LetLateClientsGo(*migration, seen))
    world.LookAt(stop, deadline, *migration, *plan->look_at, seen);
  if (plan && plan->effect) {
    LogWarn("letting clients go on whom a PAUSE has stopped that came when its migration was gone",
            {{"migrationUID", uid}, {"placement", migration->spec.placement_name}});
    Status done = world.Perform(stop, deadline, *migration, *plan->effect);
    if (!done) LogError("cannot let clients go on", done.error());
  }
  return kube::Step::After(kLookAtPoolers);
}

void AddLatePauseController(kube::Manager& manager, kube::Store<api::TenantMigration>& migrations,
                            LatePauses& pauses) {
  kube::ControllerOptions options;
  options.name = "latepauses";
  options.workers = 1;
  kube::Controller& controller = manager.AddController(
      options, [&pauses](std::stop_token stop, Deadline deadline, const kube::Key& key) {
        return pauses.LookAfter(stop, deadline, key.name);
      });
  migrations.AddHandler(
      [&controller, &pauses](kube::Change change, const auto&, const auto& before, const auto&) {
        if (change == kube::Change::kDeleted && before && pauses.Remember(*before))
          controller.Enqueue({"", before->meta.uid});
      });
}

}  // namespace cutover::migration
