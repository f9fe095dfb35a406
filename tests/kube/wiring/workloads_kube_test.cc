// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/workloads.h"

#include "tests/kube/wiring/wiring_world.h"

namespace cutover::wiring {
namespace {

class Workloads : public OnApiServer {
 protected:
  static constexpr char kPodSpec[] =
      R"("spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]})";

  void SetUp() override {
    Create(kube::kDeployment, R"({"metadata":{"name":"web"},"spec":{"replicas":3,
        "selector":{"matchLabels":{"app":"web"},"matchExpressions":[
          {"key":"tier","operator":"In","values":["front","back"]},
          {"key":"canary","operator":"DoesNotExist"}]},
        "template":{"metadata":{"labels":{"app":"web","tier":"front"}},
                    "spec":{"containers":[{"name":"c","image":"i"}]}}}})");
    Create(kube::kStatefulSet, R"({"metadata":{"name":"queue"},"spec":{"replicas":1,
        "serviceName":"q","selector":{"matchLabels":{"app":"queue"}},
        "template":{"metadata":{"labels":{"app":"queue"}},
                    "spec":{"containers":[{"name":"c","image":"i"}]}}}})");
    Create(kube::kCronJob, std::string(R"({"metadata":{"name":"cron"},"spec":{
        "schedule":"* * * * *","jobTemplate":{"spec":{"template":{)") +
                               kPodSpec + "}}}}}");
    placement_.spec.workloads = {
        {"Deployment", "web"}, {"StatefulSet", "queue"}, {"CronJob", "cron"}};
  }
  std::vector<WorkloadObservation> Observe(const Json& record = {}) {
    auto seen = ObserveWorkloads({}, Soon(), *client_, placement_, record);
    EXPECT_TRUE(seen) << seen.error().message;
    return *seen;
  }
  Json Record() {
    auto record = RecordWorkloads({}, Soon(), *client_, placement_);
    EXPECT_TRUE(record) << record.error().message;
    return *Json::Parse(record->Dump());
  }
  void Stop() {
    Status stopped = StopWorkloads({}, Soon(), *client_, placement_);
    ASSERT_TRUE(stopped) << stopped.error().message;
  }
  // What the controllers would do.
  void Settle(const kube::Resource& resource, const std::string& name, int replicas) {
    const int64_t generation = Stored(resource, name)["metadata"]["generation"].AsInt();
    const std::string count = std::to_string(replicas);
    Patch(resource, name,
          R"({"status":{"observedGeneration":)" + std::to_string(generation) + R"(,"replicas":)" +
              count + R"(,"readyReplicas":)" + count + R"(,"updatedReplicas":)" + count + "}}",
          "status");
  }
  // `controller`: "ReplicaSet/web-5d8f", or nobody's.
  void AddPod(const std::string& name, const std::string& labels,
              const std::string& controller = "", const char* spec = kPodSpec) {
    const size_t slash = controller.find('/');
    const std::string owner = controller.empty()
                                  ? ""
                                  : R"(,"ownerReferences":[{"apiVersion":"apps/v1","kind":")" +
                                        controller.substr(0, slash) + R"(","name":")" +
                                        controller.substr(slash + 1) +
                                        R"(","uid":"0a1b2c3d","controller":true}])";
    Create(kube::kPod, R"({"metadata":{"name":")" + name + R"(","labels":)" + labels + owner +
                           "}," + spec + "}");
  }
};

TEST_F(Workloads, StopAndComeBackAsTheyWere) {
  const Json record = Record();
  for (const WorkloadObservation& workload : Observe(record)) EXPECT_TRUE(workload.as_recorded);
  Stop();
  EXPECT_EQ(Stored(kube::kDeployment, "web")["spec"]["replicas"].AsInt(-1), 0);
  EXPECT_EQ(Stored(kube::kStatefulSet, "queue")["spec"]["replicas"].AsInt(-1), 0);
  EXPECT_TRUE(Stored(kube::kCronJob, "cron")["spec"]["suspend"].AsBool());
  for (const WorkloadObservation& workload : Observe(record)) EXPECT_FALSE(workload.as_recorded);
  const std::string version = VersionOf(kube::kDeployment, "web");
  Stop();
  EXPECT_EQ(VersionOf(kube::kDeployment, "web"), version);

  Status restored = RestoreWorkloads({}, Soon(), *client_, placement_, record);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(Stored(kube::kDeployment, "web")["spec"]["replicas"].AsInt(), 3);
  EXPECT_EQ(Stored(kube::kStatefulSet, "queue")["spec"]["replicas"].AsInt(), 1);
  EXPECT_FALSE(Stored(kube::kCronJob, "cron")["spec"]["suspend"].AsBool(true));
  EXPECT_EQ(Record(), record);
}

