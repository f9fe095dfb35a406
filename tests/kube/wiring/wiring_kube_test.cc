// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/wiring.h"

#include "operator/kube/error.h"
#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/outdate.h"
#include "reconcilers/wiring/service.h"
#include "tests/kube/wiring/wiring_world.h"

namespace cutover::wiring {
namespace {

const HostPort kSource{"10.1.0.1", 5432};
const HostPort kTarget{"10.1.0.2", 6432};
const Sides kSides{kSource, kTarget};

class Wiring : public OnApiServer {
 protected:
  static constexpr char kConf[] =
      "; by hand\r\n[options]\r\ndb_host = 10.1.0.1\r\n\r\nadmin_passwd = 50%off\r\n"
      "db_port=5432\r\nworkers = 4";

  // Every kind of wiring at once.
  void SetUp() override {
    Create(kube::kSecret,
           R"({"metadata":{"name":"db"},"stringData":{"host":"10.1.0.1","port":"5432","pw":"p",
               "uri":"postgresql://t:p@10.1.0.1/tenant_db?sslmode=prefer"}})");
    Json conf = Json::Object({{"metadata", Json::Object({{"name", "conf"}})},
                              {"data", Json::Object({{"odoo.conf", kConf}, {"other", "x"}})}});
    Create(kube::kConfigMap, conf.Dump());
    Create(kube::kDeployment, R"({"metadata":{"name":"odoo"},"spec":{
        "selector":{"matchLabels":{"app":"odoo"}},
        "template":{"metadata":{"labels":{"app":"odoo"}},"spec":{"containers":[
          {"name":"log","image":"l","env":[{"name":"HOST","value":"10.1.0.1"}]},
          {"name":"odoo","image":"o","ports":[{"containerPort":8069}],"env":[
            {"name":"FIRST","value":"1"},{"name":"HOST","value":"10.1.0.1"},
            {"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}}})");
    Create(kube::kCronJob, R"({"metadata":{"name":"nightly"},"spec":{"schedule":"0 3 * * *",
        "jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[
          {"name":"job","image":"o","env":[{"name":"PGHOST","value":"10.1.0.1"}]}]}}}}}})");
    api::Connection& connection = placement_.spec.connection;
    connection.service_name = "tenant-db";
    connection.secret = api::WiringSecret{"db", "host", "port", "", "pw", "", "uri"};
    connection.config_files.push_back({{"ConfigMap", "conf"}, "odoo.conf", "OdooConf"});
    connection.env.push_back({{"Deployment", "odoo"}, "odoo", "HOST", "PORT", "", ""});
    connection.env.push_back({{"CronJob", "nightly"}, "job", "PGHOST", "PGPORT", "", ""});
    Status applied = ApplyService({}, Soon(), access_, placement_, kSource);
    ASSERT_TRUE(applied) << applied.error().message;
  }

  std::string World() {
    return Content(kube::kSecret, "db") + Content(kube::kConfigMap, "conf") +
           Content(kube::kDeployment, "odoo") + Content(kube::kCronJob, "nightly") +
           Content(kube::kService, "tenant-db") +
           Content(kube::kEndpointSlice, "tenant-db-cutover-ipv4");
  }
  std::string Versions() {
    return VersionOf(kube::kSecret, "db") + VersionOf(kube::kConfigMap, "conf") +
           VersionOf(kube::kDeployment, "odoo") + VersionOf(kube::kCronJob, "nightly") +
           VersionOf(kube::kService, "tenant-db") +
           VersionOf(kube::kEndpointSlice, "tenant-db-cutover-ipv4");
  }
  WiringObservation Observe() {
    Result<WiringObservation> seen = ObserveWiring({}, Soon(), access_, placement_, kSides);
    EXPECT_TRUE(seen) << seen.error().message;
    return *seen;
  }
  Status Apply() {
    return ApplyWiring({}, Soon(), access_, placement_,
                       {kTarget, "tenant", std::nullopt, "tenant_db"});
  }
};

TEST_F(Wiring, GoesToTheTargetAndComesBackByteForByte) {
  EXPECT_TRUE(Observe().AllAt(Side::kSource)) << Observe().Describe(Side::kSource);
  const std::string before = World();
  Result<Json> record = RecordWiring({}, Soon(), access_, placement_);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_TRUE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, kSource));

  Status applied = Apply();
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_TRUE(Observe().AllAt(Side::kTarget)) << Observe().Describe(Side::kTarget);
  EXPECT_FALSE(Observe().AllAt(Side::kSource));
  EXPECT_FALSE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, kSource));
  EXPECT_EQ(Observe().items.size(), 5u);

  Status restored =
      RestoreWiring({}, Soon(), access_, placement_, *Json::Parse(record->Dump()), kSource);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(World(), before);
  EXPECT_EQ(Stored(kube::kConfigMap, "conf")["data"]["odoo.conf"].AsString(), kConf);
  EXPECT_TRUE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, kSource));
  EXPECT_TRUE(Observe().AllAt(Side::kSource));
}

// What was not at the source before the move cannot be there after it.
TEST_F(Wiring, GoesBackToWhatItNamedBeforeWhateverThatWas) {
  Patch(kube::kSecret, "db", R"({"stringData":{"host":"alias.example"}})");
  const std::string before = World();
  Result<Json> record = RecordWiring({}, Soon(), access_, placement_);
  ASSERT_TRUE(record) << record.error().message;
  ASSERT_TRUE(Apply());
  ASSERT_TRUE(RestoreWiring({}, Soon(), access_, placement_, *record, kSource));
  EXPECT_EQ(World(), before);
  EXPECT_TRUE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, kSource));
}

