// SPDX-License-Identifier: Apache-2.0
#include "cli/view/assessment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/view/command.h"
#include "cli/view/phases.h"
#include "cli/view/words.h"
#include "operator/api/waits_for_person.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using namespace cutover::cli::testing;

std::vector<std::string> Commands(const Assessment& assessment) {
  std::vector<std::string> commands;
  for (const Advice& advice : assessment.advice) commands.push_back(advice.command);
  return commands;
}

bool Offers(const Assessment& assessment, const std::string& verb) {
  const auto commands = Commands(assessment);
  return std::any_of(commands.begin(), commands.end(), [&](const std::string& command) {
    return command.find("kubectl cutover " + verb + " ") == 0;
  });
}

TEST(Assess, AnApprovalThatIsAwaitedIsTheFirstThingOffered) {
  const Assessment assessment = Assess(Seen(Typical(Phase::kAwaitingCutover)));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_THAT(assessment.stuck, StartsWith("It has waited for you"));
  EXPECT_EQ(assessment.advice.front().command, "kubectl cutover approve acme-to-dedicated -n acme");
  EXPECT_TRUE(assessment.advice.front().awaited);
}

TEST(Assess, EveryReasonThatWaitsForAPersonAsksOne) {
  for (const api::WaitForPerson& wait : api::kWaitsForPerson) {
    api::TenantMigration migration = Typical(Phase::kHypercare);
    GoOn(migration, std::string(wait.reason), "words", true);
    const Assessment assessment = Assess(Seen(migration));
    EXPECT_EQ(assessment.health, Health::kAsksYou) << wait.reason;
    EXPECT_THAT(assessment.stuck, HasSubstr(std::string(wait.task))) << wait.reason;
  }
}

TEST(Assess, AWaitAndATroubleAreAsOldAsTheyAreAndNotAsTheirPhase) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.status.stages.back().started_at = Night() - seconds(86400);
  GoOn(migration, "AwaitingApproval", "ready to close the doors");
  migration.status.reason_since = Night() - seconds(12);
  EXPECT_THAT(Assess(Seen(migration)).stuck, StartsWith("It has waited for you for 12s: approve"));
  GoOn(migration, "Unreachable", "pg-shared cannot be reached", true);
  migration.status.reason_since = Night() - seconds(300);
  EXPECT_THAT(Assess(Seen(migration)).stuck, HasSubstr("something has been wrong for 5m"));
}

TEST(Assess, WhatAnOlderOperatorHasRecordedIsNotSaidToHaveAnAge) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.status.reason_since.reset();
  EXPECT_THAT(Assess(Seen(migration)).stuck, StartsWith("It waits for you: approve"));
  GoOn(migration, "Unreachable", "pg-shared cannot be reached", true);
  migration.status.reason_since.reset();
  EXPECT_THAT(Assess(Seen(migration)).stuck, StartsWith("Perhaps: something is wrong, and"));
}

TEST(Assess, NoSentenceOfWhatGoesOnSoundsAsIfItWereDone) {
  for (Phase phase : {Phase::kPreflight, Phase::kBackingUp, Phase::kPreparing, Phase::kFencing,
                      Phase::kCopying, Phase::kFinalizing, Phase::kVerifying, Phase::kSwitching,
                      Phase::kOpening, Phase::kAdmitting, Phase::kUndoing})
    EXPECT_THAT(Assess(Seen(Typical(phase))).now, HasSubstr(" being ")) << Name(phase);
}

TEST(Assess, WhoeverIsShutOutByACopyIsToldHowMuchOfItIsLeft) {
  EXPECT_THAT(Assess(Seen(Typical(Phase::kCopying))).users,
              HasSubstr("about 7s of copying are left"));
  EXPECT_THAT(Assess(Seen(Typical(Phase::kVerifying))).users, Not(HasSubstr("copying")));
}

TEST(Assess, TheRetryIsOfferedAsACommandAndNotAsAnAnnotation) {
  const Assessment assessment = Assess(Seen(Typical(Phase::kFailed)));
  EXPECT_EQ(assessment.cause, "Why: CopyFailed, the target's disk is full.");
  EXPECT_EQ(assessment.words, "") << "they would only repeat it";
  EXPECT_TRUE(Offers(assessment, "retry"));
  api::TenantMigration silent = Typical(Phase::kFailed);
  silent.status.failure_reason.clear();
  EXPECT_EQ(Assess(Seen(silent)).words,
            "failed, everything is as it was: the target's disk is full");
}

