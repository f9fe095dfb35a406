// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/service.h"

#include <gtest/gtest.h>

#include <map>

#include "reconcilers/wiring/precedence.h"
#include "reconcilers/wiring/wiring.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::wiring {
namespace {

class FakeResolver final : public Resolver {
 public:
  std::map<std::string, std::vector<std::string>> names;
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    auto found = names.find(host);
    if (found == names.end()) return RetryError("HostNotResolved", host);
    return found->second;
  }
};

class OwnService : public ::testing::Test {
 protected:
  void SetUp() override {
    placement_.meta.name = "tenant";
    placement_.meta.namespace_name = "tenants";
    placement_.meta.uid = "p-uid";
    placement_.spec.connection.service_name = "db";
  }
  void Create(const kube::Resource& resource, const char* json) {
    Result<Json> parsed = Json::Parse(json);
    ASSERT_TRUE(parsed);
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), resource, *parsed, {}));
  }
  Result<Backends> Find(const HostPort& server) {
    return FindBackends({}, Deadline::Never(), access_, server);
  }

  kube::FakeClient client_;
  FakeResolver resolver_;
  Access access_{client_, resolver_, "cutover-system"};
  api::DatabasePlacement placement_;
};

TEST_F(OwnService, AnAddressIsItself) {
  EXPECT_EQ(*Find({"10.1.2.3", 6432}), (Backends{{"10.1.2.3"}, 6432}));
  EXPECT_EQ(*Find({"2001:db8::1", 5432}), (Backends{{"2001:db8::1"}, 5432}));
}

TEST_F(OwnService, AServiceWithAClusterIpBecomesTheReadyPodsBehindIt) {
  Create(kube::kService,
         R"({"metadata":{"name":"pg","namespace":"db"},"spec":{"clusterIP":"10.96.0.9",
      "ports":[{"name":"metrics","port":9187},{"name":"pg","port":5432}]}})");
  Create(kube::kEndpointSlice, R"({"metadata":{"name":"pg-1","namespace":"db",
      "labels":{"kubernetes.io/service-name":"pg"}},
      "ports":[{"name":"metrics","port":9187},{"name":"pg","port":15432}],
      "endpoints":[{"addresses":["10.244.0.7"],"conditions":{"ready":true}},
                   {"addresses":["10.244.0.5"]},
                   {"addresses":["10.244.0.6"],"conditions":{"ready":false}}]})");
  for (const char* host : {"pg.db", "pg.db.svc", "pg.db.svc.cluster.local"})
    EXPECT_EQ(*Find({host, 5432}), (Backends{{"10.244.0.5", "10.244.0.7"}, 15432})) << host;
  EXPECT_EQ(Find({"pg.db.svc", 5433}).error().reason, "HostNotResolved") << "no such port";
  const auto all = FindAllBackends({}, Deadline::Never(), access_, {"pg.db", 5432});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->ready.size(), 2u);
  EXPECT_EQ(all->unready, std::vector<std::string>{"10.244.0.6"});
  EXPECT_EQ(all->port, 15432);
}

TEST_F(OwnService, HeadlessAndExternalNamesAreResolved) {
  Create(kube::kService,
         R"({"metadata":{"name":"pg","namespace":"db"},"spec":{"clusterIP":"None"}})");
  Create(kube::kService, R"({"metadata":{"name":"ext","namespace":"db"},
      "spec":{"type":"ExternalName","externalName":"pg.example.com"}})");
  resolver_.names["pg.db.svc"] = {"10.244.0.8"};
  resolver_.names["pg.example.com"] = {"192.0.2.1"};
  EXPECT_EQ(*Find({"pg.db.svc", 5432}), (Backends{{"10.244.0.8"}, 5432}));
  EXPECT_EQ(*Find({"ext.db.svc", 5432}), (Backends{{"192.0.2.1"}, 5432}));
  EXPECT_FALSE(Find({"nowhere.example.com", 5432}));
}

TEST_F(OwnService, FailedReadIsNoReasonToResolveByName) {
  resolver_.names["pg.db.svc"] = {"10.96.0.9"};
  client_.fault = [](kube::FakeClient::When, const std::string&) -> std::optional<Error> {
    return Error{Disposition::kRetry, kube::reason::kServiceUnavailable, "no"};
  };
  EXPECT_EQ(Find({"pg.db.svc", 5432}).error().reason, kube::reason::kServiceUnavailable);
}

