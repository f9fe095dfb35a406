// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/maintenance.h"

#include <gtest/gtest.h>

#include "tests/unit/kube/fake_client.h"

namespace cutover::wiring {
namespace {

class MaintenancePageObjects : public ::testing::Test {
 protected:
  MaintenancePageObjects() {
    migration_.meta.name = "move";
    migration_.meta.namespace_name = "acme";
    migration_.meta.uid = "0a1b2c3d";
  }
  MaintenanceObservation Observe() {
    auto seen = ObserveMaintenancePage({}, Deadline::Never(), client_, migration_);
    EXPECT_TRUE(seen) << seen.error().message;
    return seen.value_or(MaintenanceObservation());
  }
  Status Ensure() {
    return EnsureMaintenancePage({}, Deadline::Never(), client_, migration_,
                                 MaintenanceOptions{"page"});
  }

  kube::FakeClient client_;
  api::TenantMigration migration_;
};

TEST_F(MaintenancePageObjects, OfAnOperatorThatDiedBetweenItsTwoObjectsIsSeenAsHalf) {
  EXPECT_FALSE(Observe().exists);
  int patches = 0;
  client_.fault = [&](kube::FakeClient::When when,
                      const std::string& verb) -> std::optional<Error> {
    if (verb != "patch" || when != kube::FakeClient::When::kBefore || ++patches < 2)
      return std::nullopt;
    return Error{Disposition::kRetry, "Unreachable", "the operator died here"};
  };
  EXPECT_FALSE(Ensure());
  client_.fault = nullptr;
  EXPECT_TRUE(Observe().exists) << "it is there to be removed";
  EXPECT_TRUE(Observe().half);
  ASSERT_TRUE(Ensure());
  EXPECT_TRUE(Observe().exists);
  EXPECT_FALSE(Observe().half);
}

}  // namespace
}  // namespace cutover::wiring
