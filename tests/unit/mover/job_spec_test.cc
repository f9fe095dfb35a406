// SPDX-License-Identifier: Apache-2.0
#include "mover/contract/job_spec.h"

#include <gtest/gtest.h>

#include <functional>

namespace cutover::mover {
namespace {

JobSpec CloneSpec() {
  JobSpec spec;
  spec.kind = JobKind::kClone;
  spec.migration_uid = "6f1c";
  spec.attempt = 2;
  spec.epoch = 7;
  spec.source = {"pg-shared", 5432, "odoo", "postgres", "verify-full", "/ca/source.pem"};
  spec.target = Endpoint{"pg-own", 5433, "odoo", "admin", "", ""};
  spec.jobs = 3;
  spec.slot = "cutover_forward_6f1c";
  spec.exclude_tables = {"public.ir_logging"};
  spec.withhold_powers = true;
  spec.distrust_superusers = true;
  spec.verification_level = VerificationLevel::kCounts;
  spec.verification_seconds_max = 60;
  return spec;
}

TEST(JobSpec, SurvivesItsOwnJson) {
  auto decoded = DecodeJobSpec(EncodeJobSpec(CloneSpec()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, CloneSpec());
}

TEST(JobSpec, ABackupNeedsNoTarget) {
  JobSpec spec = CloneSpec();
  spec.kind = JobKind::kBackup;
  spec.slot.clear();
  spec.target.reset();
  spec.backup_directory = "/backup/6f1c";
  auto decoded = DecodeJobSpec(EncodeJobSpec(spec));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, spec);
}

TEST(JobSpec, ThereIsNoFieldForAPassword) {
  Json json = EncodeJobSpec(CloneSpec());
  json.MutableAt("source").Set("password", "secret");
  auto decoded = DecodeJobSpec(json);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().reason, "InvalidJobSpec");
}

TEST(JobSpec, RefusesWhatMakesNoSense) {
  struct Case {
    const char* reason;
    std::function<void(Json&)> spoil;
  };
  const Case cases[] = {
      {"a misspelt field must not be ignored", [](Json& j) { j.Set("excludeTable", "x"); }},
      {"an unknown kind", [](Json& j) { j.Set("kind", "Copy"); }},
      {"a clone without a target", [](Json& j) { j.Remove("target"); }},
      {"a clone with a backup directory",
       [](Json& j) {
         j.Set("backup", Json::Object({{"directory", "/b"}}));
       }},
      {"a slot whose name leaves no room for its watch's",
       [](Json& j) { j.Set("slot", std::string(58, 's')); }},
      {"a slot that PostgreSQL would refuse", [](Json& j) { j.Set("slot", "Slot-1"); }},
      {"a comparison with a slot", [](Json& j) { j.Set("kind", "Verify"); }},
      {"no migration", [](Json& j) { j.Set("migrationUid", ""); }},
      {"attempt zero", [](Json& j) { j.Set("attempt", 0); }},
      {"no jobs", [](Json& j) { j.Set("jobs", 0); }},
      {"too many jobs", [](Json& j) { j.Set("jobs", 65); }},
      {"a table without a schema", [](Json& j) { j.Set("excludeTables", Json::Array({"a"})); }},
      {"an unknown level",
       [](Json& j) {
         j.Set("verification", Json::Object({{"level", "Some"}}));
       }},
      {"a port that is none", [](Json& j) { j.MutableAt("source").Set("port", 70000); }},
      {"a source without a host", [](Json& j) { j.MutableAt("source").Remove("host"); }},
  };
  for (const Case& test : cases) {
    Json json = EncodeJobSpec(CloneSpec());
    test.spoil(json);
    auto decoded = DecodeJobSpec(json);
    ASSERT_FALSE(decoded) << test.reason;
    EXPECT_EQ(decoded.error().disposition, Disposition::kTerminal) << test.reason;
  }
}

}  // namespace
}  // namespace cutover::mover