TEST_F(Wiring, GoesBackToWhereTheSourceAnswersByThen) {
  Result<Json> record = RecordWiring({}, Soon(), access_, placement_);
  ASSERT_TRUE(record) << record.error().message;
  ASSERT_TRUE(Apply());
  const HostPort now{"10.1.0.3", 5432};
  ASSERT_TRUE(RestoreWiring({}, Soon(), access_, placement_, *record, kSource));
  EXPECT_FALSE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, now));
  ASSERT_TRUE(RestoreWiring({}, Soon(), access_, placement_, *record, now));
  EXPECT_TRUE(*WiringIsAsRecorded({}, Soon(), access_, placement_, *record, now));
  EXPECT_EQ(ObserveService({}, Soon(), *client_, ns_, "tenant-db")->backends,
            (Backends{{"10.1.0.3"}, 5432}));
}

TEST_F(Wiring, RepeatingWritesNothing) {
  Result<Json> record = RecordWiring({}, Soon(), access_, placement_);
  ASSERT_TRUE(Apply());
  const std::string applied = Versions();
  ASSERT_TRUE(Apply());
  EXPECT_EQ(Versions(), applied);
  ASSERT_TRUE(RestoreWiring({}, Soon(), access_, placement_, *record, kSource));
  const std::string restored = Versions();
  ASSERT_TRUE(RestoreWiring({}, Soon(), access_, placement_, *record, kSource));
  EXPECT_EQ(Versions(), restored);
}

TEST_F(Wiring, WhatCannotBeChangedIsFoundBeforeAnythingIs) {
  Patch(kube::kDeployment, "odoo", R"({"spec":{"template":{"spec":{"containers":[
      {"name":"odoo","image":"o","env":[
        {"name":"HOST","valueFrom":{"secretKeyRef":{"name":"x","key":"y"}}}]}]}}}})");
  const std::string before = Versions();
  Status applied = Apply();
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().reason, "WiringNotChangeable");
  EXPECT_EQ(Versions(), before);
}

TEST_F(Wiring, SomebodyElsesChangeIsSeenAsNeitherSide) {
  Patch(kube::kSecret, "db", R"({"stringData":{"host":"elsewhere"}})");
  const WiringObservation seen = Observe();
  EXPECT_FALSE(seen.AllAt(Side::kSource));
  EXPECT_NE(seen.Describe(Side::kSource).find("Secret db"), std::string::npos);
  EXPECT_NE(seen.Describe(Side::kSource).find("elsewhere"), std::string::npos);
  EXPECT_EQ(seen.Describe(Side::kSource).find("conf"), std::string::npos);
}

TEST_F(Wiring, WhatWasAskedForBeforeRequestsWereOutdatedIsRefused) {
  placement_.spec.workloads = {{"Deployment", "odoo"}};
  const std::string before = World();
  std::vector<std::pair<kube::Resource, Json>> late;
  for (const auto& [resource, name] : std::vector<std::pair<kube::Resource, std::string>>{
           {kube::kSecret, "db"},
           {kube::kConfigMap, "conf"},
           {kube::kDeployment, "odoo"},
           {kube::kCronJob, "nightly"},
           {kube::kEndpointSlice, "tenant-db-cutover-ipv4"}})
    late.emplace_back(resource, Stored(resource, name));
  Status outdated =
      OutdateRequests({}, Soon(), access_, placement_, {.wiring = true, .doors = true});
  ASSERT_TRUE(outdated) << outdated.error().message;
  EXPECT_EQ(World(), before);
  for (auto& [resource, object] : late) {
    const kube::Key key = kube::KeyOf(object);
    const Json now = Stored(resource, key.name)["metadata"];
    EXPECT_EQ(now["labels"], object["metadata"]["labels"]) << key.name;
    EXPECT_EQ(now["annotations"], object["metadata"]["annotations"]) << key.name;
    // A slice counts its labels as a generation, too; it is ours.
    if (resource != kube::kEndpointSlice) {
      EXPECT_EQ(now["generation"], object["metadata"]["generation"]) << key.name;
    }
    Json wanted = object;
    wanted.MutableAt("metadata").Set("annotations", Json::Object({{"late", "true"}}));
    const auto patch = ConditionalPatch(object, wanted);
    auto written = client_->Patch({}, Soon(), resource, key, *patch);
    ASSERT_FALSE(written) << key.name;
    EXPECT_TRUE(kube::IsConflict(written.error())) << written.error().message;
  }
}

TEST_F(Wiring, OtherKeysAndContainersAreNotTouched) {
  ASSERT_TRUE(Apply());
  EXPECT_EQ(Stored(kube::kConfigMap, "conf")["data"]["other"].AsString(), "x");
  const Json containers = Stored(kube::kDeployment, "odoo").At({"spec", "template", "spec"});
  EXPECT_EQ(containers["containers"][size_t{0}]["env"][size_t{0}]["value"].AsString(), "10.1.0.1");
  EXPECT_TRUE(containers["containers"][size_t{1}]["env"][size_t{2}].Contains("valueFrom"));
  EXPECT_EQ(*DecodeBase64(Stored(kube::kSecret, "db")["data"]["pw"].StringRef()), "p");
}

}  // namespace
}  // namespace cutover::wiring
