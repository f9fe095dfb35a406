// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "operator/base/clock.h"
#include "operator/kube/resource.h"
#include "postgres/changes.h"
#include "postgres/control.h"
#include "postgres/database.h"
#include "postgres/fence.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/orphans/sweeper.h"
#include "reconcilers/wiring/base64.h"
#include "reconcilers/wiring/maintenance.h"
#include "tests/postgres/own_server.h"
#include "tests/postgres/servers.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/kube/fake_clock.h"

namespace cutover::migration {
namespace {

using pg::testing::MustConnect;
using pg::testing::Servers;
using pg::testing::Soon;
using pg::testing::TestDatabase;
using pg::testing::TestRole;
using pg::testing::UniqueName;

class NobodyResolves final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline, const std::string&) override {
    return std::vector<std::string>();
  }
};

constexpr char kHome[] = "cutover-system";

Json Named(const char* api_version, const char* kind, const std::string& ns,
           const std::string& name) {
  Json metadata = Json::Object({{"name", name}});
  if (!ns.empty()) metadata.Set("namespace", ns);
  return Json::Object({{"apiVersion", api_version}, {"kind", kind}, {"metadata", metadata}});
}

void Create(kube::Client& client, const kube::Resource& resource, const Json& object) {
  auto created = client.Create({}, Soon(), resource, object);
  ASSERT_TRUE(created) << created.error().message;
}

void AddServer(kube::Client& client, const std::string& name, const pg::ConnectOptions& where) {
  Json secret = Named("v1", "Secret", kHome, name);
  secret.Set("data", Json::Object({{"username", wiring::EncodeBase64(where.user)},
                                   {"password", wiring::EncodeBase64(where.password)}}));
  Create(client, kube::kSecret, secret);
  Json server = Named("cutover.dev/v1alpha1", "DatabaseServer", "", name);
  Json endpoint =
      Json::Object({{"host", where.host}, {"port", int64_t{where.port}}, {"sslMode", "require"}});
  server.Set("spec", Json::Object({{"class", "Shared"},
                                   {"endpoint", endpoint},
                                   {"adminSecretRef", Json::Object({{"name", name}})}}));
  Create(client, kube::kDatabaseServer, server);
}

