// SPDX-License-Identifier: Apache-2.0
//
// Checks by Job on a real API server, which takes the Jobs for what they are. No controller runs
// there: what the Job's would write, the test writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/check_jobs.h"
#include "tests/kube/api_server.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;
using ::testing::HasSubstr;

constexpr char kSuspendedCronJob[] = R"json({"suspend":true,"schedule":"0 0 31 2 *",
    "jobTemplate":{"spec":{"backoffLimit":0,"template":{"spec":{"restartPolicy":"Never",
      "initContainers":[{"name":"wait","image":"acme/test","command":["pg_isready"]}],
      "containers":[{"name":"test","image":"acme/test","env":[
        {"name":"PGHOST","value":"pg-source"},
        {"name":"DATABASE_URL","value":"postgresql://$(PGUSER)@$(PGHOST)/$(PGDATABASE)"}
      ]}]}}}}})json";

class CheckJobsOnApiServer : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

  CheckJobsOnApiServer() {
    migration_.meta.name = "move";
    migration_.meta.namespace_name = ns_;
    migration_.meta.uid = "0a1b2c3d-1111-2222-3333-444455556666";
    migration_.status.attempt = 1;
    api::Check check;
    check.name = "acceptance";
    check.job = api::JobCheck{"acme-acceptance"};
    check.when = {CheckWhen::kHypercare};
    migration_.spec.checks = {check};
    Json cron_job = kube::NewObject(kube::kCronJob, {ns_, "acme-acceptance"});
    cron_job.Set("spec", *Json::Parse(kSuspendedCronJob));
    auto made = client_->Create({}, Soon(), kube::kCronJob, cron_job);
    EXPECT_TRUE(made) << made.error().message;
  }

  CheckOutcome Look() {
    auto outcomes = ObserveCheckJobs({}, Soon(), *client_, migration_, CheckWhen::kHypercare, now_);
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes->at(0);
  }
  void Start() {
    Status started = StartCheckJobs(
        {}, Soon(), *client_, migration_, CheckWhen::kHypercare, now_,
        {"pg-target.db.svc", 5432, "acme", "acme_owner", "prefer", {"acme-db", "password"}});
    ASSERT_TRUE(started) << started.error().message;
  }
  void Say(const std::string& name, const char* status) {
    kube::PatchOptions options;
    options.subresource = "status";
    auto said = client_->Patch({}, Soon(), kube::kJob, {ns_, name},
                               Json::Object({{"status", *Json::Parse(status)}}), options);
    ASSERT_TRUE(said) << said.error().message;
  }
  Json Stored(const std::string& name) {
    auto job = client_->Get({}, Soon(), kube::kJob, {ns_, name});
    EXPECT_TRUE(job && *job) << name;
    return job && *job ? **job : Json();
  }

  std::unique_ptr<kube::ApiClient> client_ = testing::MakeClient();
  std::string ns_ = testing::MakeNamespace(*client_, "checks");
  api::TenantMigration migration_;
  WallTime now_ = *ParseTime("2026-11-22T12:00:00Z");
};

TEST_F(CheckJobsOnApiServer, ASuspendedCronJobsTemplateRunsToItsResult) {
  EXPECT_EQ(Look().verdict, Verdict::kNotStarted);
  Start();
  Start();
  EXPECT_EQ(Look().verdict, Verdict::kRunning);
  const Json job = Stored("cutover-check-0a1b2c3d-1-0-1");
  const Json& pod = job.At({"spec", "template", "spec"});
  for (const char* kind : {"initContainers", "containers"})
    EXPECT_EQ(pod[kind][size_t{0}]["env"][size_t{0}]["value"].AsString(), "pg-target.db.svc")
        << kind;
  EXPECT_FALSE(job.At({"spec", "suspend"}).AsBool()) << "the CronJob is suspended, the Job is not";
  EXPECT_EQ(job.At({"spec", "activeDeadlineSeconds"}).AsInt(), 60);
  Say("cutover-check-0a1b2c3d-1-0-1",
      R"({"startTime":"2026-11-22T12:00:01Z","completionTime":"2026-11-22T12:00:09Z","succeeded":1,
          "conditions":[
            {"type":"SuccessCriteriaMet","status":"True",
             "lastTransitionTime":"2026-11-22T12:00:09Z"},
            {"type":"Complete","status":"True","lastTransitionTime":"2026-11-22T12:00:09Z"}]})");
  EXPECT_EQ(Look().verdict, Verdict::kPassed);
}

TEST_F(CheckJobsOnApiServer, AJobThatRanOutOfTimeHasFailedWithTheControllersWords) {
  Start();
  Say("cutover-check-0a1b2c3d-1-0-1",
      R"({"startTime":"2026-11-22T12:00:01Z","failed":1,"conditions":[
            {"type":"FailureTarget","status":"True","reason":"DeadlineExceeded",
             "message":"Job was active longer than specified deadline",
             "lastTransitionTime":"2026-11-22T12:01:01Z"},
            {"type":"Failed","status":"True","reason":"DeadlineExceeded",
             "message":"Job was active longer than specified deadline",
             "lastTransitionTime":"2026-11-22T12:01:01Z"}]})");
  EXPECT_EQ(Look().verdict, Verdict::kFailed);
  EXPECT_THAT(Look().message, HasSubstr("longer than specified deadline"));
}

TEST_F(CheckJobsOnApiServer, TheyAreFoundAndRemovedWithAllOtherJobsOfTheMigration) {
  Start();
  auto left =
      ObserveAnyCheckJob({}, Soon(), *client_, migration_, std::chrono::system_clock::now());
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->exists && !left->going);
  auto swept = ListMoverObjects({}, Soon(), *client_, ns_);
  ASSERT_TRUE(swept);
  ASSERT_EQ(swept->size(), 1u) << "what the sweeper looks for";
  EXPECT_EQ(swept->front().migration_uid, migration_.meta.uid);
  ASSERT_TRUE(DeleteMoverJobs({}, Soon(), *client_, ns_, migration_));
  left = ObserveAnyCheckJob({}, Soon(), *client_, migration_, std::chrono::system_clock::now());
  ASSERT_TRUE(left);
  EXPECT_TRUE(!left->exists || left->going) << "its pods may still be ending";
}

}  // namespace
}  // namespace cutover::migration
