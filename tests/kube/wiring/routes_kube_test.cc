// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/routes.h"

#include <array>
#include <cstdio>
#include <thread>

#include "reconcilers/wiring/maintenance.h"
#include "tests/kube/wiring/wiring_world.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::wiring {
namespace {

const MaintenanceBackend kPage{"cutover-maintenance-move", 80};

class Routes : public OnApiServer {
 protected:
  void SetUp() override {
    Create(kube::kIngress, R"({"metadata":{"name":"web","annotations":{"a":"b"}},"spec":{
        "tls":[{"hosts":["a.example"]}],
        "defaultBackend":{"service":{"name":"fallback","port":{"number":8080}}},
        "rules":[{"host":"a.example","http":{"paths":[
          {"path":"/","pathType":"Prefix",
           "backend":{"service":{"name":"odoo","port":{"name":"http"}}}},
          {"path":"/websocket","pathType":"Prefix",
           "backend":{"service":{"name":"odoo","port":{"number":8072}}}}]}}]}})");
    placement_.spec.routes = {{"Ingress", "web"}};
  }
  std::vector<RouteObservation> Observe(const Json& record = {}) {
    auto seen = ObserveRoutes({}, Soon(), *client_, placement_, kPage, record);
    EXPECT_TRUE(seen) << seen.error().message;
    return *seen;
  }
  Json Record() {
    auto record = RecordRoutes({}, Soon(), *client_, placement_);
    EXPECT_TRUE(record) << record.error().message;
    return *Json::Parse(record->Dump());
  }
  Status Flip() { return FlipToMaintenance({}, Soon(), *client_, placement_, kPage); }
  Status Restore(const Json& record) {
    return RestoreRoutes({}, Soon(), *client_, placement_, record);
  }

  void ExpectExactRoundTrip(const kube::Resource& resource, const std::string& name) {
    const std::string before = Content(resource, name);
    const Json record = Record();
    EXPECT_TRUE(Observe(record).front().as_recorded);
    Status flipped = Flip();
    ASSERT_TRUE(flipped) << flipped.error().message;
    EXPECT_EQ(Observe(record).front().state, RouteState::kMaintenance);
    EXPECT_FALSE(Observe(record).front().as_recorded);
    const std::string version = VersionOf(resource, name);
    ASSERT_TRUE(Flip());
    EXPECT_EQ(VersionOf(resource, name), version) << "a second flip writes nothing";
    Status restored = Restore(record);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(Content(resource, name), before);
    EXPECT_TRUE(Observe(record).front().as_recorded);
    EXPECT_EQ(Observe(record).front().state, RouteState::kOriginal);
  }
};

TEST_F(Routes, AnIngressIsFlippedAndComesBackExactly) {
  ExpectExactRoundTrip(kube::kIngress, "web");
}

// The CRD itself, from the pinned module, as `hack/cluster` installs it.
void InstallHttpRoutes(kube::Client& client, Deadline deadline) {
  FILE* command = popen("hack/cluster gateway-crds", "r");
  ASSERT_NE(command, nullptr);
  std::array<char, 4096> line{};
  const bool read = fgets(line.data(), line.size(), command) != nullptr;
  ASSERT_EQ(pclose(command), 0);
  ASSERT_TRUE(read);
  std::string path = line.data();
  path.erase(path.find_last_not_of('\n') + 1);
  path += "/gateway.networking.k8s.io_httproutes.yaml";
  for (Json crd : api::testing::LoadYaml(path)) {
    if (crd["kind"].StringRef() != "CustomResourceDefinition") continue;
    // The server forbids the group to anybody who does not say that its community approved.
    auto applied = client.Apply({}, deadline, kube::kCustomResourceDefinition, crd);
    ASSERT_TRUE(applied) << applied.error().message;
  }
  while (!client.List({}, deadline, kube::kHttpRoute)) {
    ASSERT_FALSE(deadline.Expired());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

TEST_F(Routes, AnHttpRouteIsFlippedAndComesBackExactly) {
  ASSERT_NO_FATAL_FAILURE(InstallHttpRoutes(*client_, Soon()));
  Create(kube::kHttpRoute, R"({"metadata":{"name":"web"},"spec":{
      "parentRefs":[{"name":"gw"}],"hostnames":["a.example"],
      "rules":[
        {"matches":[{"path":{"type":"PathPrefix","value":"/"}}],
         "backendRefs":[{"name":"odoo","port":8069,"weight":3},{"name":"canary","port":8069}]},
        {"matches":[{"path":{"type":"PathPrefix","value":"/old"}}],
         "filters":[{"type":"RequestRedirect","requestRedirect":{"hostname":"b.example"}}]},
        {"matches":[{"path":{"type":"PathPrefix","value":"/websocket"}}],
         "backendRefs":[{"name":"odoo","port":8072}]}]}})");
  placement_.spec.routes = {{"HTTPRoute", "web"}};
  ExpectExactRoundTrip(kube::kHttpRoute, "web");
  auto backends = OriginalBackends({}, Soon(), *client_, placement_, Record());
  ASSERT_TRUE(backends) << backends.error().message;
  ASSERT_EQ(backends->size(), 3u);
  EXPECT_EQ((*backends)[2], (RouteBackend{"a.example", "/websocket", "odoo", 8072}));
}

