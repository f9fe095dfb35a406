// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::api {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Json Sample(const std::string& file, size_t index) {
  return testing::LoadYaml("tests/unit/api/samples/" + file).at(index);
}

TEST(Decode, MetadataIsReadAsFarAsWeUseIt) {
  Json object = Sample("tenant_migration.yaml", 0);
  object.Set("metadata",
             Json::Object({{"name", "acme-to-dedicated"},
                           {"namespace", "acme"},
                           {"uid", "2f1d6812"},
                           {"resourceVersion", "223"},
                           {"generation", 3},
                           {"creationTimestamp", "2026-11-21T13:36:15Z"},
                           {"deletionTimestamp", "2026-11-21T14:00:00Z"},
                           {"finalizers", Json::Array({kFinalizer})},
                           {"labels", Json::Object({{"team", "a"}})},
                           {"annotations", Json::Object({{kApproveAnnotation, "t1"}})}}));
  auto migration = DecodeTenantMigration(object);
  ASSERT_TRUE(migration) << migration.error().message;
  const ObjectMeta& meta = migration->meta;
  EXPECT_EQ(meta.name, "acme-to-dedicated");
  EXPECT_EQ(meta.namespace_name, "acme");
  EXPECT_EQ(meta.uid, "2f1d6812");
  EXPECT_EQ(meta.resource_version, "223");
  EXPECT_EQ(meta.generation, 3);
  EXPECT_EQ(meta.creation_timestamp, ParseTime("2026-11-21T13:36:15Z"));
  EXPECT_TRUE(meta.deleting());
  EXPECT_TRUE(meta.HasFinalizer(kFinalizer));
  EXPECT_EQ(meta.labels.at("team"), "a");
  EXPECT_EQ(meta.Annotation(kApproveAnnotation), "t1");
  EXPECT_EQ(meta.Annotation(kAbortAnnotation), "");
}

TEST(Decode, AServerIsReadWhole) {
  auto server = DecodeDatabaseServer(Sample("database_server.yaml", 0));
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_EQ(server->spec.server_class, ServerClass::kShared);
  EXPECT_EQ(server->spec.endpoint,
            (Endpoint{"pg-shared-1.databases.svc", 6432, "verify-full", "pg-shared-1-ca"}));
  EXPECT_EQ(server->spec.admin_secret_name, "pg-shared-1-admin");
  EXPECT_EQ(server->spec.pooler, (Pooler{"pgbouncer.databases.svc", 6543, "pgbouncer-admin"}));
  EXPECT_EQ(server->spec.capacity_tenants, 200);
  EXPECT_EQ(server->spec.allowed_namespaces->names, (std::vector<std::string>{"acme", "globex"}));
  EXPECT_TRUE(server->spec.unschedulable);
}

TEST(Decode, AnAllowListThatGotLostNeverOpensTheServer) {
  Json object = Sample("database_server.yaml", 0);
  object.MutableAt("spec").Set("allowedNamespaces", Json::Object());
  auto server = DecodeDatabaseServer(object);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, StartsWith("spec.allowedNamespaces.names: "));

  object.MutableAt("spec").Remove("allowedNamespaces");
  server = DecodeDatabaseServer(object);
  ASSERT_TRUE(server);
  EXPECT_EQ(server->spec.allowed_namespaces, std::nullopt);
}

TEST(Decode, APlacementIsReadWhole) {
  auto placement = DecodeDatabasePlacement(Sample("database_placement.yaml", 0));
  ASSERT_TRUE(placement) << placement.error().message;
  const DatabasePlacementSpec& spec = placement->spec;
  EXPECT_EQ(spec.database_name, "acme-prod.eu");
  EXPECT_EQ(spec.password_secret_ref, (SecretKeyRef{"acme-db", "postgres-password"}));
  EXPECT_EQ(spec.profile, ProfileType::kOdoo);
  EXPECT_EQ(spec.connection.service_name, "acme-db");
  EXPECT_EQ(*spec.connection.secret, (WiringSecret{"acme-db", "PGHOST", "PGPORT", "PGUSER",
                                                   "PGPASSWORD", "PGDATABASE", "DATABASE_URL"}));
  ASSERT_EQ(spec.connection.config_files.size(), 2u);
  EXPECT_EQ(spec.connection.config_files[0].object, (ObjectRef{"ConfigMap", "acme-odoo"}));
  EXPECT_EQ(spec.connection.config_files[1].object, (ObjectRef{"Secret", "acme-odoo-cron"}));
  EXPECT_EQ(spec.connection.config_files[1].format, "OdooConf");
  ASSERT_EQ(spec.connection.env.size(), 1u);
  EXPECT_EQ(spec.connection.env[0],
            (WiringEnv{{"Deployment", "odoo"}, "odoo", "HOST", "PORT", "USER", "PASSWORD"}));
  EXPECT_EQ(spec.workloads.size(), 3u);
  EXPECT_EQ(spec.routes[1], (ObjectRef{"HTTPRoute", "odoo"}));
}

