// SPDX-License-Identifier: Apache-2.0
//
// What the real API server makes of crds/: samples accepted, defaults, immutability, the status
// subresource, printer columns, explanations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "tests/kube/api_server.h"
#include "tests/kube/crd/crd_server.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTable[] = "application/json;as=Table;v=v1;g=meta.k8s.io";

std::vector<Json> Samples(const std::string& file) {
  return api::testing::LoadYaml("tests/unit/api/samples/" + file);
}

template <class Decoder>
void ExpectAcceptedAndDefaulted(CrdServer& server, const kube::Resource& resource,
                                const std::string& file, Decoder decode) {
  for (const Json& sample : Samples(file)) {
    Answer answer = server.Create(resource, sample, true);
    ASSERT_EQ(answer.status, 201) << answer.message();
    auto ours = decode(sample), theirs = decode(answer.body);
    ASSERT_TRUE(ours) << ours.error().message;
    ASSERT_TRUE(theirs) << theirs.error().message;
    EXPECT_EQ(ours->spec, theirs->spec) << "the server's defaults are not the decoder's";
  }
}

TEST(Crds, EverySampleIsAcceptedAndDefaultsMeanTheSameOnBothSides) {
  CrdServer server;
  ExpectAcceptedAndDefaulted(server, kube::kDatabaseServer, "database_server.yaml",
                             api::DecodeDatabaseServer);
  ExpectAcceptedAndDefaulted(server, kube::kDatabasePlacement, "database_placement.yaml",
                             api::DecodeDatabasePlacement);
  ExpectAcceptedAndDefaulted(server, kube::kTenantMigration, "tenant_migration.yaml",
                             api::DecodeTenantMigration);
}

// Tools that compare status.observedGeneration with metadata.generation must not take for current
// what the operator has not looked at; and those that apply what is in Git must see no difference.
TEST(Crds, AnObjectThatNobodyHasLookedAtSaysSoAndNoApplySeesADifference) {
  CrdServer server;
  std::unique_ptr<kube::ApiClient> git = MakeClient();
  for (const auto& [resource, file] : {std::pair{kube::kDatabaseServer, "database_server.yaml"},
                                       {kube::kDatabasePlacement, "database_placement.yaml"},
                                       {kube::kTenantMigration, "tenant_migration.yaml"}}) {
    Json manifest = Samples(file)[0];
    manifest.MutableAt("metadata").Set("name", "not-seen-" + RandomHex(4));
    if (resource.namespaced)
      manifest.MutableAt("metadata").Set("namespace", server.namespace_name());
    manifest.Remove("status");
    const Deadline soon = Deadline::After(std::chrono::seconds(20));
    auto first = git->Apply({}, soon, resource, manifest, "argocd-controller");
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ((*first)["status"]["observedGeneration"].AsInt(), -1) << resource.kind;
    EXPECT_EQ((*first)["metadata"]["generation"].AsInt(), 1);
    // Creating drops a status, also a default one: it is stored by the first write that follows.
    auto second = git->Apply({}, soon, resource, manifest, "argocd-controller");
    auto third = git->Apply({}, soon, resource, manifest, "argocd-controller");
    ASSERT_TRUE(second && third);
    EXPECT_EQ(kube::ResourceVersionOf(*third), kube::ResourceVersionOf(*second)) << resource.kind;
    EXPECT_EQ((*third)["metadata"]["generation"].AsInt(), 1);
    for (const Json& owner : (*third)["metadata"]["managedFields"].Items())
      EXPECT_FALSE(owner["fieldsV1"].Contains("f:status")) << resource.kind;
    (void)git->Delete({}, soon, resource, kube::KeyOf(*third));
  }
}