TEST_F(Routes, APageIsNeverTakenForTheOriginal) {
  ASSERT_TRUE(Flip());
  auto record = RecordRoutes({}, Soon(), *client_, placement_);
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().reason, "RouteAtMaintenance");
}

TEST_F(Routes, BackendsAreKnownWhileTheRouteShowsThePage) {
  Create(kube::kService,
         R"({"metadata":{"name":"odoo"},"spec":{"ports":[{"name":"http","port":8069}]}})");
  const Json record = Record();
  ASSERT_TRUE(Flip());
  auto backends = OriginalBackends({}, Soon(), *client_, placement_, record);
  ASSERT_TRUE(backends) << backends.error().message;
  ASSERT_EQ(backends->size(), 3u);
  EXPECT_EQ((*backends)[1], (RouteBackend{"a.example", "/", "odoo", 8069}));
  EXPECT_EQ((*backends)[1].ServiceUrl(ns_), "http://odoo." + ns_ + ".svc:8069");
}

TEST_F(Routes, AMissingRouteIsAbsentAndCannotBeRecorded) {
  placement_.spec.routes = {{"Ingress", "nowhere"}};
  EXPECT_EQ(Observe().front().state, RouteState::kAbsent);
  EXPECT_EQ(RecordRoutes({}, Soon(), *client_, placement_).error().reason, "RouteNotFound");
  EXPECT_EQ(Flip().error().reason, "RouteNotFound");
}

class MaintenancePage : public OnApiServer {
 protected:
  void SetUp() override {
    migration_.meta.name = "move";
    migration_.meta.namespace_name = ns_;
    migration_.meta.uid = "00000000-0000-4000-8000-000000000002";
  }
  api::TenantMigration migration_;
};

TEST_F(MaintenancePage, IsMadeOnceSeenReadyAndDeleted) {
  const MaintenanceOptions options{"cutover.local/operator:dev", "IfNotPresent"};
  EXPECT_FALSE(ObserveMaintenancePage({}, Soon(), *client_, migration_)->exists);
  Status made = EnsureMaintenancePage({}, Soon(), *client_, migration_, options);
  ASSERT_TRUE(made) << made.error().message;
  const std::string name = MaintenanceBackendOf(migration_).service_name;
  const std::string version = VersionOf(kube::kDeployment, name);
  ASSERT_TRUE(EnsureMaintenancePage({}, Soon(), *client_, migration_, options));
  EXPECT_EQ(VersionOf(kube::kDeployment, name), version) << "a second time writes nothing";
  auto seen = ObserveMaintenancePage({}, Soon(), *client_, migration_);
  EXPECT_TRUE(seen->exists);
  EXPECT_FALSE(seen->ready);

  Patch(
      kube::kDeployment, name,
      R"({"status":{"observedGeneration":1,"replicas":1,"readyReplicas":1,"availableReplicas":1}})",
      "status");
  EXPECT_FALSE(ObserveMaintenancePage({}, Soon(), *client_, migration_)->ready)
      << "no address is behind the Service yet";
  Create(kube::kEndpointSlice,
         R"({"metadata":{"name":"s","labels":{"kubernetes.io/service-name":")" + name +
             R"("}},"addressType":"IPv4","ports":[{"port":8080}],
      "endpoints":[{"addresses":["10.244.0.9"],"conditions":{"ready":true}}]})");
  EXPECT_TRUE(ObserveMaintenancePage({}, Soon(), *client_, migration_)->ready);

  ASSERT_TRUE(DeleteMaintenancePage({}, Soon(), *client_, migration_));
  ASSERT_TRUE(DeleteMaintenancePage({}, Soon(), *client_, migration_));
  EXPECT_FALSE(ObserveMaintenancePage({}, Soon(), *client_, migration_)->exists);
}

TEST_F(MaintenancePage, AnotherMigrationsPageIsLeftAlone) {
  ASSERT_TRUE(EnsureMaintenancePage({}, Soon(), *client_, migration_, {"image", "IfNotPresent"}));
  migration_.meta.uid = "00000000-0000-4000-8000-000000000003";
  ASSERT_TRUE(DeleteMaintenancePage({}, Soon(), *client_, migration_));
  EXPECT_TRUE(ObserveMaintenancePage({}, Soon(), *client_, migration_)->exists);
}

}  // namespace
}  // namespace cutover::wiring
