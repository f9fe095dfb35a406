// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/orphans/late_pause.h"
#include "reconcilers/migration/orphans/remedy.h"
#include "reconcilers/migration/transitions.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/kube/fake_clock.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using testing::Database;

const Fact<DatabaseFacts> kUnknown{RetryError("Unreachable", "server pg-source does not answer")};

Fact<DatabaseFacts> Closed(ControlState state) { return Database(state, true); }
Fact<DatabaseFacts> Open(ControlState state) { return Database(state, false); }

Remedy RemedyFor(const Fact<DatabaseFacts>& source, const Fact<DatabaseFacts>& target,
                 bool consent = false) {
  return Advise(source, target, consent).remedy;
}

Ledger LedgerOfAMove() {
  Ledger ledger;
  ledger.migration = Json::Object({{"namespace", "acme"},
                                   {"name", "move"},
                                   {"attempt", 2},
                                   {"sourceServerName", "pg-source"},
                                   {"targetServerName", "pg-target"}});
  ledger.placement = Json::Object({{"metadata", Json::Object({{"name", "acme"}})}});
  return ledger;
}

TEST(Orphans, WhatWasNotSwitchedIsUndoneWhateverTheTargetSays) {
  for (const auto& target :
       {kUnknown, Closed(ControlState::kVerified), Closed(ControlState::kNone)}) {
    EXPECT_EQ(RemedyFor(Closed(ControlState::kFenced), target), Remedy::kUndo);
    EXPECT_EQ(RemedyFor(Open(ControlState::kOpen), target), Remedy::kUndo);
  }
}

TEST(Orphans, AJournalGoesBackOnlyWhenTheTargetIsSeenNeverToHaveBeenOpened) {
  auto journaled = Closed(ControlState::kJournaled);
  EXPECT_EQ(RemedyFor(journaled, Closed(ControlState::kVerified)), Remedy::kGoBack);
  EXPECT_EQ(RemedyFor(journaled, Open(ControlState::kVerified)), Remedy::kReport);
  EXPECT_EQ(RemedyFor(journaled, kUnknown), Remedy::kWait);
  EXPECT_EQ(RemedyFor(journaled, DatabaseFacts{}), Remedy::kReport);
  // A rollback had closed it again: users may have written there.
  EXPECT_EQ(RemedyFor(journaled, Closed(ControlState::kFenced)), Remedy::kReport);
}

TEST(Orphans, AnOpenTargetIsFinishedOnlyOnAPersonsWord) {
  auto journaled = Closed(ControlState::kJournaled);
  EXPECT_EQ(RemedyFor(journaled, Open(ControlState::kOpen)), Remedy::kReport);
  EXPECT_EQ(RemedyFor(journaled, Open(ControlState::kOpen), /*consent=*/true), Remedy::kFinish);
  EXPECT_EQ(RemedyFor(Closed(ControlState::kRetired), Open(ControlState::kOpen)), Remedy::kTidyUp);
  EXPECT_EQ(RemedyFor(Closed(ControlState::kRetired), Open(ControlState::kNone)), Remedy::kTidyUp);
  EXPECT_EQ(RemedyFor(Closed(ControlState::kRetired), DatabaseFacts{}), Remedy::kReport);
}

TEST(Orphans, NothingIsTouchedWhenTheSourceIsGone) {
  for (auto state : {ControlState::kVerified, ControlState::kCopied, ControlState::kOpen})
    for (bool consent : {false, true})
      EXPECT_EQ(RemedyFor(DatabaseFacts{}, Closed(state), consent), Remedy::kReport);
}

// A person who has given the tenant up has dropped what there was: its passwords stay no longer in
// a ledger that nobody reads.
TEST(Orphans, WithBothDatabasesGoneTheRestGoes) {
  EXPECT_EQ(RemedyFor(DatabaseFacts{}, DatabaseFacts{}), Remedy::kDropCopy);
  EXPECT_EQ(RemedyFor(DatabaseFacts{}, kUnknown), Remedy::kReport) << "it may be there";
}

// The same of a migration that is there: its undo ends at what may be the only copy.
TEST(Undoing, KeepsTheCopyWhenSomebodyHasDroppedTheSource) {
  for (auto [state, dropped] : {std::pair{ControlState::kPreparing, true},
                                {ControlState::kCopied, false},
                                {ControlState::kVerified, false}}) {
    Observation seen = testing::At(1);
    seen.ledger_recorded = true;
    seen.source = DatabaseFacts{};
    seen.target = Database(state, true);
    seen.workloads = WorkloadFacts{};
    seen.routes = RouteFacts{};
    seen.maintenance_page = MaintenancePageFacts{};
    seen.backup_job = JobFacts{};
    seen.copy_job = JobFacts{};
    seen.check_jobs = JobFacts{};
    Plan plan = Decide(testing::MigrationIn(api::Phase::kUndoing), seen).plan;
    EXPECT_EQ(plan.effect == Intent::kDropTarget, dropped) << Name(state);
    EXPECT_EQ(plan.reason, dropped ? "" : "SourceGone");
  }
}

TEST(Copying, GivesUpWithItsJobEvenWhileTheTargetIsAway) {
  Observation seen = testing::At(1);
  seen.source = Database(ControlState::kFenced, true);
  seen.copy_result = Error{Disposition::kRetry, "ConnectionFailed", "the target is away"};
  JobFacts job;
  job.exists = true;
  seen.copy_job = job;
  EXPECT_FALSE(Decide(testing::MigrationIn(api::Phase::kCopying), seen).plan.guard);
  job.failed = true;
  job.message = "no space left";
  seen.copy_job = job;
  Plan plan = Decide(testing::MigrationIn(api::Phase::kCopying), seen).plan;
  EXPECT_EQ(plan.guard, Guard::kUndo);
  EXPECT_EQ(plan.message, "no space left");
}

