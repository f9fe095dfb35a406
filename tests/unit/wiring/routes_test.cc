// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "reconcilers/wiring/maintenance.h"
#include "reconcilers/wiring/route_backends.h"

namespace cutover::wiring {
namespace {

const MaintenanceBackend kPage{"cutover-maintenance-move", 80};

constexpr char kIngress[] = R"({"kind":"Ingress","metadata":{"name":"web"},"spec":{
  "ingressClassName":"traefik","tls":[{"hosts":["a.example"]}],
  "defaultBackend":{"resource":{"apiGroup":"k8s.example","kind":"Bucket","name":"b"}},
  "rules":[
    {"host":"a.example","http":{"paths":[
      {"path":"/","pathType":"Prefix","backend":{"service":{"name":"odoo","port":{"name":"http"}}}},
      {"path":"/websocket","pathType":"Prefix",
       "backend":{"service":{"name":"odoo","port":{"number":8072}}}}]}},
    {"http":{"paths":[
      {"pathType":"ImplementationSpecific",
       "backend":{"service":{"name":"one","port":{"number":1}}}},
      {"pathType":"ImplementationSpecific",
       "backend":{"service":{"name":"two","port":{"number":2}}}}]}}]}})";

constexpr char kHttpRoute[] = R"({"kind":"HTTPRoute","metadata":{"name":"web"},"spec":{
  "hostnames":["a.example","b.example"],"parentRefs":[{"name":"gw"}],
  "rules":[
    {"matches":[{"path":{"type":"PathPrefix","value":"/"}}],
     "backendRefs":[{"name":"odoo","port":8069,"weight":9},
       {"name":"canary","port":8069,"weight":1}]},
    {"matches":[{"path":{"type":"PathPrefix","value":"/old"}}],
     "filters":[{"type":"RequestRedirect","requestRedirect":{"hostname":"b.example"}}]},
    {"matches":[{"path":{"type":"PathPrefix","value":"/ws"}}],
     "filters":[{"type":"URLRewrite"}],
     "backendRefs":[{"group":"","kind":"Service","name":"odoo","port":8072,"weight":1}]}]}})";

class Routes : public ::testing::TestWithParam<const char*> {
 protected:
  const Json original_ = *Json::Parse(GetParam());
};

TEST_P(Routes, FlipAndComeBackExactly) {
  const Json record = *Json::Parse(RecordRoute(original_).Dump());
  EXPECT_EQ(StateOf(original_, kPage), RouteState::kOriginal);
  Json route = original_;
  FlipRoute(kPage, route);
  EXPECT_EQ(StateOf(route, kPage), RouteState::kMaintenance);
  EXPECT_TRUE(ShowsAnyMaintenancePage(route));
  Json again = route;
  FlipRoute(kPage, again);
  EXPECT_EQ(again.Dump(), route.Dump()) << "idempotent";
  EXPECT_TRUE(RestoreRoute(record, route));
  EXPECT_EQ(route.Dump(), original_.Dump());
  EXPECT_EQ(RecordRoute(route), record);
  EXPECT_TRUE(RestoreRoute(record, route)) << "idempotent";
  EXPECT_EQ(route.Dump(), original_.Dump());
}

TEST_P(Routes, NothingButBackendsChanges) {
  Json route = original_;
  FlipRoute(kPage, route);
  Json before = original_, after = route;
  const Json record = RecordRoute(route);
  for (size_t i = 0; i < record["backends"].Size(); ++i)
    EXPECT_EQ(record["backends"][i]["place"].AsString(),
              RecordRoute(original_)["backends"][i]["place"].AsString());
  EXPECT_EQ(before["spec"]["rules"].Size(), after["spec"]["rules"].Size());
  EXPECT_EQ(before["spec"]["tls"], after["spec"]["tls"]);
  EXPECT_EQ(before["spec"]["hostnames"], after["spec"]["hostnames"]);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Routes, ::testing::Values(kIngress, kHttpRoute));

TEST(Route, ARedirectHasNoBackendAndStays) {
  Json route = *Json::Parse(kHttpRoute);
  const std::string redirect = route["spec"]["rules"][size_t{1}].Dump();
  FlipRoute(kPage, route);
  EXPECT_EQ(route["spec"]["rules"][size_t{1}].Dump(), redirect);
}

TEST(Route, WhatSomebodyElseSetMeanwhileStays) {
  const Json original = *Json::Parse(kIngress);
  const Json record = RecordRoute(original);
  Json route = original;
  FlipRoute(kPage, route);
  Json& backend = route.MutableAt("spec")
                      .MutableAt("rules")
                      .MutableAt(0)
                      .MutableAt("http")
                      .MutableAt("paths")
                      .MutableAt(1)
                      .MutableAt("backend");
  backend = *Json::Parse(R"({"service":{"name":"theirs","port":{"number":7}}})");
  EXPECT_EQ(StateOf(route, kPage), RouteState::kMixed);
  const Json theirs = backend;
  EXPECT_TRUE(RestoreRoute(record, route));
  EXPECT_EQ(route["spec"]["rules"][size_t{0}]["http"]["paths"][size_t{1}]["backend"], theirs);
  EXPECT_EQ(route["spec"]["rules"][size_t{1}], original["spec"]["rules"][size_t{1}]);
  EXPECT_NE(RecordRoute(route), record);
}