// GitOps tools leave alone what `cutover` owns (docs/gitops.md), and must not do so for ever.
TEST_F(Workloads, AreTheOperatorsWhileTheyAreStoppedAndNobodysOnceTheyAreBack) {
  const auto owner = [this](const kube::Resource& resource, const std::string& name,
                            const std::string& field) {
    std::string owners;
    const Json object = Stored(resource, name);
    for (const Json& entry : object["metadata"]["managedFields"].Items())
      if (entry["fieldsV1"]["f:spec"].Contains(field)) owners += entry["manager"].AsString() + " ";
    return owners;
  };
  const Json record = Record();
  Stop();
  EXPECT_EQ(owner(kube::kDeployment, "web", "f:replicas"), "cutover ");
  EXPECT_EQ(owner(kube::kCronJob, "cron", "f:suspend"), "cutover ");
  ASSERT_TRUE(RestoreWorkloads({}, Soon(), *client_, placement_, record));
  EXPECT_EQ(owner(kube::kDeployment, "web", "f:replicas"), "cutover-restore ");
  EXPECT_EQ(owner(kube::kCronJob, "cron", "f:suspend"), "cutover-restore ");
}

// Days may lie between the record and the stop, and minutes between the stop and the restart.
TEST_F(Workloads, ComeBackAsTheyWereWhenTheyWereStoppedAndNotAsRecorded) {
  Patch(kube::kCronJob, "cron", R"({"spec":{"suspend":true}})");
  const Json record = Record();
  const std::string labels = Stored(kube::kDeployment, "web")["metadata"]["labels"].Dump();
  Patch(kube::kDeployment, "web", R"({"spec":{"replicas":6}})");
  Patch(kube::kCronJob, "cron", R"({"spec":{"suspend":false}})");
  for (const WorkloadObservation& workload : Observe(record)) EXPECT_TRUE(workload.as_recorded);
  Stop();
  EXPECT_EQ(Observe()[0].replicas_before, 6);
  EXPECT_EQ(Record()[size_t{0}]["replicas"].AsInt(), 6) << "of another move of the same workload";
  Patch(kube::kStatefulSet, "queue", R"({"spec":{"replicas":4}})");
  Stop();
  ASSERT_TRUE(RestoreWorkloads({}, Soon(), *client_, placement_, record));
  EXPECT_EQ(Stored(kube::kDeployment, "web")["spec"]["replicas"].AsInt(), 6);
  EXPECT_EQ(Stored(kube::kStatefulSet, "queue")["spec"]["replicas"].AsInt(), 4);
  EXPECT_FALSE(Stored(kube::kCronJob, "cron")["spec"]["suspend"].AsBool(true));
  EXPECT_EQ(Stored(kube::kDeployment, "web")["metadata"]["labels"].Dump(), labels);
  for (const WorkloadObservation& workload : Observe(record)) EXPECT_TRUE(workload.as_recorded);
}

TEST_F(Workloads, WhatRunsIsSomebodysAndStaysAsItIs) {
  const Json record = Record();
  Patch(kube::kDeployment, "web", R"({"spec":{"replicas":6}})");
  const std::string version = VersionOf(kube::kDeployment, "web");
  ASSERT_TRUE(RestoreWorkloads({}, Soon(), *client_, placement_, record));
  EXPECT_EQ(VersionOf(kube::kDeployment, "web"), version);
}

// By an operator of before there was a label, or with it taken off.
TEST_F(Workloads, ComeBackAsRecordedWhenTheyDoNotSayHowManyTheyWere) {
  const Json record = Record();
  Patch(kube::kDeployment, "web", R"({"spec":{"replicas":0}})");
  EXPECT_FALSE(Observe(record)[0].as_recorded);
  ASSERT_TRUE(RestoreWorkloads({}, Soon(), *client_, placement_, record));
  EXPECT_EQ(Stored(kube::kDeployment, "web")["spec"]["replicas"].AsInt(), 3);
}

