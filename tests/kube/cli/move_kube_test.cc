// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kube/cli/plugin.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }

class Moves : public PluginTest {
 protected:
  Moves() {
    Create(kube::kConfigMap,
           Json::Object({{"apiVersion", "v1"},
                         {"kind", "ConfigMap"},
                         {"metadata", Named("odoo-conf")},
                         {"data", Json::Object({{"odoo.conf",
                                                 "[options]\ndb_host = pg-shared.db\n"
                                                 "db_password = geheim\n"}})}}));
    server_ = "pg-" + ns_;
    CreateServer(server_, "Dedicated", "pg-dedicated.db");
    Json placement = *Json::Parse(R"({"apiVersion":"cutover.dev/v1alpha1",
      "kind":"DatabasePlacement","spec":{"database":{"name":"acme","owner":"acme",
      "passwordSecretRef":{"name":"odoo-db","key":"password"}},"class":"Shared",
      "serverName":"pg-shared","connection":{"configFiles":[{"configMap":{"name":"odoo-conf",
      "key":"odoo.conf"},"format":"OdooConf"}]}}})");
    placement.Set("metadata", Named("acme"));
    Create(kube::kDatabasePlacement, placement);
  }
  ~Moves() override {
    for (const std::string& name : {server_, Source()})
      (void)client_->Delete({}, Soon(), kube::kDatabaseServer, {"", name});
  }

  /// Of a server that a test may create, for the placement to be on.
  std::string Source() const { return "from-" + ns_; }
  void CreateServer(const std::string& name, const char* server_class, const char* host) {
    Create(kube::kDatabaseServer,
           Json::Object(
               {{"apiVersion", api::kApiVersion},
                {"kind", "DatabaseServer"},
                {"metadata", Json::Object({{"name", name}})},
                {"spec", Json::Object({{"class", server_class},
                                       {"endpoint", Json::Object({{"host", host}})},
                                       {"adminSecretRef", Json::Object({{"name", "admin"}})}})}}));
  }

  Json Named(const std::string& name) const {
    return Json::Object({{"name", name}, {"namespace", ns_}});
  }
  void Create(const kube::Resource& resource, const Json& object) {
    auto created = client_->Create({}, Soon(), resource, object);
    ASSERT_TRUE(created) << created.error().message;
  }
  size_t MigrationCount() {
    kube::ListOptions options;
    options.ns = ns_;
    return client_->List({}, Soon(), kube::kTenantMigration, options)->items.size();
  }

  std::string server_;
};

TEST_F(Moves, APlanShowsTheDiffAndTouchesNothing) {
  const Ran ran = Run({"plan", "acme", "--to", server_, "--skip-backup"});
  EXPECT_THAT(ran.out, HasSubstr("-db_host = pg-shared.db"));
  EXPECT_THAT(ran.out, HasSubstr("+db_host = pg-dedicated.db"));
  EXPECT_THAT(ran.out, Not(HasSubstr("geheim")));
  // Nobody has adopted the placement, and the plan says so.
  EXPECT_EQ(ran.exit_code, 3) << ran.error;
  EXPECT_EQ(MigrationCount(), 0u);
}

