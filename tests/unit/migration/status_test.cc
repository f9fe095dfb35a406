// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

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

TEST(Status, KeepsEachLineOfThePreflightAndDoesNotWriteTheSameAgain) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  const Plan plan = Plan::Wait(std::chrono::seconds(10), "drop it", "PreflightFailed");
  Observation seen = At(1);
  EXPECT_EQ(After(migration, plan, seen).preflight, api::PreflightStatus()) << "nobody has looked";
  seen.preflight = std::vector<Finding>{{Severity::kBlocking, "TargetExists", "drop it"}};
  seen.preflight_lines = {{"routes", api::PreflightResult::kPassed, "every route exists"},
                          {"target-database", api::PreflightResult::kBlocking, "drop it"}};
  migration.status = After(migration, plan, seen);
  EXPECT_EQ(migration.status.preflight.lines, seen.preflight_lines);
  const auto first = migration.status.preflight.looked_at;

  seen.now += std::chrono::seconds(10);
  EXPECT_EQ(After(migration, plan, seen).preflight.looked_at, first);
  seen.now += std::chrono::minutes(10);
  EXPECT_GT(After(migration, plan, seen).preflight.looked_at, first) << "it is still so";
  seen.now -= std::chrono::minutes(10);
  seen.preflight_lines[1] = {"target-database", api::PreflightResult::kPassed, "none is there"};
  migration.status = After(migration, Plan::Go(Guard::kBackupWanted), seen);
  EXPECT_GT(migration.status.preflight.looked_at, first);
  EXPECT_EQ(migration.status.preflight.lines, seen.preflight_lines) << "what passed is kept";
}

TEST(Status, PreflightHasPassedOnceItsFindingsAreMendedThoughItIsHeld) {
  api::TenantMigration migration = MigrationIn(Phase::kPreflight);
  migration.status =
      After(migration, Plan::Wait(std::chrono::seconds(10), "drop it", "PreflightFailed"));
  EXPECT_EQ(Seen(migration.status, "PreflightPassed"), "False/PreflightFailed");
  auto held = After(migration, Plan::Wait(std::chrono::minutes(10), "suspended", "Suspended"));
  EXPECT_EQ(Seen(held, "PreflightPassed"), "True/Passed");
  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  EXPECT_EQ(Seen(After(migration, Plan::Unknown(away)), "PreflightPassed"), "False/PreflightFailed")
      << "nobody has looked again";
}

TEST(Status, AnAbortThatCameTooLateIsNotWhyAMoveCompleted) {
  api::TenantMigration migration = MigrationIn(Phase::kSwitching);
  migration.status = After(migration, Plan::Undo("AbortRequested", "a person aborted"));
  EXPECT_EQ(migration.status.failure_reason, "AbortRequested");
  migration.status = After(migration, Plan::Go(Guard::kJournalFound, "going forward"));
  EXPECT_EQ(migration.status.phase, Phase::kOpening);
  EXPECT_EQ(migration.status.failure_reason, "");
  EXPECT_EQ(migration.status.failure_message, "");
}

/// AwaitingCutover, with a target that follows closely.
class InStep : public ::testing::Test {
 protected:
  InStep() {
    migration_.spec.strategy = api::Strategy::kOnline;
    migration_.status.conditions.Set(
        {"InSync", api::ConditionStatus::kTrue, "Following", "", 1, {}}, testing::Noon());
    publisher_.traces = publisher_.published = publisher_.slot = true;
    subscriber_.exists = subscriber_.enabled = subscriber_.working = true;
    subscriber_.heartbeat_at_seconds = publisher_.clock_seconds - 1;
  }

  std::string After(Plan plan) {
    Observation seen = At(++second_);
    seen.forward_publisher = publisher_;
    seen.forward_subscriber = subscriber_;
    migration_.status = cutover::migration::After(migration_, std::move(plan), seen);
    return Seen(migration_.status, "InSync");
  }
  static Plan Held(const char* reason) {
    return Plan::Wait(std::chrono::seconds(5), "holding", reason);
  }

  api::TenantMigration migration_ = MigrationIn(Phase::kAwaitingCutover);
  PublisherFacts publisher_;
  SubscriberFacts subscriber_;
  int second_ = 0;
};

