// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::migration {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

OperatorConfig WithQueries() {
  OperatorConfig config;
  config.throttle_queries = {{"busy", "SELECT false"}, {"disk", "SELECT 0"}};
  return config;
}

TEST(CopyOrder, SaysWhatTheMigrationSaysOfTheCopy) {
  api::TenantMigrationSpec migration;
  migration.copy_jobs = 7;
  migration.copy_rate_mebibytes_per_second_max = 50;
  migration.copy_throttle_query = "busy";
  migration.copy_accept = {"tablespace fast"};
  migration.verification_level = api::VerificationLevel::kCounts;
  mover::JobSpec order;
  OrderCopy(WithQueries(), migration, order);
  EXPECT_EQ(order.jobs, 7);
  EXPECT_EQ(order.max_rate_mebibytes_per_second, 50);
  EXPECT_EQ(order.throttle_query, "SELECT false");
  EXPECT_THAT(order.accept, ElementsAre("tablespace fast"));
  EXPECT_EQ(order.verification_level, mover::VerificationLevel::kCounts);
}

TEST(CopyOrder, AcceptsThatRowsOfExcludedTablesStayBehindAndSaysItOnce) {
  api::TenantMigrationSpec migration;
  migration.copy_exclude_tables = {"public.a", "public.b"};
  migration.copy_accept = {"rows of public.a"};
  mover::JobSpec order;
  OrderCopy(WithQueries(), migration, order);
  EXPECT_THAT(order.exclude_tables, ElementsAre("public.a", "public.b"));
  EXPECT_THAT(order.accept, ElementsAre("rows of public.a", "rows of public.b"));
  mover::JobSpec again = order;
  OrderCopy(WithQueries(), migration, again);
  EXPECT_EQ(again, order) << "an order that is current must be recognized as such";
}

// Whoever may write migrations would else be the source's admin.
TEST(CopyOrder, HoldsNoQueryThatTheOperatorWasNotStartedWith) {
  api::TenantMigrationSpec migration;
  migration.copy_throttle_query = "SELECT rolpassword FROM pg_authid";
  mover::JobSpec order;
  OrderCopy(WithQueries(), migration, order);
  EXPECT_EQ(order.throttle_query, "");
  EXPECT_TRUE(ThrottleIsUnknown(WithQueries(), migration));
  migration.copy_throttle_query = "disk";
  OrderCopy(WithQueries(), migration, order);
  EXPECT_EQ(order.throttle_query, "SELECT 0");
  EXPECT_FALSE(ThrottleIsUnknown(WithQueries(), migration));
  migration.copy_throttle_query = "gone";
  OrderCopy(WithQueries(), migration, order);
  EXPECT_EQ(order.throttle_query, "SELECT 0") << "a copy goes on as it was ordered";
  migration.copy_throttle_query = "";
  OrderCopy(WithQueries(), migration, order);
  EXPECT_EQ(order.throttle_query, "");
}

MoverJob JobIn(const std::string& ns) {
  MoverJob job;
  job.namespace_name = ns;
  return job;
}

TEST(MoverJob, PullsWithTheOperatorsSecretsInItsOwnNamespaceOnly) {
  OperatorConfig config;
  config.namespace_name = "cutover-system";
  config.image_pull_secrets = {"registry", "mirror"};
  const std::initializer_list<std::string_view> path = {"spec", "template", "spec",
                                                        "imagePullSecrets"};
  EXPECT_EQ(MoverJobObject(config, {}, JobIn("cutover-system")).At(path).Dump(),
            R"([{"name":"registry"},{"name":"mirror"}])");
  // A Secret of that name in the tenant's namespace would be somebody else's.
  EXPECT_FALSE(MoverJobObject(config, {}, JobIn("acme")).At(path).IsArray());
  config.image_pull_secrets.clear();
  EXPECT_FALSE(MoverJobObject(config, {}, JobIn("cutover-system")).At(path).IsArray());
}

// Jobs and orders of a migration, in an API server in memory.
class MoverJobs : public ::testing::Test {
 protected:
  MoverJobs() {
    migration_.meta.uid = "0a1b2c3d-0000";
    migration_.status.attempt = 2;
  }