TEST_F(Moves, APlanShowsWhereServiceSecretAndRouteWouldLead) {
  for (const auto& [resource, text] : std::vector<std::pair<kube::Resource, const char*>>{
           {kube::kSecret, R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"odoo-db"},
             "stringData":{"host":"pg-shared.db","password":"geheim"}})"},
           {kube::kService, R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"odoo-pg"},
             "spec":{"clusterIP":"None","ports":[{"name":"postgresql","port":5432}]}})"},
           {kube::kEndpointSlice, R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
             "metadata":{"name":"odoo-pg-cutover-ipv4","labels":{
             "kubernetes.io/service-name":"odoo-pg",
             "endpointslice.kubernetes.io/managed-by":"cutover.dev"},
             "annotations":{"cutover.dev/server":"10.9.8.7:5432"}},"addressType":"IPv4",
             "endpoints":[{"addresses":["10.9.8.7"],"conditions":{"ready":true}}],
             "ports":[{"name":"postgresql","port":5432,"protocol":"TCP"}]})"},
           {kube::kIngress, R"({"apiVersion":"networking.k8s.io/v1","kind":"Ingress",
             "metadata":{"name":"odoo"},"spec":{"rules":[{"http":{"paths":[{"path":"/",
             "pathType":"Prefix","backend":{"service":{"name":"odoo",
             "port":{"number":8069}}}}]}}]}})"},
           {kube::kDatabasePlacement, R"({"apiVersion":"cutover.dev/v1alpha1",
             "kind":"DatabasePlacement","metadata":{"name":"all"},"spec":{
             "database":{"name":"acme","owner":"acme","passwordSecretRef":{"name":"odoo-db"}},
             "class":"Shared","serverName":"pg-shared","connection":{"service":{"name":"odoo-pg"},
             "secret":{"name":"odoo-db","keys":{"host":"host","password":"password"}}},
             "routes":[{"kind":"Ingress","name":"odoo"}]}})"}}) {
    Json object = *Json::Parse(text);
    object.MutableAt("metadata").Set("namespace", ns_);
    Create(resource, object);
  }
  const Ran ran = Run({"plan", "all", "--to", server_, "--skip-backup"});
  EXPECT_THAT(ran.out, HasSubstr("--- EndpointSlice odoo-pg-cutover-ipv4"));
  EXPECT_THAT(ran.out, HasSubstr("-10.9.8.7:5432\n    +pg-dedicated.db:5432"));
  EXPECT_THAT(ran.out, HasSubstr("unknown, since the addresses of pg-dedicated.db are what"));
  EXPECT_THAT(ran.out, HasSubstr(".data.host\n    -(not shown)\n    +(another, not shown)"));
  EXPECT_THAT(ran.out, HasSubstr("-odoo\n    +cutover-maintenance-all-to-" + server_));
  EXPECT_THAT(ran.out, HasSubstr("-8069\n    +80"));
  EXPECT_EQ(client_->Get({}, Soon(), kube::kIngress, {ns_, "odoo"})
                ->value()
                .At({"spec", "rules"})[size_t{0}]
                .At({"http", "paths"})[size_t{0}]
                .At({"backend", "service", "name"})
                .AsString(),
            "odoo");
}

TEST_F(Moves, ADryRunPrintsTheManifestThatWouldBeCreated) {
  const Ran ran =
      Run({"move", "acme", "--to", server_, "--skip-backup", "--dry-run", "-o", "yaml"});
  EXPECT_THAT(ran.out, HasSubstr("kind: TenantMigration\n"));
  EXPECT_THAT(ran.out, HasSubstr("serverName: " + server_));
  EXPECT_EQ(MigrationCount(), 0u);
}

// Whoever commits it to Git would have chosen without having been asked.
TEST_F(Moves, NoManifestIsPrintedBeforeItIsSaidWhatProtectsTheData) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"move", "acme", "--to", server_, "--dry-run", "-o", "yaml"},
        {"plan", "acme", "--to", server_, "-o", "json"}}) {
    const Ran ran = Run(command);
    EXPECT_EQ(ran.exit_code, 64) << command[0];
    EXPECT_EQ(ran.out, "") << command[0];
    EXPECT_THAT(ran.error, HasSubstr("--skip-backup")) << command[0];
  }
  const Ran plan = Run({"plan", "acme", "--to", server_});
  EXPECT_THAT(plan.out, HasSubstr("Backup      not chosen: --backup-claim NAME"));
}

TEST_F(Moves, CreatesTheMigrationOnceItIsSaidWhatProtectsTheData) {
  const Ran unprotected = Run({"move", "acme", "--to", server_, "--yes"});
  EXPECT_EQ(unprotected.exit_code, 64);
  EXPECT_THAT(unprotected.error, HasSubstr("--backup-claim"));
  EXPECT_EQ(MigrationCount(), 0u);
  const Ran ran = Run({"move", "acme", "--to", server_, "--skip-backup", "--approval", "Manual",
                       "--name", "acme-moves"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_EQ(Stored("acme-moves").At({"spec", "cutover", "approval"}).AsString(), "Manual");
}

TEST_F(Moves, OneThatIsHeldIsPlannedAsItselfWithWhatTheOperatorHasFound) {
  CreateServer(Source(), "Shared", "pg-shared.db");
  const Ran made = Run({"move", "acme", "--to", server_, "--skip-backup", "--approval", "Manual",
                        "--suspend", "--name", "held"});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  // As the operator does: the placement is locked for it, and it is asked its preflight.
  Json placement = Json::Object({{"serverName", Source()}, {"migrationName", "held"}});
  auto locked =
      client_->ApplyStatus({}, Soon(), kube::kDatabasePlacement, {ns_, "acme"}, placement);
  ASSERT_TRUE(locked) << locked.error().message;
  auto find = [&](const std::string& result) {
    Json status = *Json::Parse(R"({"phase":"Preflight","preflight":{
      "lookedAt":"2026-11-21T03:04:05Z","checks":[{"name":"target-database","message":"looked",
      "result":")" + result + R"("}]}})");
    status.Set("sourceServerName", Source());
    Answer("held", [&](Json& object) { object.Set("status", status); });
  };
  find("Passed");
  const Ran fit = Run({"plan", "acme", "--to", server_, "--skip-backup"});
  EXPECT_EQ(fit.exit_code, 0) << fit.out << fit.error;
  EXPECT_THAT(fit.out, HasSubstr("/held, which is held by spec.suspend; nothing has been changed"));
  EXPECT_THAT(fit.out, HasSubstr("kubectl cutover resume held -n " + ns_));
  EXPECT_THAT(fit.out, HasSubstr("✔ target-database: looked"));
  EXPECT_THAT(fit.out, HasSubstr("✔ no other migration moves it"));
  find("Blocking");
  EXPECT_EQ(Run({"plan", "acme", "--to", server_}).exit_code, 3);
  const Ran other = Run({"plan", "acme", "--to", server_, "--online"});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.out, HasSubstr("✖ no other migration moves it: TenantMigration held does"));
  EXPECT_THAT(other.out, Not(HasSubstr("target-database")));
}