TEST_F(InStep, IsNotSaidOfAStreamThatIsHeldUpAndIsAgainOnceItIsSeen) {
  for (const char* reason : {"ApplyFails", "SchemaChanged"}) {
    EXPECT_EQ(After(Held(reason)), std::string("False/") + reason);
    EXPECT_EQ(After(Plan::Wait(std::chrono::seconds(5), "approve it", "AwaitingApproval")),
              "True/Following");
  }
  After(Held("ApplyFails"));
  subscriber_.working = false;
  EXPECT_EQ(After(Plan::Wait(std::chrono::seconds(5), "suspended", "Suspended")), "False/Behind");
  subscriber_.working = true;
  EXPECT_EQ(After(Plan::Wait(std::chrono::seconds(5), "approve it", "AwaitingApproval")),
            "True/Following");
}

TEST_F(InStep, IsNotSaidWhileTheTargetCatchesUpAfterAHold) {
  migration_.status.phase = Phase::kCatchingUp;
  EXPECT_EQ(After(Held("ApplyFails")), "False/ApplyFails");
  EXPECT_EQ(After(Plan::Wait(std::chrono::seconds(2), "1.0 MB behind")), "False/Behind");
}

TEST_F(InStep, IsNotSaidAfterACutoverThatWasUndone) {
  migration_.status.phase = Phase::kUndoing;
  EXPECT_EQ(After(Plan::Go(Guard::kCutoverUndone, "took too long")), "False/Behind");
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

// An alert asks both, and would call somebody about it for as long as the object is there.
TEST(Status, TheWayBackClosesWithHypercareAndNoTimeIsNamedForItWhileGoingBack) {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.status.rollback.available_until = At(900).now;
  migration.status.conditions.Set(
      {"RollbackReady", api::ConditionStatus::kTrue, "StreamFollows", "", 1, {}}, testing::Noon());
  auto back = After(migration, Plan::RollBack("RollbackRequested", "a person asked to go back"));
  EXPECT_EQ(back.phase, Phase::kRollingBack);
  EXPECT_FALSE(back.rollback.available_until);

  auto over = After(migration, Plan::Go(Guard::kHypercareOver));
  EXPECT_EQ(over.phase, Phase::kCompleting);
  EXPECT_EQ(Seen(over, "RollbackReady"), "False/HypercareOver");
  EXPECT_FALSE(over.rollback.available_until);

  migration.status.phase = Phase::kCompleting;  // An older operator's.
  auto completed = After(migration, Plan::Go(Guard::kCleanedUp));
  EXPECT_EQ(Seen(completed, "RollbackReady"), "False/HypercareOver");
  EXPECT_FALSE(completed.rollback.available_until);
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

const api::Stage* StageOf(const api::TenantMigrationStatus& status, Phase phase) {
  for (const api::Stage& stage : status.stages)
    if (stage.name == Name(phase)) return &stage;
  return nullptr;
}

TEST(Status, AFinishedStageSaysHowItEndedAndNoLongerHowFarItHadCome) {
  struct Row {
    Phase phase;
    Plan end;
    const char* message;
    const char* reason;
  };
  for (const Row& row :
       {Row{Phase::kCopying, Plan::Go(Guard::kCopyProven), "", "a step that says nothing"},
        Row{Phase::kBackingUp, Plan::Go(Guard::kBackupProven, "read back"), "read back",
            "a step that tells its result"},
        Row{Phase::kCopying, Plan::Undo("CopyFailed", "disk full"), "disk full", "a failure"}}) {
    api::TenantMigration migration = MigrationIn(row.phase);
    migration.status = After(migration, Plan::Wait(std::chrono::seconds(2), "half of it is done"));
    EXPECT_EQ(StageOf(migration.status, row.phase)->message, "half of it is done");
    migration.status = After(migration, row.end);
    EXPECT_NE(migration.status.phase, row.phase);
    EXPECT_EQ(StageOf(migration.status, row.phase)->message, row.message) << row.reason;
  }
}

// The source's server may be away when its retention ends; the move has succeeded all the same.
TEST(Status, WhatFailsAfterTheEndLeavesTheWordsOfTheEnd) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleting);
  migration.status = After(migration, Plan::Go(Guard::kCleanedUp));
  const std::string words = migration.status.conditions.Find("Succeeded")->message;
  EXPECT_EQ(Seen(migration.status, "SourceReclaimed"), "-");

  const Error away{Disposition::kRetry, "ConnectionFailed", "no route to host"};
  migration.status = After(migration, Plan::Unknown(away), At(2));
  EXPECT_EQ(migration.status.message, "no route to host");
  EXPECT_EQ(migration.status.conditions.Find("Succeeded")->message, words);
  EXPECT_EQ(migration.status.conditions.Find("Ready")->message, words);
  EXPECT_EQ(Seen(migration.status, "SourceReclaimed"), "False/ConnectionFailed");

  migration.status = After(migration, Plan::Go(Guard::kSourceGone), At(3));
  EXPECT_EQ(migration.status.message, words);
  EXPECT_EQ(Seen(migration.status, "SourceReclaimed"), "True/Dropped");
  EXPECT_EQ(Seen(migration.status, "Succeeded"), "True/Completed");
}

