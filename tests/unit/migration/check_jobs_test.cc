// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/check_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;
using ::testing::HasSubstr;
using testing::Noon;

/// A migration with one check by Job, and an API server in memory that has its CronJob.
class CheckJobs : public ::testing::Test {
 protected:
  CheckJobs() : migration_(testing::MigrationIn(api::Phase::kHypercare)) {
    migration_.meta.uid = "0a1b2c3d-0000";
    api::Check page, check;
    page.name = "login-page";
    page.http = api::HttpCheck{};
    check.name = "acceptance";
    check.job = api::JobCheck{"acme-acceptance"};
    check.when = {CheckWhen::kSmoke, CheckWhen::kHypercare};
    check.timeout_seconds = 90;
    migration_.spec.checks = {page, check};
    place_ = {"pg-target.db.svc", 5433, "acme", "acme_owner", "require", {"acme-db", "password"}};
  }

  void MakeCronJob() {
    Json cron_job = kube::NewObject(kube::kCronJob, {"acme", "acme-acceptance"});
    cron_job.Set("spec", *Json::Parse(R"({"suspend":true,"schedule":"0 0 31 2 *","jobTemplate":{
        "metadata":{"labels":{"team":"acme","cutover.dev/job":"mine"}},
        "spec":{"backoffLimit":1,"ttlSecondsAfterFinished":5,"template":{"spec":{
          "restartPolicy":"Never","containers":[{"name":"test","image":"acme/test",
            "env":[{"name":"PGHOST","value":"pg-source"},{"name":"LEVEL","value":"3"}]}]}}}}})"));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kCronJob, cron_job));
  }
  CheckOutcome Look(CheckWhen moment = CheckWhen::kHypercare, int seconds = 0) {
    auto outcomes = ObserveCheckJobs({}, Deadline::Never(), client_, migration_, moment,
                                     Noon() + std::chrono::seconds(seconds));
    EXPECT_TRUE(outcomes);
    EXPECT_EQ(outcomes->size(), 1u);
    return outcomes->empty() ? CheckOutcome() : outcomes->front();
  }
  void Start(CheckWhen moment = CheckWhen::kHypercare) {
    ASSERT_TRUE(StartCheckJobs({}, Deadline::Never(), client_, migration_, moment, Noon(), place_));
  }
  Result<JobFacts> AnyLeft() {
    return ObserveAnyCheckJob({}, Deadline::Never(), client_, migration_, Noon());
  }
  std::optional<Json> Job(const char* name) {
    auto job = client_.Get({}, Deadline::Never(), kube::kJob, {"acme", name});
    EXPECT_TRUE(job);
    return *job;
  }
  void End(const char* name, const char* type) {
    Json status = Json::Object(
        {{"status",
          Json::Object(
              {{"conditions",
                Json::Array({Json::Object({{"type", type},
                                           {"status", "True"},
                                           {"message", "Job was active longer than 90 s"}})})}})}});
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kJob, {"acme", name}, status, {}));
  }
  void CountedRuns(int64_t runs) {
    migration_.status.checks.resize(1);
    migration_.status.checks[0].name = "acceptance";
    migration_.status.checks[0].runs = runs;
  }

  kube::FakeClient client_;
  api::TenantMigration migration_;
  TenantPlace place_;
};

TEST_F(CheckJobs, GoFromNotStartedOverRunningToTheirResult) {
  MakeCronJob();
  EXPECT_EQ(Look().verdict, Verdict::kNotStarted);
  Start();
  EXPECT_EQ(Look().verdict, Verdict::kRunning);
  EXPECT_TRUE(Look().by_job);
  End("cutover-check-0a1b2c3d-1-1-1", "Complete");
  EXPECT_EQ(Look().verdict, Verdict::kPassed);
}