TEST(Assess, AWindowIsNoReasonToCallAnybody) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.spec.window_start = Night() + seconds(3600);
  migration.spec.window_end = Night() + seconds(7200);
  GoOn(migration, "AwaitingWindow", "waiting for the window");
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kGood);
  EXPECT_THAT(assessment.stuck, HasSubstr("2026-11-21T04:04:05Z (in 1h00m)"));
  EXPECT_FALSE(Offers(assessment, "approve"));
}

TEST(Assess, WhatIsTriedAgainIsTroubleAndNotAnEnd) {
  api::TenantMigration migration = Typical(Phase::kFencing);
  GoOn(migration, "Unreachable", "pg-shared cannot be reached", true);
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kTrouble);
  EXPECT_EQ(assessment.words, "pg-shared cannot be reached");
  EXPECT_TRUE(Offers(assessment, "logs"));
}

TEST(Assess, ACopyWithoutAWordForAMinuteMayBeStuck) {
  api::TenantMigration migration = Typical(Phase::kCopying);
  EXPECT_EQ(Assess(Seen(migration)).health, Health::kGood);
  migration.status.progress.updated_at = Night() - seconds(61);
  EXPECT_EQ(Assess(Seen(migration)).health, Health::kTrouble);
}

TEST(Assess, ACopyThatIsNeverHeardOfMayBeStuck) {
  api::TenantMigration migration = Typical(Phase::kCopying);
  migration.status.progress.updated_at.reset();
  EXPECT_EQ(Assess(Seen(migration)).health, Health::kGood) << "it was ordered 42 seconds ago";
  migration.status.stages.back().started_at = Night() - seconds(90);
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kTrouble);
  EXPECT_THAT(assessment.stuck, HasSubstr("nothing has been heard of the copy"));
}

TEST(Assess, APodThatCannotStartWaitsForSomebodyToMendIt) {
  api::TenantMigration migration = Typical(Phase::kCopying);
  GoOn(migration, "PodCannotStart", "Pod cutover-system/copy cannot start: its image", true);
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_THAT(assessment.stuck, HasSubstr("mend what keeps the pod from starting"));
  EXPECT_EQ(assessment.words, "Pod cutover-system/copy cannot start: its image");
}

TEST(Assess, WithoutALeadingOperatorNothingGoesOn) {
  Snapshot seen = Seen(Typical(Phase::kCopying));
  (*seen.lease)->renewed_at = Night() - seconds(26);
  EXPECT_EQ(Assess(seen).health, Health::kTrouble);
  EXPECT_THAT(Assess(seen).stuck, HasSubstr("last renewed 26s ago"));
  (*seen.lease)->renewed_at = Night() - seconds(24);
  EXPECT_EQ(Assess(seen).health, Health::kGood);
  // What may not be read proves nothing.
  seen.lease = RetryError("Forbidden", "not for you");
  EXPECT_EQ(Assess(seen).health, Health::kGood);
}

TEST(Assess, AnObjectThatNobodyTakesUpIsReportedAfterHalfAMinute) {
  api::TenantMigration migration = Typical(Phase::kPending);
  Json object = ObjectOf(migration);
  object.Remove("status");
  Snapshot seen = Seen(migration);
  seen.migration = ViewOf(object);
  EXPECT_EQ(Assess(seen).health, Health::kTrouble);
  seen.now = *migration.meta.creation_timestamp + seconds(5);
  (*seen.lease)->renewed_at = seen.now;
  EXPECT_EQ(Assess(seen).health, Health::kGood);
}

TEST(Assess, AbortIsOfferedExactlyBeforeTheJournal) {
  for (Phase phase : AllPhases()) {
    const bool before = StretchOf(std::string(Name(phase)), false) == Stretch::kBeforeJournal;
    EXPECT_EQ(Offers(Assess(Seen(Typical(phase))), "abort"), before) << Name(phase);
  }
}

