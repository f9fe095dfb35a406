// SPDX-License-Identifier: Apache-2.0
//
// The operator, whole, against models of the API server and of two PostgreSQL servers, with a fault
// at every effect. By hand, with everything: CUTOVER_SIM_ALL=1 sim_cluster_test; more random runs:
// CUTOVER_SIM_SEEDS=10000; from another seed on: CUTOVER_SIM_FIRST_SEED=n; only some faults:
// CUTOVER_SIM_FAULTS=ApiAway,SourceAway; how far a second leader comes at an effect:
// CUTOVER_SIM_RIVAL_EFFECTS=1000.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/kube/metadata.h"
#include "postgres/replication.h"
#include "tests/sim/itineraries.h"
#include "tests/sim/postgres/stream.h"
#include "tests/sim/run_plans.h"

namespace cutover::sim {

// By value, so that gtest prints a name and not bytes.
std::ostream& operator<<(std::ostream& out, const Itinerary& itinerary) {
  return out << itinerary.name;
}

namespace {

using api::Phase;

// Of the faults at effects, every so many-eth is tried unless all are asked for. A prime: faults of
// each kind have their turns.
constexpr size_t kStride = 127;
constexpr int64_t kSeeds = 150;

int64_t FromEnvironment(const char* name, int64_t fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::atoll(value);
}

class Quiet : public testing::Environment {
 public:
  // Faults are what this is about; each would be a line of log or more.
  void SetUp() override {
    if (std::getenv("CUTOVER_SIM_REPLAY") == nullptr) SetLogLevel("off");
  }
};
const auto* const quiet = testing::AddGlobalTestEnvironment(new Quiet);

void Expect(const Tally& tally) {
  for (const std::string& failure : tally.failures) ADD_FAILURE() << failure;
  std::printf("[  runs    ] %lld runs, %lld effects, %zu distinct states, %.0f runs a minute\n",
              static_cast<long long>(tally.runs), static_cast<long long>(tally.effects),
              tally.states.size(),
              tally.seconds > 0 ? 60 * static_cast<double>(tally.runs) / tally.seconds : 0);
}

class Simulation : public testing::TestWithParam<Itinerary> {};

TEST_P(Simulation, EndsAsItShouldWithoutAFault) {
  const RunResult& reference = ReferenceOf(GetParam());
  for (const std::string& failure : reference.failures) ADD_FAILURE() << failure;
  RunResult again = sim::Simulation({&GetParam(), {}, 0}).Run();
  EXPECT_EQ(again.trace, reference.trace) << "not deterministic";
  EXPECT_EQ(again.end_state, reference.end_state);
}

TEST_P(Simulation, EndsAsItShouldWhateverDiesAroundEachEffect) {
  const RunResult& reference = ReferenceOf(GetParam());
  ASSERT_TRUE(reference.failures.empty()) << reference.failures.front();
  // What happens before the migration is there is the same for all.
  int first = GetParam().name == "Success" ? 0 : reference.effects_before;
  const int rival_effects =
      static_cast<int>(FromEnvironment("CUTOVER_SIM_RIVAL_EFFECTS", Fault().rival_effects));
  std::vector<RunPlan> all, chosen;
  for (int at = first; at < reference.effects; ++at)
    for (FaultKind kind : TriedFaults())
      all.push_back({FindItinerary(GetParam().name),
                     {{.kind = kind, .at = at, .rival_effects = rival_effects}},
                     0});
  const size_t stride = TriesEverything() ? 1 : kStride;
  size_t offset = std::hash<std::string>()(GetParam().name) % stride;
  for (size_t at = offset; at < all.size(); at += stride) chosen.push_back(all[at]);
  Expect(RunFromEffects(chosen));
}

INSTANTIATE_TEST_SUITE_P(Itineraries, Simulation, testing::ValuesIn(Itineraries()),
                         [](const auto& test) { return test.param.name; });

TEST(SimulatedMigration, EndsAsItShouldForAnySeed) {
  auto first = static_cast<uint64_t>(FromEnvironment("CUTOVER_SIM_FIRST_SEED", 1));
  auto count = static_cast<uint64_t>(FromEnvironment("CUTOVER_SIM_SEEDS", kSeeds));
  std::vector<RunPlan> plans;
  for (uint64_t seed = first; seed < first + count; ++seed) plans.push_back(RandomPlan(seed));
  Expect(RunPlans(plans));
}

// Once asked to go, a Job waits for its pods; asking on and on would only load the API server.
TEST(SimulatedMigration, AJobIsAskedToGoOnce) {
  int asked = 0;
  for (const std::string& effect : ReferenceOf(*FindItinerary("Success")).trace)
    asked += effect.find("DELETE /apis/batch/v1") != std::string::npos ? 1 : 0;
  EXPECT_EQ(asked, 2);  // The backup's and the copy's.
}

TEST(SimulatedMigration, WhileClientsWaitInAPoolerOnlyTheJournalsPhaseIsRecorded) {
  const auto& recorded = ReferenceOf(*FindItinerary("OnlinePoolerSuccess")).phases;
  auto closing = std::find(recorded.begin(), recorded.end(), Phase::kFencing);
  ASSERT_GE(std::distance(closing, recorded.end()), 4);
  // Opening is recorded once clients are in again: its stream turns round behind them.
  EXPECT_EQ(
      std::vector<Phase>(closing, closing + 4),
      std::vector<Phase>({Phase::kFencing, Phase::kSwitching, Phase::kOpening, Phase::kSmoke}));
}

// While users wait: for transactions to end before a pause, and for what was changed to be compared
// under the fence, no longer than each has for itself, nor than the spec lets them wait.
TEST(SimulatedMigration, UsersWaitForNothingLongerThanItsOwnBoundAndTheSpecs) {
  using std::chrono::milliseconds;
  struct Bounds {
    int write_pause_seconds_max;
    milliseconds pause, compare_min, compare_max;
  };
  // What follows the comparison has two seconds, and a round may take one longer than it is let.
  for (const Bounds& bounds :
       {Bounds{60, milliseconds(2'000), milliseconds(10'000), milliseconds(10'000)},
        Bounds{5, milliseconds(2'000), milliseconds(2'000), milliseconds(4'000)},
        Bounds{1, milliseconds(1'000), milliseconds(100), milliseconds(100)}}) {
    SCOPED_TRACE(bounds.write_pause_seconds_max);
    Itinerary itinerary = *FindItinerary("OnlinePoolerSuccess");
    Json cutover = itinerary.spec["cutover"];
    cutover.Set("maxWritePauseSeconds", bounds.write_pause_seconds_max);
    itinerary.spec.Set("cutover", std::move(cutover));
    sim::Simulation run({&itinerary, {}, 0});
    const RunResult result = run.Run();
    EXPECT_EQ(result.end, Phase::kCompleted);
    EXPECT_EQ(run.surroundings().pooler().pause_bound, bounds.pause);
    EXPECT_GE(run.target().compare_budget, bounds.compare_min);
    EXPECT_LE(run.target().compare_budget, bounds.compare_max);
  }
}

// What is judged of samples wherever they are recorded is judged of some.
TEST(SimulatedMigration, LeavesSamplesOfItsStream) {
  EXPECT_GT(ReferenceOf(*FindItinerary("OnlineRestartSuccess")).samples, 1u);
}

// The target was finalized, and its server away until the doors had been closed for too long: what
// was recorded of the source then is not what the source is when the doors close again.
TEST(SimulatedMigration, ASecondCutoverGoesByTheSourceAsItIsByThen) {
  Itinerary itinerary = *FindItinerary("OnlineRestartSuccess");
  Json cutover = itinerary.spec["cutover"];
  cutover.Set("maxWritePauseSeconds", 3);
  itinerary.spec.Set("cutover", std::move(cutover));
  auto limit_connections = [](sim::Simulation& run) {
    run.source().Edit(
        [](ServerState& state) { state.Edit(kTenant)->access.connection_limit = 17; });
  };
  itinerary.on_phase = {
      {Phase::kVerifying,
       [](sim::Simulation& run) { run.TakeAway(run.target(), std::chrono::seconds(6)); }},
      {Phase::kUndoing, [&limit_connections](sim::Simulation& run) {
         run.Later(std::chrono::seconds(15), limit_connections);
       }}};
  const RunResult result = sim::Simulation({&itinerary, {}, 0}).Run();
  for (const std::string& failure : result.failures) ADD_FAILURE() << failure;
  EXPECT_EQ(std::count(result.phases.begin(), result.phases.end(), Phase::kFinalizing), 2);
  EXPECT_THAT(result.end_state, testing::HasSubstr("target database acme 'ACME' "
                                                   R"({"owner":"acme","connectionLimit":17,)"));
}

constexpr int kAsFarAsItComes = 1'000;

// The first effect of these words comes late: its leader froze in the request, and its successor
// has come `rival_effects` further.
RunResult RunWithLate(const char* name, std::string_view words, int rival_effects) {
  const Itinerary* itinerary = FindItinerary(name);
  CHECK(itinerary != nullptr);
  const std::vector<std::string>& trace = ReferenceOf(*itinerary).trace;
  auto effect = std::find_if(trace.begin(), trace.end(), [words](const std::string& line) {
    return line.find(words) != line.npos;
  });
  EXPECT_NE(effect, trace.end()) << words;
  const Fault fault{.kind = FaultKind::kSecondLeader,
                    .at = static_cast<int>(effect - trace.begin()),
                    .lasts = std::chrono::seconds(45),
                    .rival_effects = rival_effects};
  return sim::Simulation({itinerary, {fault}, 0}).Run();
}

// PgBouncer knows no epochs: what a deposed leader has sent is done, and the move that it was for
// may be over, and deleted, or gone since somebody took its finalizer away.
TEST(SimulatedMigration, APauseThatComesWhenTheMigrationIsGoneKeepsNobodyWaiting) {
  for (const char* name : {"OnlinePoolerDeleteInFencing", "OnlinePoolerVanishesInFencing"}) {
    const RunResult result = RunWithLate(name, "PAUSE at the pooler", kAsFarAsItComes);
    EXPECT_THAT(result.failures, testing::IsEmpty());
    EXPECT_FALSE(result.end) << name << ": it was to be gone when the PAUSE came";
    EXPECT_THAT(result.trace, testing::Contains(testing::HasSubstr(" - RESUME at the pooler")));
  }
}

// The smoke test has failed, and a person is waited for: nobody at the other pooler waits as well.
TEST(SimulatedMigration, ClientsOfAPoolerThatAnswersAgainInSmokeGoOn) {
  Itinerary itinerary = *FindItinerary("OnlinePoolerSmokeFailsOverALostStream");
  itinerary.given = [given = itinerary.given](Surroundings& around) {
    given(around);
    around.PutSecondPoolerBeside();
  };
  itinerary.on_phase[Phase::kSwitching] = [](sim::Simulation& run) {
    run.surroundings().second_pooler().up = false;
  };
  std::optional<Phase> phase;
  bool paused_before = false, paused_after = true;
  itinerary.on_phase[Phase::kSmoke] = [&](sim::Simulation& run) {
    run.LoseSlots(run.target());
    run.surroundings().second_pooler().up = true;
    paused_before = run.surroundings().second_pooler().paused();
    run.Later(std::chrono::seconds(100), [&](sim::Simulation& then) {
      phase = then.phase();
      paused_after = then.surroundings().second_pooler().paused();
      then.Annotate(api::kRollbackAnnotation, "t2");
      then.Annotate(api::kAcceptDataLossAnnotation, "t2");
    });
  };
  EXPECT_THAT(sim::Simulation({&itinerary, {}, 0}).Run().failures, testing::IsEmpty());
  EXPECT_TRUE(paused_before);
  EXPECT_EQ(phase, Phase::kSmoke);
  EXPECT_FALSE(paused_after);
}

// A transaction is prepared on the target once its clients wait.
void PrepareOncePaused(sim::Simulation& run) {
  if (run.phase() != Phase::kRollingBack) return;
  if (!run.surroundings().pooler().paused())
    return run.Later(std::chrono::seconds(0), PrepareOncePaused);
  run.target().Edit(
      [](ServerState& state) { state.Edit(kTenant)->prepared_transactions.insert("order-42"); });
}

// What lost it was a failover; the target's fence is refused, and users go on there at once.
TEST(SimulatedMigration, ClientsGoOnAtOnceOnATargetWhoseSourceHasLostItsJournal) {
  Itinerary itinerary = *FindItinerary("OnlinePoolerRollbackInHypercare");
  const auto ask = itinerary.on_phase[Phase::kHypercare];
  itinerary.on_phase[Phase::kHypercare] = [ask](sim::Simulation& run) {
    run.source().Edit([](ServerState& state) { state.Edit(kTenant)->control->state = "fenced"; });
    ask(run);
  };
  bool waited = false, paused = true;
  itinerary.on_phase[Phase::kRollingBack] = [&](sim::Simulation& run) {
    PrepareOncePaused(run);
    run.Later(std::chrono::seconds(20), [&](sim::Simulation& then) {
      waited = !then.target().state().Find(kTenant)->prepared_transactions.empty();
      paused = then.surroundings().pooler().paused();
      then.target().Edit(
          [](ServerState& state) { state.Edit(kTenant)->prepared_transactions.clear(); });
    });
  };
  EXPECT_THAT(sim::Simulation({&itinerary, {}, 0}).Run().failures, testing::IsEmpty());
  EXPECT_TRUE(waited);
  EXPECT_FALSE(paused);
}

// A leader froze while it wrote that the tenant lives on the target, and its successor went back.
TEST(SimulatedMigration, APlacementIsNotLedElsewhereByWhatAFrozenLeaderSendsLate) {
  const RunResult result = RunWithLate("OnlinePoolerRollbackInHypercare",
                                       "Opening PATCH /apis/cutover.dev/v1alpha1/namespaces/acme/"
                                       "databaseplacements/acme/status",
                                       6);
  EXPECT_THAT(result.failures, testing::IsEmpty());
}

// Its successor went back without having to touch the routes, since they were as they had been.
TEST(SimulatedMigration, UsersAreNotSentToAPageThatIsGoneByWhatAFrozenLeaderSendsLate) {
  for (int rival_effects : {6, kAsFarAsItComes}) {
    const RunResult result =
        RunWithLate("WritePauseExceeded", "Fencing PATCH /apis/networking.k8s.io", rival_effects);
    EXPECT_THAT(result.failures, testing::IsEmpty());
  }
}

TEST(SimulatedMigration, AServiceIsNotLedElsewhereByWhatAFrozenLeaderSendsLate) {
  for (const char* words : {"Switching PATCH /api/v1/namespaces/acme/secrets",
                            "Switching PATCH /apis/discovery.k8s.io"})
    for (int rival_effects : {6, kAsFarAsItComes}) {
      const RunResult result = RunWithLate("OnlinePoolerDeleteInSwitching", words, rival_effects);
      EXPECT_THAT(result.failures, testing::IsEmpty()) << words;
    }
}

// The slot of the next copy has the name of the last one's.
TEST(SimulatedMigration, TheNextCopysSlotIsNotDroppedByWhatAFrozenLeaderSendsLate) {
  for (const char* words : {"Undoing commit on the source: SELECT pg_drop_replication_slot",
                            "Undoing commit on the source: SELECT pg_catalog.pg_drop_repl"}) {
    const RunResult result =
        RunWithLate("OnlinePoolerStructureChangedIsCopiedAgain", words, kAsFarAsItComes);
    EXPECT_THAT(result.failures, testing::IsEmpty()) << words;
  }
}

// A mover on a node that was lost asks for its slot when the node is back and all has been removed:
// nobody would read it, and the server's disk is others', too.
TEST(SimulatedMigration, ASlotThatComesWhenItsMigrationIsOverOrGoneDoesNotStay) {
  struct Case {
    const char* itinerary;
    Phase phase;
    std::optional<Phase> end;
  };
  for (const Case& one :
       {Case{"OnlineRestartSuccess", Phase::kCompleted, Phase::kCompleted},
        Case{"OnlineRestartAbortInCopying", Phase::kAborted, Phase::kAborted},
        Case{"OnlineRestartRollbackInHypercare", Phase::kRolledBack, Phase::kRolledBack},
        Case{"OnlineRestartDeleteInCopying", Phase::kUndoing, std::nullopt}}) {
    Itinerary itinerary = *FindItinerary(one.itinerary);
    itinerary.settles = std::chrono::minutes(8);  // Longer than from one sweep to the next.
    itinerary.on_phase[one.phase] = [](sim::Simulation& run) {
      const std::string name = pg::StreamName(
          kube::UidOf(run.Stored(kube::kTenantMigration, kMigration)), pg::Direction::kForward);
      run.Later(std::chrono::seconds(40),
                [=](sim::Simulation& then) { MakeSlot(then.source(), kTenant, name); });
    };
    const RunResult result = sim::Simulation({&itinerary, {}, 0}).Run();
    EXPECT_THAT(result.failures, testing::IsEmpty()) << one.itinerary;
    EXPECT_EQ(result.end, one.end) << one.itinerary;
    EXPECT_THAT(result.trace,
                testing::Contains(testing::AllOf(testing::HasSubstr("pg_drop_replication_slot"),
                                                 testing::HasSubstr(" on the source"))))
        << one.itinerary;
  }
}

// The same while it is undone: also when the control row is gone, by which all else is dropped.
TEST(SimulatedMigration, ASlotThatComesWhileAMoveIsUndoneDoesNotHoldItUp) {
  for (const char* name : {"OnlineRestartAbortInCatchingUp", "OnlineRestartRollbackInHypercare"}) {
    Itinerary itinerary = *FindItinerary(name);
    const std::vector<std::string> trace = ReferenceOf(itinerary).trace;
    itinerary.settles = std::chrono::minutes(8);
    int tried = 0;
    for (size_t at = 0; at < trace.size(); ++at) {
      if (trace[at].find(" Undoing ") == trace[at].npos &&
          trace[at].find(" RollingBack ") == trace[at].npos)
        continue;
      sim::Simulation run({&itinerary, {}, 0});
      run.choose_fault = [&](int number, bool stale) -> std::optional<Fault> {
        if (stale || number != static_cast<int>(at)) return std::nullopt;
        const std::string slot = pg::StreamName(
            kube::UidOf(run.Stored(kube::kTenantMigration, kMigration)), pg::Direction::kForward);
        if (run.source().state().slots.contains(slot)) return std::nullopt;
        MakeSlot(run.source(), kTenant, slot);
        ++tried;
        return std::nullopt;
      };
      EXPECT_THAT(run.Run().failures, testing::IsEmpty()) << trace[at];
    }
    EXPECT_GT(tried, 2) << name;
  }
}

// The namespace's controller comes to each kind first, in its turn, and takes its time.
TEST(SimulatedMigration, IsOverWhenItsNamespaceIsDeletedInWhateverOrder) {
  const std::vector<kube::Resource> order = {kube::kSecret,     kube::kDatabasePlacement,
                                             kube::kDeployment, kube::kTenantMigration,
                                             kube::kService,    kube::kIngress};
  const Json hypercare = *Json::Parse(R"({"durationSeconds":60,"onFailedChecks":"Hold"})");
  for (const char* name : {"Success", "OnlineRestartSuccess", "OnlinePoolerSuccess"})
    for (Phase phase : {Phase::kFencing, Phase::kOpening, Phase::kHypercare})
      for (size_t first = 0; first < order.size(); ++first)
        for (int apart : {3, 30}) {
          std::vector<kube::Resource> kinds = order;
          std::rotate(kinds.begin(), kinds.begin() + static_cast<ptrdiff_t>(first), kinds.end());
          Itinerary itinerary = *FindItinerary(name);
          itinerary.spec.Set("hypercare", hypercare);
          itinerary.loses_its_namespace = true;
          itinerary.on_phase[phase] = [&](sim::Simulation& run) {
            run.DeleteNamespace(kinds, std::chrono::seconds(apart));
          };
          const RunResult result = sim::Simulation({&itinerary, {}, 0}).Run();
          EXPECT_THAT(result.failures, testing::IsEmpty())
              << name << " in " << api::Name(phase) << ", " << kinds.front().kind << " first, "
              << apart << " s apart";
        }
}

// What no operator could prevent, so that it is known that the oracles would see it.
std::string FailuresOf(const Itinerary& itinerary) {
  std::string text;
  for (const std::string& failure : sim::Simulation({&itinerary, {}, 0}).Run().failures)
    text += failure + "\n";
  return text;
}

TEST(Oracles, SeeAnAcknowledgedWriteThatIsLost) {
  Itinerary itinerary{.name = "CopyLies",
                      .given = [](Surroundings& around) { around.misfortune.copy_lies = true; },
                      .ends = {Phase::kCompleted}};
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("lacks writes that were acknowledged"));
}

// The source gets what the target says when the tenant goes back.
TEST(Oracles, SeeASequenceThatIsBehindItsRowsOnEitherSide) {
  for (const auto& [itinerary_name, phase] :
       {std::pair("Success", Phase::kAdmitting),
        std::pair("OnlineRestartRollbackInHypercare", Phase::kRollingBack)}) {
    Itinerary itinerary = *FindItinerary(itinerary_name);
    itinerary.on_phase[phase] = [](sim::Simulation& run) {
      run.target().Edit([](ServerState& state) {
        state.Edit(kTenant)->content.sequences["orders_id_seq"] = {1, true};
      });
    };
    EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("orders_id_seq is behind its rows"))
        << itinerary_name;
  }
}

TEST(Oracles, SeeASecondWritableSide) {
  Itinerary itinerary{.name = "SourceOpenedByHand",
                      .on_phase = {{Phase::kSmoke,
                                    [](sim::Simulation& run) {
                                      run.source().Edit([](ServerState& state) {
                                        state.Edit(kTenant)->access = DefaultAccess(kTenant);
                                      });
                                    }}},
                      .ends = {Phase::kCompleted}};
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("both sides are writable"));
}

// Once the journal is written nobody looks at the source any more.
TEST(Oracles, SeeRowsThatDdlHasRewrittenLeftBehind) {
  Itinerary itinerary = *FindItinerary("OnlinePoolerRollbackInHypercare");
  itinerary.on_phase[Phase::kSwitching] = [](sim::Simulation& run) {
    run.RewriteRows(run.source());
  };
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("rows that ALTER TABLE has rewritten"));
}

TEST(Oracles, SeeATargetThatOpensBeforeItIsVerified) {
  Itinerary itinerary{.name = "TargetOpenedByHand",
                      .on_phase = {{Phase::kCopying,
                                    [](sim::Simulation& run) {
                                      run.target().Edit([](ServerState& state) {
                                        if (DatabaseState* copy = state.Edit(kTenant))
                                          copy->access = DefaultAccess(kTenant);
                                      });
                                    }}},
                      .ends = {Phase::kCompleted}};
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("a target that was not verified is writable"));
}

TEST(Oracles, SeeASourceThatIsDroppedWithinItsRetention) {
  Itinerary itinerary{
      .name = "SourceDroppedByHand",
      .on_phase = {{Phase::kCompleted,
                    [](sim::Simulation& run) {
                      run.source().Edit([](ServerState& state) { state.databases.erase(kTenant); });
                    }}},
      .ends = {Phase::kCompleted}};
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("the source was dropped before its retention had ended"));
}

// Of its own database the operator knows what was changed; the other one's is fenced.
TEST(Oracles, SeeWhatDdlMadeLeftBehind) {
  Itinerary itinerary = *FindItinerary("OnlinePoolerRollbackInHypercare");
  itinerary.on_phase[Phase::kRollingBack] = [](sim::Simulation& run) {
    run.ChangeStructure(run.source());
  };
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("lacks what DDL has made on the target"));
}

TEST(Oracles, SeeAPhaseThatNoLineOfTheTableLeadsTo) {
  Itinerary itinerary{
      .name = "PhaseWrittenByHand",
      .on_phase = {{Phase::kCompleted,
                    [](sim::Simulation& run) { run.OverwritePhase(Phase::kAborted); }}},
      .ends = {Phase::kAborted}};
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("illegal transition from Completed to Aborted"));
}

TEST(Oracles, SeeWhatIsDeletedAndMadeAgainInOneAttempt) {
  for (bool foreground : {false, true}) {
    Itinerary itinerary{.name = "Fickle",
                        .on_phase = {{Phase::kCopying,
                                      [foreground](sim::Simulation& run) {
                                        run.MakeAgainAsTheOperator(foreground);
                                      }}},
                        .ends = {Phase::kCompleted}};
    EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("fickle was deleted and made again"))
        << foreground;
  }
}

