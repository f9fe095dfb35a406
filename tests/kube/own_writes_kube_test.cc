// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/own_writes.h"

#include <gtest/gtest.h>

#include <set>

#include "operator/kube/manager.h"
#include "tests/kube/informer_world.h"

namespace cutover::testing {
namespace {

using kube::Key;
using kube::Step;
using std::chrono::milliseconds;

TEST(OwnWritesOnApiServer, EveryReconcileSeesWhatTheOneBeforeHasWritten) {
  std::unique_ptr<kube::ApiClient> oracle = MakeClient();
  const std::string ns = MakeNamespace(*oracle);
  ASSERT_TRUE(oracle->Create({}, Deadline::After(std::chrono::seconds(30)), kube::kConfigMap,
                             kube::NewObject(kube::kConfigMap, {ns, "counter"})));
  kube::Connection connection = MakeConnection({});
  auto transport = std::make_unique<FaultyTransport>(MakeTransport(connection));
  // The cache is late: each event takes its time, and its watch breaks off now and then.
  transport->Decide([](const kube::Request& request) {
    Fault fault;
    if (!IsWatch(request)) return fault;
    fault.cut_after_bytes = 3000;
    fault.change_line = [](const std::string& line) {
      std::this_thread::sleep_for(milliseconds(40));
      return line;
    };
    return fault;
  });
  kube::ApiClient client(std::move(transport), connection.token);
  kube::Manager manager(client, {});
  kube::WatcherOptions watch;
  watch.resource = kube::kConfigMap;
  watch.ns = ns;
  watch.watch_list = false;
  watch.sleep = [](std::stop_token stop, milliseconds) {
    return SleepUntil(stop, Deadline::After(milliseconds(1)));
  };
  auto& store = manager.AddStore<Json>(watch, kube::AsIs);
  std::multiset<std::string> seen;
  std::atomic<int> steps{0};
  kube::Controller& controller = manager.AddController(
      {.name = "counter", .workers = 1},
      [&](std::stop_token stop, Deadline deadline, const Key& key) -> Result<Step> {
        TRY_ASSIGN(auto cached, store.Get(key));
        if (!cached || steps == 12) return Step::Done();
        seen.insert((*cached)["data"]["count"].AsString());
        Json patch = Json::Object({{"data", Json::Object({{"count", std::to_string(++steps)}})}});
        TRY(manager.client().Patch(stop, deadline, kube::kConfigMap, key, patch));
        return Step::After(milliseconds(1));
      });
  controller.For(store);
  std::stop_source stop;
  std::jthread runner([&] { EXPECT_TRUE(manager.Run(stop.get_token())); });
  EXPECT_TRUE(Eventually([&] { return steps == 12; }));
  stop.request_stop();
  runner.join();
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size())
      << "a reconcile decided by what was before its own last write";
}

}  // namespace
}  // namespace cutover::testing