TEST(Orphans, AnUnknownSourceIsWaitedFor) {
  EXPECT_EQ(RemedyFor(kUnknown, Closed(ControlState::kVerified), true), Remedy::kWait);
}

TEST(Orphans, ASourceThatIsFreeOfUsLeavesOnlyTheCopy) {
  EXPECT_EQ(RemedyFor(Open(ControlState::kNone), Closed(ControlState::kFenced)), Remedy::kDropCopy);
  DatabaseFacts foreign = Database(ControlState::kFenced, true);
  foreign.foreign = true;
  EXPECT_EQ(RemedyFor(foreign, Closed(ControlState::kVerified)), Remedy::kDropCopy);
}

TEST(Orphans, AGhostKnowsWhatTheLedgerKnowsAndNeverDropsItsSource) {
  for (auto remedy :
       {Remedy::kUndo, Remedy::kGoBack, Remedy::kDropCopy, Remedy::kTidyUp, Remedy::kFinish}) {
    api::TenantMigration ghost = GhostOf("uid-1", LedgerOfAMove(), remedy);
    EXPECT_EQ(ghost.meta.uid, "uid-1");
    EXPECT_EQ(ghost.meta.namespace_name + "/" + ghost.meta.name, "acme/move");
    EXPECT_EQ(ghost.spec.placement_name, "acme");
    EXPECT_EQ(ghost.spec.target_server_name, "pg-target");
    EXPECT_EQ(ghost.status.source_server_name, "pg-source");
    EXPECT_EQ(ghost.status.attempt, 2);
    EXPECT_EQ(ghost.spec.reclaim_policy, api::ReclaimPolicy::kRetain);
  }
}

TEST(Orphans, AGhostUndoesWhatItsOwnStrategyAndSwitchHadMade) {
  Ledger ledger = LedgerOfAMove();
  EXPECT_FALSE(GhostOf("uid-1", ledger, Remedy::kUndo).spec.online());
  EXPECT_FALSE(GhostOf("uid-1", ledger, Remedy::kUndo).spec.by_pooler());
  ledger.migration.Set("online", true);
  EXPECT_TRUE(GhostOf("uid-1", ledger, Remedy::kUndo).spec.online());
  EXPECT_FALSE(GhostOf("uid-1", ledger, Remedy::kUndo).spec.by_pooler());
  ledger.migration.Set("byPooler", true);
  EXPECT_TRUE(GhostOf("uid-1", ledger, Remedy::kUndo).spec.by_pooler());
}

TEST(Orphans, AnUndoThatMeetsTheJournalStopsThere) {
  EXPECT_FALSE(IsSettled(Remedy::kUndo, api::Phase::kUndoing));
  EXPECT_TRUE(IsSettled(Remedy::kUndo, api::Phase::kOpening));
  EXPECT_TRUE(IsSettled(Remedy::kUndo, api::Phase::kAborted));
  EXPECT_FALSE(IsSettled(Remedy::kFinish, api::Phase::kHypercare));
  EXPECT_TRUE(IsSettled(Remedy::kFinish, api::Phase::kCompleted));
}

// --- a PAUSE that comes when the migration is gone
// ------------------------------------------------

class NobodyResolves final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline, const std::string&) override {
    return std::vector<std::string>();
  }
};

class LatePausesTest : public ::testing::Test {
 protected:
  api::TenantMigration Pooled(api::Phase phase) const {
    api::TenantMigration migration = testing::MigrationIn(phase);
    migration.meta.uid = "uid";
    migration.status.stages.back().started_at = clock_.WallNow();
    migration.spec.switch_mode = api::SwitchMode::kPooler;
    migration.status.cutover.attempts = 1;
    return migration;
  }
  OperatorConfig Config() {
    OperatorConfig config;
    config.epoch = [this] { return epoch_; };
    return config;
  }
  bool IsLookedAfter() {
    auto step = pauses_.LookAfter({}, Deadline::After(std::chrono::seconds(1)), "uid");
    return step && step->delay().has_value();
  }

  kube::FakeClient client_;
  NobodyResolves resolver_;
  kube::FakeClock clock_;
  int64_t epoch_ = 7;
  ClusterContext context_{client_, resolver_, clock_, Config()};
  LatePauses pauses_{context_};
};

TEST_F(LatePausesTest, OnlyWhatHadPausedPoolersIsLookedAfter) {
  EXPECT_FALSE(pauses_.Remember(testing::MigrationIn(api::Phase::kCompleted))) << "no pooler";
  api::TenantMigration never_closed = Pooled(api::Phase::kAborted);
  never_closed.status.cutover.attempts = 0;
  EXPECT_FALSE(pauses_.Remember(never_closed));
  EXPECT_FALSE(IsLookedAfter());
  for (api::Phase phase : {api::Phase::kCompleted, api::Phase::kFencing}) {
    EXPECT_TRUE(pauses_.Remember(Pooled(phase)));
    EXPECT_TRUE(IsLookedAfter()) << Name(phase);
  }
}

TEST_F(LatePausesTest, NobodyIsLookedAfterForEverNorByALeaderThatWasDeposed) {
  ASSERT_TRUE(pauses_.Remember(Pooled(api::Phase::kAborted)));
  epoch_ = 0;
  EXPECT_FALSE(IsLookedAfter());
  epoch_ = 7;
  clock_.Advance(std::chrono::minutes(9));
  EXPECT_TRUE(IsLookedAfter()) << "a server that cannot be asked is asked again";
  clock_.Advance(std::chrono::minutes(2));
  EXPECT_FALSE(IsLookedAfter());
}

}  // namespace
}  // namespace cutover::migration
