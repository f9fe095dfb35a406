// SPDX-License-Identifier: Apache-2.0
#include "cli/view/status_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/view/status_document.h"
#include "tests/unit/cli/golden.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::CheckResult;
using api::Phase;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace cutover::cli::testing;

class StatusOfPhase : public ::testing::TestWithParam<Phase> {};

std::string GoldenName(Phase phase) { return "status-" + std::string(Name(phase)) + ".txt"; }

TEST_P(StatusOfPhase, ReadsAsItsGoldenFile) {
  const std::string page = RenderStatus(Seen(Typical(GetParam())), Style{});
  EXPECT_EQ(CompareWithGolden(GoldenName(GetParam()), page), "");
}

TEST_P(StatusOfPhase, SaysTheSameWithColoursAndInAscii) {
  const Snapshot seen = Seen(Typical(GetParam()));
  std::string coloured = RenderStatus(seen, Style{true, true, 100});
  const std::string plain = RenderStatus(seen, Style{});
  for (size_t at; (at = coloured.find("\033[")) != std::string::npos;)
    coloured.erase(at, coloured.find('m', at) - at + 1);
  EXPECT_EQ(coloured, plain);
  for (const char c : RenderStatus(seen, Style{false, false, 100}))
    ASSERT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7F));
}

INSTANTIATE_TEST_SUITE_P(EveryPhase, StatusOfPhase, ::testing::ValuesIn(AllPhases()),
                         [](const auto& phase) { return std::string(Name(phase.param)); });

TEST(StatusPage, ANarrowTerminalBreaksSentencesAndLosesNoWord) {
  const Snapshot seen = Seen(Typical(Phase::kRolledBack));
  const std::string narrow = RenderStatus(seen, Style{false, true, 60});
  EXPECT_THAT(narrow,
              HasSubstr("The tenant was moved, and was moved back to the\n            source."));
}

TEST(StatusPage, WhatMayNotBeReadIsSaidAndNotTakenForAbsent) {
  Snapshot seen = Seen(Typical(Phase::kCopying));
  seen.source = RetryError("Forbidden", "servers are not for you");
  seen.target = std::optional<api::DatabaseServer>();
  const std::string page = RenderStatus(seen, Style{});
  EXPECT_THAT(page, HasSubstr("pg-shared: cannot be read (Forbidden)"));
  EXPECT_THAT(page, HasSubstr("pg-dedicated: does not exist"));
}

TEST(StatusPage, TerminalsObeyNothingThatAStatusQuotes) {
  api::TenantMigration migration = Typical(Phase::kCopying);
  migration.status.message =
      "evil \033[2J\033]0;title\007 \xC2\x9B"
      "2J text\nnext";
  const std::string page = RenderStatus(Seen(migration), Style{});
  EXPECT_THAT(page, Not(HasSubstr("\033")));
  EXPECT_THAT(page, Not(HasSubstr("\xC2\x9B")));
  EXPECT_THAT(page, HasSubstr("text next"));
}

TEST(StatusPage, APhaseOfANewerOperatorIsShownWithAllTheRest) {
  Json object = ObjectOf(Typical(Phase::kCopying));
  object.MutableAt("status").Set("phase", "Teleporting");
  Snapshot seen = Seen(Typical(Phase::kCopying));
  seen.migration = ViewOf(object);
  const std::string page = RenderStatus(seen, Style{});
  EXPECT_THAT(page, HasSubstr("Phase Teleporting, which this plugin does not know"));
  EXPECT_THAT(page, HasSubstr("512/596 MB"));
}

TEST(StatusPage, ShowsHowFarTheTargetIsBehind) {
  const std::string page = RenderStatus(Seen(Typical(Phase::kCatchingUp)), Style{});
  EXPECT_THAT(page, HasSubstr("12.4 MB, 3s behind"));
}

TEST(StatusPage, ShowsHowLongCatchingUpTakesYet) {
  api::TenantMigration migration = Typical(Phase::kCatchingUp);
  migration.status.progress.eta_seconds = 95;
  EXPECT_THAT(RenderStatus(Seen(migration), Style{}), HasSubstr("behind, about 1m35s left"));
}

constexpr char kFast[] = "as expected in 3 ms, median of 5, and in 2 ms before the move";

api::TenantMigration Watched(std::vector<api::CheckStatus> checks) {
  api::TenantMigration migration = Typical(Phase::kHypercare);
  migration.status.checks = std::move(checks);
  return migration;
}

// In lines that are not broken.
std::string PageOf(const api::TenantMigration& migration) {
  return RenderStatus(Seen(migration), Style{false, true, 1000});
}

TEST(StatusPage, ListsEveryCheckWithItsCountItsTimeAndItsWords) {
  api::CheckStatus waiting;
  waiting.name = "acceptance";
  api::TenantMigration migration = Watched(
      {CheckThat("login-page", CheckResult::kFailed, 3, "answered 502, expected 200"),
       CheckThat("companies", CheckResult::kPassed, 0, kFast),
       CheckThat("errors", CheckResult::kUnknown, 0, "Prometheus could not be reached"), waiting});
  GoOn(
      migration, "Hypercare",
      "users are in; watching until 2026-11-21T03:13:23Z; check login-page: answered 502, expected "
      "200 (failed 3 times in a row since 2026-11-21T03:03:33Z, of 16)",
      true);
  EXPECT_EQ(CompareWithGolden("status-checks.txt", RenderStatus(Seen(migration), Style{})), "");
}

