// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {
namespace {

const HostPort kSource{"source.db.svc", 5432};
const HostPort kTarget{"target.db.svc", 5433};
const Sides kSides{kSource, kTarget};
const Wanted kToTarget{kTarget, "tenant", std::nullopt, "tenant_db"};

Json Parse(const char* text) {
  Result<Json> parsed = Json::Parse(text);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return *parsed;
}

// What the API server does with a merge patch.
Json Merge(const Json& object, const Json& patch) {
  if (!patch.IsObject()) return patch;
  Json merged = object.IsObject() ? object : Json::Object();
  for (const auto& [key, value] : patch.Members()) {
    if (value.IsNull())
      merged.Remove(key);
    else
      merged.Set(key, Merge(merged[key], value));
  }
  return merged;
}

Objects Apply(Objects objects, const std::vector<ObjectPatch>& patches) {
  for (const ObjectPatch& patch : patches)
    objects[patch.object] = Merge(objects[patch.object], patch.patch);
  return objects;
}

class Items : public ::testing::Test {
 protected:
  void SetUp() override {
    placement_.meta.name = "tenant";
    placement_.meta.namespace_name = "tenants";
    placement_.spec.database_name = "tenant_db";
    placement_.spec.owner = "tenant";
  }

  void AddSecret() {
    placement_.spec.connection.secret =
        api::WiringSecret{"db", "host", "port", "user", "pass", "name", "uri"};
    Json secret = Parse(R"({"kind":"Secret","metadata":{"name":"db","resourceVersion":"5"}})");
    for (auto [key, value] : {std::pair("host", "source.db.svc.cluster.local"),
                              {"port", "5432"},
                              {"user", "tenant"},
                              {"pass", "p"},
                              {"uri", "postgresql://tenant:p@source.db.svc:5432/tenant_db?x=1"},
                              {"mine", "untouched"}})
      secret.MutableAt("data").Set(key, EncodeBase64(value));
    objects_[{"Secret", "db"}] = secret;
  }
  void AddFile(const std::string& text) {
    placement_.spec.connection.config_files.push_back(
        {{"ConfigMap", "conf"}, "odoo.conf", "OdooConf"});
    Json map = Parse(R"({"kind":"ConfigMap","metadata":{"name":"conf","resourceVersion":"6"}})");
    map.Set("data", Json::Object({{"odoo.conf", text}, {"other", "x"}}));
    objects_[{"ConfigMap", "conf"}] = map;
  }
  void AddEnv(const char* env_json) {
    placement_.spec.connection.env.push_back(
        {{"Deployment", "odoo"}, "odoo", "HOST", "PORT", "USER", "PASSWORD"});
    Json deployment = Parse(R"({"kind":"Deployment",
        "metadata":{"name":"odoo","resourceVersion":"7"},
        "spec":{"replicas":2,"template":{"spec":{"containers":[
          {"name":"sidecar","env":[{"name":"HOST","value":"source.db.svc"}]},
          {"name":"odoo","image":"odoo:19"}]}}}})");
    deployment.MutableAt("spec")
        .MutableAt("template")
        .MutableAt("spec")
        .MutableAt("containers")
        .MutableAt(1)
        .Set("env", Parse(env_json));
    objects_[{"Deployment", "odoo"}] = deployment;
  }
  const Json& Of(const char* kind, const char* name) { return objects_.at({kind, name}); }
  const Json& Env() {
    return Of("Deployment", "odoo")
        .At({"spec", "template", "spec", "containers"})[size_t{1}]["env"];
  }
  Side SideOfOnlyItem() {
    std::vector<ItemObservation> items = ObserveObjects(placement_, objects_, kSides);
    EXPECT_EQ(items.size(), 1u);
    return items.front().side;
  }
  void MoveToTarget() {
    Result<std::vector<ObjectPatch>> patches = PlanWiring(placement_, objects_, kToTarget);
    ASSERT_TRUE(patches) << patches.error().message;
    objects_ = Apply(objects_, *patches);
  }

