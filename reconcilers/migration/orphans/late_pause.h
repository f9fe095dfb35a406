// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <stop_token>
#include <string>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/controller.h"
#include "operator/kube/manager.h"
#include "operator/kube/store.h"
#include "reconcilers/migration/cluster/cluster_world.h"

namespace cutover::migration {

/// Lets clients go on whom a PAUSE has stopped that arrived when its migration was gone already: a
/// deposed leader had sent it, PgBouncer knows no epochs, and clients would wait for ever.
///
/// While the object is there its own end looks at the poolers (phases/end.cc). This goes on with
/// that for ten minutes when the object is gone, by the same rule, at its end or before it: what
/// one left that vanished half way the sweeper settles. It can do nothing but RESUME.
///
/// *Caveat*: what is gone is remembered by the processes that watched it go, leader or standby. A
/// PAUSE that comes when none of them is left, or later than that, waits for a person's RESUME.
class LatePauses {
 public:
  explicit LatePauses(const ClusterContext& context) : context_(context) {}

  /// `gone` as it was last seen. True if it is to be looked after: it had paused poolers. From
  /// any thread.
  bool Remember(const api::TenantMigration& gone);

  /// One look for the migration of this uid, and when to look again; a deposed leader does nothing.
  /// What fails is tried again at the next look. From any thread.
  Result<kube::Step> LookAfter(std::stop_token stop, Deadline deadline, const std::string& uid);

 private:
  struct Gone {
    api::TenantMigration migration;
    SteadyTime forgotten_at;
  };
  void Forget(SteadyTime now) REQUIRES(mutex_);

  const ClusterContext& context_;
  Mutex mutex_;
  std::map<std::string, Gone> gone_ GUARDED_BY(mutex_);  // By uid.
};

/// Looks after every migration that vanishes from the store. All references outlive the manager's
/// Run.
void AddLatePauseController(kube::Manager& manager, kube::Store<api::TenantMigration>& migrations,
                            LatePauses& pauses);

}  // namespace cutover::migration