TEST(Route, AMaintenancePageInAnUnknownPlaceIsReported) {
  const Json original = *Json::Parse(kHttpRoute);
  Json route = original;
  FlipRoute(kPage, route);
  Json extra = route["spec"]["rules"][size_t{0}];
  extra.MutableAt("matches").MutableAt(0).MutableAt("path").Set("value", "/new");
  route.MutableAt("spec").MutableAt("rules").Append(extra);
  EXPECT_FALSE(RestoreRoute(RecordRoute(original), route));
  EXPECT_EQ(route["spec"]["rules"][size_t{0}], original["spec"]["rules"][size_t{0}]);
}

TEST(Route, ServicesOfABackendKnowTheirPorts) {
  const Json ingress = RecordRoute(*Json::Parse(kIngress));
  auto named = ServicesOf(ingress["backends"][size_t{1}]["backend"], "ns");
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].port_name, "http");
  EXPECT_TRUE(ServicesOf(ingress["backends"][size_t{0}]["backend"], "ns").empty())
      << "a bucket is no Service";
  const Json route = RecordRoute(*Json::Parse(kHttpRoute));
  auto both = ServicesOf(route["backends"][size_t{0}]["backend"], "ns");
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[1].name, "canary");
  EXPECT_EQ(both[1].port, 8069);
}

TEST(MaintenancePage, ItsNameFitsAServiceAndIsItsOwn) {
  api::TenantMigration migration;
  migration.meta.name = "move-1";
  EXPECT_EQ(MaintenanceBackendOf(migration).service_name, "cutover-maintenance-move-1");
  std::set<std::string> names;
  for (const std::string& name :
       {std::string(200, 'a'), std::string(201, 'a'), std::string("a.b"), std::string("a-b"),
        std::string(43, 'x') + ".", std::string(42, 'x') + "-y"}) {
    migration.meta.name = name;
    const std::string service = MaintenanceBackendOf(migration).service_name;
    EXPECT_LE(service.size(), 63u);
    EXPECT_EQ(service.find('.'), std::string::npos);
    EXPECT_TRUE(service.starts_with(kMaintenancePrefix));
    names.insert(service);
  }
  EXPECT_EQ(names.size(), 6u);
}

TEST(MaintenancePage, RunsUnderTheRestrictedProfile) {
  api::TenantMigration migration;
  migration.meta.name = "move";
  migration.meta.uid = "u";
  const Json pod = MaintenanceDeployment(migration, {"image:1"}).At({"spec", "template", "spec"});
  EXPECT_TRUE(pod.At({"securityContext", "runAsNonRoot"}).AsBool());
  EXPECT_EQ(pod.At({"securityContext", "seccompProfile", "type"}).AsString(), "RuntimeDefault");
  const Json& container = pod["containers"][size_t{0}];
  EXPECT_FALSE(container.At({"securityContext", "allowPrivilegeEscalation"}).AsBool(true));
  EXPECT_TRUE(container.At({"securityContext", "readOnlyRootFilesystem"}).AsBool());
  EXPECT_EQ(container.At({"securityContext", "capabilities", "drop"})[size_t{0}].AsString(), "ALL");
  EXPECT_FALSE(pod["automountServiceAccountToken"].AsBool(true));
}

TEST(MaintenancePage, IsScheduledAsTheChartSays) {
  api::TenantMigration migration;
  migration.meta.uid = "u";
  MaintenanceOptions options{"image:1"};
  options.pods = *DecodePodSettings(R"({"podLabels":{"team":"a","cutover.dev/migration-uid":"x"},
      "tolerations":[{"operator":"Exists"}],"nodeSelector":{"disk":"fast"},
      "priorityClassName":"high","resources":{"requests":{"memory":"1Gi"}}})");
  auto pod = [&] { return MaintenanceDeployment(migration, options).At({"spec", "template"}); };
  const Json labels = pod().At({"metadata", "labels"});
  EXPECT_EQ(labels["team"].AsString(), "a");
  EXPECT_EQ(labels[api::kMigrationUidLabel].AsString(), "u") << "its Service selects it by that";
  EXPECT_EQ(labels["sidecar.istio.io/inject"].AsString(), "false");
  EXPECT_EQ(pod().At({"spec", "tolerations"}).Size(), 1u);
  EXPECT_EQ(pod().At({"spec", "nodeSelector", "disk"}).AsString(), "fast");
  EXPECT_EQ(pod().At({"spec", "priorityClassName"}).AsString(), "high");
  auto memory = [&] {
    return pod()["spec"]["containers"][size_t{0}]
        .At({"resources", "requests", "memory"})
        .AsString();
  };
  EXPECT_EQ(memory(), "16Mi") << "it needs no mover's";
  options.pods.page_resources = *Json::Parse(R"({"requests":{"memory":"32Mi"}})");
  EXPECT_EQ(memory(), "32Mi");
}

}  // namespace
}  // namespace cutover::wiring
