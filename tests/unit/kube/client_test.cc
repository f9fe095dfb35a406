// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "tests/unit/kube/fake_transport.h"

namespace cutover::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class RotatingToken final : public TokenSource {
 public:
  Result<std::string> Token() override { return "token-" + std::to_string(number_); }
  void Invalidate(const std::string& token) override {
    if (token == "token-" + std::to_string(number_)) ++number_;
  }

 private:
  int number_ = 1;
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : transport_(new FakeTransport), token_(std::make_shared<RotatingToken>()) {
    client_ = std::make_unique<ApiClient>(std::unique_ptr<Transport>(transport_), token_);
  }
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }
  Json ConfigMap() { return NewObject(kConfigMap, {"ns", "a"}); }

  FakeTransport* transport_;
  std::shared_ptr<RotatingToken> token_;
  std::unique_ptr<ApiClient> client_;
};

TEST_F(ClientTest, OnlyA404IsAbsence) {
  transport_->script = {{.status = 404}, {.status = 403}, {.status = 0}, {.status = 0}};
  Result<std::optional<Json>> absent = client_->Get({}, Soon(), kConfigMap, {"ns", "a"});
  ASSERT_TRUE(absent);
  EXPECT_FALSE(*absent);
  EXPECT_FALSE(client_->Get({}, Soon(), kConfigMap, {"ns", "a"}));
  EXPECT_FALSE(client_->Get({}, Soon(), kConfigMap, {"ns", "a"}));
}

TEST_F(ClientTest, AWriteWithoutAnswerIsSentOnceAndInDoubt) {
  transport_->script = {{.status = 0, .lost = Disposition::kInDoubt}};
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().disposition, Disposition::kInDoubt);
  EXPECT_THAT(transport_->requests, SizeIs(1));
}

TEST_F(ClientTest, AWriteAnsweredWith500IsNotRepeatedEvenWhenInvited) {
  transport_->script = {{.status = 500, .headers = {{"Retry-After", "0"}}}};
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().disposition, Disposition::kInDoubt);
  EXPECT_THAT(transport_->requests, SizeIs(1));
}

TEST_F(ClientTest, AThrottledRequestIsRepeatedAsInvitedButNotForever) {
  for (int i = 0; i < 20; ++i)
    transport_->script.push_back({.status = 429, .headers = {{"retry-after", "0"}}});
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap());
  ASSERT_FALSE(created);
  EXPECT_TRUE(IsTooManyRequests(created.error()));
  EXPECT_THAT(transport_->requests, SizeIs(ApiClient::kAttemptsMax));
}

TEST_F(ClientTest, WithoutRetryAfterNothingIsRepeated) {
  transport_->script = {{.status = 429}, {.status = 200, .body = "{}"}};
  const Deadline deadline = Deadline::After(std::chrono::seconds(5));
  EXPECT_FALSE(client_->Get({}, deadline, kConfigMap, {"ns", "a"}));
  EXPECT_THAT(transport_->requests, SizeIs(1));
}

TEST_F(ClientTest, DoesNotWaitPastTheDeadline) {
  transport_->script = {{.status = 429, .headers = {{"Retry-After", "20"}}}};
  const Deadline deadline = Deadline::After(std::chrono::seconds(5));
  EXPECT_FALSE(client_->Get({}, deadline, kConfigMap, {"ns", "a"}));
  EXPECT_THAT(transport_->requests, SizeIs(1));
}

TEST_F(ClientTest, ARefusedTokenIsReplacedOnce) {
  transport_->script = {{.status = 401}, {.status = 200, .body = "{}"}};
  EXPECT_TRUE(client_->Get({}, Soon(), kConfigMap, {"ns", "a"}));
  ASSERT_THAT(transport_->requests, SizeIs(2));
  auto authorization = [&](int i) { return transport_->requests[i].headers.back().second; };
  EXPECT_EQ(authorization(0), "Bearer token-1");
  EXPECT_EQ(authorization(1), "Bearer token-2");

  transport_->requests.clear();
  transport_->script = {{.status = 401}, {.status = 401}, {.status = 200, .body = "{}"}};
  EXPECT_FALSE(client_->Get({}, Soon(), kConfigMap, {"ns", "a"}));
  EXPECT_THAT(transport_->requests, SizeIs(2));
}