/// A tenant's database on the source, fenced by a migration; real servers, an API server in memory.
class SweepingOrphans : public ::testing::Test {
 protected:
  void SetUp() override {
    AddServer(client_, "pg-source", Servers().source);
    AddServer(client_, "pg-target", Servers().target);
    ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), inside_, claim_));
    before_ = *pg::ReadAccess({}, Soon(), inside_, database_.name());
    ASSERT_TRUE(pg::Fence({}, Soon(), inside_, claim_));
  }

  void WriteLedger() {
    Json placement = Named("cutover.dev/v1alpha1", "DatabasePlacement", "tenant", "tenant");
    Json password = Json::Object({{"name", "db"}, {"key", "password"}});
    placement.Set("spec",
                  Json::Object({{"database", Json::Object({{"name", database_.name()},
                                                           {"owner", owner_.name()},
                                                           {"passwordSecretRef", password}})},
                                {"class", "Shared"},
                                {"serverName", "pg-source"},
                                {"connection", Json::Object()},
                                {"profile", Json::Object({{"type", "Generic"}})}}));
    Ledger ledger{Json::Object({{"namespace", "tenant"},
                                {"name", "move"},
                                {"attempt", 1},
                                {"sourceServerName", "pg-source"},
                                {"targetServerName", "pg-target"}}),
                  placement, Json::Array(), Json::Array(), wiring_};
    api::TenantMigration migration;
    migration.meta.uid = claim_.migration_uid;
    ASSERT_TRUE(WriteLedgerOnce({}, Soon(), client_, kHome, migration, ledger));
  }

  void LetTheMigrationLive() {
    Create(client_, kube::kTenantMigration,
           Named("cutover.dev/v1alpha1", "TenantMigration", "tenant", "move"));
    SetPhase(api::Phase::kCopying);
  }
  void LetTheMigrationEnd() { SetPhase(api::Phase::kFailed); }
  void SetPhase(api::Phase phase) {
    Json object = Named("cutover.dev/v1alpha1", "TenantMigration", "tenant", "move");
    object.MutableAt("metadata").Set("uid", claim_.migration_uid);
    object.MutableAt("status").Set("phase", Name(phase));
    ASSERT_TRUE(client_.Update({}, Soon(), kube::kTenantMigration, object));
  }

  void AddJob() {
    api::TenantMigration migration;
    migration.meta.uid = claim_.migration_uid;
    MoverJob job;
    job.namespace_name = kHome;
    ASSERT_TRUE(CreateMoverJob({}, Soon(), client_, {}, migration, job));
  }
  size_t CountMoverObjects() { return ListMoverObjects({}, Soon(), client_, "")->size(); }

  void Journal() {
    ASSERT_TRUE(pg::CompareAndSetState({}, Soon(), inside_, claim_, pg::ControlState::kFenced,
                                       pg::ControlState::kJournaled));
  }
  void MakeVerifiedCopy() {
    auto properties = pg::FindDatabase({}, Soon(), inside_, database_.name());
    ASSERT_TRUE(properties && *properties);
    const pg::Claim claim{claim_.migration_uid, 1, pg::Side::kTarget};
    Status made = pg::CreateTargetDatabase({}, Soon(), Servers().target, **properties, claim);
    ASSERT_TRUE(made) << made.error().message;
    pg::Connection target = MustConnect(Servers().target.WithDatabase(database_.name()));
    for (auto [from, to] : {std::pair(pg::ControlState::kPreparing, pg::ControlState::kCopied),
                            std::pair(pg::ControlState::kCopied, pg::ControlState::kVerified)})
      ASSERT_TRUE(pg::CompareAndSetState({}, Soon(), target, claim, from, to));
  }
  bool IsThere(const pg::ConnectOptions& server) {
    pg::Connection connection = MustConnect(server);
    return !pg::testing::MustRead(connection, "SELECT 1 FROM pg_database WHERE datname = $1",
                                  {database_.name()})
                .empty();
  }

  Status SweepOnce() {
    auto step = sweeper_.Sweep({}, Soon());
    if (!step) return tl::make_unexpected(step.error());
    return Ok();
  }
  /// Other cases have databases on the same server.
  bool IsReported() const {
    return sweeper_.FindingsOn("pg-source").find(database_.name()) != std::string::npos;
  }
  bool IsFenced() { return pg::ObserveFence({}, Soon(), inside_)->refuses_newcomers(); }

  TestRole owner_{Servers().source};
  TestDatabase database_{Servers().source, owner_.name()};
  pg::Connection inside_ = MustConnect(database_.Options());
  pg::Claim claim_{UniqueName("uid"), 1, pg::Side::kSource};
  pg::DatabaseAccess before_;
  pg::testing::DropAtEnd no_copy_left_{Servers().target, database_.name()};
  Json wiring_ = Json::Array();

  kube::FakeClient client_;
  NobodyResolves resolver_;
  ClusterContext context_{client_, resolver_, RealClock(), {}};
  Sweeper sweeper_{context_};
};

TEST_F(SweepingOrphans, AFenceWithOurLedgerIsTakenDownAndNothingIsLeft) {
  WriteLedger();
  for (int sweep = 0; sweep < 3 && IsFenced(); ++sweep) {
    Status swept = SweepOnce();
    ASSERT_TRUE(swept) << swept.error().message;
  }
  EXPECT_EQ(*pg::ReadAccess({}, Soon(), inside_, database_.name()), before_);
  EXPECT_FALSE(*pg::ReadControl({}, Soon(), inside_));
  EXPECT_TRUE(ListLedgers({}, Soon(), client_, kHome)->empty());
  EXPECT_FALSE(IsReported()) << sweeper_.FindingsOn("pg-source");
}

TEST_F(SweepingOrphans, AFenceOfALivingMigrationIsNobodysBusiness) {
  WriteLedger();
  LetTheMigrationLive();
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(IsFenced());
  EXPECT_FALSE(IsReported()) << sweeper_.FindingsOn("pg-source");
}

TEST_F(SweepingOrphans, AFenceWithoutOurLedgerIsReportedAndLeftAlone) {
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(IsFenced());
  std::string finding = sweeper_.FindingsOn("pg-source");
  EXPECT_NE(finding.find(database_.name()), std::string::npos) << finding;
  EXPECT_NE(finding.find("kubectl annotate dbs pg-source cutover.dev/resolve-orphan=" +
                         claim_.migration_uid),
            std::string::npos)
      << finding;
}

TEST_F(SweepingOrphans, AFenceWithoutOurLedgerIsTakenDownOnAPersonsWord) {
  Json patch = Json::Object(
      {{"metadata", Json::Object({{"annotations", Json::Object({{kResolveOrphanAnnotation,
                                                                 claim_.migration_uid}})}})}});
  ASSERT_TRUE(client_.Patch({}, Soon(), kube::kDatabaseServer, {"", "pg-source"}, patch));
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(*pg::ReadAccess({}, Soon(), inside_, database_.name()), before_);
  EXPECT_FALSE(*pg::ReadControl({}, Soon(), inside_));
}

