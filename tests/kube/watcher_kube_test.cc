// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/watcher.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <thread>

#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "operator/kube/store.h"
#include "tests/kube/api_server.h"
#include "tests/least_time.h"

namespace cutover::kube {
namespace {

using cutover::testing::ControlPlane;
using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline Soon() { return Deadline::After(seconds(30)); }

template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(seconds(60));
  while (!condition() && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(10));
  return condition();
}

class Counter final : public Observer {
 public:
  void OnRelist(std::string_view) override { ++relists; }
  std::atomic<int> relists{0};
};

// A store of a namespace's ConfigMaps that is kept up to date by a thread.
class WatchedStore {
 public:
  WatchedStore(Client& client, const std::string& ns) {
    store.AddHandler([this](Change change, const Key&, const auto&, const auto&) {
      if (change == Change::kDeleted) ++deletions;
    });
    WatcherOptions options;
    options.resource = kConfigMap;
    options.ns = ns;
    // Impatient, since a server's restart is what is waited for.
    options.sleep = [](std::stop_token stop, milliseconds) {
      return SleepUntil(stop, Deadline::After(milliseconds(100)));
    };
    thread_ = std::jthread([this, &client, options](std::stop_token stop) {
      Watcher(client, options, store, RealClock(), counter).Run(stop);
    });
  }
  bool Has(const Key& key) const { return *store.Get(key) != nullptr; }

  Store<Json> store{"configmaps", AsIs};
  Counter counter;
  std::atomic<int> deletions{0};

 private:
  std::jthread thread_;
};

Json ConfigMap(const std::string& ns, const std::string& name) {
  return NewObject(kConfigMap, {ns, name});
}

TEST(WatcherOnApiServer, AStoreFollowsEveryChange) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  ASSERT_TRUE(client->Create({}, Soon(), kConfigMap, ConfigMap(ns, "before")));
  WatchedStore watched(*client, ns);
  ASSERT_TRUE(Eventually([&] { return watched.store.HasSynced(); }));
  EXPECT_TRUE(watched.Has({ns, "before"}));
  ASSERT_TRUE(client->Create({}, Soon(), kConfigMap, ConfigMap(ns, "after")));
  EXPECT_TRUE(Eventually([&] { return watched.Has({ns, "after"}); }));
  Json patch = Json::Object({{"data", Json::Object({{"umlaut", "ä€"}})}});
  ASSERT_TRUE(client->Patch({}, Soon(), kConfigMap, {ns, "after"}, patch));
  EXPECT_TRUE(Eventually([&] {
    return (**watched.store.Get({ns, "after"}))["data"]["umlaut"].StringRef() == "ä€";
  }));
  ASSERT_TRUE(client->Delete({}, Soon(), kConfigMap, {ns, "before"}));
  EXPECT_TRUE(Eventually([&] { return !watched.Has({ns, "before"}); }));
  EXPECT_EQ(watched.counter.relists, 1);
}

TEST(WatcherOnApiServer, AnObjectOfAMegabyteArrivesWhole) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  WatchedStore watched(*client, ns);
  ASSERT_TRUE(Eventually([&] { return watched.store.HasSynced(); }));
  Json big = ConfigMap(ns, "big");
  const std::string value(1'000'000, 'x');
  big.Set("data", Json::Object({{"value", value}}));
  ASSERT_TRUE(client->Create({}, Soon(), kConfigMap, big));
  ASSERT_TRUE(Eventually([&] { return watched.Has({ns, "big"}); }));
  EXPECT_EQ((**watched.store.Get({ns, "big"}))["data"]["value"].StringRef(), value);
}

TEST(WatcherOnApiServer, WhatIsDeletedWhileTheServerIsDownIsDeletedInTheStore) {
  auto directory = std::filesystem::temp_directory_path() / ("cutover-plane-" + RandomHex(6));
  Result<std::unique_ptr<ControlPlane>> plane = ControlPlane::Start(directory.string());
  ASSERT_TRUE(plane) << plane.error().message;
  Result<int> second = (*plane)->AddServer();
  ASSERT_TRUE(second) << second.error().message;
  auto client = cutover::testing::MakeClient(*(*plane)->Kubeconfig("admin", 0));
  auto other = cutover::testing::MakeClient(*(*plane)->Kubeconfig("admin", *second));
  std::string ns = cutover::testing::MakeNamespace(*other);
  for (const char* name : {"stays", "goes"})
    ASSERT_TRUE(other->Create({}, Soon(), kConfigMap, ConfigMap(ns, name)));
  WatchedStore watched(*client, ns);
  ASSERT_TRUE(Eventually([&] { return watched.Has({ns, "goes"}); }));

  (*plane)->KillServer(0);
  ASSERT_TRUE(other->Delete({}, Soon(), kConfigMap, {ns, "goes"}));
  ASSERT_TRUE(other->Create({}, Soon(), kConfigMap, ConfigMap(ns, "came")));
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_TRUE(watched.Has({ns, "goes"})) << "stale while there is no server, not empty";
  EXPECT_TRUE(watched.Has({ns, "stays"}));

  Status restarted = (*plane)->RestartServer(0);
  ASSERT_TRUE(restarted) << restarted.error().message;
  EXPECT_TRUE(Eventually([&] { return !watched.Has({ns, "goes"}); }));
  EXPECT_TRUE(Eventually([&] { return watched.Has({ns, "came"}); }));
  EXPECT_TRUE(watched.Has({ns, "stays"}));
  EXPECT_EQ(watched.deletions, 1);
}

TEST(WatcherOnApiServer, StoppingEndsAQuietWatchAtOnce) {
  std::unique_ptr<ApiClient> client = cutover::testing::MakeClient();
  std::string ns = cutover::testing::MakeNamespace(*client);
  const auto stop = [&] {
    auto watched = std::make_unique<WatchedStore>(*client, ns);
    EXPECT_TRUE(Eventually([&] { return watched->store.HasSynced(); }));
    std::this_thread::sleep_for(milliseconds(200));
    return TimeOf([&] { watched.reset(); });
  };
  EXPECT_LT(LeastTime(seconds(1), stop), seconds(1));
}

}  // namespace
}  // namespace cutover::kube
