// SPDX-License-Identifier: Apache-2.0
//
// What is looked for in a tenant's namespace, and what it is taken for when the namespace goes.
#include <gtest/gtest.h>

#include "reconcilers/migration/cluster/cluster_world.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;

class NoResolver final : public wiring::Resolver {
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

/// A move that goes back, in a namespace where the Secret that it knows is not there any more.
class NamespaceGoing : public ::testing::Test {
 protected:
  void SetUp() override {
    Create(kube::kNamespace, R"({"metadata":{"name":"acme"}})");
    Create(kube::kDatabasePlacement, R"({"metadata":{"namespace":"acme","name":"acme"},"spec":{
        "database":{"name":"acme","owner":"acme",
          "passwordSecretRef":{"name":"acme-db","key":"password"}},
        "class":"Shared","serverName":"pg-source","profile":{"type":"Generic"},
        "connection":{}}})");
  }
  void Create(const kube::Resource& resource, const char* json) {
    Result<Json> parsed = Json::Parse(json);
    ASSERT_TRUE(parsed);
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), resource, *parsed, {}));
  }
  void DeleteNamespace() {
    const Json metadata = Json::Object({{"deletionTimestamp", "2027-01-15T08:00:00Z"}});
    ASSERT_TRUE(client_.Patch({}, Deadline::Never(), kube::kNamespace, {"", "acme"},
                              Json::Object({{"metadata", metadata}})));
  }
  Observation Look(Subject subject, bool vanished = false) {
    ClusterWorld world(context_, vanished);
    Observation seen = world.Observe({}, Deadline::Never(), migration_);
    world.LookAt({}, Deadline::Never(), migration_, subject, seen);
    return seen;
  }
  bool IsWiringRestored(bool vanished) {
    const Fact<bool> restored = Look(Subject::kWiringRestored, vanished).wiring_restored;
    EXPECT_TRUE(restored.known());
    return restored.known() && *restored;
  }
  /// Empty: he is known.
  std::string WhyTenantIsNotKnownBack() {
    const Fact<bool> known = Look(Subject::kTenantLoginBack).tenant_known_back;
    if (!known.known()) return known.error().reason;
    return *known ? "" : "PasswordChanged";
  }

  kube::FakeClient client_;
  NoResolver resolver_;
  ClusterContext context_{client_, resolver_, RealClock(), {}};
  api::TenantMigration migration_ = testing::MigrationIn(Phase::kRollingBack);
};

// A Secret of another name came with the new password, and users log in by that.
TEST_F(NamespaceGoing, ASecretThatIsMissingWhereTheNamespaceLivesIsMissing) {
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "PasswordSecretNotFound");
  migration_.meta.deletion_timestamp = testing::Noon();
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "PasswordSecretNotFound");
}

TEST_F(NamespaceGoing, NobodyIsLeftToBeRefusedOnceTheNamespaceGoes) {
  DeleteNamespace();
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "PasswordSecretNotFound") << "the move itself is to stay";
  migration_.meta.deletion_timestamp = testing::Noon();
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "");
  ASSERT_TRUE(client_.Delete({}, Deadline::Never(), kube::kNamespace, {"", "acme"}));
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "");
}

// Nobody says of it that it was deleted; its wiring is looked for where it may be.
TEST_F(NamespaceGoing, AMigrationThatVanishedGoesWithItsNamespaceAsWell) {
  const bool vanished = true;
  EXPECT_FALSE(IsWiringRestored(vanished));
  DeleteNamespace();
  EXPECT_FALSE(IsWiringRestored(!vanished));
  EXPECT_TRUE(IsWiringRestored(vanished));
}

TEST_F(NamespaceGoing, WhetherItGoesIsNotGuessed) {
  DeleteNamespace();
  migration_.meta.deletion_timestamp = testing::Noon();
  int reads = 0;
  client_.fault = [&](kube::FakeClient::When when,
                      const std::string& verb) -> std::optional<Error> {
    // The ledger, the placement, the Secret, and then the namespace.
    if (when != kube::FakeClient::When::kBefore || verb != "get" || ++reads < 4)
      return std::nullopt;
    return Error{Disposition::kRetry, "Unreachable", "connection refused"};
  };
  EXPECT_EQ(WhyTenantIsNotKnownBack(), "PasswordSecretNotFound");
}

}  // namespace
}  // namespace cutover::migration