TEST(Crds, AMigrationIsFixedOnceItExistsButForSuspend) {
  CrdServer server;
  const std::string name = "acme-to-dedicated";
  ASSERT_EQ(server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]).status, 201);
  for (const char* change :
       {R"({"spec":{"placementRef":{"name":"other"}}})",
        R"({"spec":{"target":{"serverName":"x"}}})", R"({"spec":{"backup":{"claimName":"x"}}})",
        R"({"spec":{"copy":{"jobs":3}}})", R"({"spec":{"copy":null}})",
        R"({"spec":{"copy":{"accept":["role bob"]}}})",
        R"({"spec":{"copy":{"excludeTables":["public.log"]}}})",
        R"({"spec":{"verification":{"level":"Rows"}}})",
        R"({"spec":{"cutover":{"approval":"Automatic"}}})",
        R"({"spec":{"cutover":{"window":null}}})", R"({"spec":{"checks":null}})",
        R"({"spec":{"checks":[]}})", R"({"spec":{"hypercare":{"durationSeconds":601}}})",
        R"({"spec":{"source":{"reclaimPolicy":"Retain"}}})",
        R"({"spec":{"source":{"serverName":"other"}}})"}) {
    Answer answer = server.MergePatch(kube::kTenantMigration, name, *Json::Parse(change));
    EXPECT_EQ(answer.status, 422) << change;
    EXPECT_THAT(answer.message(), HasSubstr("create a new TenantMigration")) << change;
  }
  for (const char* change : {R"({"spec":{"suspend":false}})", R"({"spec":{"suspend":true}})",
                             R"({"spec":{"copy":{"maxRateMebibytesPerSecond":10}}})",
                             R"({"spec":{"copy":{"throttleQuery":"busy-sessions"}}})",
                             R"({"spec":{"copy":{"throttleQuery":null}}})",
                             R"({"metadata":{"annotations":{"cutover.dev/approve":"1"}}})",
                             R"({"metadata":{"finalizers":["cutover.dev/undo"]}})",
                             R"({"metadata":{"finalizers":null}})"}) {
    Answer answer = server.MergePatch(kube::kTenantMigration, name, *Json::Parse(change));
    EXPECT_EQ(answer.status, 200) << change << ": " << answer.message();
  }
}

TEST(Crds, ChecksCannotBeAddedToAMigrationThatHadNone) {
  CrdServer server;
  ASSERT_EQ(server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[1]).status, 201);
  Json patch = *Json::Parse(
      R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"http":{"url":"http://a.b.svc/"}}]}})");
  Answer answer = server.MergePatch(kube::kTenantMigration, "the-least-that-can-be-said", patch);
  EXPECT_EQ(answer.status, 422);
}

TEST(Crds, APlacementKeepsItsDatabaseAndItsServerNameOnlyFollows) {
  CrdServer server;
  ASSERT_EQ(server.Create(kube::kDatabasePlacement, Samples("database_placement.yaml")[0]).status,
            201);
  auto patch = [&](const char* change, const char* subresource = "") {
    return server.MergePatch(kube::kDatabasePlacement, "acme", *Json::Parse(change), subresource);
  };
  Answer renamed = patch(R"({"spec":{"database":{"name":"globex"}}})");
  EXPECT_EQ(renamed.status, 422);
  EXPECT_THAT(renamed.message(), HasSubstr("database cannot change after creation"));

  EXPECT_EQ(patch(R"({"spec":{"serverName":"pg-0"}})").status, 200) << "not adopted yet: a typo";
  ASSERT_EQ(patch(R"({"status":{"serverName":"pg-acme"}})", "status").status, 200);
  Answer moved = patch(R"({"spec":{"serverName":"pg-2"}})");
  EXPECT_EQ(moved.status, 422);
  EXPECT_THAT(moved.message(), HasSubstr("create a TenantMigration to move the tenant"));
  EXPECT_EQ(patch(R"({"spec":{"serverName":"pg-acme"}})").status, 200);
  EXPECT_EQ(patch(R"({"status":{"serverName":"pg-shared-1"}})", "status").status, 200)
      << "the operator may record a move whatever the spec says";
  EXPECT_EQ(patch(R"({"spec":{"routes":[]}})").status, 200);
}

