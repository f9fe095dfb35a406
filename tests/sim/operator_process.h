// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/kube/events.h"
#include "operator/kube/leader_election.h"
#include "operator/kube/manager.h"
#include "reconcilers/migration/orphans/late_pause.h"
#include "reconcilers/migration/orphans/sweeper.h"
#include "reconcilers/migration/reconciler.h"
#include "reconcilers/placement/reconciler.h"
#include "reconcilers/server/reconciler.h"
#include "tests/sim/api/model_transport.h"
#include "tests/sim/surroundings.h"
#include "tests/sim/virtual_clock.h"

namespace cutover::sim {

/// One replica of the operator, made of the parts that operator/main.cc makes it of: client,
/// election, watches, stores, controllers and reconcilers, events. It runs in steps on one thread
/// and on virtual time.
class OperatorProcess {
 public:
  OperatorProcess(ApiModel& api, const VirtualClock& clock, std::string identity, OnCall on_call);

  /// Renews or tries for the lease when that is due; as leader, takes in what the API server has
  /// told since and reconciles one key of each controller that is due. Whether it did anything.
  bool Step();
  /// When it has something to do next.
  SteadyTime NextDue() const;

  bool IsLeader() const { return elector_.IsLeader(); }
  /// A process that has lost the lease leaves at once, as main.cc has it.
  bool HasLostTheLease() const { return elector_.IsLost(); }
  const std::string& identity() const { return identity_; }
  ModelTransport& transport() { return transport_; }

  /// Whether a standby is told of changes as they come, as a leader is, or of all of them once it
  /// leads: before that nothing that it is told has an effect.
  bool follows_as_standby = true;

  /// Told of what the gauge cutover_writable_sides becomes with each look at a migration: as
  /// operator/controllers.cc feeds it, and telemetry::ObjectMetrics keeps it until the next one.
  std::function<void(const kube::Key&, std::optional<int> sides)> on_writable_sides;

 private:
  static constexpr int64_t kNothing = -1;
  struct Watch {
    kube::Resource resource;
    std::unique_ptr<kube::Watcher> watcher;
    std::function<bool()> synced;
    int64_t told;  // Of the API server's versions, the last that concerned it.
    SteadyTime bookmark_at;
  };

  void FollowWatches();
  template <class T>
  kube::Store<T>& AddStore(const kube::Resource& resource, typename kube::Store<T>::Decode decode);
  void AddMigrationController();
  void AddSweeper();
  migration::OperatorConfig Config() const;
  migration::MigrationListeners Listeners();

  const VirtualClock& clock_;
  const std::string identity_;
  ApiModel& api_;
  std::unique_ptr<ModelTransport> owned_transport_;
  ModelTransport& transport_;
  kube::ApiClient client_;
  kube::LeaderElector elector_;
  kube::EventRecorder events_;
  ModelResolver resolver_;
  std::vector<Watch> watches_;
  // Holds stores and controllers; its Run, which makes threads, is not called.
  kube::Manager manager_;
  kube::Store<api::DatabaseServer>& servers_;
  kube::Store<api::DatabasePlacement>& placements_;
  kube::Store<api::TenantMigration>& migrations_;
  const kube::Index<api::TenantMigration> active_migrations_;
  server::ServerReconciler server_;
  placement::PlacementReconciler placement_;
  const migration::ClusterContext context_;
  migration::MigrationReconciler migration_;
  migration::Sweeper sweeper_;
  migration::LatePauses late_pauses_;
  SteadyTime next_tick_;
};

}  // namespace cutover::sim
