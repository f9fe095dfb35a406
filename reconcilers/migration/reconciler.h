// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/controller.h"
#include "operator/kube/events.h"
#include "reconcilers/migration/cluster/cluster_world.h"

namespace cutover::migration {

/// What others want to hear of a migration's life; all optional, all called on the worker's thread.
struct MigrationListeners {
  /// After each status that was written, and once when the object is first seen.
  std::function<void(const api::TenantMigration&)> on_status;
  /// After each look at the world.
  std::function<void(const api::TenantMigration&, const Observation&)> on_observation;
  /// When the object is gone.
  std::function<void(const kube::Key&)> on_gone;
};

/// The TenantMigration controller's Reconcile. Keeps nothing between calls; safe to call from
/// several threads for different keys.
///
/// A call takes as many rounds as the migration can go without waiting, and returns when it waits,
/// when the deadline nears, or when leadership is in doubt.
class MigrationReconciler {
 public:
  MigrationReconciler(const ClusterContext& context, kube::EventRecorder& events,
                      MigrationListeners listeners = {});

  Result<kube::Step> Reconcile(std::stop_token stop, Deadline deadline, const kube::Key& key);

 private:
  void Tell(const api::TenantMigration& before, const api::TenantMigration& after);
  void RecordEvent(const api::TenantMigration& migration, bool warning, std::string reason,
                   std::string action, std::string note);

  const ClusterContext& context_;
  kube::EventRecorder& events_;
  const MigrationListeners listeners_;
};

}  // namespace cutover::migration