TEST(Status, WhatNobodyHasComparedIsSaidWithTheProofAndAtTheEnd) {
  const std::string left_out = "public.log: 17 changes were not compared: it has no key";
  api::TenantMigration migration = MigrationIn(Phase::kVerifying);
  migration.spec.strategy = api::Strategy::kOnline;
  CopyResult result;
  result.attempt = 1;
  result.equal = true;
  result.tables = 3;
  result.report = "3 tables, 9 rows compared at level Rows: equal";
  result.left_out = left_out;
  Observation seen = At(1);
  seen.target = testing::Database(ControlState::kVerified, true);
  seen.copy_result = std::optional<CopyResult>(result);
  migration.status = Advance(migration, seen, Decide(migration, seen));
  const std::string said = result.report + "; " + left_out;
  EXPECT_EQ(migration.status.conditions.Find("Verified")->message, said);
  EXPECT_EQ(migration.status.verification.report, said);
  migration.status.phase = Phase::kCompleting;
  migration.status = After(migration, Plan::Go(Guard::kCleanedUp));
  EXPECT_TRUE(migration.status.message.ends_with("; " + left_out)) << migration.status.message;
}

// Another version of the operator may put it into other words. Ten thousand migrations that are
// over would each be written for that.
TEST(Status, AnEndKeepsTheWordsItWasSummedUpIn) {
  for (const Phase end : {Phase::kCompleted, Phase::kAborted, Phase::kFailed, Phase::kRolledBack}) {
    api::TenantMigration migration = MigrationIn(end);
    migration.status = After(migration, Plan::Wait(std::chrono::seconds(0), ""));
    for (const char* type : {"Ready", "Succeeded"}) {
      api::Condition worded = *migration.status.conditions.Find(type);
      worded.message = "in an earlier version's words";
      migration.status.conditions.Set(worded, testing::Noon());
    }
    EXPECT_EQ(After(migration, Plan::Wait(std::chrono::seconds(0), "")), migration.status);

    migration.meta.generation += 1;
    const auto status = After(migration, Plan::Wait(std::chrono::seconds(0), ""));
    EXPECT_EQ(status.conditions.Find("Ready")->observed_generation, migration.meta.generation);
    EXPECT_NE(status.conditions.Find("Ready")->message, "in an earlier version's words");
  }
}

TEST(Status, AFinalizerThatCannotBeRemovedSaysNothingOfTheSource) {
  api::TenantMigration migration = MigrationIn(Phase::kCompleted);
  migration.meta.deletion_timestamp = testing::Noon();
  const Error refused{Disposition::kRetry, "Forbidden", "not for you"};
  EXPECT_EQ(Seen(After(migration, Plan::Unknown(refused)), "SourceReclaimed"), "-");
}

TEST(Status, AFailureNamesTheWayToTryAgainOnce) {
  api::TenantMigration migration = MigrationIn(Phase::kBackingUp);
  Observation seen = At(1);
  JobFacts job;
  job.exists = job.succeeded = true;
  seen.backup_job = job;
  migration.status = Advance(migration, seen, Decide(migration, seen));
  EXPECT_EQ(migration.status.failure_reason, "BackupUnproven");
  migration.status = After(migration, Plan::Go(Guard::kUndoneAfterFailure));
  const std::string& message = migration.status.message;
  const size_t at = message.find("cutover.dev/retry");
  ASSERT_NE(at, std::string::npos) << message;
  EXPECT_EQ(message.find("cutover.dev/retry", at + 1), std::string::npos) << message;
}