  // Moves to the target and back; the world must then be what it was, byte for byte.
  void ExpectRoundTrip() {
    const Objects before = objects_;
    Result<Json> record = RecordObjects(placement_, objects_);
    ASSERT_TRUE(record) << record.error().message;
    MoveToTarget();
    for (const ItemObservation& item : ObserveObjects(placement_, objects_, kSides))
      EXPECT_EQ(item.side, Side::kTarget) << item.item << ": " << item.detail;
    EXPECT_TRUE(PlanWiring(placement_, objects_, kToTarget)->empty()) << "idempotent";
    // The ledger is text.
    Result<std::vector<ObjectPatch>> back = PlanRestore(objects_, *Json::Parse(record->Dump()));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_FALSE(back->empty());
    objects_ = Apply(objects_, *back);
    for (auto& [name, object] : objects_)
      EXPECT_EQ(object.Dump(), before.at(name).Dump()) << name.kind;
    EXPECT_TRUE(PlanRestore(objects_, *record)->empty()) << "idempotent";
  }

  api::DatabasePlacement placement_;
  Objects objects_;
};

TEST_F(Items, SecretKeysMoveAndComeBackExactly) {
  AddSecret();
  EXPECT_EQ(SideOfOnlyItem(), Side::kSource);
  Result<Json> record = RecordObjects(placement_, objects_);
  MoveToTarget();
  const Json& data = Of("Secret", "db")["data"];
  EXPECT_EQ(*DecodeBase64(data["host"].StringRef()), "target.db.svc");
  EXPECT_EQ(*DecodeBase64(data["port"].StringRef()), "5433");
  EXPECT_EQ(*DecodeBase64(data["pass"].StringRef()), "p");
  EXPECT_EQ(*DecodeBase64(data["name"].StringRef()), "tenant_db") << "was absent";
  EXPECT_EQ(*DecodeBase64(data["uri"].StringRef()),
            "postgresql://tenant:p@target.db.svc:5433/tenant_db?x=1");
  objects_ = Apply(objects_, *PlanRestore(objects_, *record));
  EXPECT_FALSE(Of("Secret", "db")["data"].Contains("name")) << "absent again";
}

TEST_F(Items, EverythingTogetherComesBackExactly) {
  AddSecret();
  objects_[{"Secret", "db"}].MutableAt("data").Set("name", EncodeBase64("tenant_db"));
  AddFile("[options]\n; note\ndb_host = source.db.svc\nworkers=4");
  AddEnv(R"~([{"name":"A","value":"1"},{"name":"HOST","value":"source.db.svc"},
              {"name":"USER","value":"tenant"},{"name":"Z","value":"$(HOST)"}])~");
  ExpectRoundTrip();
}

TEST_F(Items, APatchIsGoodForTheVersionThatWasReadOnly) {
  AddFile("[options]\ndb_host = source.db.svc\n");
  Result<std::vector<ObjectPatch>> patches = PlanWiring(placement_, objects_, kToTarget);
  ASSERT_EQ(patches->size(), 1u);
  EXPECT_EQ(patches->front().patch.At({"metadata", "resourceVersion"}).AsString(), "6");
  EXPECT_FALSE(patches->front().patch["data"].Contains("other"));
}

TEST_F(Items, AFileKeepsWhatSomebodyEditedDuringTheMove) {
  AddFile("[options]\ndb_host = source.db.svc\nworkers = 2\n");
  Result<Json> record = RecordObjects(placement_, objects_);
  MoveToTarget();
  Json& data = objects_[{"ConfigMap", "conf"}].MutableAt("data");
  std::string text = data["odoo.conf"].AsString();
  text.replace(text.find("workers = 2"), 11, "workers = 8");
  data.Set("odoo.conf", text);
  objects_ = Apply(objects_, *PlanRestore(objects_, *record));
  EXPECT_EQ(Of("ConfigMap", "conf")["data"]["odoo.conf"].AsString(),
            "[options]\ndb_host = source.db.svc\nworkers = 8\n");
}

TEST_F(Items, WhatAKeyOfASecretHoldsIsNotSaidUnlessItIsWhereTheTenantIsKnownToBe) {
  placement_.spec.connection.secret = api::WiringSecret{"db", "admin-password", "", "", "", "", ""};
  Json secret = Parse(R"({"kind":"Secret","metadata":{"name":"db"}})");
  for (const char* value : {"hunter2", "db.example", "two words"}) {
    secret.Set("data", Json::Object({{"admin-password", EncodeBase64(value)}}));
    objects_[{"Secret", "db"}] = secret;
    const std::vector<ItemObservation> items = ObserveObjects(placement_, objects_, kSides);
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].side, Side::kNeither);
    EXPECT_EQ(items[0].detail, "key admin-password leads elsewhere");
  }
}