TEST_F(SweepingOrphans, AJournaledSourceStaysFencedWhenTheTargetIsNotThere) {
  WriteLedger();
  ASSERT_TRUE(pg::CompareAndSetState({}, Soon(), inside_, claim_, pg::ControlState::kFenced,
                                     pg::ControlState::kJournaled));
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(IsFenced());
  EXPECT_NE(sweeper_.FindingsOn("pg-source").find("cannot be told"), std::string::npos);
  EXPECT_EQ(ListLedgers({}, Soon(), client_, kHome)->size(), 1u);
}

// The runbook's ways out of TargetGone.
TEST_F(SweepingOrphans, TheLedgerGoesOnceAPersonHasDroppedTheSourceAsWell) {
  WriteLedger();
  Journal();
  inside_ = MustConnect(Servers().source);
  pg::testing::MustExec(inside_, {"DROP DATABASE " + database_.quoted() + " WITH (FORCE)"});
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(ListLedgers({}, Soon(), client_, kHome)->empty());
  EXPECT_FALSE(IsReported()) << sweeper_.FindingsOn("pg-source");
}

TEST_F(SweepingOrphans, TheLedgerGoesOnceAPersonHasTakenTheSourceForTheTenants) {
  WriteLedger();
  Journal();
  pg::testing::MustExec(inside_, {"DROP SCHEMA cutover CASCADE"});
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(ListLedgers({}, Soon(), client_, kHome)->empty());
  EXPECT_FALSE(IsReported()) << sweeper_.FindingsOn("pg-source");
  EXPECT_TRUE(IsThere(Servers().source));
}

// A namespace was deleted after the journal, and somebody took the finalizers away.
TEST_F(SweepingOrphans, WhatANamespaceHasTakenWithItIsNotRestored) {
  wiring_ = *Json::Parse(R"({"secret":[{"kind":"Secret","name":"tenant-conn"}]})");
  WriteLedger();
  MakeVerifiedCopy();
  Journal();
  for (int sweep = 0; sweep < 3; ++sweep) ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(*pg::ReadAccess({}, Soon(), inside_, database_.name()), before_);
  EXPECT_FALSE(*pg::ReadControl({}, Soon(), inside_));
  EXPECT_FALSE(IsThere(Servers().target));
  EXPECT_TRUE(ListLedgers({}, Soon(), client_, kHome)->empty());
  EXPECT_FALSE(IsReported()) << sweeper_.FindingsOn("pg-source");
}

TEST_F(SweepingOrphans, ALeaderThatWasDeposedTouchesNothing) {
  WriteLedger();
  context_.config.epoch = [] { return int64_t{0}; };
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(IsFenced());
}

// Kubernetes objects know no epochs: a request of a leader that was paused for longer than its
// lease may arrive when the migration is over.
TEST_F(SweepingOrphans, AJobThatCameAfterTheEndOfItsMigrationGoesWithItsOrder) {
  WriteLedger();
  LetTheMigrationLive();
  LetTheMigrationEnd();
  AddJob();
  ASSERT_EQ(CountMoverObjects(), 2u);
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(CountMoverObjects(), 0u);
  EXPECT_TRUE(IsFenced()) << "a living migration, in its end or not, looks after its databases";
}

TEST_F(SweepingOrphans, AJobOfAMigrationUnderWayStays) {
  WriteLedger();
  LetTheMigrationLive();
  AddJob();
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(CountMoverObjects(), 2u);
}

TEST_F(SweepingOrphans, AnOrderWithoutItsJobGoesWithAVanishedMigration) {
  WriteLedger();
  AddJob();
  const LabelledObject job = ListMoverObjects({}, Soon(), client_, "")->back();
  ASSERT_TRUE(client_.Delete({}, Soon(), job.resource, job.key));
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(CountMoverObjects(), 0u);
}

