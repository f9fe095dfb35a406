// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/workloads.h"

#include <gtest/gtest.h>

#include "reconcilers/wiring/rollout.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::wiring {
namespace {

Json Parsed(const std::string& text) {
  Result<Json> parsed = Json::Parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Json();
}

// --- what a stop would cost ----------------------------------------------------------------------

class WithVolumes : public ::testing::Test {
 protected:
  void SetUp() override {
    placement_.meta.namespace_name = "tenants";
    placement_.spec.workloads = {{"Deployment", "web"}, {"StatefulSet", "odoo"}};
    Create(kube::kDeployment, R"({"metadata":{"namespace":"tenants","name":"web"},
        "spec":{"replicas":2}})");
    Create(kube::kStatefulSet, R"({"metadata":{"namespace":"tenants","name":"odoo"},
        "spec":{"replicas":1,"volumeClaimTemplates":[{"metadata":{"name":"filestore"}}],
          "persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete",
            "whenScaled":"Retain"}}})");
  }
  void Create(const kube::Resource& resource, const char* json) {
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), resource, Parsed(json), {}));
  }
  void PatchOdoo(const char* patch) {
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kStatefulSet, {"tenants", "odoo"},
                              Parsed(patch), {}));
  }
  void DeleteWhenScaled() {
    PatchOdoo(R"({"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}})");
  }
  int64_t Replicas(const kube::Resource& resource, const char* name) {
    auto found = client_.Get({}, Deadline::Never(), resource, {"tenants", name});
    return found && *found ? (**found)["spec"]["replicas"].AsInt(-1) : -1;
  }
  WorkloadObservation Odoo() {
    auto seen = ObserveWorkloads({}, Deadline::Never(), client_, placement_);
    EXPECT_TRUE(seen) << seen.error().message;
    return seen->back();
  }
  Status Stop(VolumesAtStake at_stake) {
    return StopWorkloads({}, Deadline::Never(), client_, placement_, at_stake);
  }

  kube::FakeClient client_;
  api::DatabasePlacement placement_;
};

TEST_F(WithVolumes, AStatefulSetThatKeepsItsVolumesIsStopped) {
  EXPECT_FALSE(Odoo().MustNotStop());
  ASSERT_TRUE(Stop(VolumesAtStake::kRefuse));
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 0);
}

// Not what preflight has seen counts, but what is there when it is written.
TEST_F(WithVolumes, AStatefulSetWhoseVolumesWouldGoIsNotStopped) {
  DeleteWhenScaled();
  EXPECT_TRUE(Odoo().MustNotStop());
  const Status stopped = Stop(VolumesAtStake::kRefuse);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().reason, "VolumesGoWithReplicas");
  EXPECT_EQ(stopped.error().disposition, Disposition::kTerminal);
  EXPECT_NE(stopped.error().message.find("StatefulSet odoo is not stopped"), std::string::npos);
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 1);
}

TEST_F(WithVolumes, WhereItMustGoOnTheOthersAreStoppedAndThisOneRunsOn) {
  DeleteWhenScaled();
  placement_.spec.workloads = {{"StatefulSet", "odoo"}, {"Deployment", "web"}};
  ASSERT_TRUE(Stop(VolumesAtStake::kLeaveRunning));
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 1);
  EXPECT_EQ(Replicas(kube::kDeployment, "web"), 0);
}

TEST_F(WithVolumes, WhatHasNoPodsOrNoVolumesOfItsOwnHasNoneToLose) {
  DeleteWhenScaled();
  PatchOdoo(R"({"spec":{"replicas":0}})");
  EXPECT_FALSE(Odoo().MustNotStop());
  EXPECT_TRUE(Stop(VolumesAtStake::kRefuse));
  PatchOdoo(R"({"spec":{"replicas":1,"volumeClaimTemplates":null}})");
  EXPECT_FALSE(Odoo().MustNotStop());
  EXPECT_TRUE(Stop(VolumesAtStake::kRefuse));
  EXPECT_EQ(Replicas(kube::kStatefulSet, "odoo"), 0);
}

// --- rollouts ------------------------------------------------------------------------------------

struct Rollout {
  const char* spec;
  const char* status;
  const char* unfinished;
};

