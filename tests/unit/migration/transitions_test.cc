// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/transitions.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace cutover::migration {
namespace {

using api::Phase;
using Table = std::vector<Transition>;

Table RealTable() { return {Transitions().begin(), Transitions().end()}; }

Table Without(Phase from, Guard guard) {
  Table table = RealTable();
  std::erase_if(table,
                [&](const Transition& line) { return line.from == from && line.guard == guard; });
  return table;
}

TEST(Transitions, TheTableIsSound) { EXPECT_EQ(CheckTable(Transitions()), ""); }

TEST(Transitions, ASecondLineForOneGuardIsFound) {
  Table table = RealTable();
  table.push_back({Phase::kCopying, Guard::kCopyProven, Phase::kSwitching});
  EXPECT_EQ(CheckTable(table), "two lines for one guard from Copying");
}

TEST(Transitions, AnUnreachablePhaseIsFound) {
  EXPECT_EQ(CheckTable(Without(Phase::kSmoke, Guard::kSmokePassed)), "Admitting is unreachable");
}

TEST(Transitions, APhaseWithoutAWayBackIsFound) {
  EXPECT_EQ(CheckTable(Without(Phase::kCopying, Guard::kUndo)), "Copying has no way back");
  EXPECT_EQ(CheckTable(Without(Phase::kSmoke, Guard::kRollBack)), "Smoke has no way back");
}

TEST(Transitions, ALineThatLeadsBackBehindTheJournalIsFound) {
  Table table = RealTable();
  table.push_back({Phase::kOpening, Guard::kUndo, Phase::kUndoing});
  EXPECT_EQ(CheckTable(table), "Opening goes back before the journal");
}

TEST(Transitions, NothingLeadsFromAfterTheJournalToBeforeIt) {
  for (const Transition& line : Transitions())
    if (SideOf(line.from) == Side::kAfterJournal) {
      EXPECT_NE(SideOf(line.to), Side::kBeforeJournal) << Name(line.from);
    }
}

TEST(Transitions, OnlyTheJournalLeadsPastItself) {
  for (const Transition& line : Transitions()) {
    if (SideOf(line.from) != Side::kBeforeJournal || SideOf(line.to) != Side::kAfterJournal)
      continue;
    EXPECT_TRUE(line.guard == Guard::kJournaled || line.guard == Guard::kJournalFound)
        << Name(line.from);
  }
}

TEST(Transitions, OnlyProofOfEqualityLeadsToTheSwitch) {
  for (const Transition& line : Transitions()) {
    if (line.to != Phase::kSwitching) continue;
    EXPECT_EQ(line.from, Phase::kVerifying);
    EXPECT_EQ(line.guard, Guard::kVerified);
  }
  EXPECT_EQ(Next(Phase::kVerifying, Guard::kUndo), Phase::kUndoing);
}

TEST(Transitions, WhatTheTableDoesNotSayLeadsNowhere) {
  EXPECT_EQ(Next(Phase::kCompleted, Guard::kUndo), std::nullopt);
  EXPECT_EQ(Next(Phase::kRolledBack, Guard::kRetryRequested), std::nullopt);
}

TEST(Transitions, DoorsAreClosedFromTheFenceUntilUsersAreIn) {
  for (Phase phase : {Phase::kFencing, Phase::kCopying, Phase::kSwitching, Phase::kSmoke})
    EXPECT_TRUE(DoorsClosed(phase, api::Strategy::kOffline)) << Name(phase);
  for (Phase phase : {Phase::kPreparing, Phase::kAwaitingCutover, Phase::kHypercare})
    EXPECT_FALSE(DoorsClosed(phase, api::Strategy::kOffline)) << Name(phase);
  EXPECT_FALSE(DoorsClosed(Phase::kCopying, api::Strategy::kOnline)) << "users work meanwhile";
}

TEST(Transitions, TheDocumentIsCurrent) {
  std::ifstream file("docs/state-machine.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), RenderMarkdown())
      << "regenerate: build/release/bin/gen-state-machine > docs/state-machine.md";
}

}  // namespace
}  // namespace cutover::migration