TEST_F(ClientTest, ListBeginsAgainWhenTheStateExpiresBetweenPages) {
  auto page = [](const std::string& name, const std::string& next) {
    return R"({"metadata":{"resourceVersion":"7","continue":")" + next +
           R"("},"items":[{"metadata":{"name":")" + name + R"("}}]})";
  };
  transport_->script = {
      {.body = page("a", "x")}, {.status = 410}, {.body = page("b", "y")}, {.body = page("c", "")}};
  Result<ObjectList> list = client_->List({}, Soon(), kConfigMap);
  ASSERT_TRUE(list);
  ASSERT_THAT(list->items, SizeIs(2));
  EXPECT_EQ(KeyOf(list->items[0]).name, "b");
  EXPECT_EQ(list->items[0]["kind"].StringRef(), "ConfigMap");
  EXPECT_EQ(list->resource_version, "7");
}

TEST_F(ClientTest, SelectorsAreEncoded) {
  transport_->script = {{.body = R"({"metadata":{},"items":[]})"}};
  ListOptions options;
  options.label_selector = "app in (a,b),x=y&z";
  ASSERT_TRUE(client_->List({}, Soon(), kConfigMap, options));
  EXPECT_THAT(transport_->requests[0].target,
              HasSubstr("labelSelector=app%20in%20%28a%2Cb%29%2Cx%3Dy%26z"));
}

TEST_F(ClientTest, ApplyTakesFieldsOverAsItsManager) {
  transport_->script = {{.body = "{}"}, {.body = "{}"}};
  ASSERT_TRUE(client_->Apply({}, Soon(), kConfigMap, ConfigMap()));
  EXPECT_EQ(transport_->requests[0].target,
            "/api/v1/namespaces/ns/configmaps/a?fieldManager=cutover&force=true");
  EXPECT_EQ(transport_->requests[0].content_type, "application/apply-patch+yaml");
  ASSERT_TRUE(client_->ApplyStatus({}, Soon(), kTenantMigration, {"ns", "m"},
                                   Json::Object({{"phase", "Pending"}}), "uid-1"));
  EXPECT_EQ(transport_->requests[1].target,
            "/apis/cutover.dev/v1alpha1/namespaces/ns/tenantmigrations/m/status"
            "?fieldManager=cutover-status&force=true");
  Json body = *Json::Parse(transport_->requests[1].body);
  EXPECT_EQ(body.At({"metadata", "uid"}).StringRef(), "uid-1");
  EXPECT_EQ(body.At({"status", "phase"}).StringRef(), "Pending");
}

TEST_F(ClientTest, DeletingWhatIsGoneIsDone) {
  transport_->script = {{.status = 404}, {.status = 409}};
  DeleteOptions options;
  options.uid = "uid-1";
  options.propagation = Propagation::kForeground;
  EXPECT_TRUE(client_->Delete({}, Soon(), kConfigMap, {"ns", "a"}, options));
  Json body = *Json::Parse(transport_->requests[0].body);
  EXPECT_EQ(body.At({"preconditions", "uid"}).StringRef(), "uid-1");
  EXPECT_EQ(body["propagationPolicy"].StringRef(), "Foreground");
  EXPECT_FALSE(client_->Delete({}, Soon(), kConfigMap, {"ns", "a"}, options));
}

TEST_F(ClientTest, AnAnswerThatIsNoObjectIsAnError) {
  transport_->script = {{.body = "[]"}, {.body = "<html>"}, {.body = "not json"}};
  EXPECT_FALSE(client_->List({}, Soon(), kConfigMap));
  EXPECT_FALSE(client_->Get({}, Soon(), kConfigMap, {"ns", "a"}));
  Result<Json> created = client_->Create({}, Soon(), kConfigMap, ConfigMap());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().disposition, Disposition::kInDoubt);
}

}  // namespace
}  // namespace cutover::kube
