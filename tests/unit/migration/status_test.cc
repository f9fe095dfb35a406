// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/status.h"

#include <gtest/gtest.h>

#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using testing::MigrationIn;

api::TenantMigrationStatus After(const api::TenantMigration& migration, Plan plan,
                                 const Observation& seen = At(1)) {
  Decision decision;
  decision.plan = std::move(plan);
  decision.handled = migration.status.handled;
  return Advance(migration, seen, decision);
}

/// "True/Reason", or "-" where there is no such condition.
std::string Seen(const api::TenantMigrationStatus& status, const char* type) {
  const api::Condition* condition = status.conditions.Find(type);
  return condition ? std::string(Name(condition->status)) + "/" + condition->reason : "-";
}

// The table of what kstatus, Flux and Argo read: Reconciling and Stalled exist only while True.

TEST(Status, RunningIsReconcilingAndNothingElse) {
  auto status = After(MigrationIn(Phase::kCopying), Plan::Wait(std::chrono::seconds(1), "copying"));
  EXPECT_EQ(Seen(status, "Ready"), "False/Copying");
  EXPECT_EQ(Seen(status, "Reconciling"), "True/Progressing");
  EXPECT_EQ(Seen(status, "Stalled"), "-");
  EXPECT_EQ(Seen(status, "Succeeded"), "Unknown/Running");
  EXPECT_EQ(status.observed_generation, 3);
}

TEST(Status, ATransientErrorIsRetryAndNeverStalled) {
  Error error{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  auto status = After(MigrationIn(Phase::kFencing), Plan::Unknown(error));
  EXPECT_EQ(Seen(status, "Ready"), "False/ConnectionFailed");
  EXPECT_EQ(Seen(status, "Reconciling"), "True/ProgressingWithRetry");
  EXPECT_EQ(Seen(status, "Stalled"), "-");
  EXPECT_EQ(status.message, "no route to host");
}

TEST(Status, WaitingForApprovalSaysSo) {
  auto status = After(MigrationIn(Phase::kAwaitingCutover),
                      Plan::Wait(std::chrono::seconds(1), "approve it", "AwaitingApproval"));
  EXPECT_EQ(Seen(status, "Ready"), "False/AwaitingApproval");
  EXPECT_EQ(Seen(status, "Reconciling"), "True/Progressing");
  EXPECT_EQ(Seen(status, "Stalled"), "-");
}

TEST(Status, CompletedIsReadyAndSucceeded) {
  auto status = After(MigrationIn(Phase::kCompleting), Plan::Go(Guard::kCleanedUp));
  EXPECT_EQ(status.phase, Phase::kCompleted);
  EXPECT_EQ(Seen(status, "Ready"), "True/Completed");
  EXPECT_EQ(Seen(status, "Reconciling"), "-");
  EXPECT_EQ(Seen(status, "Stalled"), "-");
  EXPECT_EQ(Seen(status, "Succeeded"), "True/Completed");
}

TEST(Status, RolledBackIsStalledAndFailed) {
  api::TenantMigration migration = MigrationIn(Phase::kRollingBack);
  migration.status.failure_reason = "SmokeFailed";
  auto status = After(migration, Plan::Go(Guard::kRolledBack));
  EXPECT_EQ(status.phase, Phase::kRolledBack);
  EXPECT_EQ(Seen(status, "Ready"), "False/RolledBack");
  EXPECT_EQ(Seen(status, "Reconciling"), "-");
  EXPECT_EQ(Seen(status, "Stalled"), "True/RolledBack");
  EXPECT_EQ(Seen(status, "Succeeded"), "False/SmokeFailed");
  EXPECT_EQ(Seen(status, "RolledBack"), "True/SmokeFailed");
}

TEST(Status, FailedAndAbortedAreStalledWithTheirReason) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.status.failure_reason = "CopyFailed";
  auto failed = After(migration, Plan::Go(Guard::kUndoneAfterFailure));
  EXPECT_EQ(failed.phase, Phase::kFailed);
  EXPECT_EQ(Seen(failed, "Stalled"), "True/Failed");
  EXPECT_EQ(Seen(failed, "Succeeded"), "False/CopyFailed");
  migration.status.failure_reason = "AbortRequested";
  auto aborted = After(migration, Plan::Go(Guard::kUndoneOnRequest));
  EXPECT_EQ(aborted.phase, Phase::kAborted);
  EXPECT_EQ(Seen(aborted, "Ready"), "False/Aborted");
}

TEST(Status, ARetryLeavesNothingOfTheFailureBehind) {
  api::TenantMigration migration = MigrationIn(Phase::kFailed);
  migration.status.failure_reason = "CopyFailed";
  migration.status.verification.mismatches = 3;
  migration.status.handled.abort = "then";
  migration.status.conditions.Set({"Stalled", api::ConditionStatus::kTrue, "Failed", "", 1, {}},
                                  testing::Noon());
  auto status = After(migration, Plan::Go(Guard::kRetryRequested));
  EXPECT_EQ(status.phase, Phase::kPending);
  EXPECT_EQ(status.failure_reason, "");
  EXPECT_EQ(status.verification.mismatches, 0);
  EXPECT_EQ(Seen(status, "Stalled"), "-");
  EXPECT_EQ(status.attempt, 1) << "Jobs are named by it";
  EXPECT_EQ(status.handled.abort, "then") << "an answered command stays answered";
}

TEST(Status, WhatChangesNothingWritesNothing) {
  for (Phase phase : testing::kAllPhases) {
    api::TenantMigration migration = MigrationIn(phase);
    Plan plan = Plan::Wait(std::chrono::seconds(1), "waiting", "Reason");
    migration.status = After(migration, plan, At(1));
    EXPECT_EQ(After(migration, plan, At(60)), migration.status) << Name(phase);
  }
}

TEST(Status, ThePauseRunsFromTheFirstClosedDoorToTheLastOpenOne) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(10));
  EXPECT_EQ(migration.status.cutover.attempts, 1);
  migration.status.phase = Phase::kAdmitting;
  Observation seen = At(17);
  RouteFacts routes;
  routes.at_maintenance = true;
  routes.as_recorded = false;
  seen.routes = routes;
  migration.status = After(migration, Plan::Do(Intent::kRestoreRoutes, "letting users in"), seen);
  EXPECT_FALSE(migration.status.cutover.opened_at) << "asked for is not done";
  routes.as_recorded = true;
  seen.routes = routes;
  migration.status = After(migration, Plan::Go(Guard::kUsersAreIn), seen);
  EXPECT_EQ(migration.status.cutover.write_pause_milliseconds, 7000);
}

TEST(Status, WithAPoolerThePauseIsWhatItsClientsWaited) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(10));
  Observation seen = At(13);
  PoolerFacts poolers{.paused = true, .resumed = false, .since = At(12).now, .detail = ""};
  seen.poolers = poolers;
  migration.status = After(migration, Plan::Do(Intent::kFenceSource, "fencing"), seen);
  migration.status.phase = Phase::kOpening;
  seen = At(20);
  seen.target = testing::Database(ControlState::kOpen, false);
  seen.wiring = WiringFacts{.at_target = true, .detail = ""};
  poolers = {.paused = false, .resumed = true, .since = At(15).now, .proven = true, .detail = ""};
  seen.poolers = poolers;
  migration.status = After(migration, Plan::Do(Intent::kPlaceOnTarget, "recording"), seen);
  EXPECT_EQ(migration.status.cutover.write_pause_milliseconds, 3000);
}

}  // namespace
}  // namespace cutover::migration
