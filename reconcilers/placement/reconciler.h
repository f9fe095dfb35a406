// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/controller.h"
#include "operator/kube/index.h"
#include "operator/kube/manager.h"
#include "operator/kube/store.h"
#include "reconcilers/placement/observe.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover::placement {

struct PlacementReconcilerOptions {
  std::string operator_namespace = "cutover-system";  ///< Where the servers' Secrets live.
  std::chrono::seconds resync_interval{30};
  std::chrono::seconds database_timeout{10};
  int workers = 8;
};

/// What the reconciler reads from. All outlive it.
struct PlacementSources {
  kube::Client& client;
  wiring::Resolver& resolver;
  const kube::Store<api::DatabaseServer>& servers;
  /// By PlacementMovedBy. Of a fleet's migrations nearly all are over, and none of them is in it.
  const kube::Index<api::TenantMigration>& active_migrations;
};

/// Adopts a tenant that exists already, and from then on says where it is, whether it can be
/// reached there, and whether its wiring agrees. The one thing it changes is the placement's own
/// Service; foreign changes of the wiring are reported, never fought. While a migration moves the
/// tenant the Service's addresses are kept current for the server that it leads to, and nothing
/// else is done; one that still prepares (up to and with the phase Preparing) moves nothing yet.
/// Keeps nothing between calls; thread-safe.
class PlacementReconciler {
 public:
  PlacementReconciler(PlacementSources sources, PlacementReconcilerOptions options,
                      const Clock& clock = RealClock(), AskDatabase ask = AskOverNetwork);

  Result<kube::Step> Reconcile(std::stop_token stop, Deadline deadline, const kube::Key& key);

  const PlacementReconcilerOptions& options() const { return options_; }

 private:
  Result<PlacementObservation> Observe(std::stop_token stop, Deadline deadline,
                                       api::DatabasePlacement placement);
  Status ObserveServer(std::stop_token stop, Deadline deadline, PlacementObservation& seen);
  Result<DatabaseObservation> ObserveDatabase(std::stop_token stop, Deadline deadline,
                                              const PlacementObservation& seen);
  Status KeepServiceCurrent(std::stop_token stop, Deadline deadline,
                            const PlacementObservation& seen);
  Result<bool> MayLeadHome(std::stop_token stop, Deadline deadline,
                           const PlacementObservation& seen);
  Result<bool> ServiceIsStillOurs(std::stop_token stop, Deadline deadline,
                                  const PlacementObservation& seen);
  Result<kube::Step> ReconcileDeleted(std::stop_token stop, Deadline deadline,
                                      const api::DatabasePlacement& placement);
  Status Record(std::stop_token stop, Deadline deadline, const api::DatabasePlacement& placement,
                const api::DatabasePlacementStatus& after);
  wiring::Access WiringAccess() const;

  const PlacementSources sources_;
  const PlacementReconcilerOptions options_;
  const Clock& clock_;
  const AskDatabase ask_;
};

/// The placement that a migration is moving, or waits to move; nothing once it is over.
std::optional<kube::Key> PlacementMovedBy(const api::TenantMigration& migration);

/// The active migration of a placement among `migrations`: the oldest, by name when equally old;
/// null when none is active.
std::shared_ptr<const api::TenantMigration> ActiveMigrationOf(
    const kube::Key& placement,
    const std::vector<std::shared_ptr<const api::TenantMigration>>& migrations);

/// Runs the reconciler for every placement of the store: when it changes, or its server, when a
/// migration of it appears, begins or is over, and every resync_interval. All references outlive
/// the manager's Run.
void AddPlacementController(kube::Manager& manager, kube::Store<api::DatabasePlacement>& placements,
                            kube::Store<api::DatabaseServer>& servers,
                            kube::Store<api::TenantMigration>& migrations,
                            PlacementReconciler& reconciler);

}  // namespace cutover::placement
