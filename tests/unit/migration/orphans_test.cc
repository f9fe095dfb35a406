// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/orphans/remedy.h"
#include "reconcilers/migration/transitions.h"
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

}  // namespace
}  // namespace cutover::migration