TEST(Decode, AMigrationIsReadWhole) {
  auto migration = DecodeTenantMigration(Sample("tenant_migration.yaml", 0));
  ASSERT_TRUE(migration) << migration.error().message;
  const TenantMigrationSpec& spec = migration->spec;
  EXPECT_EQ(spec.backup_claim_name, "acme-backup");
  EXPECT_EQ(spec.copy_jobs, 4);
  EXPECT_EQ(spec.copy_rate_mebibytes_per_second_max, 50);
  EXPECT_EQ(spec.copy_throttle_query, "busy-sessions");
  EXPECT_EQ(spec.copy_exclude_tables, std::vector<std::string>{"public.bus_log"});
  EXPECT_EQ(spec.copy_accept,
            (std::vector<std::string>{"rows of public.bus_log", "tablespace fast"}));
  EXPECT_EQ(spec.approval, Approval::kManual);
  EXPECT_EQ(spec.window_end, ParseTime("2026-11-22T00:00:00.5Z"));
  ASSERT_EQ(spec.checks.size(), 4u);
  EXPECT_EQ(spec.checks[0].http->expected_status, 303);
  EXPECT_TRUE(spec.checks[0].At(CheckWhen::kHypercare));
  EXPECT_FALSE(spec.checks[1].At(CheckWhen::kHypercare));
  EXPECT_EQ(spec.checks[0].max_latency_milliseconds, 2000);
  EXPECT_TRUE(spec.checks[0].WantsBaseline());
  EXPECT_EQ(spec.checks[1].sql->expected, "7");
  EXPECT_FALSE(spec.checks[1].WantsBaseline()) << "it does not run in Hypercare";
  EXPECT_EQ(spec.checks[2].job->cron_job_name, "acme-acceptance");
  EXPECT_EQ(spec.checks[3].prometheus->max, 0.5);
  EXPECT_FALSE(spec.checks[3].WantsBaseline()) << "its latency would be that of Prometheus";
  EXPECT_EQ(spec.reclaim_policy, ReclaimPolicy::kDelete);
  EXPECT_TRUE(spec.suspend);
}

TEST(Decode, TheFirstFailureNamesItsPlace) {
  Json object = Sample("tenant_migration.yaml", 0);
  object.MutableAt("spec").MutableAt("checks").MutableAt(1).MutableAt("sql").Remove("query");
  auto migration = DecodeTenantMigration(object);
  ASSERT_FALSE(migration);
  EXPECT_EQ(migration.error().message, "spec.checks[1].sql.query: must be set");
}

TEST(Decode, AnotherKindIsRefused) {
  EXPECT_FALSE(DecodeTenantMigration(Sample("database_server.yaml", 0)));
  Json v2 = Sample("tenant_migration.yaml", 0);
  v2.Set("apiVersion", "cutover.dev/v2");
  auto migration = DecodeTenantMigration(v2);
  ASSERT_FALSE(migration);
  EXPECT_THAT(migration.error().message, HasSubstr("apiVersion"));
}

TEST(Decode, AnItemOfAListHasNeitherKindNorVersionAndIsRead) {
  Json item = Sample("tenant_migration.yaml", 0);
  item.Remove("kind");
  item.Remove("apiVersion");
  EXPECT_TRUE(DecodeTenantMigration(item));
}

TEST(Decode, WhatALaterVersionBringsIsRefusedByName) {
  struct Row {
    const char *parent, *key, *value, *reason;
  };
  for (const Row& row : {Row{"", "strategy", "Hybrid", "would copy under the wrong strategy"},
                         Row{"cutover", "switch", "BlueGreen", "would restart instead"},
                         Row{"hypercare", "onFailedChecks", "Page", "nobody would be called"}}) {
    Json object = Sample("tenant_migration.yaml", 0);
    Json& spec = object.MutableAt("spec");
    (*row.parent ? spec.MutableAt(row.parent) : spec).Set(row.key, row.value);
    auto migration = DecodeTenantMigration(object);
    ASSERT_FALSE(migration) << row.reason;
    EXPECT_THAT(migration.error().message, HasSubstr(row.key));
  }
}

TEST(Decode, WhatNeedsTheStreamIsRefusedForAnOfflineMove) {
  for (auto [parent, key, value] : {std::tuple{"cutover", "switch", "Pooler"},
                                    std::tuple{"hypercare", "onFailedChecks", "Rollback"}}) {
    Json object = Sample("tenant_migration.yaml", 0);
    object.MutableAt("spec").MutableAt(parent).Set(key, value);
    auto offline = DecodeTenantMigration(object);
    ASSERT_FALSE(offline) << key;
    EXPECT_THAT(offline.error().message, HasSubstr("needs strategy Online"));
    object.MutableAt("spec").Set("strategy", "Online");
    EXPECT_TRUE(DecodeTenantMigration(object)) << key;
  }
}

TEST(Decode, ACheckThatAnyAnswerWouldPassOrNoneCouldIsRefused) {
  struct Row {
    const char *check, *says, *reason;
  };
  for (const Row& row :
       {Row{R"({"http":{"url":"http://a"},"job":{"cronJobRef":{"name":"a"}}})", "exactly one of",
            "one of the two would be ignored"},
        Row{R"({"job":{}})", "cronJobRef", "there would be nothing to run"},
        Row{R"({"job":{"cronJobRef":{"name":"a"}},"when":["Preflight"]})", "not there in Preflight",
            "it would be told a place that does not exist"},
        Row{R"({"prometheus":{"url":"http://p","query":"up"}})", "must be set, or min",
            "every value would pass"},
        Row{R"({"prometheus":{"url":"http://p","query":"up","max":"many"}})", "decimal number",
            "nobody knows how many that is"},
        Row{R"({"prometheus":{"url":"http://p","query":"up","max":"NaN"}})", "decimal number",
            "nothing is less than that"},
        Row{R"({"http":{"url":"http://a"},"failureThreshold":0})", "at least 1",
            "it would have failed before it was asked"}}) {
    Json object = Sample("tenant_migration.yaml", 0);
    Json check = *Json::Parse(row.check);
    check.Set("name", "a");
    if (!check.Contains("when")) check.Set("when", Json::Array({"Smoke"}));
    object.MutableAt("spec").Set("checks", Json::Array({check}));
    auto migration = DecodeTenantMigration(object);
    ASSERT_FALSE(migration) << row.reason;
    EXPECT_THAT(migration.error().message, HasSubstr(row.says)) << row.reason;
  }
}

}  // namespace
}  // namespace cutover::api