TEST_F(Workloads, WhatWasStoppedBeforeStaysStopped) {
  Patch(kube::kDeployment, "web", R"({"spec":{"replicas":0}})");
  Patch(kube::kCronJob, "cron", R"({"spec":{"suspend":true}})");
  const Json record = Record();
  Stop();
  ASSERT_TRUE(RestoreWorkloads({}, Soon(), *client_, placement_, record));
  EXPECT_EQ(Stored(kube::kDeployment, "web")["spec"]["replicas"].AsInt(-1), 0);
  EXPECT_TRUE(Stored(kube::kCronJob, "cron")["spec"]["suspend"].AsBool());
}

TEST_F(Workloads, ADeploymentHasStoppedWhenItsControllerSaysSoAndNoPodIsLeft) {
  placement_.spec.workloads = {{"Deployment", "web"}};
  const char* ours = "ReplicaSet/web-5d8f";
  AddPod("web-1", R"({"app":"web","tier":"back","pod-template-hash":"5d8f"})", ours);
  AddPod("other", R"({"app":"web","tier":"none","pod-template-hash":"5d8f"})", ours);
  AddPod("canary", R"({"app":"web","tier":"back","canary":"yes","pod-template-hash":"5d8f"})",
         ours);
  Settle(kube::kDeployment, "web", 1);
  EXPECT_EQ(Observe()[0].pods, 1) << "the selector decides";
  Stop();
  EXPECT_FALSE(Observe()[0].StoppedFully()) << "the controller has not seen it";
  Settle(kube::kDeployment, "web", 0);
  EXPECT_FALSE(Observe()[0].StoppedFully()) << "a pod is left";
  Patch(kube::kPod, "web-1", R"({"status":{"phase":"Failed"}})", "status");
  EXPECT_TRUE(Observe()[0].StoppedFully()) << "a pod that has ended runs nothing";
}

// As where a release's database, its cache and a Job carry the labels that its Deployment selects.
TEST_F(Workloads, PodsOfAnotherOwnerDoNotCount) {
  placement_.spec.workloads = {{"Deployment", "web"}, {"StatefulSet", "queue"}};
  Stop();
  Settle(kube::kDeployment, "web", 0);
  Settle(kube::kStatefulSet, "queue", 0);
  const std::string labels = R"({"app":"web","tier":"back","pod-template-hash":"5d8f"})";
  AddPod("redis-0", labels, "StatefulSet/web-redis");
  AddPod("nginx", labels, "ReplicaSet/web-nginx-5d8f");
  AddPod("by-hand", labels);
  AddPod("another-queue-0", R"({"app":"queue"})", "StatefulSet/another-queue");
  for (const WorkloadObservation& workload : Observe()) {
    EXPECT_EQ(workload.pods, 0) << workload.Describe();
    EXPECT_TRUE(workload.StoppedFully()) << workload.Describe();
  }
  AddPod("web-1", labels, "ReplicaSet/web-5d8f");
  AddPod("queue-0", R"({"app":"queue"})", "StatefulSet/queue");
  for (const WorkloadObservation& workload : Observe())
    EXPECT_EQ(workload.pods, 1) << workload.Describe();
}

TEST_F(Workloads, SayWhichPodsAreLeftAndOnWhichNodes) {
  placement_.spec.workloads = {{"StatefulSet", "queue"}};
  Stop();
  Settle(kube::kStatefulSet, "queue", 1);
  for (const char* name : {"queue-0", "queue-1"})
    AddPod(name, R"({"app":"queue"})", "StatefulSet/queue",
           R"("spec":{"nodeName":"worker-2","containers":[{"name":"c","image":"i"}]})");
  // Nobody is there who would end it.
  ASSERT_TRUE(client_->Delete({}, Soon(), kube::kPod, {ns_, "queue-1"}));
  EXPECT_EQ(Observe()[0].Describe(),
            "StatefulSet queue: 2 pods still running: queue-0 (node worker-2), queue-1 "
            "(terminating, node worker-2)");
  for (const char* name : {"queue-2", "queue-3"})
    AddPod(name, R"({"app":"queue"})", "StatefulSet/queue");
  EXPECT_EQ(Observe()[0].Describe(),
            "StatefulSet queue: 4 pods still running: queue-0 (node worker-2), queue-1 "
            "(terminating, node worker-2), queue-2, …");
}