  void Start(int64_t attempt) {
    api::TenantMigration migration = migration_;
    migration.status.attempt = attempt;
    MoverJob job;
    job.namespace_name = "acme";
    job.spec.kind = mover::JobKind::kBackup;
    ASSERT_TRUE(CreateMoverJob({}, Deadline::Never(), client_, {}, migration, job));
  }
  size_t Count(const kube::Resource& resource) {
    return client_.List({}, Deadline::Never(), resource, {})->items.size();
  }
  JobFacts Observe() {
    return *ObserveJob({}, Deadline::Never(), client_, {}, "acme", migration_,
                       mover::JobKind::kBackup, std::chrono::system_clock::now());
  }

  kube::FakeClient client_;
  api::TenantMigration migration_;
};

TEST_F(MoverJobs, GoAfterTheirOrdersSoThatWhoeverIsCutShortComesBackForTheRest) {
  Start(2);
  int deletions = 0;
  client_.fault = [&](kube::FakeClient::When, const std::string& verb) -> std::optional<Error> {
    if (verb != "delete" || ++deletions < 2) return std::nullopt;
    return Error{Disposition::kRetry, "Unreachable", "the operator died here"};
  };
  EXPECT_FALSE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", migration_));
  EXPECT_EQ(Count(kube::kConfigMap), 0u);
  EXPECT_EQ(Count(kube::kJob), 1u);
  EXPECT_TRUE(Observe().exists);
  client_.fault = nullptr;
  EXPECT_TRUE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", migration_));
  EXPECT_EQ(Count(kube::kJob), 0u);
}

TEST_F(MoverJobs, OfOthersAndWhatIsNoJobOfOursStay) {
  Start(2);
  Json labelled = kube::NewObject(kube::kConfigMap, {"acme", "by-somebody"});
  labelled.MutableAt("metadata").Set("labels", Json::Object({{"cutover.dev/job", "backup"}}));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kConfigMap, labelled));
  api::TenantMigration other = migration_;
  other.meta.uid = "another";
  EXPECT_TRUE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", other));
  EXPECT_EQ(Count(kube::kConfigMap), 2u);
  EXPECT_EQ(ListMoverObjects({}, Deadline::Never(), client_, "")->size(), 2u);
}

// The pod that runs goes on as long as its connections do; the next one reads what is ordered then.
TEST_F(MoverJobs, OfACopyAreOrderedAnewWhereAServerHasAnotherAddressByNow) {
  MoverJob job;
  job.namespace_name = "acme";
  job.spec.migration_uid = migration_.meta.uid;
  job.spec.source.host = "pg-1.example";
  job.spec.target.emplace().host = "pg-2.example";
  job.spec.source.database = job.spec.target->database = "t";
  job.spec.source.user = job.spec.target->user = "admin";
  OrderCopy({}, migration_.spec, job.spec);
  auto is_current = [&](const CopySides* sides) {
    return ObserveJob({}, Deadline::Never(), client_, {}, "acme", migration_,
                      mover::JobKind::kClone, std::chrono::system_clock::now(), sides)
        ->order_current;
  };
  CopySides sides{job.spec.source, *job.spec.target};
  ASSERT_TRUE(CreateMoverJob({}, Deadline::Never(), client_, {}, migration_, job));
  EXPECT_TRUE(is_current(&sides));
  EXPECT_TRUE(is_current(nullptr)) << "nobody knows";
  sides.source.host = job.spec.source.host = "pg-1b.example";
  EXPECT_FALSE(is_current(&sides));
  ASSERT_TRUE(CreateMoverJob({}, Deadline::Never(), client_, {}, migration_, job));
  EXPECT_TRUE(is_current(&sides));
  sides.target.port = 5433;
  EXPECT_FALSE(is_current(&sides));
}

// A request of a leader that was deposed during the first attempt arrives during the second: were
// it taken for the second's Job, that would wait for it without end.
TEST_F(MoverJobs, OfAnEarlierAttemptAreNotTakenForThisOnes) {
  Start(1);
  EXPECT_TRUE(Observe().exists);
  EXPECT_TRUE(Observe().earlier);
  Start(2);
  EXPECT_FALSE(Observe().earlier);
}

