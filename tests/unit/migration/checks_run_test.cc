// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "reconcilers/migration/checks/check.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

api::Check HttpCheckOf(const char* name, const char* url) {
  api::Check check;
  check.name = name;
  check.http = api::HttpCheck{url, "", 200, ""};
  check.when = {CheckWhen::kSmoke};
  check.timeout_seconds = 7;
  return check;
}

class RunChecksTest : public ::testing::Test {
 protected:
  RunChecksTest() {
    context_.namespace_name = "acme";
    context_.http = web_.Connect();
    web_.pages["http://odoo.acme.svc/"] = {200, {}, "hello"};
  }
  testing::FakeWeb web_;
  CheckContext context_;
};

TEST_F(RunChecksTest, ReportsEveryCheckOfTheMomentTheProfilesFirst) {
  context_.checks = {HttpCheckOf("page", "http://odoo.acme.svc/"),
                     HttpCheckOf("gone", "http://odoo.acme.svc/gone")};
  context_.checks.push_back(HttpCheckOf("later", "http://odoo.acme.svc/"));
  context_.checks.back().when = {CheckWhen::kHypercare};
  context_.builtin = {
      {"profile/x", {CheckWhen::kSmoke}, 60, [](std::stop_token, Deadline, const CheckContext&) {
         return Result<std::string>("seen");
       }}};
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  ASSERT_EQ(outcomes->size(), 3u);
  EXPECT_EQ((*outcomes)[0].name, "profile/x");
  EXPECT_TRUE((*outcomes)[0].Passed());
  EXPECT_EQ((*outcomes)[0].message, "seen");
  EXPECT_TRUE((*outcomes)[1].Passed());
  EXPECT_EQ((*outcomes)[2].name, "gone");
  EXPECT_FALSE((*outcomes)[2].Passed());
  EXPECT_EQ((*outcomes)[2].timeout_seconds, 7);
  EXPECT_NE((*outcomes)[2].message.find("answered 404"), std::string::npos);
}

TEST_F(RunChecksTest, WhatUsersChangeIsComparedOnlyWhileTheyAreOut) {
  auto seen = [](std::stop_token, Deadline, const CheckContext&) {
    return Result<std::string>("seen");
  };
  context_.builtin = {
      {.name = "figures", .when = {CheckWhen::kSmoke}, .run = seen, .needs_users_out = true},
      {.name = "parameters", .when = {CheckWhen::kSmoke}, .run = seen}};
  EXPECT_EQ(RunChecks({}, Soon(), CheckWhen::kSmoke, context_)->size(), 2u);
  context_.users_are_in = true;
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_EQ(outcomes->size(), 1u);
  EXPECT_EQ(outcomes->front().name, "parameters");
}

TEST_F(RunChecksTest, ACheckThatCannotBeRunFailsAloneWithItsReason) {
  api::Check sql;
  sql.name = "rows";
  sql.sql = api::SqlCheck{"SELECT 1", "1"};
  sql.when = {CheckWhen::kSmoke};
  context_.tenant = Error{Disposition::kRetry, "PasswordSecretNotFound", "create Secret acme"};
  context_.checks = {sql, HttpCheckOf("page", "http://odoo.acme.svc/")};
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  EXPECT_FALSE((*outcomes)[0].Passed());
  EXPECT_EQ((*outcomes)[0].message, "create Secret acme");
  EXPECT_TRUE((*outcomes)[1].Passed());
}

TEST_F(RunChecksTest, NobodyOutsideTheNamespaceIsAsked) {
  web_.pages["http://secrets.other.svc/"] = {200, {}, "not yours"};
  context_.checks = {HttpCheckOf("spy", "http://secrets.other.svc/")};
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  EXPECT_FALSE((*outcomes)[0].Passed());
  EXPECT_TRUE(web_.requests.empty());
}

