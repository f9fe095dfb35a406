// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/phases/phases.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using testing::MigrationIn;
using testing::NothingReadableAt;

TEST(Completed, ASourceThatIsAwayWhenItIsToBeDroppedIsAskedAgainWithinSeconds) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleted);
  migration.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
  migration.spec.retention_seconds = 0;
  const Plan plan = Decide(migration, NothingReadableAt(3600)).plan;
  EXPECT_FALSE(plan.effect);
  EXPECT_GT(plan.wait, std::chrono::seconds(0));
  EXPECT_LE(plan.wait, std::chrono::seconds(15));
}

PlacementFacts PlacedOn(const char* server_name) {
  PlacementFacts facts;
  facts.exists = true;
  facts.server_name = server_name;
  return facts;
}

// A minute after the end of a move without retention, with nothing in the way of dropping.
Observation NothingKeepsTheSource() {
  Observation seen = At(60);
  seen.source = Database(ControlState::kRetired, true);
  seen.target = Database(ControlState::kOpen, false);
  seen.placement = PlacedOn("pg-target");
  PublisherFacts server;
  server.clock_seconds = std::chrono::duration<double>(seen.now.time_since_epoch()).count();
  seen.forward_publisher = server;
  return seen;
}

Plan AfterRetention(const Observation& seen) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleted);
  migration.meta.finalizers = {api::kFinalizer};
  migration.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
  migration.spec.retention_seconds = 0;
  return Decide(migration, seen).plan;
}

TEST(Completed, DropsARetiredSourceWhoseTenantLivesElsewhere) {
  EXPECT_EQ(AfterRetention(NothingKeepsTheSource()).effect, Intent::kDropSource);
}

// As it is in a cluster: the placement says what the databases are called.
TEST(Completed, SaysThatThePlacementIsGoneThoughNoDatabaseCanBeLookedAtThen) {
  Observation seen = NothingKeepsTheSource();
  seen.placement = PlacementFacts{};
  seen.source = seen.target = Error{Disposition::kRetry, "PlacementNotFound", "does not exist"};
  const Plan plan = AfterRetention(seen);
  EXPECT_FALSE(plan.effect);
  EXPECT_NE(plan.message.find("is gone, so nothing says where"), std::string::npos);
}

TEST(Completed, ALeaderWhoseClockIsAheadDoesNotDropTheSource) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleted);
  migration.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
  migration.spec.retention_seconds = 30 * 86400;
  Observation seen = NothingKeepsTheSource();
  PublisherFacts server = *seen.forward_publisher;
  server.clock_seconds += 86400;
  seen.forward_publisher = server;
  seen.now += std::chrono::days(40);
  const Plan held = Decide(migration, seen).plan;
  EXPECT_FALSE(held.effect);
  EXPECT_GT(held.wait.count(), 0);
  EXPECT_NE(held.message.find("not by that of server pg-source"), std::string::npos);
  seen.forward_publisher = Error{Disposition::kRetry, "ConnectionFailed", "down"};
  EXPECT_FALSE(Decide(migration, seen).plan.effect);
  server.clock_seconds += 40 * 86400;
  seen.forward_publisher = server;
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropSource);
}

// Its server died in the middle of DROP DATABASE: nothing can be read of it, and nobody can enter
// it.
TEST(Completed, DropsTheRestOfASourceWhoseDropWasCutShort) {
  Observation seen = NothingKeepsTheSource();
  seen.source = Error{Disposition::kRetry, "HalfDropped", "cut short"};
  EXPECT_EQ(AfterRetention(seen).effect, Intent::kDropSource);
  seen.placement = PlacedOn("pg-source");
  EXPECT_FALSE(AfterRetention(seen).effect);
}