TEST(Assess, ARollbackThatLosesNothingIsOfferedPlainlyAndOneThatDoesSaysSo) {
  EXPECT_THAT(Commands(Assess(Seen(Typical(Phase::kSmoke)))),
              Contains("kubectl cutover rollback acme-to-dedicated -n acme"));
  EXPECT_THAT(Commands(Assess(Seen(Typical(Phase::kHypercare)))),
              Contains("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss"));
  api::TenantMigration online = Typical(Phase::kHypercare);
  online.status.conditions.Set(
      {"RollbackReady", api::ConditionStatus::kTrue, "Following", "the source follows", 1, {}},
      Night());
  online.status.rollback.available_until = Night() + seconds(600);
  const Assessment assessment = Assess(Seen(online));
  EXPECT_THAT(Commands(assessment), Contains("kubectl cutover rollback acme-to-dedicated -n acme"));
  EXPECT_THAT(assessment.way_back, HasSubstr("until 2026-11-21T03:14:05Z (in 10m00s)"));
}

TEST(Assess, ARollbackToRowsThatDifferIsOfferedWithConsentOnly) {
  api::TenantMigration online = Typical(Phase::kHypercare);
  online.spec.strategy = api::Strategy::kOnline;
  online.status.conditions.Set({"RollbackReady",
                                api::ConditionStatus::kFalse,
                                "SampleDiffers",
                                "public.orders (id)=(42) differs",
                                1,
                                {}},
                               Night());
  online.status.rollback.sampled_at = Night() - seconds(30);
  online.status.rollback.sampled_rows = 5000;
  const Assessment assessment = Assess(Seen(online));
  EXPECT_THAT(Commands(assessment),
              Contains("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss"));
  EXPECT_THAT(assessment.way_back,
              HasSubstr("not without a loss: public.orders (id)=(42) differs"));
  EXPECT_THAT(assessment.way_back, HasSubstr("5000 rows compared so far, last 30s ago"));

  const MigrationView view = Seen(online).migration;
  EXPECT_THAT(Foresee(Command::kRollback, view, false, Night()).refusal,
              HasSubstr("public.orders (id)=(42) differs"));
  const Prospect accepted = Foresee(Command::kRollback, view, true, Night());
  EXPECT_EQ(accepted.refusal, "");
  EXPECT_TRUE(accepted.loses_writes);
}

TEST(Foresee, AWayBackThatIsShutKeepsNobodyOutAndIsGoneOverWithConsentOnly) {
  api::TenantMigration online = Typical(Phase::kHypercare);
  online.spec.strategy = api::Strategy::kOnline;
  online.status.conditions.Set({"RollbackReady",
                                api::ConditionStatus::kFalse,
                                "StreamBroken",
                                "the source cannot be asked",
                                1,
                                {}},
                               Night());
  const MigrationView view = Seen(online).migration;
  const Prospect waits = Foresee(Command::kRollback, view, false, Night());
  EXPECT_EQ(waits.refusal, "");
  EXPECT_FALSE(waits.loses_writes);
  EXPECT_THAT(waits.consequences, HasSubstr("(the source cannot be asked), and the users work on"));
  EXPECT_TRUE(Foresee(Command::kRollback, view, true, Night()).loses_writes);

  GoOn(online, "AwaitingWayBack", "going back waits", true);
  online.meta.annotations[api::kRollbackAnnotation] = "back";
  EXPECT_THAT(Commands(Assess(Seen(online))),
              Contains("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss"));
  EXPECT_THAT(Commands(Assess(Seen(online))),
              Contains("kubectl annotate tm acme-to-dedicated -n acme cutover.dev/rollback-"));
}

TEST(Assess, AWayBackThatIsGivenUpIsNotWaitedForAndTakesConsent) {
  api::TenantMigration online = Typical(Phase::kHypercare);
  online.spec.strategy = api::Strategy::kOnline;
  online.status.conditions.Set({"RollbackReady",
                                api::ConditionStatus::kFalse,
                                "WayBackGivenUp",
                                "the way back was given up",
                                1,
                                {}},
                               Night());
  EXPECT_THAT(Commands(Assess(Seen(online))),
              Contains("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss"));
  const MigrationView view = Seen(online).migration;
  EXPECT_THAT(Foresee(Command::kRollback, view, false, Night()).refusal,
              HasSubstr("the way back was given up"));
  const Prospect accepted = Foresee(Command::kRollback, view, true, Night());
  EXPECT_EQ(accepted.refusal, "");
  EXPECT_TRUE(accepted.loses_writes);
}

