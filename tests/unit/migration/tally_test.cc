// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/tally.h"

#include <gtest/gtest.h>

#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::CheckResult;
using api::Phase;
using std::chrono::milliseconds;
using testing::At;
using testing::MigrationIn;
using testing::Noon;

CheckOutcome Outcome(Verdict verdict, int64_t latency_milliseconds = -1) {
  CheckOutcome outcome;
  outcome.name = "login-page";
  outcome.verdict = verdict;
  outcome.message = verdict == Verdict::kPassed ? "as expected" : "answered 502";
  if (latency_milliseconds >= 0) outcome.latency = milliseconds(latency_milliseconds);
  outcome.samples = kLatencySamples;
  return outcome;
}

/// A migration in Hypercare with one http check, whose defaults are the schema's.
api::TenantMigration Watched() {
  api::TenantMigration migration = MigrationIn(Phase::kHypercare);
  api::Check check;
  check.name = "login-page";
  check.http = api::HttpCheck{};
  check.when = {api::CheckWhen::kHypercare};
  migration.spec.checks = {check};
  return migration;
}

/// Counts one run, `seconds` after noon, into the migration's status.
const api::CheckStatus& CountRun(api::TenantMigration& migration, int seconds,
                                 CheckOutcome outcome) {
  Observation seen = At(seconds);
  seen.checks = std::vector<CheckOutcome>{std::move(outcome)};
  migration.status.checks = CountRuns(migration, seen);
  return migration.status.checks.at(0);
}

TEST(Tally, FailuresAddUpUntilOnePassesAndOnlyThoseInARow) {
  api::TenantMigration migration = Watched();
  CountRun(migration, 0, Outcome(Verdict::kFailed));
  const api::CheckStatus twice = CountRun(migration, 60, Outcome(Verdict::kFailed));
  EXPECT_EQ(twice.consecutive_failures, 2);
  EXPECT_EQ(twice.runs, 2);
  EXPECT_EQ(twice.failing_since, Noon());
  EXPECT_EQ(twice.last_run_at, Noon() + std::chrono::seconds(60));
  const api::CheckStatus well = CountRun(migration, 120, Outcome(Verdict::kPassed));
  EXPECT_EQ(well.consecutive_failures, 0);
  EXPECT_FALSE(well.failing_since);
  EXPECT_EQ(well.result, CheckResult::kPassed);
  EXPECT_EQ(CountRun(migration, 180, Outcome(Verdict::kFailed)).consecutive_failures, 1);
}

TEST(Tally, HasFailedAtItsThresholdAndNotOneBelow) {
  api::TenantMigration migration = Watched();
  for (int run = 1; run <= 15; ++run)
    EXPECT_FALSE(HasFailed(CountRun(migration, 60 * run, Outcome(Verdict::kFailed)))) << run;
  const api::CheckStatus& failed = CountRun(migration, 60 * 16, Outcome(Verdict::kFailed));
  EXPECT_TRUE(HasFailed(failed));
  EXPECT_EQ(*failed.last_run_at - *failed.failing_since, std::chrono::minutes(15))
      << "unreachable for 15 minutes is what the runbooks ask for";
}

TEST(Tally, ARunIsCountedOnceHoweverOftenItIsLookedAt) {
  api::TenantMigration migration = Watched();
  CountRun(migration, 0, Outcome(Verdict::kFailed));
  EXPECT_EQ(CountRun(migration, 0, Outcome(Verdict::kFailed)).consecutive_failures, 1);
  EXPECT_EQ(CountRun(migration, 0, Outcome(Verdict::kFailed)).runs, 1);
}

TEST(Tally, GoesOnFromWhatAnotherProcessHasWritten) {
  api::TenantMigration before = Watched();
  for (int run = 0; run < 14; ++run) CountRun(before, 60 * run, Outcome(Verdict::kFailed));
  Json stored = Json::Object({{"apiVersion", api::kApiVersion}, {"kind", "TenantMigration"}});
  stored.Set("metadata", Json::Object({{"name", "move"}}));
  stored.Set("spec", *Json::Parse(R"({"placementRef":{"name":"acme"},
      "target":{"serverName":"pg"},"backup":{"mode":"Skip"}})"));
  stored.Set("status", api::EncodeStatus(before.status));
  auto after = api::DecodeTenantMigration(stored);
  ASSERT_TRUE(after) << after.error().message;
  after->spec = before.spec;
  const api::CheckStatus& next = CountRun(*after, 60 * 14, Outcome(Verdict::kFailed));
  EXPECT_EQ(next.consecutive_failures, 15);
  EXPECT_EQ(next.failing_since, Noon());
}

TEST(Tally, WhatIsUnknownNeitherFailsACheckNorClearsIt) {
  api::TenantMigration migration = Watched();
  CountRun(migration, 0, Outcome(Verdict::kFailed));
  const api::CheckStatus& unknown = CountRun(migration, 60, Outcome(Verdict::kUnknown));
  EXPECT_EQ(unknown.result, CheckResult::kUnknown);
  EXPECT_EQ(unknown.consecutive_failures, 1);
  EXPECT_EQ(unknown.runs, 1) << "it came to no result";
  EXPECT_EQ(unknown.last_run_at, Noon() + std::chrono::seconds(60)) << "asked again in its time";
}

TEST(Tally, AJobThatHasNotEndedIsNoRunYet) {
  api::TenantMigration migration = Watched();
  Observation seen = At(0);
  seen.checks =
      std::vector<CheckOutcome>{Outcome(Verdict::kNotStarted), Outcome(Verdict::kRunning)};
  EXPECT_TRUE(CountRuns(migration, seen).empty());
}