TEST_F(OwnService, AServiceThatMayNotBeReadIsNamedWithWhereToAllowIt) {
  resolver_.names["pg.db.svc"] = {"10.96.0.9"};
  client_.fault = [](kube::FakeClient::When, const std::string&) -> std::optional<Error> {
    return Error{Disposition::kRetry, kube::reason::kForbidden, "no"};
  };
  const Error error = Find({"pg.db.svc", 5432}).error();
  EXPECT_EQ(error.reason, "HostNotResolved");
  EXPECT_NE(error.message.find("add db to serverNamespaces"), std::string::npos) << error.message;
}

TEST_F(OwnService, SlicesAreSeparateByFamilyAndNameTheirServer) {
  const HostPort server{"pg.example.com", 6432};
  const std::vector<Json> slices =
      DesiredSlices(placement_, server, {{"10.0.0.1", "10.0.0.2", "2001:db8::1"}, 6432});
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0]["addressType"].AsString(), "IPv4");
  EXPECT_EQ(slices[0]["endpoints"].Size(), 2u);
  EXPECT_EQ(slices[1]["addressType"].AsString(), "IPv6");
  const ServiceObservation seen = InterpretService(DesiredService(placement_), slices);
  EXPECT_TRUE(seen.exists);
  EXPECT_EQ(seen.obstacle, "");
  EXPECT_EQ(seen.server, server);
  EXPECT_EQ(seen.backends, (Backends{{"10.0.0.1", "10.0.0.2", "2001:db8::1"}, 6432}));
}

TEST_F(OwnService, SlicesThatDisagreeNameNoServer) {
  std::vector<Json> slices = DesiredSlices(placement_, {"a", 1}, {{"10.0.0.1"}, 1});
  for (Json& slice : DesiredSlices(placement_, {"b", 1}, {{"2001:db8::1"}, 1}))
    slices.push_back(slice);
  EXPECT_FALSE(InterpretService(DesiredService(placement_), slices).server);
}

TEST_F(OwnService, ForeignSlicesAndSelectorsAreObstacles) {
  std::vector<Json> slices = DesiredSlices(placement_, {"a", 1}, {{"10.0.0.1"}, 1});
  slices.push_back(*Json::Parse(R"({"metadata":{"name":"db-x","labels":{
      "endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io"}}})"));
  EXPECT_NE(InterpretService(DesiredService(placement_), slices).obstacle.find("db-x"),
            std::string::npos);
  Json selected = DesiredService(placement_);
  selected.MutableAt("spec").Set("selector", Json::Object({{"app", "pg"}}));
  EXPECT_NE(InterpretService(selected, {}).obstacle, "");
  Json other_port = *Json::Parse(R"({"metadata":{"name":"db"},"spec":{"ports":[{"port":5433}]}})");
  EXPECT_NE(InterpretService(other_port, {}).obstacle, "");
}

// A move writes down where it leads; preflight waits for that, and says for what.
TEST_F(OwnService, ThatLeadsNowhereYetStandsInTheWayOfAMove) {
  const Sides sides{{"10.0.0.1", 5432}, HostPort{"10.0.0.2", 5432}};
  const auto reasons = [&] {
    std::vector<std::string> found;
    const auto findings = FindPrecedenceTraps({}, Deadline::Never(), access_, placement_, sides);
    for (const Finding& finding : findings.value()) {
      EXPECT_EQ(finding.severity, Severity::kBlocking);
      found.push_back(finding.reason);
    }
    return found;
  };
  EXPECT_EQ(reasons(), std::vector<std::string>{"ServiceNotReady"});
  ASSERT_TRUE(ApplyService({}, Deadline::Never(), access_, placement_, sides.source));
  EXPECT_EQ(reasons(), std::vector<std::string>{});
  ASSERT_TRUE(
      client_.Delete({}, Deadline::Never(), kube::kEndpointSlice, {"tenants", "db-cutover-ipv4"}));
  EXPECT_EQ(reasons(), std::vector<std::string>{"ServiceNotReady"});
  Create(kube::kEndpointSlice, R"({"metadata":{"name":"db-hand-made","namespace":"tenants",
      "labels":{"kubernetes.io/service-name":"db"}},"endpoints":[],"ports":[]})");
  EXPECT_EQ(reasons(), std::vector<std::string>{"ServiceNotOurs"});
}

}  // namespace
}  // namespace cutover::wiring
