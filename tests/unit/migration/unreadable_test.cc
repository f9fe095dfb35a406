// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/unreadable.h"

#include <gtest/gtest.h>

#include "operator/api/tenant_migration.h"

namespace cutover::migration {
namespace {

const WallTime kNow = *ParseTime("2026-11-21T12:00:00Z");

Json FromTheFuture() {
  return *Json::Parse(R"({
    "apiVersion": "cutover.dev/v1alpha1", "kind": "TenantMigration",
    "metadata": {"name": "acme", "namespace": "tenants", "generation": 2},
    "spec": {"placementRef": {"name": "acme"}, "target": {"serverName": "dedicated"},
             "strategy": "Teleport"},
    "status": {"phase": "Copying", "attempt": 3, "conditions": [
      {"type": "Fenced", "status": "True", "reason": "Fenced", "message": "",
       "lastTransitionTime": "2026-11-21T11:00:00Z"},
      {"type": "Reconciling", "status": "True", "reason": "Copying", "message": "",
       "lastTransitionTime": "2026-11-21T11:00:00Z"}]}})");
}

const Json& ConditionOf(const Json& status, std::string_view type) {
  static const Json kNone;
  for (const Json& condition : status["conditions"].Items())
    if (condition["type"].StringRef() == type) return condition;
  return kNone;
}

TEST(Unreadable, ASpecOfANewerVersionGivesAConditionWithReasonAndRemedyAndLosesNothing) {
  const Json object = FromTheFuture();
  auto migration = api::DecodeTenantMigration(object);
  ASSERT_FALSE(migration);
  auto status = UnreadableStatus(object, migration.error(), kNow);
  ASSERT_TRUE(status);
  const Json& ready = ConditionOf(*status, "Ready");
  EXPECT_EQ(ready["status"].StringRef(), "False");
  EXPECT_EQ(ready["reason"].StringRef(), "InvalidObject");
  EXPECT_EQ(ready["observedGeneration"].AsInt(), 2);
  EXPECT_NE(ready["message"].StringRef().find("spec.strategy"), std::string::npos);
  EXPECT_NE(ready["message"].StringRef().find("operator"), std::string::npos);
  EXPECT_EQ(ConditionOf(*status, "Stalled")["status"].StringRef(), "True");
  EXPECT_TRUE(ConditionOf(*status, "Reconciling").IsNull());
  EXPECT_EQ(ConditionOf(*status, "Fenced"), ConditionOf(object["status"], "Fenced"));
  EXPECT_EQ((*status)["phase"].StringRef(), "Copying") << "an operator that can read it goes on";
  EXPECT_EQ((*status)["attempt"].AsInt(), 3);
}

TEST(Unreadable, IsSaidOnce) {
  Json object = FromTheFuture();
  const Error why = api::DecodeTenantMigration(object).error();
  object.Set("status", *UnreadableStatus(object, why, kNow));
  EXPECT_FALSE(UnreadableStatus(object, why, kNow + std::chrono::hours(1)));
}

TEST(Unreadable, SaysSinceWhenThatIsSoWhateverElseIsFoundInItLater) {
  Json object = FromTheFuture();
  object.MutableAt("status").Set("reasonSince", "2026-11-20T00:00:00Z");
  const Error why = api::DecodeTenantMigration(object).error();
  object.Set("status", *UnreadableStatus(object, why, kNow));
  EXPECT_EQ(object.At({"status", "reasonSince"}), Json(FormatTime(kNow)));
  Error other = why;
  other.message = "spec.cutover: is to be read otherwise";
  auto status = UnreadableStatus(object, other, kNow + std::chrono::hours(1));
  ASSERT_TRUE(status);
  EXPECT_EQ((*status)["reasonSince"], Json(FormatTime(kNow)));
}

TEST(Unreadable, IsSaidOfAnObjectThatHasNoStatusYet) {
  Json object = FromTheFuture();
  object.Remove("status");
  auto status = UnreadableStatus(object, api::DecodeTenantMigration(object).error(), kNow);
  ASSERT_TRUE(status);
  EXPECT_EQ((*status)["conditions"].Size(), 2u);
}

}  // namespace
}  // namespace cutover::migration