TEST(Status, NoOtherAttemptIsAdvisedWhereTheWindowIsOver) {
  api::TenantMigration migration = MigrationIn(Phase::kUndoing);
  migration.status.failure_reason = "WindowMissed";
  migration.status.failure_message = "the window is over: create a new TenantMigration";
  migration.status = After(migration, Plan::Go(Guard::kUndoneAfterFailure));
  EXPECT_EQ(migration.status.message,
            "failed, everything is as it was: the window is over: create a new TenantMigration");
}

TEST(Status, GoingBackIsNotSaidToLoseNothingOnceSomebodyHasLedTheRoutesBack) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.status.conditions.Set(
        {"RollbackReady", api::ConditionStatus::kTrue, "UsersNotIn", "none is in", 3, {}},
        testing::Noon());
    migration.meta.annotations[api::kRollbackAnnotation] = "back";
    Observation seen = At(1);
    seen.source = testing::Database(ControlState::kJournaled, true);
    seen.target = testing::Database(ControlState::kOpen, false);
    seen.routes = RouteFacts{true, false, ""};
    EXPECT_EQ(Seen(Advance(migration, seen, Decide(migration, seen)), "RollbackReady"),
              "True/UsersNotIn")
        << Name(phase);
    seen.routes = RouteFacts{false, true, ""};
    migration.status = Advance(migration, seen, Decide(migration, seen));
    EXPECT_EQ(Seen(migration.status, "Ready"), "False/RollbackNeedsConsent") << Name(phase);
    EXPECT_EQ(Seen(migration.status, "RollbackReady"), "False/RoutesLedBack") << Name(phase);
  }
}

// Online: from then on what is written on the target is theirs, and is taken back with them.
TEST(Status, UsersWhomSomebodyElseHasLetInEarlyAreIn) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
    api::TenantMigration migration = MigrationIn(phase);
    migration.spec.strategy = api::Strategy::kOnline;
    migration.status.cutover.fenced_at = testing::Noon();
    Observation seen = At(1);
    seen.target = testing::Database(ControlState::kOpen, false);
    seen.wiring = WiringFacts{.at_target = true, .detail = ""};
    seen.placement = PlacementFacts{};
    seen.forward_subscriber = seen.reverse_subscriber = SubscriberFacts{};
    PublisherFacts back;
    back.published = back.slot = true;
    seen.reverse_publisher = back;
    if (phase == Phase::kOpening) seen.workloads = WorkloadFacts{};
    EXPECT_EQ(Decide(migration, seen).plan.look_at, Subject::kRoutes) << Name(phase);
    seen.routes = RouteFacts{true, false, ""};
    seen.workloads = WorkloadFacts{};
    SubscriberFacts there;
    there.exists = there.enabled = true;
    seen.reverse_subscriber = there;
    CheckOutcome fails;
    fails.timeout_seconds = 1;
    seen.checks = std::vector<CheckOutcome>{fails};
    if (phase == Phase::kOpening) migration.meta.deletion_timestamp = testing::Noon();
    auto next = [&] { return Advance(migration, seen, Decide(migration, seen)); };
    EXPECT_EQ(next().phase, Phase::kRollingBack) << Name(phase);
    EXPECT_FALSE(next().cutover.opened_at) << Name(phase);
    seen.routes = RouteFacts{false, true, ""};
    EXPECT_EQ(next().phase, Phase::kRollingBack) << Name(phase);
    EXPECT_TRUE(next().cutover.opened_at) << "with the very step that goes back";
    seen.workloads = WorkloadFacts{.as_recorded = false, .detail = ""};
    EXPECT_FALSE(next().cutover.opened_at) << "nothing serves them";
    seen.workloads = WorkloadFacts{};
    seen.wiring = WiringFacts{.at_target = phase == Phase::kSmoke, .detail = ""};
    EXPECT_EQ(next().cutover.opened_at.has_value(), phase == Phase::kSmoke)
        << "elsewhere they are led to the fenced source";
  }
}

