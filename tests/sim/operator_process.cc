// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/operator_process.h"

#include <algorithm>
#include <utility>

#include "reconcilers/migration/writable_sides.h"

namespace cutover::sim {
namespace {

using std::chrono::milliseconds;

// As kube-apiserver has it.
constexpr std::chrono::minutes kBookmarksEvery{1};

// Renewing less often than in production only saves steps; what is promised depends on the other
// two, which are production's.
kube::ElectionOptions Election(const std::string& identity) {
  kube::ElectionOptions options;
  options.lease = {kOperatorSpace, "cutover-operator"};
  options.identity = identity;
  options.retry_period = milliseconds(5'000);
  return options;
}

kube::EventRecorderOptions Events(const std::string& identity) {
  kube::EventRecorderOptions options;
  options.controller = "cutover.dev/operator";
  options.instance = identity;
  return options;
}

bool OnlyStatusDiffers(const api::TenantMigration& before, const api::TenantMigration& after) {
  return before.meta.generation == after.meta.generation &&
         before.meta.annotations == after.meta.annotations &&
         before.meta.deleting() == after.meta.deleting();
}

}  // namespace

OperatorProcess::OperatorProcess(ApiModel& api, const VirtualClock& clock, std::string identity,
                                 OnCall on_call)
    : clock_(clock),
      identity_(std::move(identity)),
      api_(api),
      owned_transport_(std::make_unique<ModelTransport>(api)),
      transport_(*owned_transport_),
      client_(std::move(owned_transport_)),
      elector_(client_, Election(identity_), clock),
      events_(client_, Events(identity_), clock),
      manager_(client_, {}, clock),
      servers_(AddStore<api::DatabaseServer>(kube::kDatabaseServer, api::DecodeDatabaseServer)),
      placements_(
          AddStore<api::DatabasePlacement>(kube::kDatabasePlacement, api::DecodeDatabasePlacement)),
      migrations_(
          AddStore<api::TenantMigration>(kube::kTenantMigration, api::DecodeTenantMigration)),
      active_migrations_(migrations_, placement::PlacementMovedBy),
      server_(manager_.client(), {}, clock),
      placement_({manager_.client(), resolver_, servers_, active_migrations_}, {}, clock),
      context_{manager_.client(), resolver_, clock, Config()},
      migration_(context_, migrations_, events_, Listeners()),
      sweeper_(context_),
      late_pauses_(context_),
      next_tick_(clock.SteadyNow()) {
  transport_.on_call = std::move(on_call);
  server::AddServerController(manager_, servers_, server_);
  placement::AddPlacementController(manager_, placements_, servers_, migrations_, placement_);
  AddMigrationController();
  AddSweeper();
  migration::AddLatePauseController(manager_, migrations_, late_pauses_);
}

migration::OperatorConfig OperatorProcess::Config() const {
  migration::OperatorConfig config;
  config.namespace_name = kOperatorSpace;
  config.operator_image = "operator";
  config.mover_image = "mover";
  config.epoch = [this] { return elector_.IsLeader() ? elector_.epoch() : 0; };
  return config;
}

migration::MigrationListeners OperatorProcess::Listeners() {
  migration::MigrationListeners listeners;
  listeners.on_observation = [this](const api::TenantMigration& migration,
                                    const migration::Observation& seen) {
    const kube::Key key{migration.meta.namespace_name, migration.meta.name};
    if (on_writable_sides) on_writable_sides(key, migration::WritableSides(seen));
  };
  listeners.on_gone = [this](const kube::Key& key) {
    if (on_writable_sides) on_writable_sides(key, std::nullopt);
  };
  return listeners;
}

template <class T>
kube::Store<T>& OperatorProcess::AddStore(const kube::Resource& resource,
                                          typename kube::Store<T>::Decode decode) {
  kube::WatcherOptions options;
  options.resource = resource;
  options.sleep = [](std::stop_token, milliseconds) { return true; };
  kube::Store<T>& store = manager_.AddStore<T>(options, std::move(decode));
  watches_.push_back({resource,
                      std::make_unique<kube::Watcher>(client_, std::move(options), store, clock_),
                      [&store] { return store.HasSynced(); }, kNothing, clock_.SteadyNow()});
  return store;
}

// As operator/controllers.cc has it.
void OperatorProcess::AddMigrationController() {
  kube::ControllerOptions options;
  options.name = "tenantmigration";
  kube::Controller& controller = manager_.AddController(
      options, [this](std::stop_token stop, Deadline deadline, const kube::Key& key) {
        return migration_.Reconcile(stop, deadline, key);
      });
  controller.For<api::TenantMigration>(
      migrations_, [](const api::TenantMigration& before, const api::TenantMigration& after) {
        return !OnlyStatusDiffers(before, after);
      });
}

void OperatorProcess::AddSweeper() {
  kube::ControllerOptions options;
  options.name = "orphans";
  const kube::Key everything{"", "everything"};
  kube::Controller& controller = manager_.AddController(
      options, [this](std::stop_token stop, Deadline deadline, const kube::Key&) {
        return sweeper_.Sweep(stop, deadline);
      });
  migrations_.AddHandler(
      [&controller, everything](kube::Change change, const auto&, const auto&, const auto&) {
        if (change == kube::Change::kDeleted) controller.Enqueue(everything);
      });
  servers_.AddHandler(
      [&controller, everything](kube::Change, const auto&, const auto& before, const auto& after) {
        if (!before || !after || before->meta.annotations != after->meta.annotations)
          controller.Enqueue(everything);
      });
}

SteadyTime OperatorProcess::NextDue() const {
  SteadyTime next = next_tick_;
  if (!elector_.IsLeader()) return next;
  for (const auto& controller : manager_.controllers())
    if (auto due = controller->queue().NextDue()) next = std::min(next, *due);
  return next;
}

// A watch is asked for what it has to tell when there is something, and now and then for the
// bookmark that a server sends to whom it has told nothing.
void OperatorProcess::FollowWatches() {
  const int64_t view = std::min(transport_.view, transport_.watch_view);
  const SteadyTime now = clock_.SteadyNow();
  for (Watch& watch : watches_) {
    const int64_t last = api_.LastChange(watch.resource, view);
    if (watch.told == last && watch.synced() && now < watch.bookmark_at) continue;
    const int64_t before = transport_.watches_told;
    watch.watcher->Step({});
    // One that broke has a list or a comparison to make next, and then what it has missed.
    watch.told = transport_.watches_told > before ? last : kNothing;
    watch.bookmark_at = now + kBookmarksEvery;
  }
}

bool OperatorProcess::Step() {
  if (clock_.SteadyNow() >= next_tick_) next_tick_ = clock_.SteadyNow() + elector_.Tick({});
  // Also as a standby, which goes on from what it knows.
  if (elector_.IsLeader() || follows_as_standby) FollowWatches();
  if (!elector_.IsLeader()) return false;
  if (!servers_.HasSynced() || !placements_.HasSynced() || !migrations_.HasSynced()) return false;
  bool busy = false;
  for (const auto& controller : manager_.controllers()) busy |= controller->ProcessNext({});
  while (events_.SendNext({}, Deadline::Never())) {
  }
  return busy;
}

}  // namespace cutover::sim
