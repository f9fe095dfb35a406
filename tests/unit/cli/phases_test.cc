// SPDX-License-Identifier: Apache-2.0
#include "cli/view/phases.h"

#include <gtest/gtest.h>

#include <set>

#include "reconcilers/migration/transitions.h"
#include "tests/unit/cli/scenes.h"

namespace cutover::cli {
namespace {

using api::Phase;
using cutover::cli::testing::AllPhases;

Stretch ByTransitions(Phase phase) {
  if (phase == Phase::kUndoing || phase == Phase::kRollingBack) return Stretch::kGoingBack;
  switch (migration::SideOf(phase)) {
    case migration::Side::kBeforeJournal:
      return Stretch::kBeforeJournal;
    case migration::Side::kAfterJournal:
      return Stretch::kAfterJournal;
    case migration::Side::kEnd:
      return Stretch::kEnd;
  }
  return Stretch::kEnd;
}

// A phase that a transition names is a phase; so none can be forgotten here.
TEST(Phases, EveryPhaseOfTheOperatorIsKnown) {
  std::set<std::string_view> named;
  for (const migration::Transition& line : migration::Transitions()) {
    named.insert(Name(line.from));
    named.insert(Name(line.to));
  }
  for (std::string_view name : named) EXPECT_NE(FindPhase(name), nullptr) << name;
  EXPECT_EQ(AllPhases().size(), named.size());
}

TEST(Phases, StandToTheJournalAsTheTransitionsSay) {
  for (Phase phase : AllPhases())
    EXPECT_EQ(FindPhase(Name(phase))->stretch, ByTransitions(phase)) << Name(phase);
}

TEST(Phases, AbortIsPossibleBeforeTheJournalAndNowhereElse) {
  for (Phase phase : AllPhases())
    EXPECT_EQ(migration::CanUndo(phase), ByTransitions(phase) == Stretch::kBeforeJournal)
        << Name(phase);
}

TEST(Phases, ThePipelineOfEachStrategyHasOnlyKnownPhases) {
  for (const char* strategy : {"Offline", "Online"})
    for (std::string_view name : Pipeline(strategy)) EXPECT_NE(FindPhase(name), nullptr) << name;
}

}  // namespace
}  // namespace cutover::cli