TEST(Tally, ACheckIsDueAnIntervalAfterItsLastRunAndNotSooner) {
  std::vector<api::CheckStatus> checks;
  EXPECT_TRUE(IsDue(checks, "login-page", 60, Noon())) << "it has never run";
  checks.emplace_back();
  checks[0].name = "login-page";
  EXPECT_TRUE(IsDue(checks, "login-page", 60, Noon())) << "its baseline is all that is known";
  checks[0].last_run_at = Noon();
  EXPECT_FALSE(IsDue(checks, "login-page", 60, Noon() + milliseconds(59'999)));
  EXPECT_TRUE(IsDue(checks, "login-page", 60, Noon() + milliseconds(60'000)));
  EXPECT_TRUE(IsDue(checks, "login-page", 60, Noon() - std::chrono::hours(1)))
      << "a clock that was set back must not keep it from running";
}

struct Slow {
  int64_t baseline, latency;
  int percent, bound;
  CheckResult result;
  const char* reason;
};

TEST(Tally, AnAnswerThatTakesTooLongIsAFailure) {
  for (const Slow& row : {
           Slow{40, 60, 50, 0, CheckResult::kPassed, "exactly half as slow again"},
           Slow{40, 61, 50, 0, CheckResult::kFailed, "one millisecond more"},
           Slow{40, 61, 53, 0, CheckResult::kPassed, "53 % are 61.2 ms"},
           Slow{40, 400, 0, 0, CheckResult::kPassed, "0 compares nothing"},
           Slow{1, 6, 50, 0, CheckResult::kPassed, "five milliseconds are noise"},
           Slow{1, 7, 50, 0, CheckResult::kFailed, "six are not"},
           Slow{0, 5, 50, 0, CheckResult::kPassed, "less than a millisecond before the move"},
           Slow{0, 6, 50, 0, CheckResult::kFailed, "as above"},
           Slow{40, 50, 50, 50, CheckResult::kPassed, "exactly the bound"},
           Slow{40, 51, 50, 50, CheckResult::kFailed, "above the bound, below the percentage"},
           Slow{-1, 9'999, 50, 0, CheckResult::kPassed, "no baseline was taken"},
           Slow{-1, 9'999, 50, 9'998, CheckResult::kFailed, "the bound needs none"},
       }) {
    api::TenantMigration migration = Watched();
    migration.spec.checks[0].max_latency_over_baseline_percent = row.percent;
    migration.spec.checks[0].max_latency_milliseconds = row.bound;
    if (row.baseline >= 0) {
      migration.status.checks.emplace_back();
      migration.status.checks[0].name = "login-page";
      migration.status.checks[0].baseline_milliseconds = row.baseline;
    }
    const api::CheckStatus& run = CountRun(migration, 0, Outcome(Verdict::kPassed, row.latency));
    EXPECT_EQ(run.result, row.result) << row.reason;
    EXPECT_EQ(run.latency_milliseconds, row.latency) << row.reason;
    EXPECT_EQ(run.consecutive_failures, row.result == CheckResult::kFailed ? 1 : 0) << row.reason;
  }
}

TEST(Tally, SaysWhatItHasComparedWithWhat) {
  api::TenantMigration migration = Watched();
  migration.status.checks.emplace_back();
  migration.status.checks[0].name = "login-page";
  migration.status.checks[0].baseline_milliseconds = 40;
  EXPECT_EQ(Describe(CountRun(migration, 0, Outcome(Verdict::kPassed, 61))),
            "check login-page: as expected in 61 ms, median of 5, and in 40 ms before the move: "
            "slower by more than 50 % (failed once, at " +
                FormatTime(Noon()) + ", of 16)");
}

TEST(Baselines, AreKeptOfWhatPassedBeforeTheMove) {
  api::TenantMigration migration = Watched();
  migration.status.phase = Phase::kPreflight;
  EXPECT_TRUE(LacksBaseline(migration.status.checks, migration.spec.checks[0]));
  Observation seen = At(0);
  seen.baselines = std::vector<CheckOutcome>{Outcome(Verdict::kFailed, 7)};
  EXPECT_TRUE(NoteBaselines(migration, seen).empty()) << "an error page is quickly made";
  seen.baselines = std::vector<CheckOutcome>{Outcome(Verdict::kPassed, 40)};
  migration.status.checks = NoteBaselines(migration, seen);
  EXPECT_EQ(migration.status.checks.at(0).baseline_milliseconds, 40);
  EXPECT_EQ(migration.status.checks.at(0).runs, 0) << "it is no run of Hypercare";
  EXPECT_FALSE(LacksBaseline(migration.status.checks, migration.spec.checks[0]));
}

TEST(Baselines, AreWantedOnlyWhereSomethingIsComparedWithThem) {
  api::Check check = Watched().spec.checks[0];
  EXPECT_TRUE(LacksBaseline({}, check));
  check.max_latency_over_baseline_percent = 0;
  EXPECT_FALSE(LacksBaseline({}, check)) << "nothing is compared";
  check = Watched().spec.checks[0];
  check.when = {api::CheckWhen::kSmoke};
  EXPECT_FALSE(LacksBaseline({}, check)) << "it does not run in Hypercare";
  check = Watched().spec.checks[0];
  check.http.reset();
  check.job = api::JobCheck{"acceptance"};
  EXPECT_FALSE(LacksBaseline({}, check)) << "a Job's time is that of its pod";
}

}  // namespace
}  // namespace cutover::migration
