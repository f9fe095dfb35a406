// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "reconcilers/placement/reconciler.h"
#include "reconcilers/wiring/service.h"
#include "reconcilers/wiring/wiring.h"
#include "tests/kube/api_server.h"
#include "tests/kube/crd/crd_server.h"

namespace cutover::placement {
namespace {

class NoResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

// The reconciler against a real API server with our CRDs; PostgreSQL is a function.
class Placement : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

  void SetUp() override {
    testing::InstallCrds(*client_);
    servers_.Replace({ReadyServer("pg-1", "10.1.0.1"), ReadyServer("pg-2", "10.1.0.2")});
    migrations_.Replace({});
    Create(kube::kSecret, R"({"metadata":{"name":"pg-admin"},
        "stringData":{"username":"admin","password":"a"}})");
    Create(kube::kSecret, R"({"metadata":{"name":"tenant-db"},"stringData":{"password":"p"}})");
    Create(kube::kConfigMap, R"({"metadata":{"name":"conf"},
        "data":{"odoo.conf":"[options]\ndb_host = tenant-pg\n"}})");
    Create(kube::kDatabasePlacement, R"({"metadata":{"name":"tenant"},"spec":{
        "database":{"name":"t","owner":"t",
          "passwordSecretRef":{"name":"tenant-db","key":"password"}},
        "class":"Shared","serverName":"pg-1","profile":{"type":"Odoo"},
        "connection":{"service":{"name":"tenant-pg"},
          "configFiles":[{"configMap":{"name":"conf","key":"odoo.conf"},"format":"OdooConf"}]}}})");
  }
  static Json ReadyServer(const char* name, const char* host) {
    Json server = *Json::Parse(R"({"apiVersion":"cutover.dev/v1alpha1","kind":"DatabaseServer",
        "spec":{"class":"Shared","adminSecretRef":{"name":"pg-admin"}},
        "status":{"conditions":[{"type":"Ready","status":"True","reason":"Ready","message":"m",
                                 "lastTransitionTime":"2026-11-21T12:00:00Z"}]}})");
    server.Set("metadata", Json::Object({{"name", name}, {"uid", name}}));
    server.MutableAt("spec").Set("endpoint", Json::Object({{"host", host}}));
    return server;
  }
  Json Create(const kube::Resource& resource, const char* json) {
    Result<Json> object = Json::Parse(json);
    EXPECT_TRUE(object) << object.error().message;
    object->Set("apiVersion", resource.ApiVersion());
    object->Set("kind", resource.kind);
    object->MutableAt("metadata").Set("namespace", ns_);
    Result<Json> created = client_->Create({}, Soon(), resource, *object);
    EXPECT_TRUE(created) << created.error().message;
    return *created;
  }
  Json Stored(const kube::Resource& resource, const char* name) {
    auto object = client_->Get({}, Soon(), resource, {ns_, name});
    EXPECT_TRUE(object && *object) << resource.kind << " " << name;
    return **object;
  }
  Json Stored() { return Stored(kube::kDatabasePlacement, "tenant"); }
  std::string Reason(const char* type) {
    const Json stored = Stored();
    for (const Json& condition : stored["status"]["conditions"].Items())
      if (condition["type"].StringRef() == type) return condition["reason"].AsString();
    return "";
  }
  void Reconcile() {
    PlacementReconcilerOptions options;
    options.operator_namespace = ns_;
    PlacementReconciler reconciler({*client_, resolver_, servers_, active_migrations_}, options,
                                   RealClock(),
                                   [](std::stop_token, Deadline, const DatabaseQuestion&) {
                                     DatabaseObservation seen;
                                     seen.exists = true;
                                     seen.owner = "t";
                                     seen.size_bytes = 7;
                                     return Result<DatabaseObservation>(seen);
                                   });
    Result<kube::Step> step = reconciler.Reconcile({}, Soon(), {ns_, "tenant"});
    ASSERT_TRUE(step) << step.error().message;
  }
  std::string ServiceLeadsTo() {
    return kube::AnnotationOf(Stored(kube::kEndpointSlice, "tenant-pg-cutover-ipv4"),
                              wiring::kServerAnnotation);
  }

  std::unique_ptr<kube::ApiClient> client_ = testing::MakeClient();
  std::string ns_ = testing::MakeNamespace(*client_, "placement");
  NoResolver resolver_;
  kube::Store<api::DatabaseServer> servers_{"servers", api::DecodeDatabaseServer};
  kube::Store<api::TenantMigration> migrations_{"migrations", api::DecodeTenantMigration};
  kube::Index<api::TenantMigration> active_migrations_{migrations_, PlacementMovedBy};
};