TEST(StatusPage, DoesNotSayThatUsersAreInADatabaseThatIsGone) {
  api::TenantMigration migration = Watched({});
  GoOn(migration, "TargetGone", "the tenant's database is no longer on server pg-dedicated", true);
  EXPECT_THAT(PageOf(migration),
              AllOf(HasSubstr("cannot work: their database is no longer on pg-dedicated"),
                    Not(HasSubstr("let in on"))));
}

TEST(StatusPage, SaysThatAFailedCheckHoldsTheMigrationOrTakesItBackAsTheSpecHasIt) {
  api::TenantMigration migration =
      Watched({CheckThat("login-page", CheckResult::kFailed, 16, "answered 502")});
  EXPECT_THAT(PageOf(migration), HasSubstr("login-page has failed. The migration holds for you."));
  migration.spec.strategy = api::Strategy::kOnline;
  migration.spec.on_failed_checks = api::OnFailedChecks::kRollback;
  EXPECT_THAT(PageOf(migration), HasSubstr("login-page has failed. The tenant goes back"));
}

TEST(StatusPage, CountsTheRunsThatAreLeftUntilACheckHasFailed) {
  const api::TenantMigration migration =
      Watched({CheckThat("login-page", CheckResult::kFailed, 14, "answered 502"),
               CheckThat("companies", CheckResult::kFailed, 15, "f")});
  EXPECT_THAT(PageOf(migration), HasSubstr("login-page and 1 more fail."));
  EXPECT_THAT(PageOf(migration), HasSubstr("after 1 more failure of companies in a row"));
}

TEST(StatusPage, ACheckThatBecameUnknownStillHasItsFailures) {
  const std::string page =
      PageOf(Watched({CheckThat("errors", CheckResult::kUnknown, 15, "no answer")}));
  EXPECT_THAT(page, HasSubstr("? errors  unknown 12s ago, 15 times in a row (16 are too many)"));
  EXPECT_THAT(page, HasSubstr("after 1 more failure of errors in a row"));
}

TEST(StatusPage, NothingFollowsFromChecksThatPassOrThatAreHistory) {
  api::TenantMigration migration =
      Watched({CheckThat("companies", CheckResult::kPassed, 0, kFast)});
  EXPECT_THAT(PageOf(migration), Not(HasSubstr("companies found")));
  EXPECT_THAT(PageOf(migration), Not(HasSubstr(" fail")));
  migration = Typical(Phase::kRolledBack);
  migration.status.checks = {CheckThat("login-page", CheckResult::kFailed, 16, "answered 502")};
  EXPECT_THAT(PageOf(migration), HasSubstr("16 times in a row"));
  EXPECT_THAT(PageOf(migration), Not(HasSubstr("has failed.")));
}

TEST(StatusPage, BaselinesAloneAreNoChecksYet) {
  api::CheckStatus measured;
  measured.name = "login-page";
  measured.baseline_milliseconds = 40;
  EXPECT_THAT(PageOf(Watched({measured})), Not(HasSubstr("Checks")));
  EXPECT_THAT(PageOf(Watched({measured, CheckThat("b", CheckResult::kPassed, 0, kFast)})),
              HasSubstr("login-page  not run yet; 40 ms before the move"));
}

TEST(StatusDocument, HasTheChecksForPrograms) {
  const Json document = StatusDocument(
      Seen(Watched({CheckThat("login-page", CheckResult::kFailed, 3, "answered 502")})));
  const Json& check = document["checks"][size_t{0}];
  EXPECT_EQ(check["name"].AsString(), "login-page");
  EXPECT_EQ(check["result"].AsString(), "Failed");
  EXPECT_EQ(check["consecutiveFailures"].AsInt(), 3);
  EXPECT_EQ(check["message"].AsString(), "answered 502");
  EXPECT_EQ(check["lastRunAt"].AsString(), "2026-11-21T03:03:53Z");
}

TEST(StatusList, PutsWhatNeedsSomebodyFirst) {
  std::vector<MigrationView> migrations;
  for (Phase phase : {Phase::kCompleted, Phase::kFailed, Phase::kCopying, Phase::kAwaitingCutover,
                      Phase::kPreflight}) {
    api::TenantMigration migration = Typical(phase);
    migration.meta.name = "move-" + std::to_string(migrations.size() + 1);
    if (phase == Phase::kPreflight)
      GoOn(migration, "Preflight", "pg-dedicated cannot be reached", true);
    migrations.push_back(ViewOf(ObjectOf(migration)));
  }
  EXPECT_EQ(CompareWithGolden("status-list.txt", RenderList(migrations, Night(), false, false)),
            "");
  EXPECT_EQ(CompareWithGolden("status-list-wide.txt", RenderList(migrations, Night(), true, true)),
            "");
}

TEST(StatusLine, ChangesWithWhatThePipelineShallLog) {
  EXPECT_EQ(RenderLine(Seen(Typical(Phase::kCopying))),
            "Copying 85%: copying 512/596 MB, 377 of 412 tables");
  EXPECT_THAT(RenderLine(Seen(Typical(Phase::kFailed))), HasSubstr("[not moved]"));
}

}  // namespace
}  // namespace cutover::cli
