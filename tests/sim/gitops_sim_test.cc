// SPDX-License-Identifier: Apache-2.0
//
// A GitOps tool that knows nothing of moves and puts the tenant's objects back to what Git says, by
// force, in the middle of one: replicas, routes, wiring. The simulation's invariants hold all the
// while: at no time two writable sides, and no acknowledged write is lost.
#include <gmock/gmock.h>
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

// Users are in as soon as the routes lead to the target, whoever led them there, and Offline
// carries nothing back: from then on nobody goes back without somebody's word.
TEST(GitSync, WhileTheTargetIsTriedKeepsTheMoveFromLosingWhatUsersWrite) {
  Itinerary itinerary = SyncedIn({Phase::kSmoke});
  itinerary.given = [](Surroundings& around) { around.misfortune.smoke_fails = true; };
  itinerary.ends = {Phase::kRolledBack};
  EXPECT_THAT(FailuresOf(itinerary), ::testing::HasSubstr("never came to rest: Smoke: check"));
  itinerary.on_phase[Phase::kSmoke] = [](Simulation& run) {
    run.ApplyFromGit();
    run.Annotate(api::kRollbackAnnotation, "t1");
    run.Annotate(api::kAcceptDataLossAnnotation, "t1");
  };
  itinerary.loss_accepted = true;
  EXPECT_EQ(FailuresOf(itinerary), "");
}

// Online carries it back, and waits for that as long as for what is written in Hypercare, also
// where nothing arrives for longer than users may be kept out.
TEST(GitSync, WhileTheTargetIsTriedLosesOnlineNothingThatUsersWrite) {
  Itinerary itinerary = SyncedIn({Phase::kSmoke});
  itinerary.spec = *Json::Parse(
      R"({"strategy":"Online","cutover":{"approval":"Automatic","maxWritePauseSeconds":5},
          "hypercare":{"durationSeconds":20}})");
  itinerary.given = [](Surroundings& around) { around.misfortune.smoke_fails = true; };
  itinerary.on_phase[Phase::kRollingBack] = [](Simulation& run) {
    run.source().applies = false;
    run.Later(std::chrono::seconds(60), [](Simulation& then) { then.source().applies = true; });
  };
  itinerary.ends = {Phase::kRolledBack};
  EXPECT_EQ(FailuresOf(itinerary), "");
}

TEST(GitSync, BeforeTheTargetOpensLosesNothingOnTheWayBack) {
  Itinerary itinerary = SyncedIn({Phase::kCopying, Phase::kSwitching});
  itinerary.given = [](Surroundings& around) { around.misfortune.smoke_fails = true; };
  itinerary.ends = {Phase::kRolledBack};
  EXPECT_EQ(FailuresOf(itinerary), "");
}

// What changes in Git while a move runs is in nobody's way: the move goes on with the spec that was
// checked, and both objects say that something waits.
std::string ReasonOf(const Json& object, const std::string& type) {
  for (const Json& condition : object["status"]["conditions"].Items())
    if (condition["type"].StringRef() == type) return condition["reason"].AsString();
  return "";
}

TEST(PlacementChange, InAMoveIsShownOnBothObjectsAndNotMixedIn) {
  std::string on_migration, on_placement;
  Itinerary itinerary{.name = "PlacementChanged",
                      .spec = *Json::Parse(R"({"hypercare":{"durationSeconds":60}})"),
                      .ends = {Phase::kCompleted}};
  // A workload that does not exist would fail the move, were it taken in.
  itinerary.on_phase[Phase::kFencing] = [](Simulation& run) {
    run.PatchPlacement(*Json::Parse(R"({"workloads":[
        {"kind":"Deployment","name":"acme"},{"kind":"Deployment","name":"no"}]})"));
  };
  itinerary.on_phase[Phase::kCompleting] = [&](Simulation& run) {
    on_migration = ReasonOf(run.Stored(kube::kTenantMigration, kMigration), "PlacementChanged");
    on_placement = ReasonOf(run.Stored(kube::kDatabasePlacement, kTenant), "InSync");
  };
  EXPECT_EQ(FailuresOf(itinerary), "");
  EXPECT_EQ(on_migration, "Queued");
  EXPECT_EQ(on_placement, "ChangeQueued");
}

TEST(PlacementChange, BetweenPreflightAndTheLedgerEndsTheAttemptBeforeAnythingIsTouched) {
  Itinerary itinerary{.name = "PlacementChanged", .ends = {Phase::kFailed}};
  itinerary.on_phase[Phase::kBackingUp] = [](Simulation& run) {
    run.PatchPlacement(*Json::Parse(R"({"routes":[]})"));
  };
  std::string reason;
  itinerary.on_phase[Phase::kFailed] = [&](Simulation& run) {
    reason = ReasonOf(run.Stored(kube::kTenantMigration, kMigration), "Succeeded");
  };
  EXPECT_EQ(FailuresOf(itinerary), "");
  EXPECT_EQ(reason, "PlacementChanged");
}

// Whose generation is that of the one which was checked.
TEST(PlacementChange, ByReplacementBeforeTheLedgerEndsTheAttemptBeforeAnythingIsTouched) {
  Itinerary itinerary{.name = "PlacementReplaced", .ends = {Phase::kFailed}};
  itinerary.on_phase[Phase::kBackingUp] = [](Simulation& run) {
    run.ReplacePlacement(*Json::Parse(R"({"routes":[]})"));
  };
  std::string reason;
  itinerary.on_phase[Phase::kFailed] = [&](Simulation& run) {
    reason = ReasonOf(run.Stored(kube::kTenantMigration, kMigration), "Succeeded");
  };
  EXPECT_EQ(FailuresOf(itinerary), "");
  EXPECT_EQ(reason, "PlacementChanged");
}

TEST(PlacementChange, WhilePreflightWaitsIsTheMendThatItWaitsFor) {
  Itinerary itinerary{.name = "PlacementMended", .ends = {Phase::kCompleted}};
  itinerary.on_phase[Phase::kPending] = [](Simulation& run) {
    run.PatchPlacement(*Json::Parse(R"({"workloads":[{"kind":"Deployment","name":"no"}]})"));
  };
  itinerary.on_phase[Phase::kPreflight] = [](Simulation& run) {
    run.PatchPlacement(*Json::Parse(R"({"workloads":[{"kind":"Deployment","name":"acme"}]})"));
  };
  EXPECT_EQ(FailuresOf(itinerary), "");
}

INSTANTIATE_TEST_SUITE_P(Phase, GitSyncIn, ::testing::ValuesIn(kPhases),
                         [](const auto& test) { return std::string(api::Name(test.param)); });

}  // namespace
}  // namespace cutover::sim
