// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/manager.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/kube/fake_client.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Key kLeaseKey{"system", "lease"};

// Nobody loses the lease that does not mean to, also on a machine that stands still for seconds.
ManagerOptions Options(const std::string& identity) {
  ManagerOptions options;
  options.election.emplace();
  options.election->lease = kLeaseKey;
  options.election->identity = identity;
  options.election->lease_duration = seconds(90);
  options.election->renew_deadline = seconds(60);
  options.election->retry_period = milliseconds(50);
  return options;
}

template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(seconds(60));
  while (!condition() && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(5));
  return condition();
}

TEST(Manager, ControllersRunOnlyInTheLeaderAndOnlyAfterTheCachesHaveSynced) {
  FakeClient server;
  ASSERT_TRUE(server.Create({}, Deadline::Never(), kConfigMap, NewObject(kConfigMap, {"ns", "a"})));
  std::atomic<int> reconciled{0};
  std::atomic<bool> unsynced{false};
  std::atomic<int64_t> epoch{0};
  Manager manager(server, Options("one"));
  auto& store = manager.AddStore<Json>({.resource = kConfigMap}, AsIs);
  Controller& controller =
      manager.AddController({.name = "test"}, [&](auto, auto, const Key&) -> Result<Step> {
        if (!store.HasSynced()) unsynced = true;
        ++reconciled;
        return Step::Done();
      });
  controller.For(store);
  manager.OnElected([&](int64_t elected) { epoch = elected; });
  std::stop_source stop;
  Status outcome;
  std::jthread runner([&] { outcome = manager.Run(stop.get_token()); });
  EXPECT_TRUE(Eventually([&] { return reconciled == 1; }));
  EXPECT_EQ(epoch, 1);
  EXPECT_FALSE(unsynced);
  EXPECT_TRUE(manager.IsLeader());
  for (const auto& [fact, holds] : manager.ReadinessFacts()) EXPECT_TRUE(holds) << fact;

  Manager standby(server, Options("two"));
  auto& warm = standby.AddStore<Json>({.resource = kConfigMap}, AsIs);
  std::atomic<int> stolen{0};
  standby
      .AddController({.name = "test"},
                     [&](auto, auto, const Key&) -> Result<Step> {
                       ++stolen;
                       return Step::Done();
                     })
      .For(warm);
  std::stop_source standby_stop;
  std::jthread standby_runner([&] { (void)standby.Run(standby_stop.get_token()).has_value(); });
  EXPECT_TRUE(Eventually([&] { return warm.HasSynced(); })) << "a standby's caches are warm";
  EXPECT_EQ(stolen, 0);

  stop.request_stop();
  runner.join();
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(Eventually([&] { return stolen == 1; })) << "the released lease is taken at once";
  EXPECT_EQ(standby.epoch(), 2);
  standby_stop.request_stop();
}

TEST(Manager, ALostLeadershipEndsTheRun) {
  FakeClient server;
  std::atomic<bool> told{false};
  ManagerOptions options = Options("one");
  options.election->lease_duration = milliseconds(1500);
  options.election->renew_deadline = milliseconds(1000);
  options.on_lost = [&] { told = true; };
  Manager manager(server, options);
  manager.OnElected([&](int64_t) {
    server.fault = [](auto, auto) {
      return Error{Disposition::kRetry, reason::kUnreachable, "cut off"};
    };
  });
  Status outcome = manager.Run({});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "LeadershipLost");
  EXPECT_TRUE(told);
}

TEST(Manager, ACollectionThatCannotBeReadEndsTheRunWithItsName) {
  FakeClient server;
  server.fault = [](FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "list") return std::nullopt;
    return Error{Disposition::kRetry, reason::kForbidden, "no"};
  };
  ManagerOptions options;
  options.cache_sync_timeout = seconds(1);
  Manager manager(server, options);
  manager.AddStore<Json>({.resource = kSecret}, AsIs);
  Status outcome = manager.Run({});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, "CacheSyncTimeout");
  EXPECT_NE(outcome.error().message.find("secrets"), std::string::npos);
}

TEST(Manager, ServicesOutliveTheControllers) {
  FakeClient server;
  std::atomic<bool> service_running{false}, seen_by_controller{false};
  Manager manager(server, {});
  manager.AddService("service", [&](std::stop_token stop) {
    service_running = true;
    SleepUntil(stop, Deadline::Never());
    service_running = false;
  });
  Controller& controller =
      manager.AddController({.name = "test"}, [&](std::stop_token stop, auto, const Key&) {
        SleepUntil(stop, Deadline::Never());
        std::this_thread::sleep_for(milliseconds(50));
        seen_by_controller = service_running.load();
        return Result<Step>(Step::Done());
      });
  controller.Enqueue({"", "x"});
  std::stop_source stop;
  std::jthread stopper([&] {
    Eventually(
        [&] { return service_running && controller.queue().UnfinishedWork().first.count(); });
    stop.request_stop();
  });
  EXPECT_TRUE(manager.Run(stop.get_token()));
  EXPECT_TRUE(seen_by_controller);
  EXPECT_FALSE(service_running);
}

TEST(Manager, StoresExpectWhatIsWrittenThroughItsClient) {
  FakeClient server;
  Manager manager(server, {});
  auto& store = manager.AddStore<Json>({.resource = kConfigMap}, AsIs);
  store.BeginList();
  store.EndList("50");
  const Key a{"ns", "a"}, secret{"ns", "secret"};
  Client& client = manager.client();
  ASSERT_TRUE(client.Create({}, Deadline::Never(), kConfigMap, NewObject(kConfigMap, a)));
  ASSERT_TRUE(client.Create({}, Deadline::Never(), kSecret, NewObject(kSecret, secret)));
  EXPECT_TRUE(store.IsBehind(a));
  EXPECT_FALSE(store.IsBehind(secret)) << "of another kind";
  store.Reached("101");
  EXPECT_FALSE(store.IsBehind(a));
  Result<Json> written = client.ApplyStatus({}, Deadline::Never(), kConfigMap, a, Json::Object());
  ASSERT_TRUE(written);
  EXPECT_TRUE(store.IsBehind(a));
  store.Reached(ResourceVersionOf(*written));
  EXPECT_FALSE(store.IsBehind(a));
  server.fault = [](auto, const std::string&) { return Error{.reason = "No", .message = "no"}; };
  EXPECT_FALSE(client.ApplyStatus({}, Deadline::Never(), kConfigMap, a, Json::Object()));
  EXPECT_FALSE(store.IsBehind(a)) << "what was refused has no version";
}

}  // namespace
}  // namespace cutover::kube
