// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/pooler_entry.h"

#include <gtest/gtest.h>

#include "operator/kube/resource.h"
#include "tests/unit/kube/fake_client.h"

namespace cutover::server {
namespace {

class NoNames final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

class EntriesOfAPooler : public ::testing::Test {
 protected:
  void SetUp() override {
    placement_.meta.namespace_name = "acme";
    placement_.spec.connection.service_name = "acme-pg";
    source_.spec.endpoint.host = "pg-a.example.com";
    target_.spec.endpoint.host = "pg-b";
    target_.spec.replication_host = "10.7.0.2";
    Json service = kube::NewObject(kube::kService, {"acme", "acme-pg"});
    service.Set("spec", Json::Object({{"clusterIPs", Json::Array({"10.96.0.7"})}}));
    ASSERT_TRUE(client_.Create({}, Deadline::Never(), kube::kService, service, {}));
  }
  EntryLead Lead(const std::string& host) {
    auto lead = LeadOf({}, Deadline::Never(), access_, placement_, {source_, target_}, host);
    EXPECT_TRUE(lead) << lead.error().message;
    return lead.value_or(EntryLead::kElsewhere);
  }

  kube::FakeClient client_;
  NoNames resolver_;
  wiring::Access access_{client_, resolver_, "cutover-system"};
  api::DatabasePlacement placement_;
  api::DatabaseServer source_, target_;
};

TEST_F(EntriesOfAPooler, LeadToThePlacementsServiceByNameAndByAddress) {
  for (const char* host : {"acme-pg.acme", "ACME-PG.acme.svc.cluster.local.", "10.96.0.7"})
    EXPECT_EQ(Lead(host), EntryLead::kService) << host;
}

TEST_F(EntriesOfAPooler, LeadToAServerPastItAlsoFromTheServersOwnMachine) {
  for (const char* host : {"pg-a.example.com", "pg-b.cutover-system.svc", "10.7.0.2", "",
                           "/var/run/postgresql", "localhost", "127.0.0.1", "::1"})
    EXPECT_EQ(Lead(host), EntryLead::kServer) << host;
}

// Whoever made it the Service of this one would lead the other tenant to this one's server.
TEST_F(EntriesOfAPooler, OfAnotherTenantsDatabaseOfThatNameLeadElsewhere) {
  for (const char* host : {"pg-c.example.com", "acme-pg.globex", "10.96.0.8"})
    EXPECT_EQ(Lead(host), EntryLead::kElsewhere) << host;
}

}  // namespace
}  // namespace cutover::server
