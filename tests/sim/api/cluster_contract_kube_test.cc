// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <thread>

#include "operator/base/check.h"
#include "operator/base/random.h"
#include "tests/kube/api_server.h"
#include "tests/kube/tcp_relay.h"
#include "tests/sim/api/cluster_contract.h"

namespace cutover::sim {
namespace {

void Must(const Status& done) { ASSERT_TRUE(done) << done.error().message; }

// etcd, two API servers and, once it is asked for, a garbage collector.
class RealCluster final : public OwnCluster {
 public:
  explicit RealCluster(std::unique_ptr<testing::ControlPlane> plane) : plane_(std::move(plane)) {
    client_ = testing::MakeClient(*plane_->Kubeconfig());
  }

  kube::Client& client() override { return *client_; }

  kube::Client& replica() override {
    if (!replica_) {
      Result<int> added = plane_->AddServer(to_etcd_.port());
      CHECK(added.has_value());
      replica_ = testing::MakeClient(*plane_->Kubeconfig("admin", *added));
    }
    return *replica_;
  }

  void HoldReplicaBack() override { to_etcd_.SetFrozen(true); }
  void LetReplicaGoOn() override { to_etcd_.SetFrozen(false); }

  void Compact() override {
    Must(plane_->Compact());
    plane_->KillServer(0);
    Must(plane_->RestartServer(0));
    client_ = testing::MakeClient(*plane_->Kubeconfig());  // No connection to the one before.
  }

  void CollectGarbage() override {
    Must(plane_->StartGarbageCollector());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }

 private:
  const std::unique_ptr<testing::ControlPlane> plane_;
  testing::TcpRelay to_etcd_{plane_->etcd_port()};
  std::unique_ptr<kube::ApiClient> client_, replica_;
};

std::unique_ptr<OwnCluster> MakeRealCluster() {
  auto directory = std::filesystem::temp_directory_path() / ("cutover-plane-" + RandomHex(6));
  auto plane = testing::ControlPlane::Start(directory.string());
  EXPECT_TRUE(plane) << plane.error().message;
  if (!plane) return nullptr;
  return std::make_unique<RealCluster>(std::move(*plane));
}

INSTANTIATE_TEST_SUITE_P(ControlPlane, ClusterContract,
                         ::testing::Values(ClusterSubject{"Real", MakeRealCluster}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
