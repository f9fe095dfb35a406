// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/metadata.h"

#include <gtest/gtest.h>

namespace cutover::kube {
namespace {

TEST(Resource, PathsFollowTheApisLayout) {
  EXPECT_EQ(kPod.ObjectPath({"shop", "web-0"}), "/api/v1/namespaces/shop/pods/web-0");
  EXPECT_EQ(kPod.CollectionPath(""), "/api/v1/pods");
  EXPECT_EQ(kDeployment.ObjectPath({"shop", "web"}, "scale"),
            "/apis/apps/v1/namespaces/shop/deployments/web/scale");
  EXPECT_EQ(kDatabaseServer.ObjectPath({"", "pg-1"}, "status"),
            "/apis/cutover.dev/v1alpha1/databaseservers/pg-1/status");
  EXPECT_EQ(kNamespace.ObjectPath({"", "shop"}), "/api/v1/namespaces/shop");
}

TEST(Metadata, AChildNamesItsController) {
  Json owner = NewObject(kTenantMigration, {"shop", "move-1"});
  owner.MutableAt("metadata").Set("uid", "u1");
  Json child = NewObject(kJob, {"shop", "copy"});
  child.MutableAt("metadata")
      .Set("ownerReferences", Json::Array({ControllerReference(kTenantMigration, owner)}));
  EXPECT_EQ(ControllerOf(child, kTenantMigration), (Key{"shop", "move-1"}));
  EXPECT_EQ(ControllerOf(child, kDatabasePlacement), Key{});
}

TEST(Metadata, AnOwnerThatIsNotTheControllerDoesNotCount) {
  Json child = NewObject(kJob, {"shop", "copy"});
  child.MutableAt("metadata")
      .Set("ownerReferences", Json::Array({Json::Object({{"apiVersion", "cutover.dev/v1alpha1"},
                                                         {"kind", "TenantMigration"},
                                                         {"name", "move-1"}})}));
  EXPECT_EQ(ControllerOf(child, kTenantMigration), Key{});
}

TEST(Metadata, AControllerOfAnotherVersionOfTheSameGroupCounts) {
  Json child = NewObject(kPod, {"shop", "copy-x"});
  child.MutableAt("metadata")
      .Set("ownerReferences", Json::Array({Json::Object({{"apiVersion", "batch/v1beta1"},
                                                         {"kind", "Job"},
                                                         {"name", "copy"},
                                                         {"controller", true}})}));
  EXPECT_EQ(ControllerOf(child, kJob), (Key{"shop", "copy"}));
}

TEST(Metadata, ResourceVersionsCompareAsNumbersOfAnyLengthOrNotAtAll) {
  EXPECT_TRUE(IsOlderVersion("9", "10"));
  EXPECT_TRUE(IsOlderVersion("18446744073709551615", "18446744073709551616"));
  EXPECT_FALSE(IsOlderVersion("10", "9"));
  EXPECT_FALSE(IsOlderVersion("10", "10"));
  EXPECT_EQ(CompareResourceVersions("10", "10"), std::partial_ordering::equivalent);
  for (const char* opaque : {"", "0", "010", "-1", "1a", "v1", " 1"}) {
    EXPECT_EQ(CompareResourceVersions(opaque, "10"), std::partial_ordering::unordered) << opaque;
    EXPECT_EQ(CompareResourceVersions("10", opaque), std::partial_ordering::unordered) << opaque;
  }
}

}  // namespace
}  // namespace cutover::kube
