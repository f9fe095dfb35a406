// SPDX-License-Identifier: Apache-2.0
//
// What a GitOps tool may do to our own objects at any moment: take the migration out of Git, or put
// the migration and its placement back to what Git says; in every phase that any itinerary comes
// through, those of strategy Online and those of going back among them. A third of all pairs of
// itinerary and phase; by hand, with everything: CUTOVER_SIM_ALL=1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include "reconcilers/migration/transitions.h"
#include "tests/sim/itineraries.h"
#include "tests/sim/run_plans.h"
#include "tests/sim/simulation.h"

namespace cutover::sim {

// By value, so that gtest prints a name and not bytes.
std::ostream& operator<<(std::ostream& out, const Itinerary& itinerary);

namespace {

using api::Phase;

// Those in which nobody deletes the migration anyway, and which are about one migration.
std::vector<Itinerary> Undisturbed() {
  std::vector<Itinerary> found;
  for (const Itinerary& itinerary : Itineraries())
    if (!itinerary.ends.empty() && !itinerary.has_rival) found.push_back(itinerary);
  return found;
}

std::set<Phase> PhasesOf(const Itinerary& itinerary) {
  const std::vector<Phase>& phases = ReferenceOf(itinerary).phases;
  return {phases.begin(), phases.end()};
}

// Neighbours among the itineraries are much alike: what one leaves out the next ones try, and the
// two tests begin with different ones.
std::vector<Phase> TriedPhasesOf(const Itinerary& itinerary, size_t first) {
  const size_t stride = TriesEverything() ? 1 : 3;
  size_t at = first + static_cast<size_t>(FindItinerary(itinerary.name) - Itineraries().data());
  std::vector<Phase> tried;
  for (Phase phase : PhasesOf(itinerary))
    if (at++ % stride == 0) tried.push_back(phase);
  return tried;
}

/// The itinerary, and `command` once it has come to `phase`, after what it does there itself.
Itinerary With(const Itinerary& itinerary, Phase phase, std::function<void(Simulation&)> command) {
  Itinerary changed = itinerary;
  std::function<void(Simulation&)>& on_phase = changed.on_phase[phase];
  on_phase = [own = std::move(on_phase), command = std::move(command)](Simulation& run) {
    if (own) own(run);
    command(run);
  };
  return changed;
}

RunResult ResultOf(const Itinerary& itinerary) { return Simulation({&itinerary, {}, 0}).Run(); }

// What users have made on the target is in the way of going back; pruned before they are in, the
// move goes back without them.
bool IsAboutUsersWhoAreNotInYet(const Itinerary& itinerary, Phase phase) {
  const bool is_theirs = itinerary.name.ends_with("TargetsStructureChangedTooLateToBeSeen") ||
                         itinerary.name.ends_with("SourceAwayWhileGoingBackBeyondTheBound");
  return is_theirs && phase >= Phase::kSwitching && phase < Phase::kHypercare;
}

// What is left of the tenant is the copy: nobody drops that, and it is held until a person has put
// the source back.
bool WouldDropTheOnlyCopy(const Itinerary& itinerary, Phase phase) {
  return itinerary.name.ends_with("SourceDroppedByHandBehindTheRollbacksDoors") &&
         phase >= Phase::kSwitching;
}

// Users work on an open target, and one of their poolers cannot be paused: only a person can say
// that nobody uses it, by taking it from its DatabaseServer.
bool WaitsForALostPooler(const Itinerary& itinerary, Phase phase) {
  const bool is_lost = itinerary.name.find("OneOfTwoPoolersIsLost") != std::string::npos;
  return is_lost && phase >= Phase::kSwitching && phase < Phase::kHypercare;
}

class InEveryPhase : public testing::TestWithParam<Itinerary> {};

TEST_P(InEveryPhase, APrunedMigrationGoesAndLeavesOneSideOpenAndNothingBehind) {
  for (Phase phase : TriedPhasesOf(GetParam(), 0)) {
    if (IsAboutUsersWhoAreNotInYet(GetParam(), phase)) continue;
    if (WouldDropTheOnlyCopy(GetParam(), phase)) continue;
    if (WaitsForALostPooler(GetParam(), phase)) continue;
    SCOPED_TRACE(api::Name(phase));
    Itinerary pruned = With(GetParam(), phase, [](Simulation& run) { run.DeleteMigration(); });
    pruned.ends = {};
    // It may be gone before a server that was away is looked at again.
    pruned.settles = std::max<std::chrono::seconds>(pruned.settles, std::chrono::seconds(150));
    const RunResult result = ResultOf(pruned);
    EXPECT_THAT(result.failures, testing::IsEmpty());
    EXPECT_FALSE(result.end) << "it is still there";
  }
}

// Git has the Service that somebody is about to name, and is earlier than he is.
bool IsAboutWhatGitBrings(const Itinerary& itinerary, Phase phase) {
  return itinerary.name == "ServiceIsNamedWhileItIsHeld" && phase == Phase::kPreflight;
}

TEST_P(InEveryPhase, PuttingMigrationAndPlacementBackChangesNothing) {
  const RunResult& reference = ReferenceOf(GetParam());
  for (Phase phase : TriedPhasesOf(GetParam(), 1)) {
    if (IsAboutWhatGitBrings(GetParam(), phase)) continue;
    SCOPED_TRACE(api::Name(phase));
    const RunResult result = ResultOf(With(GetParam(), phase, [](Simulation& run) {
      run.ApplyFromGit({kube::kDatabasePlacement, kube::kTenantMigration});
    }));
    EXPECT_THAT(result.failures, testing::IsEmpty());
    EXPECT_EQ(result.phases, reference.phases);
    EXPECT_EQ(result.effects, reference.effects);
    EXPECT_EQ(result.end_state, reference.end_state);
  }
}

// All of the tenant's objects: replicas, routes and wiring, too. gitops_sim_test.cc has Offline,
// and what is otherwise there.
class GitSyncOf : public testing::TestWithParam<const char*> {};

TEST_P(GitSyncOf, InAnyPhaseOnTheWayNeitherBreaksItNorOpensASecondSide) {
  const Itinerary& itinerary = *FindItinerary(GetParam());
  for (Phase phase : PhasesOf(itinerary)) {
    // What is over has its wiring from Git again.
    if (migration::IsEnd(phase)) continue;
    SCOPED_TRACE(api::Name(phase));
    const RunResult result =
        ResultOf(With(itinerary, phase, [](Simulation& run) { run.ApplyFromGit(); }));
    EXPECT_THAT(result.failures, testing::IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(Itineraries, GitSyncOf,
                         testing::Values("OnlineRestartSuccess", "OnlinePoolerSuccess",
                                         "OnlineRestartSmokeFails", "OnlinePoolerSmokeFails",
                                         "OnlineRestartRollbackInHypercare",
                                         "OnlinePoolerRollbackInHypercare",
                                         "OnlineRestartCopyFails", "OnlinePoolerCopyFails",
                                         "OnlineRestartMarkerDoesNotArriveAtFirst", "CopyFails",
                                         "RollbackInHypercareWithConsent"),
                         [](const auto& test) { return std::string(test.param); });

INSTANTIATE_TEST_SUITE_P(Itineraries, InEveryPhase, testing::ValuesIn(Undisturbed()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cutover::sim
