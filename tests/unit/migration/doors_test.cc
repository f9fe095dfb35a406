// SPDX-License-Identifier: Apache-2.0
//
// How long closed doors wait for the tenant's pods.
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

/// The doors were closed at noon, and a pod that was told to end is still there.
Observation APodIsLeftAt(int seconds, bool scaled_down = true) {
  Observation seen = At(seconds);
  seen.routes = RouteFacts{.at_maintenance = true, .as_recorded = false, .detail = ""};
  seen.workloads = WorkloadFacts{.scaled_down = scaled_down, .stopped = false, .detail = "1 pod"};
  seen.ledger_recorded = true;
  seen.maintenance_page = MaintenancePageFacts{true, true};
  seen.source = Database(ControlState::kOpen, false);
  seen.target = Database(ControlState::kOpen, false);
  return seen;
}

api::TenantMigration ClosedAtNoon(Phase phase, api::Strategy strategy = api::Strategy::kOffline) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.spec.strategy = strategy;
  auto& closed_at = phase == Phase::kRollingBack ? migration.status.rollback.fenced_at
                                                 : migration.status.cutover.fenced_at;
  closed_at = Noon();
  return migration;
}

void ExpectFenceAfter(int seconds, const api::TenantMigration& migration, Intent fence) {
  Observation seen = APodIsLeftAt(seconds - 1);
  if (migration.status.phase == Phase::kRollingBack)
    seen.source = Database(ControlState::kJournaled, true);
  const Plan waits = Decide(migration, seen).plan;
  EXPECT_FALSE(waits.effect);
  EXPECT_EQ(waits.message, "1 pod");
  seen.now += std::chrono::seconds(1);
  EXPECT_EQ(Decide(migration, seen).plan.effect, fence);
}

TEST(Fencing, APodThatNeverEndsDoesNotKeepTheDoorsClosed) {
  ExpectFenceAfter(120, ClosedAtNoon(Phase::kFencing), Intent::kFenceSource);
  ExpectFenceAfter(30, ClosedAtNoon(Phase::kFencing, api::Strategy::kOnline), Intent::kFenceSource);
}

TEST(Fencing, APodHasHalfOfThePauseThatUsersMayHaveAtMost) {
  api::TenantMigration migration = ClosedAtNoon(Phase::kFencing, api::Strategy::kOnline);
  migration.spec.max_write_pause_seconds = 20;
  ExpectFenceAfter(10, migration, Intent::kFenceSource);
}

TEST(Fencing, WorkloadsThatSomebodyHasStartedAgainAreStoppedBeforeTheFence) {
  const Plan plan = Decide(ClosedAtNoon(Phase::kFencing), APodIsLeftAt(300, false)).plan;
  EXPECT_EQ(plan.effect, Intent::kStopWorkloads);
}

TEST(AwaitingCutover, OverAPreparedTransactionClosesNoDoor) {
  for (const auto strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
    migration.spec.approval = api::Approval::kAutomatic;
    migration.spec.strategy = strategy;
    Observation seen = At(1);
    seen.maintenance_page = MaintenancePageFacts{true, true};
    seen.tenant_known = seen.way_back_rehearsed = true;
    PublisherFacts publisher;
    publisher.published = publisher.slot = true;
    seen.forward_publisher = seen.reverse_publisher = publisher;
    SubscriberFacts subscriber;
    subscriber.exists = subscriber.enabled = subscriber.working = true;
    subscriber.heartbeat_at_seconds = publisher.clock_seconds - 1;
    seen.forward_subscriber = seen.reverse_subscriber = subscriber;
    seen.schema_change = std::string();
    DatabaseFacts source = Database(ControlState::kOpen, false);
    source.prepared_transactions = 1;
    source.prepared = "order-42";
    seen.source = source;
    const Plan held = Decide(migration, seen).plan;
    EXPECT_FALSE(held.guard);
    EXPECT_EQ(held.reason, "PreparedTransactions") << held.message;
    EXPECT_NE(held.message.find("order-42"), std::string::npos);
    EXPECT_GT(held.wait.count(), 0);
    EXPECT_EQ(held.effect == Intent::kWatchStream, strategy == api::Strategy::kOnline)
        << "the target goes on following";
    seen.source = Database(ControlState::kOpen, false);
    EXPECT_EQ(Decide(migration, seen).plan.guard, Guard::kDoorsMayClose);
  }
}

TEST(RollingBack, APodThatNeverEndsDoesNotKeepTheDoorsClosed) {
  ExpectFenceAfter(120, ClosedAtNoon(Phase::kRollingBack), Intent::kFenceTarget);
  ExpectFenceAfter(30, ClosedAtNoon(Phase::kRollingBack, api::Strategy::kOnline),
                   Intent::kFenceTarget);
}

// Users were never in, so nothing says when they were put out a second time.
TEST(RollingBack, FromOpeningAPodHasItsTimeSinceTheWayBackBegan) {
  api::TenantMigration migration = ClosedAtNoon(Phase::kRollingBack);
  migration.status.rollback.fenced_at.reset();
  migration.status.cutover.fenced_at = Noon() - std::chrono::hours(1);
  ExpectFenceAfter(120, migration, Intent::kFenceTarget);
}

// Nobody commits it any more, and of the rest that they wrote nothing stays either.
TEST(RollingBack, WhatWorkloadsHaveLeftPreparedBeforeUsersWereInKeepsNobodyOut) {
  for (const auto strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    api::TenantMigration migration = ClosedAtNoon(Phase::kRollingBack, strategy);
    Observation seen = APodIsLeftAt(1);
    seen.workloads = WorkloadFacts{.scaled_down = true, .stopped = true, .detail = ""};
    seen.source = Database(ControlState::kJournaled, true);
    for (const bool closed : {false, true}) {
      DatabaseFacts target = Database(closed ? ControlState::kFenced : ControlState::kOpen, closed);
      target.prepared_transactions = 1;
      seen.target = target;
      EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFenceTarget) << closed;
    }
    migration.status.cutover.opened_at = Noon();
    EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kReopenTarget)
        << "users may count on it";
  }
}

// As the sweeper has it, which knows nothing of a time.
TEST(RollingBack, OfAMigrationThatVanishedWaitsForNoPod) {
  api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
  migration.status.stages.clear();
  Observation seen = APodIsLeftAt(1);
  seen.source = Database(ControlState::kJournaled, true);
  EXPECT_EQ(Decide(migration, seen).plan.effect, Intent::kFenceTarget);
}

}  // namespace
}  // namespace cutover::migration
