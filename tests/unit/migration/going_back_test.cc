// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using testing::MigrationIn;

TEST(RollingBack, FencesATargetThatSomebodyMightStillOpenBeforeTheSourceReopens) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kJournaled, true);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.routes = RouteFacts{true, false, ""};
  seen.workloads = WorkloadFacts();
  for (ControlState state : {ControlState::kVerified, ControlState::kOpen}) {
    seen.target = Database(state, true);
    EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kFenceTarget)
        << Name(state);
  }
  seen.target = Database(ControlState::kFenced, true);
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kReopenSource);
}

TEST(RollingBack, IsOverThoughADeposedLeadersClaimCameLate) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kOpen, false);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.routes = RouteFacts{false, true, ""};
  seen.workloads = WorkloadFacts();
  seen.wiring_restored = true;
  seen.placement = PlacementFacts{};
  EXPECT_EQ(Decide(MigrationIn(Phase::kRollingBack), seen).plan.effect, Intent::kCleanSource);
}

// Users are in again, and nothing of ours is left but the ledger.
Observation AllButTheLedgerGone() {
  Observation seen = At(1);
  seen.source = Database(ControlState::kNone, false);
  seen.target = DatabaseFacts{};
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{false, false};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts();
  seen.routes = RouteFacts{false, true, ""};
  seen.workloads = WorkloadFacts();
  seen.poolers = PoolerFacts{.paused = false, .resumed = true, .since = {}, .detail = ""};
  seen.wiring_restored = true;
  return seen;
}

TEST(Undone, IsNotOverWhileARequestOfAFormerLeaderMayComeLate) {
  for (Phase phase : {Phase::kUndoing, Phase::kRollingBack}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.status.cutover.attempts = 1;
    Observation seen = AllButTheLedgerGone();
    seen.requests_outdated = false;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
    seen.requests_outdated = true;
    EXPECT_NE(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
  }
}

// Slots keep a server's log, and a copy its disk: neither waits for an object that cannot be
// changed.
TEST(Undone, NothingElseWaitsForThat) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.status.cutover.attempts = 1;
  Observation seen = AllButTheLedgerGone();
  seen.requests_outdated = false;
  seen.target = Database(ControlState::kCopied, true);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropTarget);
}

// The sweeper takes a vanished migration without a control row for one that was undone.
TEST(Undone, IsSoBeforeTheControlRowGoes) {
  for (Phase phase : {Phase::kUndoing, Phase::kRollingBack}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.status.cutover.attempts = 1;
    Observation seen = AllButTheLedgerGone();
    const bool back = phase == Phase::kRollingBack;
    seen.source = Database(back ? ControlState::kReopened : ControlState::kOpen, false);
    seen.requests_outdated = false;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kOutdateRequests) << Name(phase);
    seen.requests_outdated = true;
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kCleanSource) << Name(phase);
  }
}

TEST(Undone, TheRestOfACopyWhoseDropWasCutShortIsDropped) {
  Observation seen = AllButTheLedgerGone();
  seen.target = Error{Disposition::kRetry, "HalfDropped", "cut short"};
  EXPECT_EQ(Decide(MigrationIn(Phase::kUndoing), seen).plan.effect, Intent::kDropTarget);
}

TEST(Undone, WritesNothingToObjectsWhoseDoorsWereNeverTried) {
  const Observation seen = AllButTheLedgerGone();
  EXPECT_EQ(Decide(MigrationIn(Phase::kUndoing), seen).plan.effect, Intent::kDeleteLedger);
  api::TenantMigration by_pooler = MigrationIn(Phase::kUndoing);
  by_pooler.spec.switch_mode = api::SwitchMode::kPooler;
  by_pooler.status.cutover.attempts = 1;
  EXPECT_EQ(Decide(by_pooler, seen).plan.effect, Intent::kDeleteLedger);
}

}  // namespace
}  // namespace cutover::migration