TEST_F(SweepingOrphans, WhatElseCameAfterTheEndOfItsMigrationGoesAsWell) {
  api::TenantMigration migration;
  migration.meta.name = "move";
  migration.meta.namespace_name = "tenant";
  migration.meta.uid = claim_.migration_uid;
  ASSERT_TRUE(wiring::EnsureMaintenancePage({}, Soon(), client_, migration, {}));
  pg::Connection target = MustConnect(Servers().target);
  const std::string half_made = "cutover_new_" + claim_.migration_uid;
  ASSERT_TRUE(target.Exec({}, Soon(), "CREATE DATABASE " + pg::QuoteIdentifier(half_made)));
  auto is_there = [&] {
    return *pg::HasProvisionalDatabase({}, Soon(), target, claim_.migration_uid) ||
           wiring::ObserveMaintenancePage({}, Soon(), client_, migration)->exists;
  };
  WriteLedger();
  LetTheMigrationLive();
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(is_there()) << "it is under way";
  LetTheMigrationEnd();
  ASSERT_TRUE(SweepOnce());
  EXPECT_FALSE(is_there());
}

TEST_F(SweepingOrphans, ALedgerThatCameAfterTheEndOfItsMigrationGoesUnlessACopyIsKept) {
  LetTheMigrationLive();
  WriteLedger();
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(ListLedgers({}, Soon(), client_, kHome)->size(), 1u) << "it is under way";
  SetPhase(api::Phase::kRolledBack);
  ASSERT_TRUE(SweepOnce());
  EXPECT_EQ(ListLedgers({}, Soon(), client_, kHome)->size(), 1u) << "it says what the copy is";
  LetTheMigrationEnd();
  ASSERT_TRUE(SweepOnce());
  EXPECT_TRUE(ListLedgers({}, Soon(), client_, kHome)->empty());
}

TEST_F(SweepingOrphans, ALedgerOfAnEarlierAttemptIsNotTakenForThisOnes) {
  WriteLedger();
  api::TenantMigration migration;
  migration.meta.uid = claim_.migration_uid;
  migration.status.attempt = 1;
  EXPECT_TRUE(ReadLedger({}, Soon(), client_, kHome, migration)->has_value());
  migration.status.attempt = 2;
  EXPECT_FALSE(ReadLedger({}, Soon(), client_, kHome, migration)->has_value());
  Ledger second{Json::Object({{"attempt", 2}}), Json(), Json("three replicas"), Json(), Json()};
  ASSERT_TRUE(WriteLedgerOnce({}, Soon(), client_, kHome, migration, second));
  auto read = ReadLedger({}, Soon(), client_, kHome, migration);
  ASSERT_TRUE(read && read->has_value());
  EXPECT_EQ((*read)->workloads, second.workloads);
}

TEST_F(SweepingOrphans, AnUnreadableListOfMigrationsLeavesEverythingAsItIs) {
  WriteLedger();
  int lists = 0;
  client_.fault = [&lists](kube::FakeClient::When,
                           const std::string& verb) -> std::optional<Error> {
    // Secrets, orders, Jobs, the pages' two kinds, servers, and then the migrations.
    if (verb != "list" || ++lists < 7) return std::nullopt;
    return Error{Disposition::kRetry, "Unreachable", "the API server is away"};
  };
  EXPECT_FALSE(SweepOnce());
  EXPECT_TRUE(IsFenced());
}

/// On a server of its own: what other tests are at work with is not to be taken for old.
class SweepingStrays : public ::testing::Test {
 protected:
  void SetUp() override { AddServer(client_, "pg-own", server_.Options()); }
  void SweepOnce() {
    auto step = sweeper_.Sweep({}, Soon());
    ASSERT_TRUE(step) << step.error().message;
  }

  const pg::testing::OwnServer server_{17};
  pg::Connection connection_ = MustConnect(server_.Options());
  kube::FakeClient client_;
  kube::FakeClock clock_;
  NobodyResolves resolver_;
  ClusterContext context_{client_, resolver_, clock_, {}};
  Sweeper sweeper_{context_};
};

TEST_F(SweepingStrays, WhatADeadProbeHasLeftGoesOnceNoProbeCouldBeThatOld) {
  const std::string name = pg::ProbeName("uid", pg::Direction::kForward);
  pg::testing::MustExec(
      connection_,
      {"CREATE ROLE " + name, "CREATE SCHEMA " + name, "CREATE PUBLICATION " + name,
       "SELECT pg_create_logical_replication_slot('" + name + "', 'pgoutput')",
       "CREATE SUBSCRIPTION " + name +
           " CONNECTION 'host=127.0.0.1 port=1' PUBLICATION x WITH (connect = false)"});
  auto left = [&] { return pg::FindProbes({}, Soon(), connection_)->size(); };
  ASSERT_EQ(left(), 5u);
  SweepOnce();
  EXPECT_EQ(left(), 5u) << "it may be at work";
  clock_.Advance(std::chrono::minutes(3));
  SweepOnce();
  EXPECT_EQ(left(), 0u);
}