TEST(Assess, GoingBackIsSaidWithItsCauseAndOffersNothingButToLook) {
  for (Phase phase : {Phase::kUndoing, Phase::kRollingBack}) {
    const Assessment assessment = Assess(Seen(Typical(phase)));
    EXPECT_THAT(Commands(assessment),
                ElementsAre("kubectl cutover logs acme-to-dedicated -n acme"));
    EXPECT_THAT(assessment.cause, HasSubstr("Failed, "));
    EXPECT_THAT(assessment.next, HasSubstr("Users work on pg-shared again"));
  }
}

TEST(Assess, WhatComesByItselfIsSaidOfEachPhaseThatIsNotTheEnd) {
  for (Phase phase : AllPhases())
    EXPECT_EQ(Assess(Seen(Typical(phase))).next.empty(), IsEnd(Name(phase))) << Name(phase);
  api::TenantMigration migration = Typical(Phase::kPreparing);
  EXPECT_THAT(Assess(Seen(migration)).next,
              HasSubstr("Nobody is asked before the users are stopped"));
  migration.spec.approval = api::Approval::kManual;
  EXPECT_THAT(Assess(Seen(migration)).next, HasSubstr("asks for your approval"));
}

TEST(Assess, TheTriesThatWereUndoneCountAsWell) {
  api::TenantMigration migration = Typical(Phase::kCompleted);
  api::CutoverStatus& cutover = migration.status.cutover;
  cutover.write_pause_milliseconds = 600;
  EXPECT_THAT(Assess(Seen(migration)).users, EndsWith("shut out for 0.6s"));
  cutover.earlier_pause_milliseconds = 131'000;
  EXPECT_THAT(Assess(Seen(migration)).users,
              EndsWith("shut out for 0.6s, and for 2m11s before, when the cutover was undone"));
  migration = Typical(Phase::kVerifying);
  migration.status.cutover.earlier_pause_milliseconds = 131'000;
  EXPECT_THAT(Assess(Seen(migration)).users, HasSubstr(" (and for 2m11s before)"));
}

TEST(Assess, AFailedSmokeTestWithoutAWayBackMayBeApprovedToStay) {
  api::TenantMigration migration = Typical(Phase::kHypercare);
  EXPECT_NE(Foresee(Command::kApprove, Seen(migration).migration, false, Night()).refusal, "");
  GoOn(migration, "SmokeFailedNoWayBack", "the smoke test had failed", true);
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_EQ(assessment.advice.front().command, "kubectl cutover approve acme-to-dedicated -n acme");
  EXPECT_EQ(Foresee(Command::kApprove, Seen(migration).migration, false, Night()).refusal, "");
}

TEST(Assess, WhileGoingBackUsersAreSaidToBeWhereTheyAre) {
  api::TenantMigration migration = Typical(Phase::kRollingBack);
  const auto users = [&] { return Assess(Seen(migration)).users; };
  api::CutoverStatus& cutover = migration.status.cutover;
  api::RollbackStatus& rollback = migration.status.rollback;
  EXPECT_THAT(users(), StartsWith("kept out until the source is open again (for "));
  EXPECT_THAT(users(), HasSubstr(FormatSpan(Night() - *cutover.fenced_at)))
      << "since the cutover, and not since going back began";

  cutover.opened_at = Night();
  cutover.write_pause_milliseconds = 61'000;
  EXPECT_EQ(users(), "work on pg-shared again; they were shut out for 1m01s")
      << "the smoke test failed, and what is left waits for a server that is away";

  cutover.opened_at = *migration.status.stages.back().started_at - seconds(300);
  EXPECT_EQ(users(), "work on pg-dedicated until the doors close to go back to pg-shared");
  rollback.fenced_at = Night() - seconds(7);
  EXPECT_EQ(users(), "kept out until the source is open again (for 7s so far)");
  rollback.opened_at = Night();
  rollback.write_pause_milliseconds = 7'000;
  EXPECT_EQ(users(), "work on pg-shared again; they were shut out for 7.0s");
}

TEST(Assess, ALostStreamBackAsksForConsentAndNothingElse) {
  api::TenantMigration migration = Typical(Phase::kRollingBack);
  GoOn(migration, "NoWayBack", "the stream back to the source is gone");
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_THAT(Commands(assessment),
              ElementsAre("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss",
                          "kubectl cutover logs acme-to-dedicated -n acme"));
}

TEST(Assess, AHeldStreamWaitsForAPersonAlthoughItIsLookedAtAgain) {
  for (const char* reason : {"SchemaChanged", "ApplyFails"}) {
    api::TenantMigration migration = Typical(Phase::kCatchingUp);
    GoOn(migration, reason, "holding: …", true);
    EXPECT_EQ(Assess(Seen(migration)).health, Health::kAsksYou) << reason;
    EXPECT_TRUE(Offers(Assess(Seen(migration)), "abort")) << reason;
  }
}

