// SPDX-License-Identifier: Apache-2.0
#include "operator/controllers.h"

#include <optional>
#include <utility>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/kube/resource.h"
#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/orphans/late_pause.h"
#include "reconcilers/migration/orphans/sweeper.h"
#include "reconcilers/migration/reconciler.h"
#include "reconcilers/migration/writable_sides.h"
#include "reconcilers/placement/reconciler.h"
#include "reconcilers/server/reconciler.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover {
namespace {

using telemetry::ObjectMetrics;

template <class T>
kube::Store<T>& AddStore(kube::Manager& manager, const kube::Resource& resource,
                         typename kube::Store<T>::Decode decode) {
  kube::WatcherOptions watch;
  watch.resource = resource;
  return manager.AddStore<T>(watch, std::move(decode));
}

// Keeps the metrics of a collection equal to it. An object that can no longer be decoded keeps what
// was last known of it.
template <class T, class Observe, class Forget>
void Report(kube::Store<T>& store, Observe observe, Forget forget) {
  store.AddHandler(
      [observe, forget](kube::Change change, const kube::Key& key, const auto&, const auto& after) {
        if (after)
          observe(after);
        else if (change == kube::Change::kDeleted)
          forget(key);
      });
}

// Both streams, as far as there is a slot: what it keeps counts most while the other end is away,
// and while a copy has yet to be followed.
std::vector<ObjectMetrics::Stream> Streams(const migration::Observation& seen) {
  std::vector<ObjectMetrics::Stream> streams;
  auto add = [&streams](const char* direction, const auto& publisher, const auto& subscriber) {
    if (!publisher.known() || !publisher->slot) return;
    ObjectMetrics::Stream stream;
    stream.direction = direction;
    stream.retained_bytes = publisher->retained_bytes;
    if (!subscriber.unseen()) stream.lag_bytes = publisher->lag_bytes;
    const double age = subscriber.known() ? subscriber->HeartbeatAgeSeconds(*publisher) : -1;
    if (age >= 0) stream.lag_seconds = age;
    streams.push_back(std::move(stream));
  };
  add("forward", seen.forward_publisher, seen.forward_subscriber);
  add("reverse", seen.reverse_publisher, seen.reverse_subscriber);
  return streams;
}

// True when the difference between two versions is no more than what we write ourselves: our own
// status must not call for another look at once.
bool OnlyStatusDiffers(const api::TenantMigration& before, const api::TenantMigration& after) {
  return before.meta.generation == after.meta.generation &&
         before.meta.annotations == after.meta.annotations &&
         before.meta.deleting() == after.meta.deleting();
}

}  // namespace

class Controllers::Impl {
 public:
  explicit Impl(const ControllerParts& parts)
      : parts_(parts),
        servers_(AddStore<api::DatabaseServer>(parts.manager, kube::kDatabaseServer,
                                               api::DecodeDatabaseServer)),
        placements_(AddStore<api::DatabasePlacement>(parts.manager, kube::kDatabasePlacement,
                                                     api::DecodeDatabasePlacement)),
        migrations_(AddStore<api::TenantMigration>(parts.manager, kube::kTenantMigration,
                                                   api::DecodeTenantMigration)),
        active_migrations_(migrations_, placement::PlacementMovedBy),
        server_(parts.client, ServerOptions()),
        placement_({parts.client, resolver_, servers_, active_migrations_}, PlacementOptions()),
        context_{parts.client, resolver_, RealClock(), MigrationConfig(),
                 [this] { return placements_.List(); }},
        migration_(context_, migrations_, parts.events, Listeners()) {
    // Before the controllers: what they reconcile is in the metrics already.
    ReportObjects();
    server::AddServerController(parts.manager, servers_, server_);
    placement::AddPlacementController(parts.manager, placements_, servers_, migrations_,
                                      placement_);
    AddMigrationController();
    AddSweeper();
    migration::AddLatePauseController(parts.manager, migrations_, late_pauses_);
    for (const auto& controller : parts.manager.controllers()) parts.runtime.Add(*controller);
  }

 private:
  server::ServerReconcilerOptions ServerOptions() const {
    server::ServerReconcilerOptions options;
    options.operator_namespace = parts_.flags.namespace_name;
    options.workers = parts_.flags.workers;
    options.orphans = [this](const std::string& server) { return sweeper_.FindingsOn(server); };
    return options;
  }

