// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "reconcilers/migration/cluster/cluster_world.h"
#include "reconcilers/migration/decide.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::MigrationIn;

class NoResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

/// A tenant in a StatefulSet whose volumes Kubernetes deletes when it is scaled down, which
/// somebody has ordered since preflight passed, beside a Deployment.
class VolumesAtStake : public ::testing::Test {
 protected:
  void SetUp() override {
    Create(kube::kDatabasePlacement, R"({"metadata":{"namespace":"acme","name":"acme"},"spec":{
        "database":{"name":"acme","owner":"acme",
          "passwordSecretRef":{"name":"acme-db","key":"password"}},
        "class":"Shared","serverName":"pg-source","profile":{"type":"Generic"},"connection":{},
        "workloads":[{"kind":"StatefulSet","name":"odoo"},{"kind":"Deployment","name":"web"}]}})");
    Create(kube::kDeployment,
           R"({"metadata":{"namespace":"acme","name":"web"},"spec":{"replicas":1}})");
    Create(kube::kStatefulSet, R"({"metadata":{"namespace":"acme","name":"odoo"},"spec":{
        "replicas":1,"volumeClaimTemplates":[{"metadata":{"name":"filestore"}}],
        "persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}})");
  }
  void Create(const kube::Resource& resource, const char* json) {
    Result<Json> parsed = Json::Parse(json);
    ASSERT_TRUE(parsed);
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), resource, *parsed, {}));
  }
  int64_t Replicas(const kube::Resource& resource, const char* name) {
    auto found = client_.Get({}, Deadline::Never(), resource, {"acme", name});
    return found && *found ? (**found)["spec"]["replicas"].AsInt(-1) : -1;
  }
  Status StopIn(Phase phase) {
    return ClusterWorld(context_).Perform({}, Deadline::Never(), MigrationIn(phase),
                                          Intent::kStopWorkloads);
  }
  WorkloadFacts SeenIn(Phase phase) {
    ClusterWorld world(context_);
    const api::TenantMigration migration = MigrationIn(phase);
    Observation seen = world.Observe({}, Deadline::Never(), migration);
    world.LookAt({}, Deadline::Never(), migration, Subject::kWorkloads, seen);
    EXPECT_TRUE(seen.workloads.known());
    return seen.workloads.known() ? *seen.workloads : WorkloadFacts();
  }

  kube::FakeClient client_;
  NoResolver resolver_;
  ClusterContext context_{client_, resolver_, RealClock(), {}};
};

TEST_F(VolumesAtStake, EndTheMoveWhileItCanBeUndone) {
  const Status stopped = StopIn(Phase::kFencing);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().reason, "VolumesGoWithReplicas");
  EXPECT_EQ(stopped.error().disposition, Disposition::kTerminal);
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 1);
  EXPECT_FALSE(SeenIn(Phase::kFencing).stopped);
}

// Users would wait behind the doors for ever, and the fence is what keeps the workload out.
TEST_F(VolumesAtStake, HoldNoRollbackAndAreNotLostInIt) {
  EXPECT_FALSE(SeenIn(Phase::kRollingBack).scaled_down) << "the Deployment has to stop";
  ASSERT_TRUE(StopIn(Phase::kRollingBack));
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 1);
  EXPECT_EQ(Replicas(kube::kDeployment, "web"), 0);
  const WorkloadFacts seen = SeenIn(Phase::kRollingBack);
  EXPECT_TRUE(seen.scaled_down);
  EXPECT_TRUE(seen.stopped);
  EXPECT_EQ(seen.left_running, "StatefulSet odoo");
}

}  // namespace
}  // namespace cutover::migration
