// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "tests/sim/api/api_contract.h"
#include "tests/sim/api/model_transport.h"

namespace cutover::sim {
namespace {

// A client that owns its server.
std::shared_ptr<kube::Client> ConnectToModel() {
  struct Owner {
    ApiModel api{RealClock()};
    kube::ApiClient client{std::make_unique<ModelTransport>(api)};
  };
  auto owner = std::make_shared<Owner>();
  return {owner, &owner->client};
}

INSTANTIATE_TEST_SUITE_P(Model, ApiContract,
                         testing::Values(ApiSubject{"Model", ConnectToModel,
                                                    [](kube::Client&) { return "space"; }}),
                         [](const auto& test) { return test.param.name; });

class ModelOfTheApi : public testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(5)); }
  Json Created(const char* name) {
    return *client_.Create({}, Soon(), kube::kConfigMap,
                           kube::NewObject(kube::kConfigMap, {"space", name}));
  }
  ApiModel api_{RealClock()};
  std::unique_ptr<ModelTransport> own_ = std::make_unique<ModelTransport>(api_);
  ModelTransport& transport_ = *own_;
  kube::ApiClient client_{std::move(own_)};
};

TEST_F(ModelOfTheApi, AWatchFromBeforeTheCompactionIsRefused) {
  Json first = Created("a");
  Created("b");
  api_.Compact();
  kube::WatchOptions options;
  options.resource_version = kube::ResourceVersionOf(first);
  Status ended = client_.Watch({}, kube::kConfigMap, options, [](kube::WatchEvent) {});
  ASSERT_FALSE(ended);
  EXPECT_TRUE(kube::IsGone(ended.error()));
}

TEST_F(ModelOfTheApi, AStaleReplicaShowsThePastAndRefusesWritesThatRestOnIt) {
  Json first = Created("a");
  transport_.view = api_.version();
  Json changed = first;
  changed.MutableAt("data").Set("key", "1");
  ASSERT_TRUE(client_.Update({}, Soon(), kube::kConfigMap, changed));
  EXPECT_EQ(**client_.Get({}, Soon(), kube::kConfigMap, {"space", "a"}), first);
  EXPECT_FALSE(client_.Update({}, Soon(), kube::kConfigMap, first));
}

TEST_F(ModelOfTheApi, TheGarbageCollectorTakesWhatAVanishedOwnerOwned) {
  Json owner = Created("owner");
  Json child = kube::NewObject(kube::kConfigMap, {"space", "child"});
  child.MutableAt("metadata")
      .Set("ownerReferences", Json::Array({kube::ControllerReference(kube::kConfigMap, owner)}));
  ASSERT_TRUE(client_.Create({}, Soon(), kube::kConfigMap, child));
  EXPECT_FALSE(api_.CollectGarbage());
  kube::DeleteOptions foreground;
  foreground.propagation = kube::Propagation::kForeground;
  ASSERT_TRUE(client_.Delete({}, Soon(), kube::kConfigMap, {"space", "owner"}, foreground));
  EXPECT_TRUE(api_.CollectGarbage());
  EXPECT_FALSE(*client_.Get({}, Soon(), kube::kConfigMap, {"space", "child"}));
  EXPECT_TRUE(*client_.Get({}, Soon(), kube::kConfigMap, {"space", "owner"}));
  EXPECT_TRUE(api_.CollectGarbage());
  EXPECT_FALSE(*client_.Get({}, Soon(), kube::kConfigMap, {"space", "owner"}));
  EXPECT_FALSE(api_.CollectGarbage());
}

}  // namespace
}  // namespace cutover::sim