TEST_F(Items, AReplicaThatStaysBehindIsNotAtTheTarget) {
  AddFile("[options]\ndb_host = target.db.svc\ndb_port = 5433\ndb_replica_host = source.db.svc\n");
  EXPECT_EQ(SideOfOnlyItem(), Side::kNeither);
}

TEST_F(Items, AnItemThatFollowsTheServiceIsLeftAlone) {
  placement_.spec.connection.service_name = "db";
  AddFile("[options]\ndb_host = db.tenants.svc\ndb_port = 5432\n");
  AddEnv(R"([{"name":"HOST","value":"db"},{"name":"PORT","value":"5432"}])");
  for (const ItemObservation& item : ObserveObjects(placement_, objects_, kSides))
    EXPECT_EQ(item.side, Side::kEither) << item.item;
  EXPECT_TRUE(PlanWiring(placement_, objects_, kToTarget)->empty());
}

TEST_F(Items, AVariableThatComesFromElsewhereIsReportedNotBroken) {
  AddEnv(R"([{"name":"HOST","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}])");
  EXPECT_EQ(SideOfOnlyItem(), Side::kNeither);
  Result<std::vector<ObjectPatch>> patches = PlanWiring(placement_, objects_, kToTarget);
  ASSERT_FALSE(patches);
  EXPECT_EQ(patches.error().reason, "WiringNotChangeable");
  EXPECT_EQ(patches.error().disposition, Disposition::kTerminal);
}

TEST_F(Items, OnlyTheNamedContainerIsChanged) {
  AddEnv(R"([{"name":"HOST","value":"source.db.svc"}])");
  MoveToTarget();
  EXPECT_EQ(Env()[size_t{0}]["value"].AsString(), "target.db.svc");
  EXPECT_EQ(
      Of("Deployment", "odoo")
          .At({"spec", "template", "spec", "containers"})[size_t{0}]["env"][size_t{0}]["value"]
          .AsString(),
      "source.db.svc");
}

TEST_F(Items, ImmutableObjectsAreReported) {
  AddFile("[options]\ndb_host = source.db.svc\n");
  objects_[{"ConfigMap", "conf"}].Set("immutable", true);
  Result<std::vector<ObjectPatch>> patches = PlanWiring(placement_, objects_, kToTarget);
  ASSERT_FALSE(patches);
  EXPECT_EQ(patches.error().reason, "WiringNotChangeable");
}

TEST_F(Items, WhatDoesNotExistIsNeitherChangedNorRecorded) {
  AddSecret();
  objects_.clear();
  EXPECT_EQ(SideOfOnlyItem(), Side::kNeither);
  EXPECT_EQ(PlanWiring(placement_, objects_, kToTarget).error().reason, "WiringNotFound");
  EXPECT_EQ(RecordObjects(placement_, objects_).error().reason, "WiringNotFound");
}

TEST_F(Items, TwoItemsOfOneObjectBecomeOneWrite) {
  AddEnv(R"([{"name":"HOST","value":"source.db.svc"}])");
  placement_.spec.connection.env.push_back({{"Deployment", "odoo"}, "sidecar", "HOST", "", "", ""});
  Result<std::vector<ObjectPatch>> patches = PlanWiring(placement_, objects_, kToTarget);
  ASSERT_TRUE(patches) << patches.error().message;
  EXPECT_EQ(patches->size(), 1u);
  ExpectRoundTrip();
}

TEST(WiringObservation, SaysWhatIsNotWhereItShouldBe) {
  WiringObservation observed{{{"A", Side::kTarget, "t:1"}, {"B", Side::kEither, "svc"}}};
  EXPECT_TRUE(observed.AllAt(Side::kTarget));
  EXPECT_EQ(observed.Describe(Side::kTarget), "");
  observed.items.push_back({"C", Side::kNeither, "x:1"});
  EXPECT_FALSE(observed.AllAt(Side::kTarget));
  EXPECT_EQ(observed.Describe(Side::kTarget), "C: x:1");
}

}  // namespace
}  // namespace cutover::wiring