TEST_F(Placement, IsAdoptedInTheFormThatTheSchemaAdmits) {
  Reconcile();
  EXPECT_EQ(Reason("Ready"), "Ready");
  EXPECT_EQ(Reason("InSync"), "InSync");
  EXPECT_EQ(Reason("WiringDrifted"), "AsExpected");
  EXPECT_EQ(Reason("Reconciling"), "");
  EXPECT_EQ(Stored()["status"]["serverName"].AsString(), "pg-1");
  EXPECT_EQ(Stored()["status"]["observedGeneration"].AsInt(), 1);
  EXPECT_EQ(ServiceLeadsTo(), "10.1.0.1:5432");
  EXPECT_EQ(kube::ControllerOf(Stored(kube::kService, "tenant-pg"), kube::kDatabasePlacement),
            (kube::Key{ns_, "tenant"}));
}

TEST_F(Placement, AConvergedOneCausesNoWrite) {
  Reconcile();
  const auto versions = [&] {
    return kube::ResourceVersionOf(Stored()) +
           kube::ResourceVersionOf(Stored(kube::kService, "tenant-pg")) +
           kube::ResourceVersionOf(Stored(kube::kEndpointSlice, "tenant-pg-cutover-ipv4"));
  };
  const std::string before = versions();
  Reconcile();
  EXPECT_EQ(versions(), before);
}

TEST_F(Placement, ForeignWiringIsReportedAndLeftAlone) {
  Reconcile();
  const Json changed =
      *Json::Parse(R"({"data":{"odoo.conf":"[options]\ndb_host = elsewhere\ndb_port = 1\n"}})");
  ASSERT_TRUE(client_->Patch({}, Soon(), kube::kConfigMap, {ns_, "conf"}, changed));
  Reconcile();
  EXPECT_EQ(Reason("WiringDrifted"), "Drifted");
  EXPECT_EQ(Reason("InSync"), "WiringDrifted");
  EXPECT_EQ(Reason("Ready"), "Ready");
  EXPECT_EQ(Stored(kube::kConfigMap, "conf")["data"]["odoo.conf"].AsString(),
            "[options]\ndb_host = elsewhere\ndb_port = 1\n");
}

TEST_F(Placement, AMigrationThatMovedItIsNotTakenBack) {
  Reconcile();
  Result<api::DatabasePlacement> placement = api::DecodeDatabasePlacement(Stored());
  ASSERT_TRUE(placement);
  ASSERT_TRUE(
      wiring::ApplyService({}, Soon(), {*client_, resolver_, ns_}, *placement, {"10.1.0.2", 5432}));
  kube::PatchOptions options;
  options.subresource = "status";
  options.field_manager = "cutover-migration";
  ASSERT_TRUE(client_->Patch({}, Soon(), kube::kDatabasePlacement, {ns_, "tenant"},
                             Json::Object({{"status", Json::Object({{"serverName", "pg-2"}})}}),
                             options));
  for (int round = 0; round < 2; ++round) {
    Reconcile();
    EXPECT_EQ(Stored()["status"]["serverName"].AsString(), "pg-2");
    EXPECT_EQ(Stored()["status"]["endpoint"].AsString(), "10.1.0.2:5432");
    EXPECT_EQ(ServiceLeadsTo(), "10.1.0.2:5432");
    EXPECT_EQ(Reason("InSync"), "PinnedElsewhere");
    EXPECT_EQ(Reason("Ready"), "Ready");
  }
}

}  // namespace
}  // namespace cutover::placement
