// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/placement/status.h"

#include <gtest/gtest.h>

#include <functional>

namespace cutover::placement {
namespace {

using api::ConditionStatus;

const WallTime kNow = *ParseTime("2026-11-21T12:00:00Z");

api::DatabaseServer ReadyServer() {
  api::DatabaseServer server;
  server.meta.name = "pg-1";
  server.spec.endpoint.host = "pg-1.db.svc";
  server.status.conditions.Set({"Ready", ConditionStatus::kTrue, "Ready", "", 1, std::nullopt},
                               kNow);
  return server;
}

PlacementObservation Healthy() {
  PlacementObservation seen;
  seen.placement.meta.name = "tenant";
  seen.placement.meta.namespace_name = "tenants";
  seen.placement.meta.generation = 2;
  seen.placement.spec.database_name = "tenant";
  seen.placement.spec.owner = "tenant";
  seen.placement.spec.password_secret_ref = {"db", "password"};
  seen.placement.spec.server_name = "pg-1";
  seen.server_name = "pg-1";
  seen.server = ReadyServer();
  seen.password = std::string("p");
  seen.database = DatabaseObservation{.exists = true, .owner = "tenant", .size_bytes = 1000};
  seen.wiring = wiring::WiringObservation{{{"Secret db", wiring::Side::kSource, "pg-1:5432"}}};
  return seen;
}

Error Broken(Disposition disposition = Disposition::kRetry) {
  return Error{disposition, "Broken", "what was said"};
}

struct StatusCase {
  const char* why;
  std::function<void(PlacementObservation&)> change;
  const char* ready;
  const char* in_sync;
  const char* drifted;
  const char* kstatus;
};

class PlacementStatusTable : public ::testing::TestWithParam<StatusCase> {};

TEST_P(PlacementStatusTable, NamesWhatIsWrong) {
  const StatusCase& c = GetParam();
  PlacementObservation seen = Healthy();
  c.change(seen);
  const api::DatabasePlacementStatus status = DecideStatus(seen, kNow);
  EXPECT_EQ(status.conditions.Find("Ready")->reason, c.ready) << c.why;
  EXPECT_EQ(status.conditions.Find("InSync")->reason, c.in_sync) << c.why;
  EXPECT_EQ(status.conditions.Find("WiringDrifted")->reason, c.drifted) << c.why;
  for (const char* abnormal : {"Reconciling", "Stalled"})
    EXPECT_EQ(status.conditions.Find(abnormal) != nullptr, std::string(abnormal) == c.kstatus)
        << c.why << ": " << abnormal;
  for (const api::Condition& condition : status.conditions.items())
    EXPECT_FALSE(condition.message.empty()) << c.why << ": " << condition.type;
}

using Seen = PlacementObservation;
INSTANTIATE_TEST_SUITE_P(
    Table, PlacementStatusTable,
    ::testing::Values(
        StatusCase{"all is well", [](Seen&) {}, "Ready", "InSync", "AsExpected", ""},
        StatusCase{"nobody said where",
                   [](Seen& seen) {
                     seen.server_name.clear();
                     seen.server.reset();
                   },
                   "ServerNotChosen", "Unknown", "Unknown", "Stalled"},
        StatusCase{"no such server", [](Seen& seen) { seen.server.reset(); }, "ServerNotFound",
                   "Unknown", "Unknown", "Reconciling"},
        StatusCase{"the server is not ready",
                   [](Seen& seen) { seen.server->status.conditions = {}; }, "ServerNotReady",
                   "InSync", "AsExpected", "Reconciling"},
        StatusCase{"the namespace is not admitted",
                   [](Seen& seen) { seen.namespace_allowed = false; }, "NamespaceNotAllowed",
                   "InSync", "AsExpected", "Stalled"},
        StatusCase{"no password", [](Seen& seen) { seen.password = tl::make_unexpected(Broken()); },
                   "PasswordMissing", "InSync", "AsExpected", "Reconciling"},
        StatusCase{"nothing known of the database",
                   [](Seen& seen) { seen.database = tl::make_unexpected(Broken()); },
                   "DatabaseNotObserved", "InSync", "AsExpected", "Reconciling"},
        StatusCase{"no such database", [](Seen& seen) { seen.database->exists = false; },
                   "DatabaseNotFound", "InSync", "AsExpected", "Stalled"},
        StatusCase{"somebody else owns it", [](Seen& seen) { seen.database->owner = "postgres"; },
                   "OwnerDiffers", "InSync", "AsExpected", "Stalled"},
        StatusCase{"the tenant is refused",
                   [](Seen& seen) {
                     seen.database->tenant_login =
                         tl::make_unexpected(Broken(Disposition::kTerminal));
                   },
                   "TenantLoginFailed", "InSync", "AsExpected", "Stalled"},
        StatusCase{
            "its Service belongs to others",
            [](Seen& seen) { seen.service = tl::make_unexpected(Broken(Disposition::kTerminal)); },
            "ServiceNotCurrent", "InSync", "AsExpected", "Stalled"},
        StatusCase{"somebody changed the wiring",
                   [](Seen& seen) { seen.wiring->items[0].side = wiring::Side::kNeither; }, "Ready",
                   "WiringDrifted", "Drifted", ""},
        StatusCase{"the wiring cannot be read",
                   [](Seen& seen) { seen.wiring = tl::make_unexpected(Broken()); }, "Ready",
                   "Unknown", "Unknown", ""},
        StatusCase{"pinned to another server than it is on",
                   [](Seen& seen) {
                     seen.placement.status.server_name = "pg-1";
                     seen.placement.spec.server_name = "pg-2";
                   },
                   "Ready", "PinnedElsewhere", "AsExpected", ""},
        StatusCase{"a migration is moving it: drift is no trouble",
                   [](Seen& seen) {
                     seen.migration_name = "move";
                     seen.is_being_moved = true;
                     seen.wiring->items[0].side = wiring::Side::kNeither;
                     seen.database->owner = "admin";
                   },
                   "Migrating", "Migrating", "Migrating", "Reconciling"}));

TEST(PlacementStatus, TheServerIsAdoptedOnceTheTenantIsFoundThere) {
  PlacementObservation seen = Healthy();
  seen.database->exists = false;
  EXPECT_EQ(DecideStatus(seen, kNow).server_name, "");
  seen.database->exists = true;
  const api::DatabasePlacementStatus status = DecideStatus(seen, kNow);
  EXPECT_EQ(status.server_name, "pg-1");
  EXPECT_EQ(status.endpoint, "pg-1.db.svc:5432");
  EXPECT_EQ(status.database_size_bytes, 1000);
}

TEST(PlacementStatus, OnlyAMigrationMovesAnAdoptedTenant) {
  PlacementObservation seen = Healthy();
  seen.placement.status.server_name = "pg-1";
  seen.placement.spec.server_name = "pg-2";
  EXPECT_EQ(DecideStatus(seen, kNow).server_name, "pg-1");
}

TEST(PlacementStatus, AConvergedPlacementCausesNoWrite) {
  PlacementObservation seen = Healthy();
  seen.placement.status = DecideStatus(seen, kNow);
  seen.database->size_bytes += 10;
  const api::DatabasePlacementStatus again = DecideStatus(seen, kNow + std::chrono::hours(1));
  EXPECT_EQ(api::EncodeStatus(again).Dump(), api::EncodeStatus(seen.placement.status).Dump());
}

}  // namespace
}  // namespace cutover::placement