TEST_F(SweepingStrays, AHalfMadeDatabaseOfAnUnknownMigrationGoesOnceItsMakerHadTimeToClaimIt) {
  pg::testing::MustExec(connection_, {"CREATE DATABASE cutover_new_gone"});
  auto is_there = [&] { return *pg::HasProvisionalDatabase({}, Soon(), connection_, "gone"); };
  SweepOnce();
  EXPECT_TRUE(is_there());
  clock_.Advance(std::chrono::minutes(3));
  SweepOnce();
  EXPECT_FALSE(is_there());
}

/// With a tenant's database whose slots belong to migration "uid", as their names say.
class SweepingSlots : public SweepingStrays {
 protected:
  void SetUp() override {
    SweepingStrays::SetUp();
    pg::testing::MustExec(connection_, {"CREATE DATABASE tenant"});
    inside_ = MustConnect(server_.Options().WithDatabase("tenant"));
  }
  void MakeSlot(const std::string& name) {
    pg::testing::MustExec(
        *inside_, {"SELECT pg_create_logical_replication_slot('" + name + "', 'pgoutput')"});
  }
  size_t CountSlots() { return pg::FindStreamSlots({}, Soon(), connection_)->size(); }
  void SetPhase(api::Phase phase) {
    Json object = Named("cutover.dev/v1alpha1", "TenantMigration", "tenant", "move");
    auto before = client_.Get({}, Soon(), kube::kTenantMigration, {"tenant", "move"});
    if (!before || !*before) Create(client_, kube::kTenantMigration, object);
    object.MutableAt("metadata").Set("uid", claim_.migration_uid);
    object.MutableAt("status").Set("phase", Name(phase));
    ASSERT_TRUE(client_.Update({}, Soon(), kube::kTenantMigration, object));
  }

  const pg::Claim claim_{"uid", 1, pg::Side::kSource};
  const std::string stream_ = pg::StreamName("uid", pg::Direction::kForward);
  std::optional<pg::Connection> inside_;
};

TEST_F(SweepingSlots, OfAMigrationGoOnceItHasEndedAndNotBefore) {
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), *inside_, claim_));
  MakeSlot(stream_);
  MakeSlot(pg::WatchSlotName(stream_));
  MakeSlot("somebody_elses");
  SetPhase(api::Phase::kCopying);
  SweepOnce();
  clock_.Advance(std::chrono::minutes(3));
  SweepOnce();
  EXPECT_EQ(CountSlots(), 2u) << "it is under way";
  SetPhase(api::Phase::kCompleted);
  SweepOnce();
  EXPECT_EQ(CountSlots(), 0u) << "the source's row stays as long as the source does";
  EXPECT_EQ(pg::testing::MustRead(connection_, "SELECT slot_name FROM pg_replication_slots"),
            std::vector<std::string>{"somebody_elses"});
}

TEST_F(SweepingSlots, OfAnUnknownMigrationGoOnceNoControlRowSpeaksOfIt) {
  ASSERT_TRUE(pg::ClaimEpoch({}, Soon(), *inside_, claim_));
  MakeSlot(stream_);
  auto sweep_twice = [&] {
    SweepOnce();
    clock_.Advance(std::chrono::minutes(3));
    SweepOnce();
  };
  sweep_twice();
  EXPECT_EQ(CountSlots(), 1u) << "it may be another cluster's, and at work";
  ASSERT_TRUE(pg::DropControl({}, Soon(), *inside_, claim_));
  SweepOnce();
  EXPECT_EQ(CountSlots(), 1u) << "whoever is at it may be about to remove it";
  sweep_twice();
  EXPECT_EQ(CountSlots(), 0u);
}

TEST_F(SweepingSlots, ThatBeginElsewhereThanTheOneThatWasFoundStay) {
  MakeSlot(stream_);
  const pg::StreamSlot found = pg::FindStreamSlots({}, Soon(), connection_)->front();
  EXPECT_EQ(found.database, "tenant");
  pg::testing::MustExec(connection_, {"SELECT pg_drop_replication_slot('" + stream_ + "')"});
  MakeSlot(stream_);
  ASSERT_TRUE(pg::RemoveStreamSlot({}, Soon(), connection_, found));
  EXPECT_EQ(CountSlots(), 1u) << "the next attempt's";
}

}  // namespace
}  // namespace cutover::migration
