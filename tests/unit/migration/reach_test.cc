// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/preflight/reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

using ::testing::HasSubstr;

class NoResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

/// Odoo behind an Ingress, up and running before a move.
class Reach : public ::testing::Test {
 protected:
  Reach() {
    placement_.meta.namespace_name = "acme";
    placement_.spec.routes = {{"Ingress", "odoo"}};
    Result<Json> ingress =
        Json::Parse(R"({"kind":"Ingress","metadata":{"namespace":"acme","name":"odoo"},
        "spec":{"rules":[{"host":"acme.example","http":{"paths":[{"path":"/","pathType":"Prefix",
          "backend":{"service":{"name":"odoo","port":{"number":8069}}}}]}}]}})");
    EXPECT_TRUE(ingress && client_.Create({}, Deadline::Never(), kube::kIngress, *ingress, {}));
    web_.pages[kPage] = {200, {}, "log in"};
    facts_.routes = true;
    workload_.ref = {"Deployment", "odoo"};
    workload_.exists = true;
    workload_.wanted_replicas = 1;
    cron_job_.ref = {"CronJob", "odoo-cron"};
    cron_job_.exists = true;
  }
  std::vector<Finding> Ask(api::ProfileType profile = api::ProfileType::kOdoo) {
    facts_.workloads = std::vector{workload_, cron_job_};
    PreflightInputs inputs{.migration = migration_,
                           .placement = placement_,
                           .source_server_name = "pg-source",
                           .access = {client_, resolver_, "cutover-system"},
                           .admin_options = {},
                           .profile = ProfileOf(profile),
                           .http = web_.Connect()};
    auto found = FindUnreachable({}, Deadline::Never(), inputs, facts_);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<Finding>();
  }

  static constexpr char kPage[] = "http://odoo.acme.svc:8069/web/login";
  testing::FakeWeb web_;
  kube::FakeClient client_;
  NoResolver resolver_;
  api::TenantMigration migration_;
  api::DatabasePlacement placement_;
  PreflightFacts facts_;
  wiring::WorkloadObservation workload_, cron_job_;
};

TEST_F(Reach, AWorkloadThatServesItsPageIsReached) {
  EXPECT_THAT(Ask(), ::testing::IsEmpty());
  EXPECT_EQ(web_.requests.size(), 1u) << "and no page that only the smoke test asks";
}

TEST_F(Reach, ANetworkThatLetsNobodyInIsFoundWithWhatToAllow) {
  web_.down = true;
  const std::vector<Finding> found = Ask();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].reason, "WorkloadNotReachable");
  EXPECT_EQ(found[0].severity, Severity::kBlocking);
  EXPECT_THAT(found[0].message,
              HasSubstr("let namespace cutover-system reach namespace acme at that port, by a "
                        "NetworkPolicy there"));
  EXPECT_THAT(found[0].message, HasSubstr(kPage));
}

TEST_F(Reach, AnAnswerThatTheSmokeTestWouldNotTakeIsFoundToo) {
  web_.pages[kPage] = {403, {}, "RBAC: access denied"};
  const std::vector<Finding> found = Ask();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].reason, "PageNotServed");
  EXPECT_THAT(found[0].message, HasSubstr("RBAC: access denied"));
}

TEST_F(Reach, NothingIsAskedOfWhatIsNotUp) {
  web_.down = true;
  workload_.unfinished = "0 of 1 pod ready";
  EXPECT_THAT(Ask(), ::testing::IsEmpty());
  workload_.unfinished = "";
  workload_.wanted_replicas = 0;
  EXPECT_THAT(Ask(), ::testing::IsEmpty());
}

TEST_F(Reach, NothingIsAskedWithoutARouteOrAPageThatIsKnown) {
  web_.down = true;
  EXPECT_THAT(Ask(api::ProfileType::kGeneric), ::testing::IsEmpty());
  facts_.routes = Error{Disposition::kTerminal, "RouteNotFound", "Ingress odoo does not exist"};
  EXPECT_THAT(Ask(), ::testing::IsEmpty());
  facts_.routes = true;
  placement_.spec.routes.clear();
  EXPECT_THAT(Ask(), ::testing::IsEmpty());
  EXPECT_TRUE(web_.requests.empty());
}

}  // namespace
}  // namespace cutover::migration