  placement::PlacementReconcilerOptions PlacementOptions() const {
    placement::PlacementReconcilerOptions options;
    options.operator_namespace = parts_.flags.namespace_name;
    options.workers = parts_.flags.workers;
    return options;
  }

  migration::OperatorConfig MigrationConfig() const {
    migration::OperatorConfig config;
    config.namespace_name = parts_.flags.namespace_name;
    config.watch_namespaces = parts_.flags.watch_namespaces;
    config.operator_image = parts_.flags.operator_image;
    config.mover_image = parts_.flags.mover_image;
    config.image_pull_policy = parts_.flags.image_pull_policy;
    config.image_pull_secrets = parts_.flags.image_pull_secrets;
    config.pods = parts_.flags.job_pods;
    config.prometheus_urls = parts_.flags.prometheus_urls;
    config.throttle_queries = parts_.flags.throttle_queries;
    config.epoch = [&manager = parts_.manager] { return manager.IsLeader() ? manager.epoch() : 0; };
    return config;
  }

  migration::MigrationListeners Listeners() const {
    migration::MigrationListeners listeners;
    listeners.on_observation = [&objects = parts_.objects](const api::TenantMigration& migration,
                                                           const migration::Observation& seen) {
      const kube::Key key{migration.meta.namespace_name, migration.meta.name};
      objects.ObserveWritableSides(key, migration::WritableSides(seen));
      objects.ObserveStreams(key, Streams(seen));
    };
    return listeners;
  }

  void ReportObjects() {
    ObjectMetrics& objects = parts_.objects;
    Report(
        servers_, [&objects](const auto& server) { objects.ObserveServer(server); },
        [&objects](const kube::Key& key) { objects.ForgetServer(key.name); });
    Report(
        placements_, [&objects](const auto& placement) { objects.ObservePlacement(placement); },
        [&objects](const kube::Key& key) { objects.ForgetPlacement(key); });
    Report(
        migrations_, [&objects](const auto& migration) { objects.ObserveMigration(migration); },
        [&objects](const kube::Key& key) { objects.ForgetMigration(key); });
  }

  void AddMigrationController() {
    kube::ControllerOptions options;
    options.name = "tenantmigration";
    options.workers = parts_.flags.workers;
    kube::Controller& controller = parts_.manager.AddController(
        options, [this](std::stop_token stop, Deadline deadline, const kube::Key& key) {
          return migration_.Reconcile(stop, deadline, key);
        });
    controller.For<api::TenantMigration>(
        migrations_, [](const api::TenantMigration& before, const api::TenantMigration& after) {
          return !OnlyStatusDiffers(before, after);
        });
  }

  // One key: a sweep is of everything. After a migration is gone, when a server is new or somebody
  // has answered on it, and from then on as often as the sweeper says.
  void AddSweeper() {
    kube::ControllerOptions options;
    options.name = "orphans";
    options.workers = 1;
    const kube::Key everything{"", "everything"};
    kube::Controller& controller = parts_.manager.AddController(
        options, [this](std::stop_token stop, Deadline deadline, const kube::Key&) {
          return sweeper_.Sweep(stop, deadline);
        });
    migrations_.AddHandler(
        [&controller, everything](kube::Change change, const auto&, const auto&, const auto&) {
          if (change == kube::Change::kDeleted) controller.Enqueue(everything);
        });
    servers_.AddHandler([&controller, everything](kube::Change, const auto&, const auto& before,
                                                  const auto& after) {
      if (!before || !after || before->meta.annotations != after->meta.annotations)
        controller.Enqueue(everything);
    });
  }

  const ControllerParts parts_;
  wiring::SystemResolver resolver_;
  kube::Store<api::DatabaseServer>& servers_;
  kube::Store<api::DatabasePlacement>& placements_;
  kube::Store<api::TenantMigration>& migrations_;
  const kube::Index<api::TenantMigration> active_migrations_;
  server::ServerReconciler server_;
  placement::PlacementReconciler placement_;
  const migration::ClusterContext context_;
  migration::MigrationReconciler migration_;
  migration::Sweeper sweeper_{context_};
  migration::LatePauses late_pauses_{context_};
};

Controllers::Controllers(const ControllerParts& parts) : impl_(std::make_unique<Impl>(parts)) {}
Controllers::~Controllers() = default;

}  // namespace cutover
