// SPDX-License-Identifier: Apache-2.0
//
// What slots keep of two servers' disks, as decisions: each is judged and dropped whatever the
// other server does.
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::Database;
using testing::MigrationIn;
using testing::Noon;
using testing::NothingReadableAt;

api::TenantMigration OnlineIn(Phase phase) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = api::Strategy::kOnline;
  return migration;
}

PublisherFacts Publishing(int64_t retained_bytes = 0) {
  PublisherFacts facts;
  facts.traces = facts.published = facts.slot = true;
  facts.retained_bytes = retained_bytes;
  return facts;
}

/// The source cannot be asked; everything else can, and nothing but streams is left of the move.
Observation SourceAwayAt(int seconds) {
  Observation seen = NothingReadableAt(seconds);
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{};
  seen.backup_job = seen.copy_job = seen.check_jobs = JobFacts{};
  seen.target = Database(ControlState::kOpen, false);
  seen.forward_subscriber = SubscriberFacts{};
  seen.reverse_publisher = Publishing();
  return seen;
}

// --- what is dropped without waiting for a server that is away -----------------------------------

TEST(Completing, DropsTheTargetsSlotWhileTheSourceIsAway) {
  Observation seen = SourceAwayAt(1);
  EXPECT_EQ(Decide(OnlineIn(Phase::kCompleting), seen).plan.effect, Intent::kDropReversePublisher);
  seen.reverse_publisher = PublisherFacts{};
  Plan plan = Decide(OnlineIn(Phase::kCompleting), seen).plan;
  EXPECT_FALSE(plan.effect) << "the rest is the source's";
  EXPECT_FALSE(plan.guard);
  EXPECT_TRUE(plan.trouble);
}

TEST(Completing, DropsTheSourcesSlotWhileTheTargetIsAway) {
  Observation seen = SourceAwayAt(1);
  std::swap(seen.forward_publisher, seen.reverse_publisher);
  std::swap(seen.forward_subscriber, seen.reverse_subscriber);
  EXPECT_EQ(Decide(OnlineIn(Phase::kCompleting), seen).plan.effect, Intent::kDropForwardPublisher);
}

TEST(RollingBack, DropsTheSourcesSlotWhileTheTargetIsAway) {
  Observation seen = SourceAwayAt(1);
  std::swap(seen.forward_publisher, seen.reverse_publisher);
  std::swap(seen.forward_subscriber, seen.reverse_subscriber);
  seen.source = Database(ControlState::kReopened, false);
  seen.wiring_restored = true;
  seen.placement = PlacementFacts{};
  seen.workloads = WorkloadFacts{};
  seen.routes = RouteFacts{};
  EXPECT_EQ(Decide(OnlineIn(Phase::kRollingBack), seen).plan.effect, Intent::kDropForwardPublisher);
}

TEST(Undoing, DropsTheTargetsSlotWhileTheSourceIsAway) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "AbortRequested";
  Observation seen = SourceAwayAt(1);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kDropReversePublisher);
  seen.reverse_publisher = PublisherFacts{};
  EXPECT_FALSE(Decide(migration, seen).plan.effect) << "the rest waits for the source";
  EXPECT_FALSE(Decide(migration, seen).plan.guard);
}

TEST(Undoing, KeepsTheWayBackAsLongAsTheJournalMayHaveBeenWritten) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "AbortRequested";
  migration.status.cutover.fenced_at = Noon();
  EXPECT_FALSE(Decide(migration, SourceAwayAt(1)).plan.effect);
  migration.status.cutover.opened_at = Noon();
  EXPECT_EQ(Decide(migration, SourceAwayAt(1)).plan.effect, Intent::kDropReversePublisher)
      << "users have been seen on the source since";
}

TEST(Undoing, KeepsTheWayBackOfACutoverThatIsTriedAgain) {
  api::TenantMigration migration = OnlineIn(Phase::kUndoing);
  migration.status.failure_reason = "WritePauseExceeded";
  migration.status.cutover.fenced_at = migration.status.cutover.opened_at = Noon();
  EXPECT_FALSE(Decide(migration, SourceAwayAt(1)).plan.effect)
      << "its slot tells who else writes to the target";
}

}  // namespace
}  // namespace cutover::migration