TEST(Status, WhatChangesNothingWritesNothing) {
  for (Phase phase : testing::kAllPhases) {
    api::TenantMigration migration = MigrationIn(phase);
    Plan plan = Plan::Wait(std::chrono::seconds(1), "waiting", "Reason");
    migration.status = After(migration, plan, At(1));
    EXPECT_EQ(After(migration, plan, At(60)), migration.status) << Name(phase);
  }
}

// --- how long catching up takes yet
// ---------------------------------------------------------------

/// The target follows, and is looked at as often as a test says.
class TimeToCatchUp : public ::testing::Test {
 protected:
  TimeToCatchUp() { migration_.spec.strategy = api::Strategy::kOnline; }

  /// A look at a lag of so many bytes beyond what the doors close at, and at a heartbeat so old, or
  /// none; returns the estimate.
  int64_t EtaAfter(int second, int64_t bytes_beyond_gate, std::optional<double> age_seconds = {},
                   Plan plan = Plan::Wait(std::chrono::seconds(1), "following")) {
    Observation seen = At(second);
    PublisherFacts publisher;
    publisher.slot = publisher.published = true;
    publisher.lag_bytes = migration_.spec.replication_lag_bytes_max + bytes_beyond_gate;
    publisher.clock_seconds = 1'000'000 + second;
    SubscriberFacts subscriber;
    if (age_seconds) subscriber.heartbeat_at_seconds = publisher.clock_seconds - *age_seconds;
    seen.forward_publisher = publisher;
    seen.forward_subscriber = subscriber;
    migration_.status = After(migration_, std::move(plan), seen);
    return migration_.status.progress.eta_seconds;
  }

  api::TenantMigration migration_ = MigrationIn(Phase::kCatchingUp);
};