TEST_F(Moves, TheHelpOfAPlanSpeaksOfNoFlagThatItLacks) {
  EXPECT_THAT(RunPlugin({"move", "--help"}).out, HasSubstr("without --dry-run"));
  EXPECT_THAT(RunPlugin({"plan", "--help"}).out, Not(HasSubstr("--dry-run")));
}

TEST_F(Moves, WhatTheApiServerRefusesIsRefusedInItsWords) {
  const Ran ran = Run({"move", "acme", "--to", server_, "--skip-backup", "--yes", "--name",
                       "a-name-that-is-much-too-long-to-be-part-of-others"});
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_THAT(ran.error, HasSubstr("at most 40"));
  const Ran nobody = Run({"move", "amce", "--to", server_, "--skip-backup", "--yes"});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.error, HasSubstr("did you mean: acme"));
}

TEST_F(Moves, TheHistoryOfAPlacementHasItsMoves) {
  Store(Typical(api::Phase::kCompleted), "first");
  Store(Typical(api::Phase::kRolledBack), "second");
  const Ran ran = Run({"history", "acme"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("RolledBack (SmokeFailed)"));
  EXPECT_THAT(ran.out, HasSubstr("1m20s"));
  EXPECT_EQ(Json::Parse(Run({"history", "-o", "json"}).out)->At({"items"}).Size(), 2u);
}

TEST_F(Moves, TheVersionNamesWhatTheClusterServes) {
  const Ran ran = Run({"version"});
  EXPECT_EQ(ran.exit_code, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("tenantmigrations v1alpha1"));
  EXPECT_EQ(RunPlugin({"version", "--client"}, "/nonexistent").exit_code, 0);
}

// The plugin that is tested is of version 0.1.0.
TEST_F(Moves, AnOperatorOfAnotherMinorIsWarnedOfAndOneOfAnotherMajorIsRefused) {
  const struct {
    const char* version;
    int exit_code;
    const char* verdict;
  } cases[] = {{"0.1.7", 0, "compatible: yes"},
               {"0.9.0", 0, "compatible: perhaps: the operator is of version 0.9.0"},
               {"7.1.0", 4, "compatible: no: the operator is of version 7.1.0"},
               {"latest", 0, "compatible: unknown: "}};
  for (const auto& [version, exit_code, verdict] : cases) {
    const Json labels = Json::Object(
        {{"app.kubernetes.io/component", "operator"}, {"app.kubernetes.io/version", version}});
    Json deployment = *Json::Parse(R"({"apiVersion":"apps/v1","kind":"Deployment",
        "spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"operator","image":"none"}]}}}})");
    deployment.Set("metadata",
                   Json::Object({{"name", "cutover"}, {"namespace", ns_}, {"labels", labels}}));
    const Deadline soon = Deadline::After(std::chrono::seconds(20));
    auto made = client_->Create({}, soon, kube::kDeployment, deployment);
    ASSERT_TRUE(made) << made.error().message;
    const Ran ran = Run({"--operator-namespace", ns_, "version"});
    EXPECT_EQ(ran.exit_code, exit_code) << version << ": " << ran.out;
    EXPECT_THAT(ran.out, HasSubstr(verdict)) << version;
    ASSERT_TRUE(client_->Delete({}, soon, kube::kDeployment, {ns_, "cutover"}));
  }
}

}  // namespace
}  // namespace cutover::cli