TEST_F(CheckJobs, SayWhyTheyFailedInTheirPodsLastWords) {
  MakeCronJob();
  Start();
  End("cutover-check-0a1b2c3d-1-1-1", "Failed");
  EXPECT_EQ(Look().verdict, Verdict::kFailed);
  EXPECT_THAT(Look().message, HasSubstr("longer than 90 s")) << "without a pod, the Job's own";
  Json pod = kube::NewObject(kube::kPod, {"acme", "pod"});
  pod.Set("status", *Json::Parse(R"({"containerStatuses":[
      {"name":"linkerd-proxy","state":{"terminated":{"message":"proxy drained"}}},
      {"name":"test","state":{"terminated":{"message":"invoice 17 is missing"}}}]})"));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod, pod));
  EXPECT_THAT(Look().message, HasSubstr("invoice 17 is missing"));
}

// The proxy of a service mesh lives on, and the Job with it, until its deadline calls it Failed.
TEST_F(CheckJobs, AreOverWhenTheirOwnContainersAre) {
  MakeCronJob();
  Start();
  const Json age =
      Json::Object({{"metadata", Json::Object({{"creationTimestamp", FormatTime(Noon())}})}});
  ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kJob,
                            {"acme", "cutover-check-0a1b2c3d-1-1-1"}, age, {}));
  Json pod = kube::NewObject(kube::kPod, {"acme", "pod"});
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kPod, pod));
  auto end = [&](const std::string& state) {
    const Json status = *Json::Parse(R"({"status":{"phase":"Running","containerStatuses":[
        {"name":"istio-proxy","state":{"running":{}}},{"name":"test","state":{)" +
                                     state + "}}]}}");
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kPod, {"acme", "pod"}, status, {}));
  };
  end(R"("running":{})");
  EXPECT_EQ(Look(CheckWhen::kHypercare, 20).verdict, Verdict::kRunning);
  end(R"("terminated":{"exitCode":0})");
  EXPECT_EQ(Look(CheckWhen::kHypercare, 20).verdict, Verdict::kPassed);
  end(R"("terminated":{"exitCode":3,"message":"invoice 17 is missing"})");
  EXPECT_EQ(Look(CheckWhen::kHypercare, 20).verdict, Verdict::kFailed);
  EXPECT_THAT(Look(CheckWhen::kHypercare, 20).message, HasSubstr("invoice 17 is missing"));
}

TEST_F(CheckJobs, AMissingCronJobIsNotKnownAndSaysWhatToCreate) {
  EXPECT_EQ(Look().verdict, Verdict::kUnknown);
  EXPECT_THAT(Look().message, HasSubstr("CronJob acme-acceptance does not exist"));
  Start();
  EXPECT_FALSE(Job("cutover-check-0a1b2c3d-1-1-1"));
}

TEST_F(CheckJobs, AJobOfSomebodyElsesProvesNothing) {
  MakeCronJob();
  ASSERT_TRUE(
      client_.Create({}, Deadline::Never(), kube::kJob,
                     kube::NewObject(kube::kJob, {"acme", "cutover-check-0a1b2c3d-1-1-1"})));
  End("cutover-check-0a1b2c3d-1-1-1", "Complete");
  EXPECT_EQ(Look().verdict, Verdict::kNotStarted);
  Status started = StartCheckJobs({}, Deadline::Never(), client_, migration_, CheckWhen::kHypercare,
                                  Noon(), place_);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().reason, "JobNameTaken");
}

TEST_F(CheckJobs, StartedTwiceTheyRunOnce) {
  MakeCronJob();
  Start();
  const std::string uid = kube::UidOf(*Job("cutover-check-0a1b2c3d-1-1-1"));
  Start();
  EXPECT_EQ(kube::UidOf(*Job("cutover-check-0a1b2c3d-1-1-1")), uid);
}

