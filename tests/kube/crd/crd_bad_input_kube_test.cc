// SPDX-License-Identifier: Apache-2.0
//
// Bad input that the API server has a say in; docs/failure-modes.md has the whole list.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/unreadable.h"
#include "tests/kube/crd/crd_server.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::testing {
namespace {

using ::testing::HasSubstr;

Json SampleMigration() {
  return api::testing::LoadYaml("tests/unit/api/samples/tenant_migration.yaml")[0];
}

Json Abort(const std::string& token) {
  return Json::Object({{"metadata", Json::Object({{"annotations", Json::Object({{
                                                                      api::kAbortAnnotation,
                                                                      token,
                                                                  }})}})}});
}

TEST(CrdBadInput, AnAnnotationOfAMillionCharactersIsRefusedAndTheLongestThatIsNotCanBeAnswered) {
  CrdServer server;
  const std::string name = "acme-to-dedicated";
  ASSERT_EQ(server.Create(kube::kTenantMigration, SampleMigration()).status, 201);
  Answer refused =
      server.MergePatch(kube::kTenantMigration, name, Abort(std::string(1'000'000, 'x')));
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.message(), HasSubstr("may not be more than 262144 bytes"));

  const std::string longest(250'000, 'x');
  ASSERT_EQ(server.MergePatch(kube::kTenantMigration, name, Abort(longest)).status, 200);
  Json handled =
      Json::Object({{"status", Json::Object({{"handled", Json::Object({{"abort", longest}})}})}});
  Answer answered = server.MergePatch(kube::kTenantMigration, name, handled, "status");
  EXPECT_EQ(answered.status, 200) << answered.message();
}

TEST(CrdBadInput, WhatIsSaidOfAMigrationThatCannotBeReadIsAcceptedByTheSchema) {
  CrdServer server;
  const std::string name = "acme-to-dedicated";
  Answer created = server.Create(kube::kTenantMigration, SampleMigration());
  ASSERT_EQ(created.status, 201);
  // As an operator sees it that is older than the CRD.
  Json object = created.body;
  object.MutableAt("spec").Set("strategy", "Teleport");
  auto migration = api::DecodeTenantMigration(object);
  ASSERT_FALSE(migration);
  auto status = migration::UnreadableStatus(object, migration.error(), RealClock().WallNow());
  ASSERT_TRUE(status);
  Answer told = server.MergePatch(kube::kTenantMigration, name, Json::Object({{"status", *status}}),
                                  "status");
  ASSERT_EQ(told.status, 200) << told.message();
  const Json& conditions = told.body["status"]["conditions"];
  ASSERT_EQ(conditions.Size(), 2u);
  EXPECT_THAT(conditions.Items()[0]["message"].StringRef(), HasSubstr("bring the operator"));
}

}  // namespace
}  // namespace cutover::testing
