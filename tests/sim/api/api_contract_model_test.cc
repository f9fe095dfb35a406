// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "tests/sim/api/api_contract.h"
#include "tests/sim/api/cluster_contract.h"
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

// One model, and two clients of it, one of which can be shown the past.
class ModelCluster final : public OwnCluster {
 public:
  kube::Client& client() override { return client_; }
  kube::Client& replica() override { return replica_; }
  void HoldReplicaBack() override { lagging_.view = api_.version(); }
  void LetReplicaGoOn() override { lagging_.view = ApiModel::kLatest; }
  void Compact() override { api_.Compact(); }
  void CollectGarbage() override { api_.CollectGarbage(); }

 private:
  ApiModel api_{RealClock()};
  std::unique_ptr<ModelTransport> owned_ = std::make_unique<ModelTransport>(api_);
  ModelTransport& lagging_ = *owned_;
  kube::ApiClient client_{std::make_unique<ModelTransport>(api_)};
  kube::ApiClient replica_{std::move(owned_)};
};

INSTANTIATE_TEST_SUITE_P(Model, ClusterContract,
                         testing::Values(ClusterSubject{
                             "Model", [] { return std::make_unique<ModelCluster>(); }}),
                         [](const auto& test) { return test.param.name; });

// Worse than any real server that keeps its word (cluster_contract.h), for simulations.
TEST(ModelOfTheApi, ShowsThePastOfAStaleReplicaEvenToWhoAsksForThePresent) {
  const Deadline soon = Deadline::After(std::chrono::seconds(5));
  ModelCluster cluster;
  Json first = *cluster.client().Create({}, soon, kube::kConfigMap,
                                        kube::NewObject(kube::kConfigMap, {"space", "a"}));
  cluster.HoldReplicaBack();
  Json changed = first;
  changed.MutableAt("data").Set("key", "1");
  ASSERT_TRUE(cluster.client().Update({}, soon, kube::kConfigMap, changed));
  EXPECT_EQ(**cluster.replica().Get({}, soon, kube::kConfigMap, {"space", "a"}), first);
  EXPECT_FALSE(cluster.replica().Update({}, soon, kube::kConfigMap, first));
}

}  // namespace
}  // namespace cutover::sim