// A status with all that could go wrong in one: every field set, and texts without end.
api::TenantMigrationStatus BusyStatus() {
  const WallTime now = *ParseTime("2026-11-21T06:00:00.123456Z");
  api::TenantMigrationStatus status;
  status.phase = api::Phase::kCopying;
  status.message = std::string(100'000, 'm');
  status.reason_since = now;
  status.observed_generation = 1;
  status.source_server_name = "pg-shared-1";
  status.attempt = 1;
  status.failure_reason = "SmokeFailed";
  status.failure_message = "check login-page";
  status.conditions.Set({"Ready", api::ConditionStatus::kFalse, "Copying", "", 1, {}}, now);
  status.stages.push_back({"Copying", "Running", now, now, "", 5, 9, "bytes"});
  status.progress.bytes_copied = 512'000'000;
  status.progress.bytes_total = 596'000'000;
  status.progress.eta_seconds = 65;
  status.samples.assign(100, {now, 512'000'000, 3'000'000});
  status.cutover = {now, now, now, 4249, 1, {}};
  status.rollback = {now, "SmokeFailed", now, now, now, 640, now, 3000, "back"};
  status.checks = {{"profile/source-idle", api::CheckResult::kFailed, std::string(100'000, 'c'), 9,
                    now, 3, 16, now, 61, 40}};
  status.verification = {"Rows", 1, 2, 3, now, std::string(100'000, 'r')};
  status.handled.approve = std::string(100'000, 't');
  return status;
}

TEST(Crds, WhatTheOperatorRecordsIsAcceptedAndComesBack) {
  CrdServer server;
  ASSERT_EQ(server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]).status, 201);
  Json status = api::EncodeStatus(BusyStatus());
  Answer answer = server.MergePatch(kube::kTenantMigration, "acme-to-dedicated",
                                    Json::Object({{"status", status}}), "status");
  ASSERT_EQ(answer.status, 200) << answer.message();
  auto back = api::DecodeTenantMigration(answer.body);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(api::EncodeStatus(back->status).Dump(), status.Dump());
}

TEST(Crds, AChecksDefaultsAreThoseOfTheRunbooks) {
  CrdServer server;
  Answer stored = server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]);
  ASSERT_EQ(stored.status, 201) << stored.message();
  auto migration = api::DecodeTenantMigration(stored.body);
  ASSERT_TRUE(migration) << migration.error().message;
  const api::Check& users = migration->spec.checks.at(1);
  EXPECT_EQ((users.failure_threshold - 1) * users.interval_seconds, 15 * 60) << "unreachable";
  EXPECT_EQ(users.max_latency_over_baseline_percent, 50) << "slower than before the move";
  EXPECT_EQ(users.max_latency_milliseconds, 0);
}

TEST(Crds, StatusAndSpecAreWrittenApart) {
  CrdServer server;
  Answer created = server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]);
  ASSERT_EQ(created.status, 201);
  Json both = *Json::Parse(R"({"spec":{"suspend":false},"status":{"phase":"Copying"}})");
  Answer patched = server.MergePatch(kube::kTenantMigration, "acme-to-dedicated", both, "status");
  ASSERT_EQ(patched.status, 200) << patched.message();
  EXPECT_EQ(patched.body.At({"spec", "suspend"}), Json(true)) << "specs are the users'";
  EXPECT_EQ(patched.body.At({"metadata", "generation"}), Json(1)) << "a status is no new intent";

  Json put = patched.body;
  put.MutableAt("status").Set("phase", "Completed");
  Answer stored = server.Put(kube::kTenantMigration, put);
  ASSERT_EQ(stored.status, 200) << stored.message();
  EXPECT_EQ(stored.body.At({"status", "phase"}), Json("Copying")) << "nobody fakes a completion";
}

TEST(Crds, AStatusOutsideTheSchemaIsRefused) {
  CrdServer server;
  ASSERT_EQ(server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]).status, 201);
  for (const char* status :
       {R"({"status":{"phase":"Vanishing"}})", R"({"status":{"progress":{"bytesCopied":-1}}})",
        R"({"status":{"conditions":[{"type":"Ready","status":"Perhaps","reason":"A","message":"",
            "lastTransitionTime":"2026-11-21T06:00:00Z"}]}})"}) {
    Answer answer = server.MergePatch(kube::kTenantMigration, "acme-to-dedicated",
                                      *Json::Parse(status), "status");
    EXPECT_EQ(answer.status, 422) << status;
  }
}

// The cells of the only row, as `kubectl get -o wide` prints them, by heading.
std::map<std::string, std::string> OnlyRow(CrdServer& server, const kube::Resource& resource,
                                           const std::string& name) {
  Answer table = server.Get(resource.ObjectPath(server.KeyOf(resource, name)), kTable);
  std::map<std::string, std::string> cells;
  const auto& columns = table.body["columnDefinitions"].Items();
  const auto& values = table.body["rows"].Items().at(0)["cells"].Items();
  for (size_t i = 0; i < columns.size(); ++i)
    cells[columns[i]["name"].AsString()] =
        values.at(i).IsString() ? values.at(i).AsString() : values.at(i).Dump();
  return cells;
}

// The headings that `kubectl get` shows without -o wide.
std::vector<std::string> Headings(CrdServer& server, const kube::Resource& resource) {
  std::vector<std::string> names;
  std::string ns = resource.namespaced ? server.namespace_name() : "";
  Answer table = server.Get(resource.CollectionPath(ns), kTable);
  for (const Json& column : table.body["columnDefinitions"].Items())
    if (column["priority"].AsInt() == 0) names.push_back(column["name"].AsString());
  return names;
}

