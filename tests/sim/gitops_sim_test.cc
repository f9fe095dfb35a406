// SPDX-License-Identifier: Apache-2.0
//
// A GitOps tool that knows nothing of moves and puts the tenant's objects back to what Git says, by
// force, in the middle of one: replicas, routes, wiring. The simulation's invariants hold all the
// while: at no time two writable sides, and no acknowledged write is lost.
#include <gtest/gtest.h>

#include <iterator>
#include <vector>

#include "tests/sim/simulation.h"

namespace cutover::sim {
namespace {

using api::Phase;

constexpr Phase kPhases[] = {
    Phase::kPending, Phase::kPreflight,  Phase::kBackingUp, Phase::kPreparing, Phase::kFencing,
    Phase::kCopying, Phase::kFinalizing, Phase::kVerifying, Phase::kSwitching, Phase::kOpening,
    Phase::kSmoke,   Phase::kAdmitting,  Phase::kHypercare, Phase::kCompleting};

Itinerary SyncedIn(const std::vector<Phase>& phases) {
  Itinerary itinerary{.name = "SyncedFromGit",
                      .spec = *Json::Parse(R"({"hypercare":{"durationSeconds":20}})"),
                      .ends = {Phase::kCompleted}};
  for (Phase phase : phases)
    itinerary.on_phase[phase] = [](Simulation& run) { run.ApplyFromGit(); };
  return itinerary;
}

std::string FailuresOf(const Itinerary& itinerary) {
  std::string text;
  for (const std::string& failure : Simulation({&itinerary, {}, 0}).Run().failures)
    text += failure + "\n";
  return text;
}

class GitSyncIn : public ::testing::TestWithParam<Phase> {};

TEST_P(GitSyncIn, NeitherBreaksAMoveNorOpensASecondSide) {
  EXPECT_EQ(FailuresOf(SyncedIn({GetParam()})), "");
}

TEST(GitSync, DoesPutBackWhatTheMoveHasChanged) {
  int64_t before = -1, after = -1;
  Itinerary itinerary{.name = "SyncedFromGit", .ends = {Phase::kCompleted}};
  itinerary.on_phase[Phase::kCopying] = [&](Simulation& run) {
    before = run.WantedReplicas();
    run.ApplyFromGit();
    after = run.WantedReplicas();
  };
  EXPECT_EQ(FailuresOf(itinerary), "");
  EXPECT_EQ(before, 0);
  EXPECT_EQ(after, kReplicas);
}

TEST(GitSync, InEveryPhaseOfOneMoveLetsItEndWell) {
  EXPECT_EQ(FailuresOf(SyncedIn({std::begin(kPhases), std::end(kPhases)})), "");
}

TEST(GitSync, WhileAMoveIsUndoneLetsItBeUndone) {
  Itinerary itinerary = SyncedIn({Phase::kCopying, Phase::kUndoing});
  itinerary.given = [](Surroundings& around) { around.misfortune.copy_fails = true; };
  itinerary.ends = {Phase::kFailed};
  EXPECT_EQ(FailuresOf(itinerary), "");
}

INSTANTIATE_TEST_SUITE_P(Phase, GitSyncIn, ::testing::ValuesIn(kPhases),
                         [](const auto& test) { return std::string(api::Name(test.param)); });

}  // namespace
}  // namespace cutover::sim