TEST_F(MoverJobs, AreAbandonedOnceEveryPodThatIsLeftIsLongPastItsGrace) {
  Start(2);
  const kube::Key job{"acme", JobName(migration_, mover::JobKind::kBackup)};
  const kube::Key pod{"acme", "pod"};
  auto ask_to_go = [this](const kube::Resource& resource, const kube::Key& key, int seconds_ago) {
    const WallTime at = std::chrono::system_clock::now() - std::chrono::seconds(seconds_ago);
    const Json metadata = Json::Object({{"deletionTimestamp", FormatTime(at)}});
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), resource, key,
                              Json::Object({{"metadata", metadata}}), {}));
  };
  for (const char* name : {"pod", "another"})
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod,
                               kube::NewObject(kube::kPod, {"acme", name})));
  ask_to_go(kube::kPod, {"acme", "another"}, 90);
  EXPECT_FALSE(Observe().abandoned) << "nobody has deleted it";
  ask_to_go(kube::kJob, job, 120);
  EXPECT_TRUE(Observe().going);
  EXPECT_FALSE(Observe().abandoned) << "a pod was not asked to go yet";
  ask_to_go(kube::kPod, pod, 30);
  EXPECT_FALSE(Observe().abandoned) << "it may be ending";
  ask_to_go(kube::kPod, pod, 90);
  EXPECT_TRUE(Observe().abandoned);
  for (const kube::Key& gone : {pod, kube::Key{"acme", "another"}})
    ASSERT_TRUE(client_.Delete({}, Deadline::Never(), kube::kPod, gone, {}));
  EXPECT_FALSE(Observe().abandoned) << "it goes itself any moment";
}

TEST_F(MoverJobs, SayWhatKeepsTheirPodFromStarting) {
  Start(2);
  const kube::Key key{"acme", JobName(migration_, mover::JobKind::kBackup)};
  auto made = [&](int seconds_ago) {
    const WallTime at = std::chrono::system_clock::now() - std::chrono::seconds(seconds_ago);
    return Json::Object({{"metadata", Json::Object({{"creationTimestamp", FormatTime(at)}})}});
  };
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kJob, key, made(30), {}));
  EXPECT_FALSE(Observe().hindrance) << "a pod may still be on its way";
  Json pod = kube::NewObject(kube::kPod, {"acme", "pod"});
  pod.Set("status", *Json::Parse(R"({"phase":"Pending","containerStatuses":[
      {"name":"mover","image":"registry/mover:1",
       "state":{"waiting":{"reason":"ErrImagePull"}}}]})"));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod, pod));
  ASSERT_TRUE(Observe().hindrance);
  EXPECT_THAT(Observe().hindrance->words, HasSubstr("its image registry/mover:1 cannot be pulled"));
  // A pod that runs says so in its Job, and is not looked at.
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kJob, key,
                            *Json::Parse(R"({"status":{"ready":1}})"), {}));
  EXPECT_FALSE(Observe().hindrance);
}

// The proxy of a service mesh lives on in the pod: the Job's controller calls it neither Complete
// nor Failed, and makes no other pod.
TEST_F(MoverJobs, AreOverWhenTheMoverIsWhateverLivesOnBesideIt) {
  Start(2);
  const kube::Key key{"acme", JobName(migration_, mover::JobKind::kBackup)};
  const WallTime at = std::chrono::system_clock::now() - std::chrono::seconds(30);
  const Json made =
      Json::Object({{"metadata", Json::Object({{"creationTimestamp", FormatTime(at)}})}});
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kJob, key, made, {}));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod,
                             kube::NewObject(kube::kPod, {"acme", "pod"})));
  auto end = [&](const char* proxy, const std::string& mover) {
    Json pod = *client_.Get({}, Deadline::Never(), kube::kPod, {"acme", "pod"}).value();
    pod.Set("status", *Json::Parse(R"({"phase":"Running","containerStatuses":[
                {"name":"istio-proxy","state":{")" +
                                   std::string(proxy) + R"(":{}}},
                {"name":"mover","state":{)" +
                                   mover + "}}]}"));
    ASSERT_TRUE(client_.Update({}, Deadline::Never(), kube::kPod, pod));
  };
  end("running", R"("running":{})");
  EXPECT_FALSE(Observe().failed || Observe().succeeded);
  const std::string failure =
      R"("terminated":{"exitCode":1,"message":"{\"error\":{\"message\":\"the volume is full\"}}"})";
  end("running", failure);
  EXPECT_TRUE(Observe().failed);
  EXPECT_EQ(Observe().message, "the volume is full");
  end("terminated", failure);
  EXPECT_FALSE(Observe().failed) << "the Job's controller replaces this pod";
  end("running", R"("terminated":{"exitCode":0,"message":
      "{\"verdict\":\"Complete\",\"directory\":\"/backup/acme\"}"})");
  EXPECT_TRUE(Observe().succeeded);
  EXPECT_THAT(Observe().message, HasSubstr("backed up into /backup/acme"));
}

