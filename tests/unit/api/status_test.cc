// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/field_writer.h"
#include "operator/api/tenant_migration.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::api {
namespace {

using testing::LoadSchema;
using testing::SchemaLeaves;
using testing::Violations;

const WallTime kMorning = *ParseTime("2026-11-21T06:00:00Z");
const WallTime kPrecise = *ParseTime("2026-11-21T06:00:00.123456Z");

Conditions SomeConditions() {
  Conditions conditions;
  conditions.Set({"Ready", ConditionStatus::kFalse, "Copying", "12 of 96 tables", 4, {}}, kMorning);
  conditions.Set({"Fenced", ConditionStatus::kTrue, "Fenced", "", 4, {}}, kMorning);
  return conditions;
}

DatabaseServerStatus FullServerStatus() {
  return {3,  "15.20", "7312345678901234567", 2, "logical", 7, 123456789012,
          14, 100,     SomeConditions()};
}

DatabasePlacementStatus FullPlacementStatus() {
  return {3,         "pg-shared-1",       "pg-shared-1.databases.svc:5432",
          623456789, "acme-to-dedicated", SomeConditions()};
}

TenantMigrationStatus FullMigrationStatus() {
  TenantMigrationStatus status;
  status.phase = Phase::kRolledBack;
  status.message = "The tenant is back on pg-shared-1.";
  status.reason_since = kMorning;
  status.observed_generation = 2;
  status.source_server_name = "pg-shared-1";
  status.placement_generation = 3;
  status.attempt = 1;
  status.failure_reason = "SmokeFailed";
  status.failure_message = "check login-page: expected 200, got 500";
  status.conditions = SomeConditions();
  status.preflight = {kMorning,
                      {{"admission", PreflightResult::kPassed, "the target takes new tenants"},
                       {"autoscalers", PreflightResult::kWarning, "HPA odoo"},
                       {"locale", PreflightResult::kBlocking, "install the locale"},
                       {"major-version", PreflightResult::kHopeless, "15 after 17"}}};
  status.stages = {{"Copying", "Succeeded", kPrecise, kPrecise, "96 tables", 5, 5, "bytes"},
                   {"Smoke", "Failed", kPrecise, kPrecise, "login-page", 0, 0, ""}};
  status.progress = {512'000'000, 596'000'000, 12, 96, 123456, 65, 3'000'000, 2, kPrecise};
  status.samples = {{kPrecise, 512'000'000, {}}, {kPrecise, {}, 0}};
  status.cutover = {kPrecise, kPrecise, kPrecise, 4200, 1, kMorning, 131'000};
  status.rollback = {kMorning, "SmokeFailed", kMorning, kPrecise, kPrecise,
                     640,      kMorning,      1234,     "e"};
  status.verification = {"Rows", 96, 123456, 0, kMorning, "96 tables are identical."};
  status.checks = {
      {"login-page", CheckResult::kFailed, "answered 502", 9, kPrecise, 3, 16, kMorning, 61, 40},
      {"errors", CheckResult::kUnknown, "no value", 0, kPrecise, 0, 16, {}, {}, {}}};
  status.handled = {"a", "b", "c", "d"};
  return status;
}

Json WithStatus(const std::string& sample, Json status) {
  Json object = testing::LoadYaml("tests/unit/api/samples/" + sample).at(0);
  object.Set("status", std::move(status));
  return object;
}

Json StatusSchema(const std::string& plural) { return LoadSchema(plural)["properties"]["status"]; }

// The schema's fields that an encoded status does not name: fields that nobody ever sets.
std::set<std::string> NeverSet(const std::string& plural, const Json& encoded) {
  Json schema = StatusSchema(plural);
  std::set<std::string> missing = SchemaLeaves(schema, "status");
  for (const auto& leaf : testing::Leaves(schema, encoded, "status"))
    missing.erase(leaf.schema_path);
  return missing;
}

TEST(ServerStatus, SurvivesTheRoundTripAndFillsItsSchema) {
  Json encoded = EncodeStatus(FullServerStatus());
  EXPECT_EQ(Violations(StatusSchema("databaseservers"), encoded, "status"), "");
  EXPECT_EQ(NeverSet("databaseservers", encoded), std::set<std::string>());
  auto server = DecodeDatabaseServer(WithStatus("database_server.yaml", encoded));
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_EQ(server->status, FullServerStatus());
}

TEST(ServerStatus, AServerThatNeverAnsweredHasNoNumbers) {
  DatabaseServerStatus status;
  status.observed_generation = 1;
  status.conditions = SomeConditions();
  Json encoded = EncodeStatus(status);
  EXPECT_FALSE(encoded.Contains("tenants"));
  status.version = "15.20";
  EXPECT_EQ(EncodeStatus(status)["tenants"], Json(0));
}

TEST(PlacementStatus, SurvivesTheRoundTripAndFillsItsSchema) {
  Json encoded = EncodeStatus(FullPlacementStatus());
  EXPECT_EQ(Violations(StatusSchema("databaseplacements"), encoded, "status"), "");
  EXPECT_EQ(NeverSet("databaseplacements", encoded), std::set<std::string>());
  auto placement = DecodeDatabasePlacement(WithStatus("database_placement.yaml", encoded));
  ASSERT_TRUE(placement) << placement.error().message;
  EXPECT_EQ(placement->status, FullPlacementStatus());
}

TEST(MigrationStatus, SurvivesTheRoundTripAndFillsItsSchema) {
  Json encoded = EncodeStatus(FullMigrationStatus());
  EXPECT_EQ(Violations(StatusSchema("tenantmigrations"), encoded, "status"), "");
  EXPECT_EQ(NeverSet("tenantmigrations", encoded), std::set<std::string>());
  auto migration = DecodeTenantMigration(WithStatus("tenant_migration.yaml", encoded));
  ASSERT_TRUE(migration) << migration.error().message;
  EXPECT_EQ(migration->status, FullMigrationStatus());
}

TEST(MigrationStatus, EqualStatusesEncodeToTheSameBytes) {
  EXPECT_EQ(EncodeStatus(FullMigrationStatus()).Dump(), EncodeStatus(FullMigrationStatus()).Dump());
}

TEST(MigrationStatus, AFreshOneSaysOnlyThatItIsPending) {
  Json encoded = EncodeStatus(TenantMigrationStatus());
  EXPECT_EQ(Violations(StatusSchema("tenantmigrations"), encoded, "status"), "");
  EXPECT_EQ(encoded["phase"], Json("Pending"));
  for (const char* absent :
       {"progress", "samples", "reasonSince", "cutover", "rollback", "verification", "handled"})
    EXPECT_FALSE(encoded.Contains(absent)) << absent;
}

TEST(MigrationStatus, NothingIsTooLongToBeRecorded) {
  const std::string endless(1 << 20, 'x');
  TenantMigrationStatus status = FullMigrationStatus();
  for (std::string* text : {&status.message, &status.failure_reason, &status.failure_message,
                            &status.rollback.reason, &status.verification.report,
                            &status.conditions.items()[0].message, &status.stages[0].message})
    *text = endless;
  status.stages.resize(1000, status.stages[0]);
  status.stages.back().name = "Smoke";
  status.samples.resize(1000, {kPrecise, -1, -1});
  status.samples.back().lag_bytes = 7;
  status.progress.bytes_copied = -1;
  Json encoded = EncodeStatus(status);
  EXPECT_EQ(Violations(StatusSchema("tenantmigrations"), encoded, "status"), "");
  EXPECT_EQ(encoded["stages"].Items().back()["name"], Json("Smoke")) << "the latest stage is kept";
  EXPECT_EQ(encoded["samples"].Items().back()["lagBytes"], Json(7)) << "the latest sample is kept";
}

TEST(MigrationStatus, ATokenIsNeverShortened) {
  // All annotations of an object together may have 256 KiB; one that came back shorter would look
  // like a new command at every reconcile.
  TenantMigrationStatus status;
  status.handled.approve = std::string(256 * 1024, 't');
  Json encoded = EncodeStatus(status);
  EXPECT_EQ(Violations(StatusSchema("tenantmigrations"), encoded, "status"), "");
  EXPECT_EQ(encoded["handled"]["approve"].StringRef(), status.handled.approve);
}

TEST(Shorten, NeverCutsACharacterInTwo) {
  EXPECT_EQ(Shorten("short", 5), "short");
  EXPECT_EQ(Shorten("too long", 7), "too ...");
  EXPECT_EQ(Shorten("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", 6), "\xC3\xA4...");
  EXPECT_EQ(Shorten("\xF0\x9F\x98\x80\xF0\x9F\x98\x80", 6), "...");
}

std::string SummaryOf(int64_t copied, int64_t total) {
  MigrationProgress progress;
  progress.bytes_copied = copied;
  progress.bytes_total = total;
  return Summary(progress);
}

TEST(Summary, ShowsAboutThreeDigitsInTheUnitOfTheTotal) {
  struct Row {
    int64_t copied, total;
    const char* text;
  };
  for (const Row& row :
       {Row{0, 0, ""}, Row{5, 0, ""}, Row{0, 999, "0/999 B"},
        Row{512'000'000, 596'000'000, "512/596 MB"},
        Row{5'140'000'000, 59'600'000'000, "5.1/59.6 GB"},
        Row{1'000'000, 12'000'000'000'000, "0.0/12.0 TB"}, Row{-1, 2'000, "0.0/2.0 kB"}})
    EXPECT_EQ(SummaryOf(row.copied, row.total), row.text);
}

TEST(FormatPause, CountsTenthsUpToAMinute) {
  using std::chrono::milliseconds;
  EXPECT_EQ(FormatPause(milliseconds(840)), "0.8s");
  EXPECT_EQ(FormatPause(milliseconds(4249)), "4.2s");
  EXPECT_EQ(FormatPause(milliseconds(64'600)), FormatDuration(std::chrono::seconds(65)));
}

}  // namespace
}  // namespace cutover::api