TEST_F(RunChecksTest, ASlowCheckLeavesTimeForTheOthers) {
  std::vector<std::chrono::milliseconds> shares;
  auto slow = [&shares](std::stop_token, Deadline deadline,
                        const CheckContext&) -> Result<std::string> {
    shares.push_back(deadline.Remaining());
    while (!deadline.Expired()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return RetryError("DeadlineExceeded", "too slow");
  };
  context_.builtin = {{"a", {CheckWhen::kSmoke}, 60, slow}, {"b", {CheckWhen::kSmoke}, 60, slow}};
  // A machine that stands still may take all the time that there is, but not again and again.
  for (int tries = 0; tries < 5; ++tries) {
    shares.clear();
    auto outcomes =
        RunChecks({}, Deadline::After(std::chrono::milliseconds(400)), CheckWhen::kSmoke, context_);
    if (outcomes.known() && shares.size() == 2 && shares[1] > std::chrono::milliseconds(20)) break;
  }
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_LE(shares[0], std::chrono::milliseconds(200));
  EXPECT_GT(shares[1], std::chrono::milliseconds(20));
}

/// A clock that moves on by the next of `steps` each time it is asked, and stands still at noon.
class SteppingClock final : public Clock {
 public:
  WallTime WallNow() const override { return wall; }
  SteadyTime SteadyNow() const override {
    if (asked < steps.size()) now += std::chrono::milliseconds(steps[asked++]);
    return now;
  }
  WallTime wall = std::chrono::system_clock::from_time_t(1'800'000'000);
  std::vector<int> steps;
  mutable size_t asked = 0;
  mutable SteadyTime now;
};

TEST_F(RunChecksTest, InHypercareOnlyThoseRunThatAreDue) {
  SteppingClock clock;
  context_.clock = &clock;
  context_.checks = {HttpCheckOf("page", "http://odoo.acme.svc/"),
                     HttpCheckOf("other", "http://odoo.acme.svc/")};
  for (api::Check& check : context_.checks) check.when = {CheckWhen::kSmoke, CheckWhen::kHypercare};
  context_.so_far.resize(1);
  context_.so_far[0].name = "page";
  context_.so_far[0].last_run_at = clock.wall - std::chrono::seconds(59);
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kHypercare, context_);
  ASSERT_TRUE(outcomes.known());
  ASSERT_EQ(outcomes->size(), 1u);
  EXPECT_EQ((*outcomes)[0].name, "other");
  EXPECT_EQ(RunChecks({}, Soon(), CheckWhen::kSmoke, context_)->size(), 2u) << "users wait";
  clock.wall += std::chrono::seconds(1);
  EXPECT_EQ(RunChecks({}, Soon(), CheckWhen::kHypercare, context_)->size(), 2u);
}

TEST_F(RunChecksTest, ALatencyIsTheMedianOfFiveBeforeTheMoveAndAfterwards) {
  SteppingClock clock;
  context_.clock = &clock;
  context_.checks = {HttpCheckOf("page", "http://odoo.acme.svc/")};
  context_.checks[0].when = {CheckWhen::kHypercare};
  // Each sample asks for the time twice: the first is slow, since nothing is warm yet.
  clock.steps = {0, 900, 0, 40, 0, 38, 0, 42, 0, 39};
  auto before = MeasureBaselines({}, Soon(), context_);
  ASSERT_TRUE(before.known());
  ASSERT_EQ(before->size(), 1u);
  EXPECT_EQ((*before)[0].latency, std::chrono::milliseconds(40));
  EXPECT_EQ((*before)[0].samples, 5);
  clock.asked = 0;
  auto after = RunChecks({}, Soon(), CheckWhen::kHypercare, context_);
  EXPECT_EQ((*after)[0].latency, std::chrono::milliseconds(40));
  EXPECT_EQ((*after)[0].samples, 5);
  EXPECT_EQ(web_.requests.size(), 10u);
  context_.so_far.resize(1);
  context_.so_far[0].name = "page";
  context_.so_far[0].baseline_milliseconds = 40;
  EXPECT_TRUE(MeasureBaselines({}, Soon(), context_)->empty()) << "it is measured once";
}

TEST_F(RunChecksTest, WhereNoLatencyIsBoundedOneSampleIsEnough) {
  context_.checks = {HttpCheckOf("page", "http://odoo.acme.svc/")};
  context_.checks[0].when = {CheckWhen::kHypercare};
  context_.checks[0].max_latency_over_baseline_percent = 0;
  RunChecks({}, Soon(), CheckWhen::kHypercare, context_);
  EXPECT_EQ(web_.requests.size(), 1u);
  context_.checks[0].max_latency_milliseconds = 100;
  RunChecks({}, Soon(), CheckWhen::kHypercare, context_);
  EXPECT_EQ(web_.requests.size(), 6u);
}

TEST_F(RunChecksTest, AnAnswerOfPrometheusThatHasNoValueIsUnknownAndNoFailure) {
  web_.pages["http://prometheus.acme.svc:9090/api/v1/query?query=up"] = {
      200, {}, R"({"status":"success","data":{"resultType":"vector","result":[]}})"};
  api::Check check;
  check.name = "up";
  check.prometheus = api::PrometheusCheck{"http://prometheus.acme.svc:9090", "up", 1, {}};
  check.when = {CheckWhen::kSmoke};
  context_.checks = {check};
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  EXPECT_EQ((*outcomes)[0].verdict, Verdict::kUnknown);
}

TEST_F(RunChecksTest, StoppingIsNoVerdict) {
  std::stop_source source;
  context_.builtin = {
      {"a", {CheckWhen::kSmoke}, 60, [&source](std::stop_token, Deadline, const CheckContext&) {
         source.request_stop();
         return Result<std::string>(RetryError("Stopped", "stopped"));
       }}};
  auto outcomes = RunChecks(source.get_token(), Soon(), CheckWhen::kSmoke, context_);
  EXPECT_FALSE(outcomes.known());
}

class TenantPassword : public ::testing::Test {
 protected:
  TenantPassword() {
    placement_.meta.name = "acme";
    placement_.meta.namespace_name = "tenants";
    placement_.spec.database_name = "acme";
    placement_.spec.owner = "acme_owner";
    placement_.spec.password_secret_ref = {"acme-db", "pass"};
  }
  void CreateSecret(Json data) {
    Json secret =
        Json::Object({{"metadata", Json::Object({{"name", "acme-db"}, {"namespace", "tenants"}})},
                      {"data", std::move(data)}});
    ASSERT_TRUE(client_.Create({}, Soon(), kube::kSecret, secret));
  }
  kube::FakeClient client_;
  api::DatabasePlacement placement_;
};

TEST_F(TenantPassword, IsReadFromTheSecretThatThePlacementNames) {
  CreateSecret(Json::Object({{"pass", "czNjcmV0"}}));
  auto password = ReadTenantPassword({}, Soon(), client_, placement_);
  ASSERT_TRUE(password);
  EXPECT_EQ(*password, "s3cret");
  pg::ConnectOptions admin;
  admin.host = "pg";
  admin.database = "postgres";
  admin.user = "admin";
  admin.password = "admins";
  pg::ConnectOptions tenant = AsTenant(admin, placement_, *password);
  EXPECT_EQ(tenant.Describe(), "acme_owner@pg:5432/acme");
  EXPECT_EQ(tenant.password, "s3cret");
}

TEST_F(TenantPassword, MissingIsSaidWithWhatToCreate) {
  auto no_secret = ReadTenantPassword({}, Soon(), client_, placement_);
  ASSERT_FALSE(no_secret);
  EXPECT_EQ(no_secret.error().reason, "PasswordSecretNotFound");
  EXPECT_NE(no_secret.error().message.find("namespace tenants"), std::string::npos);
  CreateSecret(Json::Object({{"password", "czNjcmV0"}}));
  auto no_key = ReadTenantPassword({}, Soon(), client_, placement_);
  ASSERT_FALSE(no_key);
  EXPECT_EQ(no_key.error().reason, "PasswordKeyNotFound");
  EXPECT_EQ(no_key.error().message.find("s3cret"), std::string::npos);
}

}  // namespace
}  // namespace cutover::migration