TEST(Crds, OneLineTellsTheStoryOfAMigration) {
  CrdServer server;
  ASSERT_EQ(server.Create(kube::kTenantMigration, Samples("tenant_migration.yaml")[0]).status, 201);
  api::TenantMigrationStatus status = BusyStatus();
  status.message = "Copying the database.";
  ASSERT_EQ(server
                .MergePatch(kube::kTenantMigration, "acme-to-dedicated",
                            Json::Object({{"status", api::EncodeStatus(status)}}), "status")
                .status,
            200);
  EXPECT_THAT(
      Headings(server, kube::kTenantMigration),
      ElementsAre("Name", "Placement", "Target", "Phase", "Progress", "ETA", "Write-Pause", "Age"));
  auto cells = OnlyRow(server, kube::kTenantMigration, "acme-to-dedicated");
  EXPECT_EQ(cells["Placement"], "acme");
  EXPECT_EQ(cells["Target"], "pg-acme");
  EXPECT_EQ(cells["Phase"], "Copying");
  EXPECT_EQ(cells["Progress"], "512/596 MB");
  EXPECT_EQ(cells["ETA"], "1m05s");
  EXPECT_EQ(cells["Write-Pause"], "4.2s");
  EXPECT_EQ(cells["Source"], "pg-shared-1");
  EXPECT_EQ(cells["Message"], "Copying the database.");
  EXPECT_FALSE(cells["Age"].empty());
}

TEST(Crds, ServersAndPlacementsShowWhetherTheyAreReady) {
  CrdServer server;
  const WallTime now = *ParseTime("2026-11-21T06:00:00Z");
  Json sample = Samples("database_server.yaml")[0];
  const std::string name = "pg-" + RandomHex(5);  // Servers are the whole cluster's.
  sample.MutableAt("metadata").Set("name", name);
  ASSERT_EQ(server.Create(kube::kDatabaseServer, sample).status, 201);
  api::DatabaseServerStatus status;
  status.version = "15.20";
  status.tenants = 7;
  status.conditions.Set({"LogicalReplicationReady", api::ConditionStatus::kTrue, "A", "", 1, {}},
                        now);
  status.conditions.Set({"Ready",
                         api::ConditionStatus::kFalse,
                         "MissingPrivileges",
                         "GRANT pg_monitor TO cutover",
                         1,
                         {}},
                        now);
  Answer recorded = server.MergePatch(
      kube::kDatabaseServer, name, Json::Object({{"status", api::EncodeStatus(status)}}), "status");
  ASSERT_EQ(recorded.status, 200) << recorded.message();
  EXPECT_THAT(Headings(server, kube::kDatabaseServer),
              ElementsAre("Name", "Class", "Host", "Version", "Tenants", "Ready", "Reason", "Age"));
  auto cells = OnlyRow(server, kube::kDatabaseServer, name);
  EXPECT_EQ(cells["Ready"], "False");
  EXPECT_EQ(cells["Reason"], "MissingPrivileges");
  EXPECT_EQ(cells["Message"], "GRANT pg_monitor TO cutover");
  EXPECT_EQ(cells["Tenants"], "7");
  EXPECT_THAT(
      Headings(server, kube::kDatabasePlacement),
      ElementsAre("Name", "Database", "Server", "Ready", "In-Sync", "Drifted", "Migration", "Age"));
}

TEST(Crds, ShortNamesAndTheCategoryAreServed) {
  CrdServer server;
  Answer discovery = server.Get("/apis/cutover.dev/v1alpha1");
  std::map<std::string, std::string> short_names;
  for (const Json& resource : discovery.body["resources"].Items()) {
    if (!resource.Contains("shortNames")) continue;  // the status subresources
    short_names[resource["kind"].AsString()] = resource["shortNames"].Items().at(0).AsString();
    EXPECT_EQ(resource["categories"], Json::Array({"cutover"}));
  }
  EXPECT_EQ(short_names, (std::map<std::string, std::string>{{"DatabaseServer", "dbs"},
                                                             {"DatabasePlacement", "dbp"},
                                                             {"TenantMigration", "tm"}}));
}

TEST(Crds, KubectlExplainHasASentenceForAField) {
  CrdServer server;
  // The OpenAPI document follows a CRD with a delay of its own.
  Deadline deadline = Deadline::After(std::chrono::seconds(30));
  std::string sentence;
  while (sentence.empty() && !deadline.Expired()) {
    Answer document = server.Get("/openapi/v3/apis/cutover.dev/v1alpha1");
    for (const auto& [name, schema] : document.body.At({"components", "schemas"}).Members())
      if (name.ends_with(".TenantMigration"))
        sentence = schema
                       .At({"properties", "spec", "properties", "copy", "properties",
                            "jobs"})["description"]
                       .AsString();
    if (sentence.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_EQ(sentence, "Connections that copy at the same time.");
}

}  // namespace
}  // namespace cutover::testing