// Without a pooler each phase is recorded.
TEST(Oracles, SeeAPhaseThatIsSkipped) {
  Itinerary itinerary{.name = "PhaseSkippedByHand",
                      .on_phase = {{Phase::kFinalizing,
                                    [](sim::Simulation& run) {
                                      run.OverwritePhase(Phase::kFencing);
                                      run.OverwritePhase(Phase::kVerifying);
                                    }}},
                      .ends = {Phase::kCompleted}};
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("illegal transition from Fencing to Verifying"));
}

// The look at the end is not the last word on what happened while it was waited for.
TEST(Oracles, SeeWhatIsBreachedWhileTheEndIsAwaited) {
  Itinerary itinerary = *FindItinerary("Success");
  ReferenceOf(itinerary);  // By its name, so before it is changed.
  itinerary.on_phase[Phase::kCompleted] = [](sim::Simulation& run) {
    run.Unforeseen(std::chrono::seconds(50), [](sim::Simulation& then) {
      then.OverwritePhase(Phase::kAborted);
      then.OverwritePhase(Phase::kCompleted);
    });
  };
  const RunPlan plan{&itinerary,
                     {{.kind = FaultKind::kTargetAway, .at = 40, .lasts = std::chrono::seconds(5)}},
                     0};
  EXPECT_THAT(
      RunPlans({plan}).failures,
      testing::Contains(testing::HasSubstr("illegal transition from Completed to Aborted")));
}