TEST(Completed, KeepsTheSourceAndSaysWhyWheneverTheTenantMightLiveThere) {
  using Change = void (*)(Observation&);
  const std::pair<const char*, Change> reasons[] = {
      {"is gone, so nothing says where",
       [](Observation& seen) { seen.placement = PlacementFacts{}; }},
      {"does not say that the tenant lives elsewhere",
       [](Observation& seen) { seen.placement = PlacedOn("pg-source"); }},
      {"does not say that the tenant lives elsewhere",
       [](Observation& seen) { seen.placement = PlacedOn(""); }},
      {"not as it was retired",
       [](Observation& seen) { seen.source = Database(ControlState::kReopened, false); }},
      {"not as it was retired",
       [](Observation& seen) { seen.source = Database(ControlState::kRetired, false); }},
      {"not open", [](Observation& seen) { seen.target = Database(ControlState::kFenced, true); }},
      {"not open", [](Observation& seen) { seen.target = DatabaseFacts{}; }},
  };
  for (const auto& [words, change] : reasons) {
    Observation seen = NothingKeepsTheSource();
    change(seen);
    const Plan plan = AfterRetention(seen);
    EXPECT_FALSE(plan.effect) << words;
    EXPECT_NE(plan.message.find(words), std::string::npos) << plan.message;
  }
}

// As a PAUSE that a deposed leader had sent leaves them.
PoolerFacts Paused() { return {.paused = true, .resumed = false, .since = {}, .detail = ""}; }

api::TenantMigration Pooled(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status.cutover.attempts = 1;
  return migration;
}

Observation TenantOn(const char* server, int seconds) {
  Observation seen = testing::At(seconds);
  seen.placement = PlacedOn(server);
  const bool on_target = seen.placement->server_name == "pg-target";
  (on_target ? seen.target : seen.source) = Database(ControlState::kOpen, false);
  (on_target ? seen.source : seen.target) = Database(ControlState::kRetired, true);
  seen.poolers = Paused();
  return seen;
}

TEST(Ended, ClientsWhomALatePauseHasStoppedGoOn) {
  EXPECT_EQ(Decide(Pooled(Phase::kCompleted), TenantOn("pg-target", 60)).plan.effect,
            Intent::kResumePoolers);
  EXPECT_EQ(Decide(Pooled(Phase::kAborted), TenantOn("pg-source", 60)).plan.effect,
            Intent::kResumePoolers);
  Observation open = TenantOn("pg-target", 60);
  open.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = ""};
  const Plan plan = Decide(Pooled(Phase::kCompleted), open).plan;
  EXPECT_FALSE(plan.effect);
  EXPECT_GT(plan.wait.count(), 0) << "it may come yet";
}

TEST(Ended, ClientsOfOneThatVanishedGoOnOnceItsDatabaseIsOpen) {
  api::TenantMigration vanished = Pooled(Phase::kFencing);
  Observation seen = TenantOn("pg-source", 60);
  EXPECT_EQ(LetLateClientsGo(vanished, seen)->effect, Intent::kResumePoolers);
  seen.source = Database(ControlState::kFenced, true);
  EXPECT_FALSE(LetLateClientsGo(vanished, seen)) << "the sweeper is not through";
}

TEST(Ended, APauseThatIsSomebodyElsesIsLeftAlone) {
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), TenantOn("pg-target", 3600)).plan.effect)
      << "a person's, long after";
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), TenantOn("pg-source", 60)).plan.effect)
      << "the tenant has moved on";
  Observation seen = TenantOn("pg-target", 60);
  seen.placement =
      PlacementFacts{.exists = true, .server_name = "pg-target", .rival_migration = "the-next-one"};
  EXPECT_FALSE(Decide(Pooled(Phase::kCompleted), seen).plan.effect);
  api::TenantMigration never_closed = Pooled(Phase::kAborted);
  never_closed.status.cutover.attempts = 0;
  EXPECT_FALSE(Decide(never_closed, TenantOn("pg-source", 60)).plan.effect);
}

}  // namespace
}  // namespace cutover::migration