TEST_F(CheckJobs, EveryRunHasItsNameAndTheLastOnesJobStays) {
  MakeCronJob();
  Start(CheckWhen::kSmoke);
  for (int64_t runs = 0; runs < 3; ++runs) {
    CountedRuns(runs);
    Start();
  }
  EXPECT_TRUE(Job("cutover-check-0a1b2c3d-1-1-smoke"));
  EXPECT_FALSE(Job("cutover-check-0a1b2c3d-1-1-1")) << "looked at long ago";
  EXPECT_TRUE(Job("cutover-check-0a1b2c3d-1-1-2")) << "its log is what people want to read";
  EXPECT_TRUE(Job("cutover-check-0a1b2c3d-1-1-3"));
}

TEST_F(CheckJobs, WaitForTheirIntervalInHypercareOnly) {
  MakeCronJob();
  CountedRuns(1);
  migration_.status.checks[0].last_run_at = Noon();
  EXPECT_TRUE(ObserveCheckJobs({}, Deadline::Never(), client_, migration_, CheckWhen::kHypercare,
                               Noon() + std::chrono::seconds(59))
                  ->empty());
  EXPECT_EQ(Look(CheckWhen::kHypercare, 60).verdict, Verdict::kNotStarted);
  EXPECT_EQ(Look(CheckWhen::kSmoke, 1).verdict, Verdict::kNotStarted);
}

TEST_F(CheckJobs, TellEveryContainerTheNewPlaceOverWhatTheTemplateSays) {
  MakeCronJob();
  Start();
  const Json job = *Job("cutover-check-0a1b2c3d-1-1-1");
  const Json& container = job.At({"spec", "template", "spec"})["containers"][size_t{0}];
  std::map<std::string, std::string> values;
  for (const Json& variable : container["env"].Items()) {
    EXPECT_FALSE(values.contains(variable["name"].AsString())) << "said twice";
    values[variable["name"].AsString()] = variable["value"].AsString();
  }
  EXPECT_EQ(values["PGHOST"], "pg-target.db.svc");
  EXPECT_EQ(values["PGPORT"], "5433");
  EXPECT_EQ(values["PGDATABASE"], "acme");
  EXPECT_EQ(values["PGUSER"], "acme_owner");
  EXPECT_EQ(values["PGSSLMODE"], "require");
  EXPECT_EQ(values["LEVEL"], "3") << "the template's own";
  EXPECT_TRUE(values.contains("PGPASSWORD"));
  EXPECT_THAT(container["env"].Dump(),
              HasSubstr(R"("secretKeyRef":{"name":"acme-db","key":"password"})"));
}

TEST_F(CheckJobs, AreBoundedOwnedAndMarkedWhateverTheTemplateSays) {
  MakeCronJob();
  Start();
  const Json job = *Job("cutover-check-0a1b2c3d-1-1-1");
  EXPECT_EQ(job.At({"spec", "activeDeadlineSeconds"}).AsInt(), 90);
  EXPECT_EQ(job.At({"spec", "backoffLimit"}).AsInt(), 1) << "the template's own";
  EXPECT_TRUE(job.At({"spec", "ttlSecondsAfterFinished"}).IsNull()) << "it would run again";
  EXPECT_EQ(kube::LabelOf(job, kJobKindLabel), "check");
  EXPECT_EQ(kube::LabelOf(job, "cutover.dev/check"), "acceptance");
  EXPECT_EQ(kube::LabelOf(job, "team"), "acme");
  EXPECT_EQ(job["metadata"]["ownerReferences"][size_t{0}]["uid"].AsString(), "0a1b2c3d-0000");
}

TEST_F(CheckJobs, GoWithAllOtherJobsOfTheMigration) {
  EXPECT_FALSE(AnyLeft()->exists);
  MakeCronJob();
  Start(CheckWhen::kSmoke);
  Start();
  EXPECT_TRUE(AnyLeft()->exists);
  ASSERT_TRUE(DeleteMoverJobs({}, Deadline::Never(), client_, "acme", migration_));
  EXPECT_FALSE(AnyLeft()->exists);
}

}  // namespace
}  // namespace cutover::migration