TEST(Foresee, ConsentToALossIsGivenWithTheTokenThatStands) {
  api::TenantMigration migration = Typical(Phase::kRollingBack);
  GoOn(migration, "NoWayBack", "the stream back to the source is gone");
  migration.status.handled.rollback = "t0";
  const auto foresee = [&] {
    return Foresee(Command::kRollback, Seen(migration).migration, true, Night());
  };
  EXPECT_EQ(foresee().standing_token, "") << "another rollback's token accepts nothing";
  migration.status.rollback.token = "t1";
  const MigrationView view = Seen(migration).migration;
  const Prospect prospect = foresee();
  EXPECT_EQ(prospect.refusal, "");
  EXPECT_EQ(prospect.standing_token, "t1");
  EXPECT_TRUE(prospect.loses_writes);
  EXPECT_NE(Foresee(Command::kRollback, view, false, Night()).refusal, "");
}

TEST(Foresee, AnApprovalIsTakenUntilUsersAreStoppedAndNoLonger) {
  for (Phase phase : AllPhases()) {
    const bool copies_before = phase == Phase::kCopying;
    for (api::Strategy strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
      if (phase == Phase::kCatchingUp && strategy == api::Strategy::kOffline) continue;
      api::TenantMigration migration = Typical(phase);
      migration.spec.approval = api::Approval::kManual;
      migration.spec.strategy = strategy;
      const bool before = phase == Phase::kPending || phase == Phase::kPreflight ||
                          phase == Phase::kBackingUp || phase == Phase::kPreparing ||
                          phase == Phase::kCatchingUp || phase == Phase::kAwaitingCutover ||
                          (copies_before && strategy == api::Strategy::kOnline);
      const std::string refusal =
          Foresee(Command::kApprove, Seen(migration).migration, false, Night()).refusal;
      EXPECT_EQ(refusal.empty(), before) << Name(phase) << ", " << Name(strategy);
    }
  }
}

api::TenantMigration ApprovableInAnHour() {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.spec.window_start = Night() + seconds(3600);
  migration.spec.window_end = Night() + seconds(7200);
  return migration;
}

TEST(Foresee, AnApprovalBeforeTheWindowStopsNobodyNowAndIsAnsweredInIt) {
  const MigrationView view = Seen(ApprovableInAnHour()).migration;
  const Prospect early = Foresee(Command::kApprove, view, false, Night());
  EXPECT_EQ(early.refusal, "");
  EXPECT_EQ(early.consequences,
            "The users of acme will be stopped in the window, which starts at "
            "2026-11-21T04:04:05Z.");
  EXPECT_THAT(early.later, HasSubstr("in the window, which starts at 2026-11-21T04:04:05Z"));
  const Prospect open = Foresee(Command::kApprove, view, false, Night() + seconds(3600));
  EXPECT_THAT(open.consequences, HasSubstr("will be stopped now"));
  EXPECT_EQ(open.later, "");
}

TEST(Foresee, AnApprovalThatTheOperatorCannotTakeUpYetIsNotWaitedFor) {
  const auto expect_kept = [](api::TenantMigration migration, const char* why) {
    migration.spec.approval = api::Approval::kManual;
    migration.meta.annotations[api::kApproveAnnotation] = "t1";
    const Snapshot seen = Seen(migration);
    const Prospect prospect = Foresee(Command::kApprove, seen.migration, false, Night());
    EXPECT_THAT(prospect.later, HasSubstr(why));
    EXPECT_THAT(prospect.consequences, Not(HasSubstr("now")));
    const auto outcome = OutcomeOf(Command::kApprove, seen.migration, "t1", Night());
    ASSERT_TRUE(outcome) << why;
    EXPECT_TRUE(outcome->done) << why;
    EXPECT_THAT(Assess(seen).asked, IsEmpty()) << why;
    EXPECT_THAT(Assess(seen).kept, HasSubstr(why));
  };
  api::TenantMigration early = ApprovableInAnHour();
  GoOn(early, "AwaitingWindow", "waiting for the window");
  expect_kept(early, "the window, which starts at");
  early.spec.window_start = Night() - seconds(5);
  expect_kept(early, "the window, which starts at");  // By the operator's clock.
  api::TenantMigration suspended = Typical(Phase::kAwaitingCutover);
  suspended.spec.suspend = true;
  GoOn(suspended, "Suspended", "suspended");
  expect_kept(suspended, "once it is resumed");
  api::TenantMigration holding = Typical(Phase::kAwaitingCutover);
  GoOn(holding, "ApplyFails", "holding: the target cannot apply", true);
  expect_kept(holding, "once what it holds for is mended");
  expect_kept(Typical(Phase::kCatchingUp), "taken up in AwaitingCutover");
}