// The Job's controller waits for 10 s before it makes the next pod, and longer each time.
TEST_F(MoverJobs, SayWhyTheirLastPodFailedWhileTheyGoOnWithAnother) {
  Start(2);
  const kube::Key key{"acme", JobName(migration_, mover::JobKind::kBackup)};
  auto pod = [&](const char* name, const char* created, const std::string& status) {
    Json made = kube::NewObject(kube::kPod, {"acme", name});
    made.MutableAt("metadata").Set("creationTimestamp", created);
    made.Set("status", *Json::Parse(status));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod, made));
  };
  auto failed = [&](int count) {
    ASSERT_TRUE(
        client_.Patch({}, Deadline::Never(), kube::kJob, key,
                      *Json::Parse(R"({"status":{"failed":)" + std::to_string(count) + "}}"), {}));
  };
  const std::string ended = R"({"phase":"Failed","containerStatuses":[
      {"name":"mover","state":{"terminated":{"exitCode":137,"reason":"OOMKilled")";
  EXPECT_EQ(Observe().setback, "");
  pod("first", "2026-11-23T06:44:18Z",
      ended + R"(,"message":"{\"error\":{\"message\":\"the server is away\"}}"}}}]})");
  failed(1);
  EXPECT_EQ(Observe().setback,
            "1 pod of its Job failed and another takes over: the server is away");
  EXPECT_FALSE(Observe().failed);
  pod("another", "2026-11-23T06:44:31Z", R"({"phase":"Running"})");
  EXPECT_THAT(Observe().setback, HasSubstr("the server is away")) << "the other one runs";
  pod("second", "2026-11-23T06:44:32Z", ended + "}}}]}");
  failed(2);
  EXPECT_EQ(Observe().setback,
            "2 pods of its Job failed and another takes over: exit code 137 (OOMKilled)");
  pod("third", "2026-11-23T06:44:40Z",
      R"({"phase":"Failed","reason":"Evicted","message":"the node was low on memory"})");
  EXPECT_THAT(Observe().setback, HasSubstr("Evicted: the node was low on memory"));
}

TEST(MoverJob, IsScheduledAsTheChartSays) {
  OperatorConfig config;
  config.pods = *wiring::DecodePodSettings(R"({
      "podLabels":{"team":"databases","cutover.dev/job":"mine","sidecar.istio.io/inject":"true"},
      "podAnnotations":{"karpenter.sh/do-not-disrupt":"false"},
      "resources":{"requests":{"cpu":"100m","memory":"128Mi"}},
      "tolerations":[{"key":"dedicated","operator":"Exists"}],
      "nodeSelector":{"disk":"fast"},"priorityClassName":"high"})");
  const Json pod = MoverJobObject(config, {}, JobIn("acme")).At({"spec", "template"});
  const Json& labels = pod.At({"metadata", "labels"});
  EXPECT_EQ(labels["team"].AsString(), "databases");
  EXPECT_EQ(labels["sidecar.istio.io/inject"].AsString(), "true");
  EXPECT_EQ(labels["cutover.dev/job"].AsString(), "copy") << "what we find it by is ours";
  const Json& annotations = pod.At({"metadata", "annotations"});
  EXPECT_EQ(annotations["karpenter.sh/do-not-disrupt"].AsString(), "false");
  EXPECT_EQ(annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"].AsString(), "false");
  const Json& spec = pod["spec"];
  EXPECT_EQ(spec["containers"][size_t{0}].At({"resources", "requests", "memory"}).AsString(),
            "128Mi");
  EXPECT_EQ(spec["tolerations"].Dump(), R"([{"key":"dedicated","operator":"Exists"}])");
  EXPECT_EQ(spec["nodeSelector"].Dump(), R"({"disk":"fast"})");
  EXPECT_EQ(spec["priorityClassName"].AsString(), "high");
}

TEST(MoverJob, AsksServiceMeshesToStayOutOfItsPod) {
  const Json metadata = MoverJobObject({}, {}, JobIn("acme")).At({"spec", "template", "metadata"});
  EXPECT_EQ(metadata.At({"labels", "sidecar.istio.io/inject"}).AsString(), "false");
  EXPECT_EQ(metadata.At({"annotations", "linkerd.io/inject"}).AsString(), "disabled");
}

}  // namespace
}  // namespace cutover::migration
