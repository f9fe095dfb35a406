// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/controller.h"
#include "operator/kube/events.h"
#include "operator/kube/store.h"
#include "reconcilers/migration/cluster/cluster_world.h"

namespace cutover::migration {

/// What others want to hear of a migration's life; all optional, all called on the worker's thread.
struct MigrationListeners {
  /// After each status that was written, and once when the object is first seen.
  std::function<void(const api::TenantMigration&)> on_status;
  /// After each look at the world, and at a migration that rests, of which nothing is looked at.
  std::function<void(const api::TenantMigration&, const Observation&)> on_observation;
  /// When the object is gone.
  std::function<void(const kube::Key&)> on_gone;
};

/// The TenantMigration controller's Reconcile. Decides nothing by what it keeps between calls: that
/// is which migrations it has told its readers to lead. Safe to call from several threads for
/// different keys.
///
/// A migration that is over and asks for nothing (RestOf) is known from `known` alone, the store
/// that its controller is For: of a fleet's migrations these are nearly all, and to read each when
/// an operator starts would cost it and the API server more than everything else they do then. Of
/// any other the API server is asked.
///
/// A call takes as many rounds as the migration can go without waiting, and returns when it waits,
/// when the deadline nears, or when leadership is in doubt.
class MigrationReconciler {
 public:
  MigrationReconciler(const ClusterContext& context, const kube::Store<api::TenantMigration>& known,
                      kube::EventRecorder& events, MigrationListeners listeners = {});

  Result<kube::Step> Reconcile(std::stop_token stop, Deadline deadline, const kube::Key& key);

 private:
  std::optional<kube::Step> Rest(const kube::Key& key) const;
  void Tell(const api::TenantMigration& before, const api::TenantMigration& after);
  void TellOfNewLeader(const api::TenantMigration& before, const api::TenantMigration& after);
  void RecordEvent(const api::TenantMigration& migration, bool warning, std::string reason,
                   std::string action, std::string note);

  const ClusterContext& context_;
  const kube::Store<api::TenantMigration>& known_;
  kube::EventRecorder& events_;
  const MigrationListeners listeners_;
  Mutex mutex_;
  std::map<kube::Key, std::string> led_ GUARDED_BY(mutex_);  ///< UIDs of those worked on here.
};

}  // namespace cutover::migration
