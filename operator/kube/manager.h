// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "operator/kube/client.h"
#include "operator/kube/controller.h"
#include "operator/kube/events.h"
#include "operator/kube/leader_election.h"
#include "operator/kube/own_writes.h"
#include "operator/kube/store.h"
#include "operator/kube/watcher.h"

namespace cutover::kube {

struct ManagerOptions {
  std::optional<ElectionOptions> election{};  ///< Without it this process leads alone, epoch 1.
  /// Called at once on the electing thread when leadership is lost, to leave the process
  /// (std::_Exit) before a reconcile under way can do harm. Without it Run stops and returns.
  std::function<void()> on_lost{};
  std::chrono::seconds cache_sync_timeout{120};
  /// Whose objects stores follow, of resources that have a namespace; empty: all.
  std::vector<std::string> namespaces{};
};

/// Composes stores, controllers and the election into one process:
///  - watches run at once, also in a standby, so that a new leader starts with warm caches;
///  - controllers run once this process leads and every store has synced;
///  - on stop: controllers first, then the lease is given back, then watches and events end.
/// Add everything, then Run. Stores, controllers and the client outlive Run.
class Manager {
 public:
  Manager(Client& client, ManagerOptions options, const Clock& clock = RealClock(),
          Observer& observer = SilentObserver());
  ~Manager();

  /// A store of `watch`: of all namespaces that this manager follows, unless it names one itself.
  template <class T>
  Store<T>& AddStore(const WatcherOptions& watch, typename Store<T>::Decode decode) {
    const std::vector<std::string> namespaces = NamespacesOf(watch);
    auto store = std::make_shared<Store<T>>(std::string(watch.resource.plural), std::move(decode),
                                            namespaces);
    writes_.Follow(watch.resource, [raw = store.get()](const Key& key, const std::string& version) {
      raw->Expect(key, version);
    });
    for (const std::string& ns : namespaces) {
      WatcherOptions part = watch;
      part.ns = ns;
      AddWatch(std::move(part), {store, &store->PartOf(ns)});
    }
    stores_.push_back(
        {std::string(watch.resource.plural), [raw = store.get()] { return raw->HasSynced(); }});
    return *store;
  }

  /// The client for controllers to write with: the stores here learn what to expect, and no key is
  /// reconciled by a cache older than its own last write.
  Client& client() { return writes_; }

  Controller& AddController(ControllerOptions options, Reconcile reconcile);
  /// In the order in which they were added.
  const std::vector<std::unique_ptr<Controller>>& controllers() const { return controllers_; }

  /// Runs beside the watches, leader or not, until the stop token it gets: an EventRecorder's Run,
  /// a metrics server.
  void AddService(std::string name, std::function<void(std::stop_token)> run);

  /// Called once when this process becomes leader, before any controller runs. Must not block.
  void OnElected(std::function<void(int64_t epoch)> on_elected);

  /// Runs until `stop`. Ok after an orderly stop. Error "LeadershipLost": leave the process,
  /// somebody else may be leading. Error "CacheSyncTimeout": a collection could not be read,
  /// usually for want of a CRD or of permission.
  Status Run(std::stop_token stop);

  /// The leadership that fences databases; 0 while nobody has been seen leading.
  int64_t epoch() const;
  bool IsLeader() const;

  /// For /readyz: one fact a line, its name and whether it holds.
  std::vector<std::pair<std::string, bool>> ReadinessFacts() const;
  /// For /healthz: false when this process is better restarted.
  bool IsHealthy() const;

 private:
  struct Watch {
    WatcherOptions options;
    std::shared_ptr<WatchSink> sink;
  };
  struct FollowedStore {
    std::string name;
    std::function<bool()> has_synced;
  };
  struct Service {
    std::string name;
    std::function<void(std::stop_token)> run;
  };

  /// Never empty: "" stands for all.
  std::vector<std::string> NamespacesOf(const WatcherOptions& watch) const;
  void AddWatch(WatcherOptions options, std::shared_ptr<WatchSink> sink);
  std::vector<std::jthread> StartBackground(std::stop_token stop);
  Status WaitForSync(std::stop_token stop) const;
  Status RunElected(std::stop_token stop);
  Status RunControllers(std::stop_token stop);

  Client& client_;
  OwnWrites writes_;
  const ManagerOptions options_;
  const Clock& clock_;
  Observer& observer_;
  std::unique_ptr<LeaderElector> elector_;
  std::vector<Watch> watches_;
  std::vector<FollowedStore> stores_;
  std::vector<std::unique_ptr<Controller>> controllers_;
  std::vector<Service> services_;
  std::vector<std::function<void(int64_t)>> on_elected_;
};

}  // namespace cutover::kube
