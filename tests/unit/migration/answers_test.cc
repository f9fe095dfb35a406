// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/status.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using api::Phase;
using testing::At;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MigrationIn;
using ::testing::Not;
using ::testing::StartsWith;

/// The one answer to a raw annotation in `phase`.
std::string AnswerTo(const char* annotation, Phase phase, bool accepts_loss = false) {
  api::TenantMigration migration = MigrationIn(phase);
  migration.meta.annotations[annotation] = "token";
  if (accepts_loss) migration.meta.annotations[api::kAcceptDataLossAnnotation] = "token";
  migration.status.message = "what goes on";
  Observation seen = At(1);
  seen.source = testing::Database(ControlState::kJournaled, true);
  seen.target = testing::Database(ControlState::kOpen, false);
  seen.routes = RouteFacts{};
  seen.ledger_recorded = true;
  api::TenantMigration after = migration;
  after.status = Advance(migration, seen, Decide(migration, seen));
  const std::vector<Answer> answers = AnswersOf(migration, after);
  EXPECT_EQ(answers.size(), 1u) << annotation << " in " << Name(phase);
  EXPECT_THAT(AnswersOf(after, after), IsEmpty());
  return answers.empty() ? "" : answers[0].note;
}

TEST(Answers, ACommandThatFindsNothingToDoIsToldSo) {
  EXPECT_THAT(AnswerTo(api::kAbortAnnotation, Phase::kHypercare),
              StartsWith("answered Abort: nothing to abort in Hypercare; "));
  for (Phase phase : {Phase::kAdmitting, Phase::kCompleting, Phase::kRolledBack})
    EXPECT_THAT(AnswerTo(api::kAbortAnnotation, phase), HasSubstr("nothing to abort in"));
  for (Phase phase : {Phase::kCopying, Phase::kSwitching, Phase::kCompleting, Phase::kRollingBack})
    EXPECT_THAT(AnswerTo(api::kRollbackAnnotation, phase), HasSubstr("nothing to roll back in"));
  for (Phase phase : {Phase::kCopying, Phase::kCompleted})
    EXPECT_THAT(AnswerTo(api::kRetryAnnotation, phase), HasSubstr("nothing to try again in"));
}

TEST(Answers, ACommandThatTakesEffectIsToldWhatItLedTo) {
  for (Phase phase : {Phase::kCopying, Phase::kAwaitingCutover})
    EXPECT_EQ(AnswerTo(api::kAbortAnnotation, phase), "answered Abort: a person aborted");
  EXPECT_THAT(AnswerTo(api::kRollbackAnnotation, Phase::kSmoke), Not(HasSubstr("nothing")));
  EXPECT_THAT(AnswerTo(api::kRollbackAnnotation, Phase::kHypercare, true),
              Not(HasSubstr("nothing to")));
  // It goes back already, and the loss is accepted.
  EXPECT_THAT(AnswerTo(api::kRollbackAnnotation, Phase::kRollingBack, true),
              Not(HasSubstr("nothing")));
  EXPECT_THAT(AnswerTo(api::kRetryAnnotation, Phase::kFailed), Not(HasSubstr("nothing")));
}

TEST(Answers, AnApprovalThatAnAbortHasOvertakenIsNotSaidToHaveClosedTheDoors) {
  api::TenantMigration migration = MigrationIn(Phase::kAwaitingCutover);
  migration.spec.approval = api::Approval::kManual;
  migration.meta.annotations[api::kApproveAnnotation] = "yes";
  migration.meta.annotations[api::kAbortAnnotation] = "no";
  api::TenantMigration after = migration;
  after.status = Advance(migration, At(1), Decide(migration, At(1)));
  const std::vector<Answer> answers = AnswersOf(migration, after);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_THAT(answers[0].note, StartsWith("answered Approve: nothing to approve in"));
  EXPECT_EQ(answers[1].note, "answered Abort: a person aborted");
}

}  // namespace
}  // namespace cutover::migration
