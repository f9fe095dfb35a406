// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/pooler_login.h"

#include <gtest/gtest.h>

#include "reconcilers/wiring/base64.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::server {
namespace {

class NamesOnly final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    if (host != "pgbouncer.example.com") return RetryError("HostNotResolved", host);
    return std::vector<std::string>{"10.1.0.4", "10.1.0.5"};
  }
};

class LoggingInToPoolers : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.spec.pooler = api::Pooler{"pgbouncer.example.com", 6432, "pgbouncer-admin"};
  }
  void CreateSecret() {
    Json secret = kube::NewObject(kube::kSecret, {"cutover-system", "pgbouncer-admin"});
    secret.Set("data", Json::Object({{"username", wiring::EncodeBase64("boss")},
                                     {"password", wiring::EncodeBase64("hunter2")}}));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kSecret, secret, {}));
  }
  Result<std::vector<pg::PoolerLogin>> Logins() {
    return PoolerLogins({}, Deadline::Never(), access_, server_);
  }

  kube::FakeClient client_;
  NamesOnly resolver_;
  wiring::Access access_{client_, resolver_, "cutover-system"};
  api::DatabaseServer server_;
};

TEST_F(LoggingInToPoolers, EveryAddressOfTheNameIsAPoolerOfItsOwn) {
  CreateSecret();
  Result<std::vector<pg::PoolerLogin>> logins = Logins();
  ASSERT_TRUE(logins) << logins.error().message;
  ASSERT_EQ(logins->size(), 2u);
  EXPECT_EQ(logins->at(0).host, "10.1.0.4");
  EXPECT_EQ(logins->at(1).host, "10.1.0.5");
  for (const pg::PoolerLogin& login : *logins) {
    EXPECT_EQ(login.port, 6432);
    EXPECT_EQ(login.user, "boss");
    EXPECT_EQ(login.password, "hunter2");
  }
}

// A readiness probe that goes through a paused entry fails at all of them.
TEST_F(LoggingInToPoolers, APodThatIsNotReadyIsAPoolerOfWhichThatIsKnown) {
  CreateSecret();
  server_.spec.pooler->admin_host = "pgbouncer.cutover-system.svc";
  const auto parsed = [](const char* text) { return *Json::Parse(text); };
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kService, parsed(R"({
      "apiVersion":"v1","kind":"Service",
      "metadata":{"name":"pgbouncer","namespace":"cutover-system"},
      "spec":{"clusterIP":"10.96.0.9","ports":[{"name":"pg","port":6432}]}})"),
                             {}));
  ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kEndpointSlice, parsed(R"({
      "apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
      "metadata":{"name":"pgbouncer-1","namespace":"cutover-system",
                  "labels":{"kubernetes.io/service-name":"pgbouncer"}},
      "ports":[{"name":"pg","port":6432}],
      "endpoints":[{"addresses":["10.244.0.6"],"conditions":{"ready":false}},
                   {"addresses":["10.244.0.7"],"conditions":{"ready":false}}]})"),
                             {}));
  Result<std::vector<pg::PoolerLogin>> logins = Logins();
  ASSERT_TRUE(logins) << logins.error().message;
  ASSERT_EQ(logins->size(), 2u);
  for (const pg::PoolerLogin& login : *logins) EXPECT_FALSE(login.ready) << login.host;
}

TEST_F(LoggingInToPoolers, AServerWithoutAPoolerHasNoneAndAsksForNoSecret) {
  server_.spec.pooler.reset();
  Result<std::vector<pg::PoolerLogin>> logins = Logins();
  ASSERT_TRUE(logins) << logins.error().message;
  EXPECT_TRUE(logins->empty());
}

TEST_F(LoggingInToPoolers, AMissingSecretOrNameIsWaitedForAndNeverTakenForNoPooler) {
  Result<std::vector<pg::PoolerLogin>> logins = Logins();
  ASSERT_FALSE(logins);
  EXPECT_EQ(logins.error().reason, "SecretMissing");
  EXPECT_EQ(logins.error().disposition, Disposition::kRetry);

  CreateSecret();
  server_.spec.pooler->admin_host = "elsewhere.example.com";
  logins = Logins();
  ASSERT_FALSE(logins);
  EXPECT_EQ(logins.error().reason, "HostNotResolved");
  EXPECT_EQ(logins.error().disposition, Disposition::kRetry);
}

}  // namespace
}  // namespace cutover::server