TEST(Oracles, SeeAWriteThatComesEveryFiveMinutes) {
  Itinerary itinerary = *FindItinerary("Success");
  std::function<void(sim::Simulation&)> write = [&write](sim::Simulation& run) {
    run.MakeAgainAsTheOperator(false);
    run.Unforeseen(std::chrono::minutes(5), write);
  };
  itinerary.on_phase[Phase::kCompleted] = [&write](sim::Simulation& run) {
    run.Unforeseen(std::chrono::minutes(5), write);
  };
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("a write after everything had come to rest"));
}

TEST(Oracles, SeeAnEndThatIsNotTheReferences) {
  Itinerary itinerary = *FindItinerary("Success");
  ReferenceOf(itinerary);  // By its name, so before it is changed.
  itinerary.on_phase[Phase::kSmoke] = [](sim::Simulation& run) {
    run.source().Edit([](ServerState& state) { state.roles["stranger"] = {}; });
  };
  const Fault fault{.kind = FaultKind::kDieAfter, .at = 30};
  EXPECT_THAT(RunPlans({{&itinerary, {fault}, 0}}).failures,
              testing::Contains(testing::HasSubstr("ends otherwise than without the fault")));
}

// The source is dropped when its retention has ended, which is called rest here.
TEST(Oracles, SeeAWriteOnceAllHasComeToRest) {
  Itinerary itinerary = *FindItinerary("SourceDropped");
  itinerary.settles = std::chrono::seconds(5);
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("a write after everything had come to rest"));
}