TEST(Foresee, AnApprovalThatIsDueIsWaitedFor) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.meta.annotations[api::kApproveAnnotation] = "t1";
  EXPECT_FALSE(OutcomeOf(Command::kApprove, Seen(migration).migration, "t1", Night()));
  EXPECT_THAT(Assess(Seen(migration)).asked, ElementsAre("approve"));
}

TEST(Assess, AnApprovalThatIsAwaitedBeforeTheWindowIsNotSaidToStopUsersNow) {
  const Assessment assessment = Assess(Seen(ApprovableInAnHour()));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_THAT(assessment.stuck, HasSubstr("stopped in the window, which starts at 2026-11-21T04"));
  EXPECT_THAT(assessment.advice.front().effect, HasSubstr("in the window, which starts at"));
  EXPECT_THAT(assessment.advice.front().effect, Not(HasSubstr("now")));
}

// As operators before this one leave it: the way back is said to be open all the same.
TEST(Foresee, AConsentThatIsWaitedForIsGivenWhateverIsSaidOfTheWayBack) {
  for (const char* reason : {"RollbackNeedsConsent", "AwaitingWayBack"}) {
    api::TenantMigration migration = Typical(Phase::kSmoke);
    GoOn(migration, reason, "somebody has led the routes back", true);
    const Snapshot seen = Seen(migration);
    ASSERT_TRUE(seen.migration.conditions.IsTrue("RollbackReady"));
    EXPECT_TRUE(Foresee(Command::kRollback, seen.migration, true, Night()).loses_writes) << reason;
    EXPECT_THAT(Commands(Assess(seen)),
                Contains("kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss"));
    for (const Advice& advice : Assess(seen).advice)
      EXPECT_THAT(advice.effect, Not(HasSubstr("without losing a write"))) << reason;
  }
}

TEST(Foresee, RoutesThatWereLedBackMakeARollbackLoseWhatWasWrittenSince) {
  for (api::Strategy strategy : {api::Strategy::kOffline, api::Strategy::kOnline}) {
    api::TenantMigration migration = Typical(Phase::kSmoke);
    migration.spec.strategy = strategy;
    migration.status.conditions.Set({"RollbackReady",
                                     api::ConditionStatus::kFalse,
                                     "RoutesLedBack",
                                     "somebody has led the routes back",
                                     1,
                                     {}},
                                    Night());
    GoOn(migration, "RollbackNeedsConsent", "somebody has led the routes back", true);
    const Snapshot seen = Seen(migration);
    EXPECT_THAT(Foresee(Command::kRollback, seen.migration, false, Night()).refusal,
                HasSubstr("--accept-data-loss"));
    const Prospect accepted = Foresee(Command::kRollback, seen.migration, true, Night());
    EXPECT_TRUE(accepted.loses_writes);
    EXPECT_THAT(accepted.consequences, HasSubstr("is lost"));
    EXPECT_THAT(Assess(seen).way_back, HasSubstr("not without a loss: somebody has led"));
    // Nobody has asked for it: the smoke test wants to go back by itself.
    EXPECT_THAT(Commands(Assess(seen)), Not(Contains(HasSubstr("annotate"))));
  }
}

TEST(Foresee, ARollbackToASourceThatIsGoneIsRefusedAndCanOnlyBeTakenBack) {
  api::TenantMigration migration = Typical(Phase::kHypercare);
  migration.meta.annotations[api::kRollbackAnnotation] = "back";
  GoOn(migration, "SourceGone", "rollback refused: the database is no longer there", true);
  const Snapshot seen = Seen(migration);
  EXPECT_THAT(Foresee(Command::kRollback, seen.migration, true, Night()).refusal,
              HasSubstr("nothing to go back to"));
  EXPECT_THAT(Commands(Assess(seen)),
              ElementsAre("kubectl annotate tm acme-to-dedicated -n acme cutover.dev/rollback-"));
  const auto outcome = OutcomeOf(Command::kRollback, seen.migration, "back", Night());
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->done);
  EXPECT_THAT(outcome->text, HasSubstr("the operator holds: rollback refused"));
}