TEST_F(Workloads, ATerminatingPodStillCounts) {
  placement_.spec.workloads = {{"StatefulSet", "queue"}};
  AddPod("queue-0", R"({"app":"queue"})", "StatefulSet/queue");
  Patch(kube::kPod, "queue-0", R"({"metadata":{"finalizers":["example.com/hold"]}})");
  Patch(kube::kPod, "queue-0", R"({"status":{"phase":"Running"}})", "status");
  Stop();
  Settle(kube::kStatefulSet, "queue", 0);
  ASSERT_TRUE(client_->Delete({}, Soon(), kube::kPod, {ns_, "queue-0"}));
  EXPECT_EQ(Observe()[0].pods, 1);
  EXPECT_FALSE(Observe()[0].StoppedFully());
  Patch(kube::kPod, "queue-0", R"({"metadata":{"finalizers":null}})");
  EXPECT_TRUE(Observe()[0].StoppedFully());
}

TEST_F(Workloads, ACronJobHasStoppedWhenNoJobOfItRuns) {
  placement_.spec.workloads = {{"CronJob", "cron"}};
  const std::string uid = kube::UidOf(Stored(kube::kCronJob, "cron"));
  Create(kube::kJob, R"({"metadata":{"name":"cron-29000000","ownerReferences":[{
      "apiVersion":"batch/v1","kind":"CronJob","name":"cron","uid":")" +
                         uid + R"(","controller":true}]},"spec":{"template":{)" + kPodSpec + "}}}");
  Stop();
  EXPECT_FALSE(Observe()[0].StoppedFully()) << "a Job without a pod will have one";
  AddPod("cron-29000000-a", R"({"batch.kubernetes.io/job-name":"cron-29000000"})");
  AddPod("cron-other-a", R"({"batch.kubernetes.io/job-name":"cron-other-29000000"})");
  EXPECT_EQ(Observe()[0].pods, 1);
  kube::DeleteOptions now;
  now.propagation = kube::Propagation::kBackground;
  ASSERT_TRUE(client_->Delete({}, Soon(), kube::kJob, {ns_, "cron-29000000"}, now));
  EXPECT_FALSE(Observe()[0].StoppedFully()) << "its pod outlives the Job";
  Patch(kube::kPod, "cron-29000000-a", R"({"status":{"phase":"Succeeded"}})", "status");
  EXPECT_TRUE(Observe()[0].StoppedFully());
}

TEST_F(Workloads, AreReadyWhenAsManyPodsOfThePresentFormAreReady) {
  placement_.spec.workloads = {{"Deployment", "web"}};
  EXPECT_FALSE(Observe()[0].Ready());
  Settle(kube::kDeployment, "web", 3);
  EXPECT_TRUE(Observe()[0].Ready());
  Patch(kube::kDeployment, "web", R"({"spec":{"template":{"metadata":{"labels":{"v":"2"}}}}})");
  EXPECT_FALSE(Observe()[0].Ready()) << "those that are ready are of the form before";
}

TEST_F(Workloads, AMissingWorkloadIsStoppedButCannotBeRecordedOrRestored) {
  const Json record = Record();
  ASSERT_TRUE(client_->Delete({}, Soon(), kube::kDeployment, {ns_, "web"}));
  EXPECT_FALSE(Observe()[0].exists);
  EXPECT_TRUE(Observe()[0].StoppedFully());
  EXPECT_EQ(RecordWorkloads({}, Soon(), *client_, placement_).error().reason, "WorkloadNotFound");
  Stop();
  Status restored = RestoreWorkloads({}, Soon(), *client_, placement_, record);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().reason, "WorkloadNotFound");
  EXPECT_EQ(Stored(kube::kStatefulSet, "queue")["spec"]["replicas"].AsInt(), 1)
      << "the others have come back";
}

TEST_F(Workloads, AutoscalersThatTargetThemAreFound) {
  Create(kube::kHorizontalPodAutoscaler, R"({"metadata":{"name":"a"},"spec":{"maxReplicas":5,
      "scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}})");
  Create(kube::kHorizontalPodAutoscaler, R"({"metadata":{"name":"b"},"spec":{"maxReplicas":5,
      "scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"else"}}})");
  auto found = FindAutoscalers({}, Soon(), *client_, placement_);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, std::vector<std::string>{"HorizontalPodAutoscaler a scales Deployment web"});
}

}  // namespace
}  // namespace cutover::wiring