TEST(Oracles, SeeWhatIsNotAsItWas) {
  Itinerary itinerary{
      .name = "ScaledByHand",
      .given = [](Surroundings& around) { around.misfortune.copy_fails = true; },
      .on_phase = {{Phase::kFailed, [](sim::Simulation& run) { run.ScaleWorkload(1); }}},
      .ends = {Phase::kFailed}};
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("replicas not restored"));
}

TEST(Oracles, SeeASlotThatKeepsMoreThanItMay) {
  Itinerary itinerary = *FindItinerary("OnlineRestartSourceAwayInHypercareBeyondTheBound");
  itinerary.on_phase[Phase::kHypercare] = [](sim::Simulation& run) {
    run.target().bytes_per_change = 20'000;
    MakeSlot(run.target(), kTenant, "somebody_elses");
  };
  EXPECT_THAT(FailuresOf(itinerary),
              testing::HasSubstr("slot somebody_elses on the target keeps more than it may"));
}

// Of the line that a failed run prints, in CUTOVER_SIM_REPLAY; else of one that does not fail.
TEST(SimulatedMigration, IsReplayedFromOneLine) {
  const char* asked = std::getenv("CUTOVER_SIM_REPLAY");
  const char* text = asked == nullptr ? "Success/0/DieAfter@12" : asked;
  RunPlan plan = ParsePlan(text);
  ASSERT_NE(plan.itinerary, nullptr) << "no such plan: " << text;
  RunResult result = sim::Simulation(plan).Run();
  for (size_t at = 0; at < result.trace.size(); ++at)
    std::printf("%4zu %s\n", at, result.trace[at].c_str());
  Expect(RunPlans({plan}));
}

}  // namespace
}  // namespace cutover::sim