// Users were stopped, and let in again: the moments of that stay in the status.
TEST(Foresee, AnOnlineCutoverThatWasUndoneCanBeApprovedAgain) {
  api::TenantMigration migration = Typical(Phase::kAwaitingCutover);
  migration.spec.approval = api::Approval::kManual;
  migration.spec.strategy = api::Strategy::kOnline;
  migration.status.cutover.fenced_at = Night() - seconds(300);
  migration.status.cutover.opened_at = Night() - seconds(240);
  migration.status.handled.approve = "t1";
  const Prospect prospect = Foresee(Command::kApprove, Seen(migration).migration, false, Night());
  EXPECT_EQ(prospect.refusal, "");
  EXPECT_THAT(prospect.consequences, HasSubstr("will be stopped now"));
}

TEST(Assess, ACommandIsOpenUntilItsTokenIsAnswered) {
  api::TenantMigration migration = Typical(Phase::kCopying);
  migration.meta.annotations[api::kAbortAnnotation] = "t1";
  EXPECT_THAT(Assess(Seen(migration)).asked, ElementsAre("abort"));
  migration.status.handled.abort = "t1";
  EXPECT_THAT(Assess(Seen(migration)).asked, IsEmpty());
}

TEST(Assess, UsersAreShutOutFromTheFenceUntilTheyAreLetIn) {
  EXPECT_THAT(Assess(Seen(Typical(Phase::kPreparing))).users, HasSubstr("has not stopped them"));
  api::TenantMigration copying = Typical(Phase::kCopying);
  copying.spec.max_write_pause_seconds = 120;
  EXPECT_EQ(
      Assess(Seen(copying)).users,
      "shut out for 52s; after 2m00s the source is opened again; about 7s of copying are left, "
      "before it is verified and switched");
  api::TenantMigration online = Typical(Phase::kFencing);
  online.spec.strategy = api::Strategy::kOnline;
  EXPECT_THAT(Assess(Seen(online)).users, HasSubstr("after 1m00s the source is opened again"))
      << "what the spec does not say is bounded all the same";
  EXPECT_THAT(Assess(Seen(Typical(Phase::kHypercare))).users, HasSubstr("shut out for 1m20s"));
  api::TenantMigration back = Typical(Phase::kRolledBack);
  back.status.rollback.opened_at = back.meta.creation_timestamp;
  back.status.rollback.write_pause_milliseconds = 640;
  EXPECT_THAT(Assess(Seen(back)).users, HasSubstr("going back shut them out for 0.6s"));
}

TEST(Assess, WhatHasEndedIsToldAsItWasThen) {
  for (Phase phase : {Phase::kCompleted, Phase::kRolledBack, Phase::kFailed, Phase::kAborted}) {
    const Assessment assessment = Assess(Seen(Typical(phase)));
    EXPECT_THAT(assessment.users, StartsWith("were ")) << Name(phase);
    EXPECT_THAT(assessment.way_back, Not(HasSubstr("tenant is on"))) << Name(phase);
    EXPECT_THAT(assessment.now, Not(HasSubstr("works"))) << Name(phase);
  }
  api::TenantMigration failed = Typical(Phase::kFailed);
  EXPECT_EQ(Assess(Seen(failed)).way_back,
            "nothing to go back from: the tenant was left on pg-shared");
  failed.status.source_server_name = "";
  EXPECT_EQ(Assess(Seen(failed)).way_back, "nothing to go back from");
  failed.status.cutover.fenced_at.reset();
  EXPECT_EQ(Assess(Seen(failed)).users, "were not stopped by this move");
}

TEST(Assess, SuspendedWaitsForResume) {
  api::TenantMigration migration = Typical(Phase::kPreparing);
  migration.spec.suspend = true;
  GoOn(migration, "Suspended", "suspended: set spec.suspend to false to go on");
  const Assessment assessment = Assess(Seen(migration));
  EXPECT_EQ(assessment.health, Health::kAsksYou);
  EXPECT_EQ(assessment.advice.front().command, "kubectl cutover resume acme-to-dedicated -n acme");
}

}  // namespace
}  // namespace cutover::cli