TEST_F(TimeToCatchUp, IsEstimatedFromHowTheLagFalls) {
  EXPECT_EQ(EtaAfter(0, 1'000'000), 0) << "one look tells nothing";
  EXPECT_EQ(EtaAfter(10, 900'000), 90);
  EXPECT_EQ(EtaAfter(20, 800'000), 80);
  EXPECT_EQ(EtaAfter(50, 500'000), 50) << "however long the operator looked away";
}

TEST_F(TimeToCatchUp, IsNotEstimatedWhileTheLagDoesNotFall) {
  EXPECT_EQ(EtaAfter(0, 1'000'000), 0);
  EXPECT_EQ(EtaAfter(10, 1'000'000), 0);
  EXPECT_EQ(EtaAfter(20, 1'200'000), 0);
  EXPECT_EQ(EtaAfter(30, 1'100'000), 110);
  EXPECT_EQ(EtaAfter(40, 2'100'000), 0) << "users write faster than the target applies";
}

TEST_F(TimeToCatchUp, IsEstimatedFromTheHeartbeatWhileTheBytesDoNotFall) {
  EXPECT_EQ(EtaAfter(0, 1'000'000, 300), 0) << "one look tells nothing";
  EXPECT_EQ(EtaAfter(10, 1'000'000, 250), 50) << "nothing is confirmed yet";
  EXPECT_EQ(EtaAfter(20, 9'000'000, 200), 40) << "the source writes much";
  EXPECT_GT(EtaAfter(30, 9'000'000, 210), 40) << "nor does it come closer";
}

// A busy subscriber confirms what it has applied every 30 seconds only.
TEST_F(TimeToCatchUp, IsEstimatedWithoutLeapsWhenTheLagFallsByLeaps) {
  int64_t lag = 6'000'000, before = 0;
  EtaAfter(0, lag);
  for (int second = 5; second <= 300; second += 5) {
    if (second % 30 == 0) lag -= 300'000;
    const int64_t eta = EtaAfter(second, lag);
    if (second > 150) {
      ASSERT_GT(eta, 0) << second;
      EXPECT_LT(std::abs(eta - before), before / 2) << second;
      const auto truly = lag / 10'000;
      EXPECT_GT(eta, truly / 2) << second;
      EXPECT_LT(eta, truly * 2) << second;
    }
    before = eta;
  }
}

TEST_F(TimeToCatchUp, IsEstimatedNoLongerOnceTheDoorsMayCloseOrThePhaseIsOver) {
  EtaAfter(0, 1'000'000);
  EXPECT_EQ(EtaAfter(10, 900'000), 90);
  EXPECT_EQ(EtaAfter(20, 0), 0);
  EtaAfter(30, 1'000'000);
  EXPECT_EQ(EtaAfter(40, 900'000), 90);
  EXPECT_EQ(EtaAfter(41, 0, {}, Plan::Go(Guard::kCaughtUp)), 0) << "between two notes of the lag";
}

TEST_F(TimeToCatchUp, IsNotedEveryFewSecondsOnly) {
  EtaAfter(0, 1'000'000);
  EXPECT_EQ(EtaAfter(10, 900'000), 90);
  const api::TenantMigrationStatus noted = migration_.status;
  EXPECT_EQ(EtaAfter(14, 600'000), 90);
  EXPECT_EQ(migration_.status, noted) << "every write of the status wakes all who watch";
}

TEST(Status, DoorsThatWereClosedInVainStayOpenTwiceAsLongEachTimeUpToTenMinutes) {
  api::TenantMigration migration = MigrationIn(Phase::kCatchingUp);
  migration.spec.strategy = api::Strategy::kOnline;
  int second = 0;
  for (const int pause_seconds : {30, 60, 120, 240, 480, 600, 600, 600}) {
    migration.status.phase = Phase::kAwaitingCutover;
    migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(++second));
    migration.status.phase = Phase::kUndoing;
    migration.status = After(migration, Plan::Go(Guard::kCutoverUndone), At(++second));
    EXPECT_EQ(migration.status.phase, Phase::kCatchingUp);
    EXPECT_EQ(migration.status.cutover.retry_at, At(second + pause_seconds).now);
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

TEST(Status, WhatUsersWaitedInTriesThatWereUndoneIsKeptAndSaid) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  api::CutoverStatus& cutover = migration.status.cutover;
  int second = 0;
  const auto close_and_open_after = [&](std::chrono::milliseconds pause) {
    migration.status.phase = Phase::kAwaitingCutover;
    migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(second += 100));
    EXPECT_EQ(cutover.write_pause_milliseconds, 0) << "that was another try's";
    migration.status.phase = Phase::kAdmitting;
    Observation seen = At(second);
    seen.now += pause;
    seen.routes = RouteFacts{.at_maintenance = false, .as_recorded = true, .detail = ""};
    migration.status = After(migration, Plan::Do(Intent::kRestoreRoutes, "letting in"), seen);
  };
  close_and_open_after(std::chrono::seconds(65));
  EXPECT_EQ(cutover.earlier_pause_milliseconds, 0);
  close_and_open_after(std::chrono::seconds(66));
  close_and_open_after(std::chrono::milliseconds(640));
  EXPECT_EQ(cutover.write_pause_milliseconds, 640);
  EXPECT_EQ(cutover.earlier_pause_milliseconds, 131'000);
  migration.status.phase = Phase::kCompleting;
  EXPECT_THAT(
      After(migration, Plan::Go(Guard::kCleanedUp)).message,
      ::testing::HasSubstr("doors closed for 640 ms, and for 2m11s before, when the cutover "
                           "was undone"));
}

TEST(Status, WithAPoolerThePauseIsWhatItsClientsWaited) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(10));
  Observation seen = At(13);
  PoolerFacts poolers{.paused = true, .resumed = false, .since = At(12).now, .detail = ""};
  poolers.tried_since = poolers.since;
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

TEST(Status, APoolerThatCouldNotBePausedHadItsClientsWaitForThatAndNotForTheReadingBefore) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.switch_mode = api::SwitchMode::kPooler;
  migration.status = After(migration, Plan::Go(Guard::kDoorsMayClose), At(10));
  migration.status = After(migration, Plan::Undo("PoolerNotPaused", "held by somebody"), At(10));
  Observation seen = At(33);
  seen.source = testing::Database(ControlState::kOpen, false);
  PoolerFacts poolers{.paused = false, .resumed = true, .since = At(32).now, .detail = ""};
  poolers.tried_since = At(30).now;
  seen.poolers = poolers;
  migration.status = After(migration, Plan::Do(Intent::kOutdateRequests, "outdating"), seen);
  EXPECT_EQ(migration.status.cutover.write_pause_milliseconds, 2000);
}

}  // namespace
}  // namespace cutover::migration