void ExpectEach(const char* kind, const std::vector<Rollout>& rollouts) {
  for (const Rollout& rollout : rollouts) {
    const Json workload = Parsed(std::string(R"({"metadata":{"generation":4},"spec":)") +
                                 rollout.spec + R"(,"status":)" + rollout.status + "}");
    EXPECT_EQ(DescribeUnfinishedRollout({kind, "odoo"}, workload), rollout.unfinished)
        << rollout.spec << rollout.status;
  }
}

TEST(Rollouts, OfADeploymentAreFinishedWhenAllThatIsThereIsOfThePresentFormAndReady) {
  ExpectEach(
      "Deployment",
      {{R"({"replicas":2})",
        R"({"observedGeneration":4,"replicas":2,"updatedReplicas":2,"readyReplicas":2})", ""},
       {R"({})", R"({"observedGeneration":4,"replicas":1,"updatedReplicas":1,"readyReplicas":1})",
        ""},
       // Its new image cannot be pulled, and the pod before it serves everybody.
       {R"({"replicas":1})",
        R"({"observedGeneration":4,"replicas":2,"updatedReplicas":1,"readyReplicas":1})",
        "1 of a form before"},
       {R"({"replicas":4})",
        R"({"observedGeneration":4,"replicas":5,"updatedReplicas":2,"readyReplicas":3})",
        "2 of 4 pods of its present form, 3 of a form before, 3 of 4 pods ready"},
       {R"({"replicas":2})",
        R"({"observedGeneration":4,"replicas":2,"updatedReplicas":2,"readyReplicas":1})",
        "1 of 2 pods ready"},
       {R"({"replicas":2})",
        R"({"observedGeneration":3,"replicas":2,"updatedReplicas":2,"readyReplicas":2})",
        "its controller has not seen its present form"},
       {R"({"replicas":2})", "{}", "its controller has not seen its present form"},
       {R"({"replicas":0})", "{}", ""}});
}

TEST(Rollouts, OfAStatefulSetAreFinishedWhenItsRevisionsAreOneAndAllIsReady) {
  const char* midway = R"({"observedGeneration":4,"replicas":2,"updatedReplicas":1,
      "readyReplicas":2,"currentRevision":"a","updateRevision":"b"})";
  ExpectEach("StatefulSet",
             {{R"({"replicas":2})", R"({"observedGeneration":4,"replicas":2,"updatedReplicas":2,
          "readyReplicas":2,"currentRevision":"b","updateRevision":"b"})",
               ""},
              {R"({"replicas":2})", midway, "1 of 2 pods of its present form"},
              {R"({"replicas":2,"updateStrategy":{"type":"RollingUpdate"}})", midway,
               "1 of 2 pods of its present form"},
              {R"({"replicas":2,"updateStrategy":{"type":"OnDelete"}})", midway, ""},
              {R"({"replicas":2,"updateStrategy":{"type":"OnDelete"}})",
               R"({"observedGeneration":4,"readyReplicas":1})", "1 of 2 pods ready"},
              {R"({"replicas":2})", "{}", "its controller has not seen its present form"}});
}

TEST(Rollouts, OfACronJobAreNone) {
  ExpectEach("CronJob", {{R"({"schedule":"* * * * *"})", "{}", ""}});
}

TEST(TemplateHolds, AreAPauseOfADeploymentAndAPartitionOfAStatefulSet) {
  const auto hold = [](const char* kind, const char* spec) {
    return FindTemplateHold({kind, "odoo"}, Parsed(std::string(R"({"spec":)") + spec + "}"));
  };
  EXPECT_EQ(hold("Deployment", R"({"paused":true})"), "spec.paused: true");
  EXPECT_EQ(hold("Deployment", R"({"paused":false})"), "");
  EXPECT_EQ(hold("StatefulSet", R"({"updateStrategy":{"type":"RollingUpdate",
      "rollingUpdate":{"partition":2}}})"),
            "spec.updateStrategy.rollingUpdate.partition: 2");
  EXPECT_EQ(hold("StatefulSet", R"({"updateStrategy":{"rollingUpdate":{"partition":0}}})"), "");
  EXPECT_EQ(hold("StatefulSet", R"({"updateStrategy":{"type":"OnDelete"}})"), "");
}

}  // namespace
}  // namespace cutover::wiring
