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
using testing::Noon;

Observation WhileItCopies(const JobFacts& job) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kFenced, true);
  seen.copy_result = std::optional<CopyResult>();
  seen.copy_job = job;
  seen.copy_progress = std::optional<CopyProgress>();
  seen.placement = PlacementFacts();
  return seen;
}

TEST(Copying, ANewRateIsOrderedWhileItRunsAndNotAfterwards) {
  Observation seen = At(1);
  seen.source = Database(ControlState::kFenced, true);
  seen.copy_result = std::optional<CopyResult>();
  JobFacts job;
  job.exists = true;
  job.order_current = false;
  seen.copy_job = job;
  EXPECT_EQ(Decide(MigrationIn(Phase::kCopying), seen).plan.effect, Intent::kCreateCopyJob);
  job.order_current = true;
  seen.copy_job = job;
  EXPECT_FALSE(Decide(MigrationIn(Phase::kCopying), seen).plan.effect);
}

TEST(Copying, WhatACopyThatRunsLacksIsSaid) {
  JobFacts job;
  job.exists = true;
  job.message = "copy.throttleQuery names none";
  Observation seen = WhileItCopies(job);
  EXPECT_EQ(Decide(MigrationIn(Phase::kCopying), seen).plan.message,
            "copying; copy.throttleQuery names none");
}

TEST(Copying, APodThatFailedIsToldWhileAnotherTakesOver) {
  JobFacts job;
  job.exists = true;
  job.setback = "1 pod of its Job failed and another takes over: the target is away";
  Observation seen = WhileItCopies(job);
  EXPECT_EQ(Decide(MigrationIn(Phase::kCopying), seen).plan.message, "copying; " + job.setback);
  seen.backup_job = job;
  EXPECT_EQ(Decide(MigrationIn(Phase::kBackingUp), seen).plan.message,
            "backing up, users work; " + job.setback);
}

TEST(Copying, ACopyThatDiffersIsGivenUpForThatAndNotForTheSlotsThatItDropped) {
  CopyResult result;
  result.attempt = 1;
  result.report = "table t differs";
  JobFacts job;
  job.exists = job.failed = true;
  job.message = "exit code 1";
  Observation seen = At(1);
  seen.forward_publisher = seen.reverse_publisher = PublisherFacts{};
  seen.source = Database(ControlState::kFenced, true);
  seen.copy_job = job;
  for (api::Strategy strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    api::TenantMigration migration = MigrationIn(Phase::kCopying);
    migration.spec.strategy = strategy;
    for (int64_t mismatches : {0, 1}) {
      result.equal = mismatches != 0;
      result.mismatches = mismatches;
      seen.copy_result = std::optional<CopyResult>(result);
      Plan plan = Decide(migration, seen).plan;
      EXPECT_EQ(plan.reason, "VerificationFailed");
      EXPECT_EQ(plan.message, "table t differs");
    }
    result.equal = true;
    result.mismatches = 0;
    seen.copy_result = std::optional<CopyResult>(result);
    EXPECT_EQ(Decide(migration, seen).plan.guard,
              migration.spec.online() ? Guard::kSnapshotCopied : Guard::kCopyProven);
    result.attempt = 7;
    seen.copy_result = std::optional<CopyResult>(result);
    EXPECT_EQ(Decide(migration, seen).plan.reason, "CopyFailed") << "of another attempt";
    result.attempt = 1;
  }
}

// A mover that never begins copies nothing: users are let in again, and Online they are in anyway.
TEST(Copying, APodThatCannotStartIsSaidAndUsersAreNotKeptOutForIt) {
  JobFacts job;
  job.exists = true;
  job.hindrance = PodHindrance{"its image cannot be pulled", Noon()};
  for (bool online : {false, true}) {
    api::TenantMigration migration = MigrationIn(Phase::kCopying);
    if (online) migration.spec.strategy = api::Strategy::kOnline;
    for (int after : {30, 599, 601}) {
      Observation seen = At(after);
      seen.forward_publisher = seen.reverse_publisher = PublisherFacts{};
      seen.source = Database(ControlState::kFenced, true);
      seen.copy_result = std::optional<CopyResult>();
      seen.copy_job = job;
      Plan plan = Decide(migration, seen).plan;
      EXPECT_EQ(plan.reason, "PodCannotStart");
      EXPECT_EQ(plan.message, "its image cannot be pulled");
      EXPECT_EQ(plan.guard == Guard::kUndo, !online && after > 600);
      EXPECT_EQ(plan.trouble, !plan.guard);
    }
  }
}

TEST(BackingUp, APodThatCannotStartIsSaid) {
  Observation seen = At(3600);
  JobFacts job;
  job.exists = true;
  job.hindrance = PodHindrance{"its image cannot be pulled", Noon()};
  seen.backup_job = job;
  Plan plan = Decide(MigrationIn(Phase::kBackingUp), seen).plan;
  EXPECT_EQ(plan.reason, "PodCannotStart");
  EXPECT_FALSE(plan.guard) << "users work";
}

}  // namespace
}  // namespace cutover::migration
