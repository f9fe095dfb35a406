// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"
#include "operator/kube/client.h"
#include "operator/kube/kubeconfig.h"
#include "operator/kube/store.h"
#include "operator/kube/watcher.h"
#include "tests/kube/api_server.h"
#include "tests/kube/faulty_transport.h"

namespace cutover::testing {

/// Polls until the condition holds, for at most a minute; whether it does.
template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(std::chrono::seconds(60));
  while (!condition()) {
    if (deadline.Expired()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

struct InformerOptions {
  kube::Resource resource = kube::kConfigMap;
  std::string kubeconfig = SharedKubeconfig();
  int page_size = 500;
  bool watch_list = false;  ///< Begin with a streamed list instead of a paged one.
  std::chrono::milliseconds silence_max = kube::WatcherOptions().silence_max;
  /// Reaches the server by this port of the loopback instead of its own: a TcpRelay's.
  int port = 0;
  std::shared_ptr<kube::TokenSource> token{};  ///< Instead of the kubeconfig's identity.
};

/// The real Watcher, Client and Store of one namespace's objects, with a FaultyTransport between
/// them and a real API server, and what is needed to hold the store against the truth: a client
/// that no fault reaches, and a mirror that believes only what the store's handlers were told.
class InformerWorld {
 public:
  explicit InformerWorld(InformerOptions options = {});
  ~InformerWorld() { Stop(); }

  /// Starts the watcher; true once its store has synced.
  bool Start();
  /// Starts it and does not wait.
  void StartUnsynced();
  void Stop();

  FaultyTransport& faults() { return *faults_; }
  kube::Store<Json>& store() { return store_; }
  kube::Client& oracle() { return *oracle_; }
  const std::string& ns() const { return ns_; }
  /// How often the watcher has waited before a next try. It never waits long here.
  int pauses() const { return pauses_; }
  /// Notifications of that kind so far.
  int Count(kube::Change change) const;

  /// Writes past all faults, and fails the test when the server refuses. Put creates or changes.
  void Put(const std::string& name, const std::string& value = "");
  void Delete(const std::string& name);
  /// Takes a name away and gives it to a new object.
  void Replace(const std::string& name);
  /// Replaces whatever object Put makes, for other kinds than ConfigMap.
  std::function<void(Json& object, const std::string& value)> fill;

  /// The oracle of every test here: within a minute the store is what a fresh LIST says, down to
  /// each byte that it keeps; the mirror is the same, so every change and every deletion was told;
  /// and nothing was told that cannot have been (an addition of what is there, a change of or the
  /// end of what is not).
  ::testing::AssertionResult IsTrue();

 private:
  using Objects = std::map<kube::Key, Json>;

  void Mirror(kube::Change change, const kube::Key& key, const Json* before, const Json* after);
  Objects Truth();
  /// Every difference to the truth, a line each.
  std::string Wrong();
  Objects Stored() const;

  const InformerOptions options_;
  const std::unique_ptr<kube::ApiClient> oracle_;
  const std::string ns_;
  kube::Store<Json> store_;
  FaultyTransport* faults_ = nullptr;
  std::unique_ptr<kube::ApiClient> client_;
  std::atomic<int> pauses_{0};
  mutable Mutex mutex_;
  Objects mirror_ GUARDED_BY(mutex_);
  std::vector<std::string> impossible_ GUARDED_BY(mutex_);
  std::map<kube::Change, int> told_ GUARDED_BY(mutex_);
  std::jthread thread_;  // Last: it uses all of the above.
};

/// A transport for a kubeconfig's server and identity; aborts when there can be none.
std::unique_ptr<kube::Transport> MakeTransport(const kube::Connection& connection);
kube::Connection MakeConnection(const InformerOptions& options);

}  // namespace cutover::testing
