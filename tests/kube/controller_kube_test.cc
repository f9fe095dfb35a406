// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "operator/base/random.h"
#include "operator/kube/finalizer.h"
#include "operator/kube/manager.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kFinalizer[] = "cutover.dev/copies";

template <class Condition>
bool Eventually(Condition condition) {
  Deadline deadline = Deadline::After(seconds(60));
  while (!condition() && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(20));
  return condition();
}

// A whole small operator: for each ConfigMap labelled "copy" it keeps a Secret with the same data,
// and removes it before the ConfigMap goes.
class CopyingOperator {
 public:
  CopyingOperator(Client& client, const std::string& ns, const std::string& identity)
      : client_(client), manager_(client, Options(ns, identity)) {
    WatcherOptions watch;
    watch.resource = kConfigMap;
    watch.ns = ns;
    watch.label_selector = "copy";
    auto& originals = manager_.AddStore<Json>(watch, AsIs);
    watch.resource = kSecret;
    watch.label_selector = "";
    auto& copies = manager_.AddStore<Json>(watch, AsIs);
    Controller& controller =
        manager_.AddController({.name = "copies", .workers = 2},
                               [this](std::stop_token stop, Deadline deadline, const Key& key) {
                                 return Reconcile(stop, deadline, key);
                               });
    controller.For(originals);
    controller.Watches<Json>(copies, [](const Key&, const Json& secret) -> std::vector<Key> {
      Key owner = ControllerOf(secret, kConfigMap);
      if (owner.name.empty()) return {};
      return {owner};
    });
    thread_ = std::jthread([this](std::stop_token stop) { outcome = manager_.Run(stop); });
  }
  void Stop() {
    thread_.request_stop();
    thread_.join();
  }
  Manager& manager() { return manager_; }
  Status outcome;

 private:
  static ManagerOptions Options(const std::string& ns, const std::string& identity) {
    ManagerOptions options;
    options.election.emplace();
    options.election->lease = {ns, "copying"};
    options.election->identity = identity;
    // So long that nobody loses it who does not let it go, also on a machine that stands still.
    options.election->lease_duration = seconds(90);
    options.election->renew_deadline = seconds(60);
    return options;
  }

  Result<Step> Reconcile(std::stop_token stop, Deadline deadline, const Key& key) {
    TRY_ASSIGN(std::optional<Json> original, client_.Get(stop, deadline, kConfigMap, key));
    if (!original) return Step::Done();
    if (IsDeleting(*original)) {
      TRY(client_.Delete(stop, deadline, kSecret, key));
      TRY(RemoveFinalizer(stop, deadline, client_, kConfigMap, key, UidOf(*original), kFinalizer));
      return Step::Done();
    }
    TRY(EnsureFinalizer(stop, deadline, client_, kConfigMap, key, UidOf(*original), kFinalizer));
    Json copy = NewObject(kSecret, key);
    copy.MutableAt("metadata")
        .Set("ownerReferences", Json::Array({ControllerReference(kConfigMap, *original)}));
    copy.Set("stringData", (*original)["data"]);
    TRY(client_.Apply(stop, deadline, kSecret, copy));
    return Step::Done();
  }

  Client& client_;
  Manager manager_;
  std::jthread thread_;
};

class OperatorOnApiServer : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(seconds(30)); }
  void CreateOriginal(const std::string& name) {
    Json object = NewObject(kConfigMap, {ns_, name});
    object.MutableAt("metadata").Set("labels", Json::Object({{"copy", "yes"}}));
    object.Set("data", Json::Object({{"k", "v"}}));
    ASSERT_TRUE(client_->Create({}, Soon(), kConfigMap, object));
  }
  bool Exists(const Resource& resource, const std::string& name) {
    return (*client_->Get({}, Soon(), resource, {ns_, name})).has_value();
  }

  std::unique_ptr<ApiClient> client_ = cutover::testing::MakeClient();
  std::string ns_ = cutover::testing::MakeNamespace(*client_);
};

TEST_F(OperatorOnApiServer, ChildrenAreMadeRestoredAndCleanedUp) {
  CreateOriginal("a");
  CopyingOperator copying(*client_, ns_, "one");
  EXPECT_TRUE(Eventually([&] { return Exists(kSecret, "a"); }));
  ASSERT_TRUE(client_->Delete({}, Soon(), kSecret, {ns_, "a"}));
  EXPECT_TRUE(Eventually([&] { return Exists(kSecret, "a"); })) << "somebody deleted the child";
  ASSERT_TRUE(client_->Delete({}, Soon(), kConfigMap, {ns_, "a"}));
  EXPECT_TRUE(Eventually([&] { return !Exists(kConfigMap, "a"); }));
  EXPECT_FALSE(Exists(kSecret, "a"));
  copying.Stop();
  EXPECT_TRUE(copying.outcome);
}

TEST_F(OperatorOnApiServer, AGracefulStopHandsOverWithinSecondsAndWithTheNextEpoch) {
  auto first = std::make_unique<CopyingOperator>(*client_, ns_, "one-" + RandomHex(4));
  ASSERT_TRUE(Eventually([&] { return first->manager().IsLeader(); }));
  CopyingOperator second(*client_, ns_, "two-" + RandomHex(4));
  int64_t epoch = first->manager().epoch();
  SteadyTime stopped = RealClock().SteadyNow();
  first->Stop();
  CreateOriginal("b");
  EXPECT_TRUE(Eventually([&] { return Exists(kSecret, "b"); }));
  EXPECT_LT(RealClock().SteadyNow() - stopped, seconds(60)) << "before the lease is over";
  EXPECT_EQ(second.manager().epoch(), epoch + 1);
  second.Stop();
}

}  // namespace
}  // namespace cutover::kube
