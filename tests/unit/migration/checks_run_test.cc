// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "reconcilers/migration/checks/check.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/fake_web.h"

namespace cutover::migration {
namespace {

using api::CheckWhen;

Deadline Soon() { return Deadline::After(std::chrono::seconds(5)); }

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
  EXPECT_TRUE((*outcomes)[0].passed);
  EXPECT_EQ((*outcomes)[0].message, "seen");
  EXPECT_TRUE((*outcomes)[1].passed);
  EXPECT_EQ((*outcomes)[2].name, "gone");
  EXPECT_FALSE((*outcomes)[2].passed);
  EXPECT_EQ((*outcomes)[2].timeout_seconds, 7);
  EXPECT_NE((*outcomes)[2].message.find("answered 404"), std::string::npos);
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
  EXPECT_FALSE((*outcomes)[0].passed);
  EXPECT_EQ((*outcomes)[0].message, "create Secret acme");
  EXPECT_TRUE((*outcomes)[1].passed);
}

TEST_F(RunChecksTest, NobodyOutsideTheNamespaceIsAsked) {
  web_.pages["http://secrets.other.svc/"] = {200, {}, "not yours"};
  context_.checks = {HttpCheckOf("spy", "http://secrets.other.svc/")};
  auto outcomes = RunChecks({}, Soon(), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  EXPECT_FALSE((*outcomes)[0].passed);
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
  auto outcomes =
      RunChecks({}, Deadline::After(std::chrono::milliseconds(400)), CheckWhen::kSmoke, context_);
  ASSERT_TRUE(outcomes.known());
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_LE(shares[0], std::chrono::milliseconds(200));
  EXPECT_GT(shares[1], std::chrono::milliseconds(20));
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
