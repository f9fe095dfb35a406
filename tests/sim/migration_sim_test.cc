// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "reconcilers/migration/step.h"
#include "reconcilers/migration/transitions.h"
#include "tests/sim/model_world.h"

namespace cutover::migration {
namespace {

using api::Phase;

// What a run is about, and where it must end whatever dies on the way.
struct Itinerary {
  std::string name;
  std::function<void(Model&)> given = [](Model&) {};
  /// Called before every round: a person at the keyboard, or a server's fate.
  std::function<void(Model&, int round)> meanwhile = [](Model&, int) {};
  std::set<Phase> ends;
  bool loss_accepted = false;
};

// By value, so that gtest prints a claim and not an address.
std::ostream& operator<<(std::ostream& out, const Itinerary& itinerary) {
  return out << itinerary.name;
}

Model NewModel() {
  Model model;
  model.migration.meta.name = "acme";
  model.migration.meta.uid = "uid-1";
  model.migration.spec.placement_name = "acme";
  model.migration.spec.target_server_name = "dedicated";
  model.migration.spec.backup_claim_name = "backups";
  return model;
}

// The invariants of docs/architecture.md over one intermediate state.
void CheckInvariants(const Model& model) {
  EXPECT_FALSE(model.source.Writable() && model.target.Writable()) << "two writable sides";
  if (model.target.Writable()) {
    EXPECT_TRUE(model.target.verified_equal) << "opened unverified";
  }
  if (model.wiring == ModelSide::kTarget) {
    EXPECT_TRUE(model.target.verified_equal) << "wired to an unverified copy";
  }
  EXPECT_FALSE(model.forward.enabled && model.reverse.enabled) << "changes go in a circle";
  if (model.reverse.enabled) {
    EXPECT_NE(model.source.state, ControlState::kOpen) << "users write where is applied";
  }
  if (model.source_dropped) {
    EXPECT_EQ(model.migration.status.phase, Phase::kCompleted) << "dropped before the end";
  }
}

void CheckLegal(Phase from, Phase to) {
  if (from == to) return;
  for (const Transition& line : Transitions())
    if (line.from == from && line.to == to) return;
  ADD_FAILURE() << "illegal transition " << Name(from) << " to " << Name(to);
}

void CheckEnd(const Itinerary& itinerary, const Model& model) {
  Phase phase = model.migration.status.phase;
  EXPECT_TRUE(itinerary.ends.contains(phase))
      << "ended as " << Name(phase) << ": " << model.migration.status.message;
  bool moved = phase == Phase::kCompleted;
  const ModelDatabase& home = moved ? model.target : model.source;
  EXPECT_TRUE(home.Writable()) << "the tenant is shut out";
  EXPECT_FALSE(model.route_at_maintenance);
  EXPECT_EQ(model.replicas, 2);
  EXPECT_EQ(model.wiring, moved ? ModelSide::kTarget : ModelSide::kSource);
  EXPECT_EQ(model.placed_on, moved ? ModelSide::kTarget : ModelSide::kSource);
  if (!itinerary.loss_accepted) {
    EXPECT_EQ(home.rows, model.acknowledged_rows) << "acknowledged writes lost";
  }
  // The ledger of a rolled-back move stays with the copy, until the object is deleted.
  EXPECT_EQ(model.ledger, phase == Phase::kRolledBack && !model.migration.meta.deleting());
  EXPECT_FALSE(model.page);
  EXPECT_FALSE(model.poolers_paused);
  for (const ModelStream& stream : {model.forward, model.reverse})
    EXPECT_FALSE(stream.published || stream.slot || stream.exists) << "a stream was left behind";
  EXPECT_FALSE(model.backup_job.exists || model.copy_job.exists);
  if (!moved) {
    EXPECT_EQ(model.source.state, ControlState::kNone);
  }
  if (phase == Phase::kAborted || phase == Phase::kFailed) {
    EXPECT_FALSE(model.target.exists) << "a copy was left behind";
  }
}

struct Outcome {
  int effects = 0;
  std::vector<Intent> performed;
  std::vector<Phase> recorded;
};

// Runs one itinerary with one fault at the k-th effect. After a kill a new leader, with the next
// epoch, goes on from the model alone.
Outcome RunItinerary(const Itinerary& itinerary, Fault fault, int fault_at, Model& model) {
  Outcome outcome;
  itinerary.given(model);
  int64_t epoch = 1;
  auto world = std::make_unique<ModelWorld>(model, epoch);
  world->fault = fault;
  world->fault_at = fault_at;
  world->check = CheckInvariants;
  bool ended = false;
  // As the reconciler does: behind closed doors what is known may be ahead of what is recorded, and
  // whoever has written to the object since is found by the next record.
  std::optional<api::TenantMigration> known;
  for (int round = 0; round < 600 && !ended; ++round) {
    model.phase = known ? known->status.phase : model.migration.status.phase;
    itinerary.meanwhile(model, round);
    if (!known) known = model.migration;
    try {
      auto result = RunOnce(*world, {}, Deadline::Never(), *known, model.migration.status);
      if (result) CheckLegal(known->status.phase, result->status.phase);
      bool quiet = result && !result->moved && result->wait.count() == 0;
      ended = quiet && (IsEnd(model.migration.status.phase));
      bool waits = result && result->wait.count() > 0;
      if (result && DoorsClosed(result->status.phase, known->spec.strategy))
        known->status = result->status;
      else
        known.reset();
      // Waits run eight times as fast, so that a bound of minutes is a few hundred rounds.
      world->now += waits ? result->wait * 8 : std::chrono::milliseconds(20);
    } catch (const Killed&) {
      known.reset();
      auto next = std::make_unique<ModelWorld>(model, ++epoch);
      next->effects = world->effects;
      next->performed = world->performed;
      next->now = world->now + std::chrono::seconds(15);
      next->check = CheckInvariants;
      world = std::move(next);
    }
  }
  EXPECT_TRUE(ended) << "still " << Name(model.migration.status.phase) << ": "
                     << model.migration.status.message;
  outcome.effects = world->effects;
  outcome.performed = world->performed;
  outcome.recorded = world->recorded;
  return outcome;
}

// A command given in a phase, once.
std::function<void(Model&, int)> CommandIn(Phase phase, const char* annotation) {
  return [=](Model& model, int) {
    if (model.phase == phase) model.migration.meta.annotations[annotation] = "t1";
  };
}

std::function<void(Model&, int)> DeleteIn(Phase phase) {
  return [=](Model& model, int) {
    if (model.phase == phase && !model.migration.meta.deletion_timestamp)
      model.migration.meta.deletion_timestamp = WallTime();
  };
}

// What a person may command: abort or deletion in each of `undoable`, and rollback before users are
// in.
void AddWaysOut(std::vector<Itinerary>& all, const std::vector<Phase>& undoable) {
  for (Phase phase : undoable) {
    all.push_back({.name = "AbortIn" + std::string(Name(phase)),
                   .meanwhile = CommandIn(phase, api::kAbortAnnotation),
                   .ends = {Phase::kAborted, Phase::kCompleted}});
    all.push_back({.name = "DeleteIn" + std::string(Name(phase)),
                   .meanwhile = DeleteIn(phase),
                   .ends = {Phase::kAborted, Phase::kRolledBack}});
  }
  for (Phase phase : {Phase::kOpening, Phase::kSmoke})
    all.push_back({.name = "RollbackIn" + std::string(Name(phase)),
                   .meanwhile = CommandIn(phase, api::kRollbackAnnotation),
                   .ends = {Phase::kRolledBack, Phase::kCompleted}});
}

std::vector<Itinerary> Itineraries() {
  std::vector<Itinerary> all;
  auto add = [&](Itinerary itinerary) { all.push_back(std::move(itinerary)); };
  add({.name = "Success", .ends = {Phase::kCompleted}});
  add({.name = "CopyFails",
       .given = [](Model& m) { m.copy_fails = true; },
       .ends = {Phase::kFailed}});
  add({.name = "CopyDiffers",
       .given = [](Model& m) { m.copy_differs = true; },
       .ends = {Phase::kFailed}});
  add({.name = "SmokeFails",
       .given = [](Model& m) { m.smoke_fails = true; },
       .ends = {Phase::kRolledBack}});
  add({.name = "PodsNeverReady",
       .given = [](Model& m) { m.pods_never_ready = true; },
       .ends = {Phase::kRolledBack}});
  add({.name = "SourceDropped",
       .given =
           [](Model& m) {
             m.migration.spec.reclaim_policy = api::ReclaimPolicy::kDelete;
             m.migration.spec.retention_seconds = 60;
           },
       .ends = {Phase::kCompleted}});
  add({.name = "RollbackInHypercareWithConsent",
       .given = [](Model& m) { m.migration.spec.hypercare_seconds = 60; },
       .meanwhile =
           [](Model& m, int) {
             if (m.phase != Phase::kHypercare) return;
             m.migration.meta.annotations[api::kRollbackAnnotation] = "t1";
             m.migration.meta.annotations[api::kAcceptDataLossAnnotation] = "t1";
           },
       .ends = {Phase::kRolledBack},
       .loss_accepted = true});
  add({.name = "TargetAwayWhileOpening",
       .meanwhile = [](Model& m,
                       int round) { m.target_up = m.phase != Phase::kOpening || round % 50 > 30; },
       .ends = {Phase::kCompleted, Phase::kRolledBack}});
  add({.name = "SourceAwayWhileUndoing",
       .given = [](Model& m) { m.copy_fails = true; },
       .meanwhile = [](Model& m,
                       int round) { m.source_up = m.phase != Phase::kUndoing || round % 50 > 30; },
       .ends = {Phase::kFailed}});
  AddWaysOut(all, {Phase::kPreflight, Phase::kBackingUp, Phase::kPreparing, Phase::kAwaitingCutover,
                   Phase::kFencing, Phase::kCopying, Phase::kFinalizing, Phase::kVerifying,
                   Phase::kSwitching});
  for (Phase phase : {Phase::kAdmitting, Phase::kHypercare, Phase::kCompleting})
    add({.name = "DeleteIn" + std::string(Name(phase)),
         .given = [](Model& m) { m.migration.spec.hypercare_seconds = 60; },
         .meanwhile = DeleteIn(phase),
         .ends = {Phase::kCompleted}});
  return all;
}

void Watched(Model& model) { model.migration.spec.hypercare_seconds = 600; }

// Strategy Online: ways back that only it has, and what may happen to its stream.
std::vector<Itinerary> StreamItineraries() {
  std::vector<Itinerary> all;
  auto add = [&](Itinerary itinerary) { all.push_back(std::move(itinerary)); };
  add({.name = "Success", .ends = {Phase::kCompleted}});
  add({.name = "SmokeFails",
       .given = [](Model& m) { m.smoke_fails = true; },
       .ends = {Phase::kRolledBack}});
  add({.name = "RollbackInHypercareLosesNothing",
       .given = Watched,
       .meanwhile = CommandIn(Phase::kHypercare, api::kRollbackAnnotation),
       .ends = {Phase::kRolledBack}});
  add({.name = "ChecksFailInHypercare",
       .given =
           [](Model& m) {
             m.migration.spec.hypercare_seconds = 600;
             m.migration.spec.on_failed_checks = api::OnFailedChecks::kRollback;
           },
       .meanwhile = [](Model& m, int) { m.smoke_fails = m.phase == Phase::kHypercare; },
       .ends = {Phase::kRolledBack}});
  add({.name = "RollbackWhileTheSourceIsAwayWaits",
       .given = Watched,
       .meanwhile =
           [](Model& m, int round) {
             if (m.phase == Phase::kHypercare)
               m.migration.meta.annotations[api::kRollbackAnnotation] = "t1";
             m.source_up = m.phase != Phase::kRollingBack || round % 50 > 30;
           },
       .ends = {Phase::kRolledBack}});
  add({.name = "SchemaChangedIsCopiedAgain",
       .given =
           [](Model& m) { m.migration.spec.on_schema_change = api::OnSchemaChange::kCopyAgain; },
       .meanwhile =
           [](Model& m, int) {
             m.schema_changed = m.migration.status.attempt == 1 && m.phase == Phase::kCatchingUp;
           },
       .ends = {Phase::kCompleted}});
  add({.name = "SchemaChangedHoldsUntilAborted",
       .meanwhile =
           [](Model& m, int round) {
             m.schema_changed |= m.phase == Phase::kCatchingUp;
             if (round > 100) m.migration.meta.annotations[api::kAbortAnnotation] = "t1";
           },
       .ends = {Phase::kAborted}});
  add({.name = "SlotLost",
       .meanwhile =
           [](Model& m, int) {
             if (m.phase == Phase::kCatchingUp) m.forward.slot_lost = m.forward.slot;
           },
       .ends = {Phase::kFailed}});
  add({.name = "RogueWriteOnTheTarget",
       .given = [](Model& m) { m.rogue_write = true; },
       .ends = {Phase::kFailed}});
  add({.name = "TheMarkerDoesNotArriveAtFirst",
       .meanwhile =
           [](Model& m, int) {
             m.forward_stands_still =
                 m.phase == Phase::kFencing && m.migration.status.cutover.attempts == 1;
           },
       .ends = {Phase::kCompleted}});
  return all;
}

// The same ends as Offline's, by another way.
std::vector<Itinerary> OnlineItineraries(api::SwitchMode mode) {
  std::vector<Itinerary> all = StreamItineraries();
  auto add = [&](Itinerary itinerary) { all.push_back(std::move(itinerary)); };
  AddWaysOut(all, {Phase::kPreparing, Phase::kCopying, Phase::kCatchingUp, Phase::kAwaitingCutover,
                   Phase::kFencing, Phase::kFinalizing, Phase::kVerifying, Phase::kSwitching});
  add({.name = "DeleteInHypercare",
       .given = Watched,
       .meanwhile = DeleteIn(Phase::kHypercare),
       .ends = {Phase::kCompleted}});
  if (mode == api::SwitchMode::kPooler)
    add({.name = "PoolersThatDoNotPauseAreTriedAgain",
         .given = [](Model& m) { m.pauses_that_fail = 2; },
         .ends = {Phase::kCompleted}});
  for (Itinerary& itinerary : all) {
    itinerary.name = "Online" + std::string(api::Name(mode)) + itinerary.name;
    itinerary.given = [given = itinerary.given, mode](Model& m) {
      m.migration.spec.strategy = api::Strategy::kOnline;
      m.migration.spec.switch_mode = mode;
      given(m);
    };
  }
  return all;
}

class Simulation : public testing::TestWithParam<Itinerary> {};

TEST_P(Simulation, EndsAsItShouldWithoutAFault) {
  Model model = NewModel();
  RunItinerary(GetParam(), Fault::kNone, -1, model);
  CheckEnd(GetParam(), model);
}

TEST_P(Simulation, EndsAsItShouldWhateverDiesAroundEachEffect) {
  Model reference = NewModel();
  int effects = RunItinerary(GetParam(), Fault::kNone, -1, reference).effects;
  ASSERT_GT(effects, 3);
  for (Fault fault : {Fault::kDieBefore, Fault::kDieAfter, Fault::kAnswerLost, Fault::kRefused}) {
    for (int k = 0; k < effects; ++k) {
      SCOPED_TRACE(GetParam().name + " fault " + std::to_string(static_cast<int>(fault)) +
                   " at effect " + std::to_string(k));
      Model model = NewModel();
      RunItinerary(GetParam(), fault, k, model);
      CheckEnd(GetParam(), model);
      if (testing::Test::HasFailure()) return;  // One failing line replays it; more say no more.
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Itineraries, Simulation, testing::ValuesIn(Itineraries()),
                         [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(OnlineRestart, Simulation,
                         testing::ValuesIn(OnlineItineraries(api::SwitchMode::kRestart)),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(OnlinePooler, Simulation,
                         testing::ValuesIn(OnlineItineraries(api::SwitchMode::kPooler)),
                         [](const auto& test) { return test.param.name; });

TEST(SimulatedMigration, AConvergedMigrationCausesNoMoreWrites) {
  Model model = NewModel();
  RunItinerary({.name = "Success", .ends = {Phase::kCompleted}}, Fault::kNone, -1, model);
  ModelWorld world(model, 2);
  for (int round = 0; round < 5; ++round) {
    auto result = RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->moved);
    world.now += std::chrono::minutes(1);
  }
  EXPECT_EQ(world.effects, 0);
}

TEST(SimulatedMigration, WhileClientsWaitInAPoolerOnlyTheJournalsPhaseIsRecorded) {
  Model model = NewModel();
  model.migration.spec.strategy = api::Strategy::kOnline;
  model.migration.spec.switch_mode = api::SwitchMode::kPooler;
  Outcome outcome =
      RunItinerary({.name = "Success", .ends = {Phase::kCompleted}}, Fault::kNone, -1, model);
  auto& recorded = outcome.recorded;
  auto closing = std::find(recorded.begin(), recorded.end(), Phase::kFencing);
  ASSERT_GE(std::distance(closing, recorded.end()), 4);
  // Opening is recorded once clients are in again: its stream turns round behind them.
  EXPECT_EQ(
      std::vector<Phase>(closing, closing + 4),
      std::vector<Phase>({Phase::kFencing, Phase::kSwitching, Phase::kOpening, Phase::kSmoke}));
}

TEST(SimulatedMigration, ADeposedLeaderCannotTouchADatabase) {
  Model model = NewModel();
  ModelWorld old_leader(model, 1);
  model.epoch = 2;  // The new leader has already acted.
  model.migration.meta.finalizers = {api::kFinalizer};
  model.migration.status.phase = Phase::kPreparing;
  model.ledger = true;  // So that the next effect is one on a database.
  auto result = RunOnce(old_leader, {}, Deadline::Never(), model.migration, model.migration.status);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, "Deposed");
  EXPECT_EQ(model.source.state, ControlState::kNone);
}

TEST(SimulatedMigration, ARollbackAfterUsersAreInIsRefusedUntilTheLossIsAccepted) {
  Model model = NewModel();
  model.migration.spec.hypercare_seconds = 600;
  ModelWorld world(model, 1);
  for (int round = 0; round < 300 && model.migration.status.phase != Phase::kHypercare; ++round)
    ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
  model.migration.meta.annotations[api::kRollbackAnnotation] = "t1";
  ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
  EXPECT_EQ(model.migration.status.phase, Phase::kHypercare);
  EXPECT_EQ(model.migration.status.conditions.Find("Ready")->reason, "RollbackNeedsConsent");
  model.migration.meta.annotations[api::kAcceptDataLossAnnotation] = "t1";
  ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
  EXPECT_EQ(model.migration.status.phase, Phase::kRollingBack);
}

TEST(SimulatedMigration, ASuspendedOneGoesOnFollowingAndGivesUpWhenItsSlotIsLost) {
  Model model = NewModel();
  model.migration.spec.strategy = api::Strategy::kOnline;
  model.migration.spec.approval = api::Approval::kManual;
  ModelWorld world(model, 1);
  for (int round = 0; round < 300 && model.migration.status.phase != Phase::kAwaitingCutover;
       ++round) {
    ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
    world.now += std::chrono::seconds(1);
  }
  model.migration.spec.suspend = true;
  WallTime before = model.forward.heartbeat_written;
  ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
  EXPECT_GT(model.forward.heartbeat_written, before);
  EXPECT_EQ(model.migration.status.conditions.Find("Ready")->reason, "Suspended");
  model.forward.slot_lost = true;
  ASSERT_TRUE(RunOnce(world, {}, Deadline::Never(), model.migration, model.migration.status));
  EXPECT_EQ(model.migration.status.phase, Phase::kUndoing);
  EXPECT_EQ(model.migration.status.failure_reason, "SlotLost");
}

TEST(SimulatedMigration, AFailedMigrationSucceedsOnRetryOnceTheCauseIsGone) {
  Model model = NewModel();
  Itinerary fails{.name = "CopyFails",
                  .given = [](Model& m) { m.copy_fails = true; },
                  .ends = {Phase::kFailed}};
  RunItinerary(fails, Fault::kNone, -1, model);
  ASSERT_EQ(model.migration.status.phase, Phase::kFailed);
  model.migration.meta.annotations[api::kRetryAnnotation] = "again";
  Itinerary works{.name = "Retry",
                  .given = [](Model& m) { m.copy_fails = false; },
                  .ends = {Phase::kCompleted}};
  RunItinerary(works, Fault::kNone, -1, model);
  CheckEnd(works, model);
  EXPECT_EQ(model.migration.status.attempt, 2);
}

}  // namespace
}  // namespace cutover::migration
