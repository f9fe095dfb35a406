// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/service.h"

#include "reconcilers/wiring/wiring.h"
#include "tests/kube/wiring/wiring_world.h"

namespace cutover::wiring {
namespace {

class OwnService : public OnApiServer {
 protected:
  void SetUp() override { placement_.spec.connection.service_name = "db"; }
  Status Apply(const HostPort& server, const StillWanted& still_wanted = nullptr) {
    return ApplyService({}, Soon(), access_, placement_, server, still_wanted);
  }
  ServiceObservation Observe() { return *ObserveService({}, Soon(), *client_, ns_, "db"); }
  static constexpr char kSlice[] = "db-cutover-ipv4";
};

TEST_F(OwnService, IsMadeMovedAndKeepsItsClusterIp) {
  Status applied = Apply({"10.1.0.1", 6432});
  ASSERT_TRUE(applied) << applied.error().message;
  const std::string cluster_ip = Stored(kube::kService, "db")["spec"]["clusterIP"].AsString();
  EXPECT_FALSE(cluster_ip.empty());
  EXPECT_EQ(Observe().server, (HostPort{"10.1.0.1", 6432}));
  EXPECT_EQ(Observe().backends, (Backends{{"10.1.0.1"}, 6432}));
  ASSERT_TRUE(Apply({"10.1.0.2", 5432}));
  EXPECT_EQ(Observe().backends, (Backends{{"10.1.0.2"}, 5432}));
  EXPECT_EQ(Stored(kube::kService, "db")["spec"]["clusterIP"].AsString(), cluster_ip);
}

TEST_F(OwnService, ASecondApplyWritesNothing) {
  ASSERT_TRUE(Apply({"10.1.0.1", 5432}));
  const std::string before =
      VersionOf(kube::kService, "db") + VersionOf(kube::kEndpointSlice, kSlice);
  ASSERT_TRUE(Apply({"10.1.0.1", 5432}));
  EXPECT_EQ(VersionOf(kube::kService, "db") + VersionOf(kube::kEndpointSlice, kSlice), before);
}

TEST_F(OwnService, AFamilyThatTheNewServerLacksIsGone) {
  resolver_.names["both.example.com"] = {"10.1.0.1", "2001:db8::1"};
  ASSERT_TRUE(Apply({"both.example.com", 5432}));
  EXPECT_TRUE(Exists(kube::kEndpointSlice, "db-cutover-ipv6"));
  ASSERT_TRUE(Apply({"10.1.0.2", 5432}));
  EXPECT_FALSE(Exists(kube::kEndpointSlice, "db-cutover-ipv6"));
  EXPECT_EQ(Observe().backends, (Backends{{"10.1.0.2"}, 5432}));
}

TEST_F(OwnService, FollowsThePodsBehindAServiceWithAClusterIp) {
  Create(kube::kService, R"({"metadata":{"name":"pg"},"spec":{"ports":[{"port":5432}]}})");
  Create(kube::kEndpointSlice, R"({"metadata":{"name":"pg-x","labels":{
      "kubernetes.io/service-name":"pg"}},"addressType":"IPv4","ports":[{"name":"","port":15432}],
      "endpoints":[{"addresses":["10.244.0.5"],"conditions":{"ready":true}}]})");
  const HostPort server{"pg." + ns_ + ".svc", 5432};
  Status applied = Apply(server);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(Observe().backends, (Backends{{"10.244.0.5"}, 15432}));

  Patch(kube::kEndpointSlice, "pg-x",
        R"({"endpoints":[{"addresses":["10.244.0.6"],"conditions":{"ready":true}}]})");
  const Sides sides{server, std::nullopt};
  EXPECT_FALSE(ObserveWiring({}, Soon(), access_, placement_, sides)->AllAt(Side::kSource));
  ASSERT_TRUE(RefreshService({}, Soon(), access_, placement_));
  EXPECT_EQ(Observe().backends, (Backends{{"10.244.0.6"}, 15432}));
  EXPECT_TRUE(ObserveWiring({}, Soon(), access_, placement_, sides)->AllAt(Side::kSource));
}

TEST_F(OwnService, ASelectorIsNotTakenOver) {
  Create(kube::kService,
         R"({"metadata":{"name":"db"},"spec":{"selector":{"app":"pg"},"ports":[{"port":5432}]}})");
  const std::string before = VersionOf(kube::kService, "db");
  Status applied = Apply({"10.1.0.1", 5432});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().reason, "ServiceNotOurs");
  EXPECT_EQ(VersionOf(kube::kService, "db"), before);
  EXPECT_FALSE(Exists(kube::kEndpointSlice, kSlice));
}

TEST_F(OwnService, AServiceWithoutSelectorIsAdopted) {
  Create(kube::kService, R"({"metadata":{"name":"db"},"spec":{"ports":[{"port":5432}]}})");
  Status applied = Apply({"10.1.0.1", 5432});
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(Stored(kube::kService, "db")["spec"]["ports"].Size(), 1u);
}

TEST_F(OwnService, WhoPointsItElsewhereInBetweenWins) {
  ASSERT_TRUE(Apply({"10.1.0.1", 5432}));
  Status slow = Apply({"10.1.0.9", 5432}, [&]() -> Result<bool> {
    EXPECT_TRUE(Apply({"10.1.0.2", 5432}));
    return true;
  });
  ASSERT_FALSE(slow);
  EXPECT_TRUE(kube::IsConflict(slow.error())) << slow.error().message;
  EXPECT_EQ(Observe().server, (HostPort{"10.1.0.2", 5432}));
}

TEST_F(OwnService, WhatIsNoLongerWantedIsNotDone) {
  ASSERT_TRUE(Apply({"10.1.0.1", 5432}));
  ASSERT_TRUE(Apply({"10.1.0.9", 5432}, []() -> Result<bool> { return false; }));
  EXPECT_EQ(Observe().server, (HostPort{"10.1.0.1", 5432}));
}

}  // namespace
}  // namespace cutover::wiring
