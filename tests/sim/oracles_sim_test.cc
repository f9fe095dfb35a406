// SPDX-License-Identifier: Apache-2.0
//
// Breaches that no operator of ours makes, each planted into a run that is good without it: a sign
// that the oracle which is to see it does, and what it says. (simulation_sim_test.cc has more.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "operator/kube/metadata.h"
#include "postgres/replication.h"
#include "tests/sim/itineraries.h"
#include "tests/sim/postgres/stream.h"
#include "tests/sim/simulation.h"

namespace cutover::sim {
namespace {

using api::Phase;

struct Breach {
  std::string name;
  const char* itinerary;
  Phase at;  ///< The phase of the migration.
  std::function<void(Simulation&)> plant;
  std::string words;
};

// By value, so that gtest prints a name and not bytes.
std::ostream& operator<<(std::ostream& out, const Breach& breach) { return out << breach.name; }

std::string FailuresOf(const Itinerary& itinerary) {
  std::string text;
  for (const std::string& failure : Simulation({&itinerary, {}, 0}).Run().failures)
    text += failure + "\n";
  return text;
}

// --- what is planted ----------------------------------------------------------------------------

std::function<void(Simulation&)> Status(const char* json) {
  return [json](Simulation& run) {
    run.OverwriteStatus(kube::kTenantMigration, kMigration, *Json::Parse(json));
  };
}

// Where nobody mends it: a round that is on its way is over a moment later.
std::function<void(Simulation&)> Unmended(std::function<void(Simulation&)> plant) {
  return [plant = std::move(plant)](Simulation& run) {
    run.StopOperators();
    run.Unforeseen(std::chrono::seconds(1), plant);
  };
}

std::function<void(Simulation&)> ServiceLedTo(const char* host) {
  return [host](Simulation& run) {
    const auto addresses = ModelResolver().Resolve({}, Deadline::Never(), host);
    const Json to = Json::ArrayOf(addresses.value_or(std::vector<std::string>{"10.0.0.99"}));
    run.Overwrite(kube::kEndpointSlice, {kSpace, "acme-pg-cutover-ipv4"},
                  Json::Object({{"endpoints", Json::Array({Json::Object({{"addresses", to}})})}}));
  };
}

std::function<void(Simulation&)> Planted(const kube::Resource& resource, const char* ns,
                                         const char* name) {
  return [=](Simulation& run) { run.Plant(resource, {ns, name}); };
}

std::string UidOfMigration(const Simulation& run) {
  return kube::UidOf(run.Stored(kube::kTenantMigration, kMigration));
}

void MakeAnotherActive(Simulation& run) {
  run.surroundings().CreateMigration("other", Json::Object());
  run.OverwriteStatus(kube::kTenantMigration, "other",
                      Json::Object({{"phase", api::Name(Phase::kCopying)}}));
}

void ApplyTheStreamBackOnTheSource(Simulation& run) {
  const std::string name = pg::StreamName(UidOfMigration(run), pg::Direction::kReverse);
  run.source().Edit([&name](ServerState& state) {
    state.Edit(kTenant)->subscriptions[name] = {.oid = ++state.oids, .enabled = true};
  });
}

void EndSessions(ModelServer& server) {
  std::vector<int> sessions;
  for (const auto& [pid, backend] : server.backends())
    if (backend.database == kTenant) sessions.push_back(pid);
  for (int pid : sessions) server.End(pid);
}

void DropTheSource(Simulation& run) {
  EndSessions(run.source());
  run.source().Edit([](ServerState& state) { state.databases.erase(kTenant); });
}

void ShutEverybodyOut(Simulation& run) {
  run.target().Edit([](ServerState& state) { state.Edit(kTenant)->access.connection_limit = 0; });
  EndSessions(run.target());
}

void SendUsersAway(Simulation& run) {
  Json spec = run.Stored(kube::kIngress, kTenant)["spec"];
  Json& path =
      spec.MutableAt("rules").MutableAt(0).MutableAt("http").MutableAt("paths").MutableAt(0);
  path.MutableAt("backend").MutableAt("service").Set("name", "elsewhere");
  run.Overwrite(kube::kIngress, {kSpace, kTenant}, Json::Object({{"spec", spec}}));
}

// While nobody writes any more: else the sequence would be behind it.
void AddARowThatNobodyWrote(Simulation& run) {
  SendUsersAway(run);
  run.target().Edit([](ServerState& state) {
    Content& content = state.Edit(kTenant)->content;
    content.rows.Insert(content.rows.size() + 5);
    ++content.sequences["orders_id_seq"].first;
  });
}

void PauseThePooler(Simulation& run) {
  ModelPooler& pooler = run.surroundings().pooler();
  auto kept = std::exchange(pooler.on_command, nullptr);  // By nobody's operator.
  pooler.Pause();
  pooler.on_command = std::move(kept);
}

void TakeThePoolerAway(Simulation& run) {
  run.surroundings().pooler().up = false;
  run.Unforeseen(std::chrono::seconds(1),
                 [](Simulation& then) { then.surroundings().pooler().up = true; });
}

void AddSamples(Simulation& run, int count, std::chrono::seconds apart) {
  Json samples = Json::Array();
  for (int i = 0; i < count; ++i)
    samples.Append(Json::Object({{"time", FormatTime(run.clock().WallNow() + i * apart)}}));
  run.OverwriteStatus(kube::kTenantMigration, kMigration, Json::Object({{"samples", samples}}));
}

std::function<void(Simulation&)> OnTheSource(std::function<void(ServerState&)> change) {
  return [change = std::move(change)](Simulation& run) { run.source().Edit(change); };
}

std::function<void(Simulation&)> OnTheTarget(std::function<void(ServerState&)> change) {
  return [change = std::move(change)](Simulation& run) { run.target().Edit(change); };
}

// --- and what is said of it ---------------------------------------------------------------------

std::vector<Breach> OnTheWay() {
  return {
      {"AnAcknowledgedWriteThatTheSourceHasLost", "OnlineRestartSuccess", Phase::kCopying,
       OnTheSource([](ServerState& state) { state.Edit(kTenant)->content.rows.RemoveLast(); }),
       "the source lets users write and lacks writes that were acknowledged"},
      {"ASourceThatIsDroppedOnTheWay", "Success", Phase::kHypercare, DropTheSource,
       "the source was dropped before the migration completed"},
      {"AServiceThatLeadsToACopyNobodyVerified", "Success", Phase::kCopying,
       ServiceLedTo("pg-target.example"), "wired to a target that was not verified"},
      {"AServiceThatLeadsBackOnceItIsOver", "Success", Phase::kCompleted,
       Unmended(ServiceLedTo("pg-source.example")),
       "wired to the source that users have left for good"},
      {"AnEndWithoutAVerifiedCopy", "Success", Phase::kCopying,
       [](Simulation& run) { run.OverwritePhase(Phase::kCompleted); },
       "completed without a verified target"},
      {"TwoActiveMigrations", "Success", Phase::kCopying, MakeAnotherActive,
       "two active migrations of one placement"},
      {"ChangesThatGoInACircle", "OnlineRestartSuccess", Phase::kAwaitingCutover,
       ApplyTheStreamBackOnTheSource, "changes go in a circle"},
      {"UsersBesideTheStreamBack", "OnlineRestartSuccess", Phase::kCatchingUp,
       ApplyTheStreamBackOnTheSource, "users write where the stream back is applied"},
      {"AWayBackThatIsPromisedAndGone", "OnlineRestartSuccess", Phase::kHypercare,
       [](Simulation& run) {
         run.Unforeseen(std::chrono::seconds(10),
                        Unmended([](Simulation& then) { then.LoseSlots(then.target()); }));
       },
       "RollbackReady, and no stream back carries what is written"},
      {"APasswordThatCanBeRead", "Success", Phase::kCopying,
       [](Simulation& run) { run.Annotate("example.com/note", kAdminPassword); },
       "a password in TenantMigration acme/move"},
      {"AReasonThatIsYoungerThanItIs", "Success", Phase::kCopying,
       Status(R"({"reasonSince":"2026-01-01T00:00:00Z"})"), "reasonSince has moved in Copying"},
      {"AReasonOfTomorrow", "Success", Phase::kCopying,
       Status(R"({"reasonSince":"2100-01-01T00:00:00Z"})"),
       "reasonSince is not a time up to now in Copying"},
      {"AGaugeThatSaysTwoSides", "Success", Phase::kCopying,
       [](Simulation& run) { run.Misstate(2); }, "cutover_writable_sides of acme/move says 2"},
      {"AGaugeThatSaysThatNobodyCanWrite", "OnlineRestartSuccess", Phase::kHypercare,
       [](Simulation& run) { run.Misstate(0); },
       "cutover_writable_sides goes on saying 0, and it is 1"},
      {"TooManySamples", "Success", Phase::kCopying,
       [](Simulation& run) { AddSamples(run, 61, std::chrono::seconds(10)); },
       "more samples than the API admits"},
      {"SamplesThatCrowd", "Success", Phase::kCopying,
       [](Simulation& run) { AddSamples(run, 2, std::chrono::seconds(9)); },
       "samples less than ten seconds apart"},
      {"ASampleForItsOwnSake", "Success", Phase::kCopying,
       [](Simulation& run) { AddSamples(run, 1, std::chrono::seconds(10)); },
       "a write for nothing but a sample"},
  };
}

std::vector<Breach> AtTheEnd() {
  return {
      {"ATenantThatIsShutOut", "Success", Phase::kCompleted, Unmended(ShutEverybodyOut),
       "the tenant is shut out"},
      {"AServiceThatLeadsNowhere", "Success", Phase::kCompleted,
       Unmended(ServiceLedTo("nowhere.example")), "wired to the wrong server"},
      {"UsersAtAnotherPage", "Success", Phase::kCompleted, Unmended(SendUsersAway),
       "users are left at the maintenance page"},
      {"ClientsThatWaitForEver", "OnlinePoolerSuccess", Phase::kCompleted, Unmended(PauseThePooler),
       "clients are left waiting in the pooler"},
      {"ClientsThatSeeErrors", "OnlinePoolerSuccess", Phase::kCompleted,
       Unmended(TakeThePoolerAway), "clients of the pooler saw errors"},
      {"ARowThatNobodyWrote", "Success", Phase::kCompleted, Unmended(AddARowThatNobodyWrote),
       "other rows are there than were acknowledged"},
      {"APlacementThatSaysTheOtherServer", "Success", Phase::kCompleted,
       Unmended([](Simulation& run) {
         run.OverwriteStatus(kube::kDatabasePlacement, kTenant,
                             Json::Object({{"serverName", kSourceServer}}));
       }),
       "placed on the wrong server"},
      {"AJob", "Success", Phase::kCompleted, Planted(kube::kJob, kSpace, "left"),
       "a Job is left behind"},
      {"AMaintenancePage", "Success", Phase::kCompleted,
       Unmended(Planted(kube::kDeployment, kSpace, "cutover-maintenance-move")),
       "the maintenance page is left behind"},
      {"ALedger", "Success", Phase::kCompleted, Unmended([](Simulation& run) {
         run.Plant(kube::kSecret, {kOperatorSpace, "cutover-ledger-" + UidOfMigration(run)});
       }),
       "a ledger too many, or too few"},
      {"ACopy", "CopyFails", Phase::kFailed, Unmended(OnTheTarget([](ServerState& state) {
         state.databases[kTenant] = std::make_shared<DatabaseState>();
       })),
       "a copy is left behind on the target"},
      {"ARole", "CopyFails", Phase::kFailed,
       Unmended(OnTheTarget([](ServerState& state) { state.roles[kTenant] = {}; })),
       "a role is left behind on the target"},
      {"ACaveatThatIsNotSaid", "OnlineRestartSuccess", Phase::kCompleted,
       Unmended(Status(R"({"message":"all is well"})")),
       "what nobody has compared is not said: all is well"},
      {"AWayBackThatIsPromised", "Success", Phase::kCompleted,
       Unmended(Status(
           R"({"conditions":[{"type":"RollbackReady","status":"True","reason":"StreamRuns"}]})")),
       "over, and RollbackReady all the same"},
      {"ATimeForTheWayBack", "Success", Phase::kCompleted,
       Unmended(Status(R"({"rollback":{"availableUntil":"2027-02-01T00:00:00Z"}})")),
       "over, and status.rollback.availableUntil is still there"},
  };
}

std::vector<Breach> OfAStream() {
  auto of_tenant = [](const std::function<void(DatabaseState&)>& change) {
    return Unmended(OnTheSource([change](ServerState& state) { change(*state.Edit(kTenant)); }));
  };
  const char* end = "Success";
  const Phase at = Phase::kCompleted;
  return {
      {"ASlot", end, at, Unmended([](Simulation& run) { MakeSlot(run.target(), kTenant, "left"); }),
       "slot left is left behind on the target"},
      {"ARoleOfAStream", end, at,
       Unmended(OnTheSource([](ServerState& state) { state.roles["cutover_left"] = {}; })),
       "role cutover_left is left behind on the source"},
      {"APublication", end, at,
       of_tenant([](DatabaseState& database) { database.publications.insert("left"); }),
       "publication left is left behind on the source"},
      {"ASubscription", end, at,
       of_tenant([](DatabaseState& database) { database.subscriptions["left"] = {}; }),
       "subscription left is left behind on the source"},
      {"AProbe", end, at,
       of_tenant([](DatabaseState& database) { database.probes["left"] = true; }),
       "the schema of a probe left is left behind on the source"},
  };
}

class PlantedBreach : public testing::TestWithParam<Breach> {};

TEST_P(PlantedBreach, IsSeenAndNamed) {
  const Itinerary* found = FindItinerary(GetParam().itinerary);
  ASSERT_NE(found, nullptr);
  Itinerary itinerary = *found;
  itinerary.on_phase[GetParam().at] = GetParam().plant;
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr(GetParam().words));
}

std::string NameOfCase(const testing::TestParamInfo<Breach>& test) { return test.param.name; }

INSTANTIATE_TEST_SUITE_P(OnTheWay, PlantedBreach, testing::ValuesIn(OnTheWay()), NameOfCase);
INSTANTIATE_TEST_SUITE_P(AtTheEnd, PlantedBreach, testing::ValuesIn(AtTheEnd()), NameOfCase);
INSTANTIATE_TEST_SUITE_P(OfAStream, PlantedBreach, testing::ValuesIn(OfAStream()), NameOfCase);

// --- those that are no matter of a phase --------------------------------------------------------

TEST(Oracles, SeeAnEndThatIsNotTheItinerarys) {
  Itinerary itinerary = *FindItinerary("CopyFails");
  itinerary.ends = {Phase::kCompleted};
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("ended as Failed: CopyFailed"));
}

TEST(Oracles, SeeAnEndForAnotherReason) {
  Itinerary itinerary = *FindItinerary("CopyFails");
  itinerary.given_up_for = "BackupFailed";
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("ended as Failed: CopyFailed"));
}

TEST(Oracles, SeeAMigrationThatNeverEnds) {
  Itinerary itinerary = *FindItinerary("Success");
  itinerary.on_phase[Phase::kCopying] = [](Simulation& run) { run.StopOperators(); };
  EXPECT_THAT(FailuresOf(itinerary), testing::HasSubstr("never came to rest: Copying"));
}

TEST(Oracles, SeeAPlacementThatIsNeverAdopted) {
  const Itinerary& itinerary = *FindItinerary("Success");
  Simulation simulation({&itinerary, {}, 0});
  simulation.source().Crash();
  EXPECT_THAT(simulation.Run().failures,
              testing::Contains(testing::HasSubstr("the placement was never adopted")));
}

// What an operator does within its own code is done by its leave here.
std::vector<std::string> FailuresWithin(const std::function<void(Simulation&, int)>& at_effect) {
  const Itinerary& itinerary = *FindItinerary("Success");
  Simulation simulation({&itinerary, {}, 0});
  bool within = false;
  simulation.choose_fault = [&](int number, bool stale) -> std::optional<Fault> {
    if (stale || within) return std::nullopt;
    within = true;
    at_effect(simulation, number);
    within = false;
    return std::nullopt;
  };
  return simulation.Run().failures;
}

TEST(Oracles, SeeATransactionThatOutlivesItsLeader) {
  const auto failures = FailuresWithin([](Simulation& run, int number) {
    Backend backend;
    backend.in_transaction = true;
    backend.changed_by = "UPDATE something";
    if (number == 20) run.source().on_commit(backend, [] {});
  });
  EXPECT_THAT(failures, testing::Contains(testing::HasSubstr(
                            "a transaction that outlives a leader who falls silent in it: UPDATE "
                            "something")));
}

TEST(Oracles, SeeWhatSqlDropsAndMakesAgainInOneAttempt) {
  const std::vector<std::pair<std::string, std::function<void(ServerState&, bool)>>> things = {
      {"slot fickle",
       [](ServerState& state, bool there) {
         if (there)
           state.slots["fickle"] = {.database = kTenant};
         else
           state.slots.erase("fickle");
       }},
      {"role fickle",
       [](ServerState& state, bool there) {
         if (there)
           state.roles["fickle"] = {};
         else
           state.roles.erase("fickle");
       }},
      {"publication fickle",
       [](ServerState& state, bool there) {
         if (there)
           state.Edit(kTenant)->publications.insert("fickle");
         else
           state.Edit(kTenant)->publications.erase("fickle");
       }},
      {"the control row of fickle", [](ServerState& state, bool there) {
         DatabaseState database;
         if (there) database.control.emplace();
         state.databases["fickle"] = std::make_shared<DatabaseState>(database);
       }}};
  for (const auto& [name, change] : things) {
    const auto failures = FailuresWithin([&change = change](Simulation& run, int number) {
      if (number != 20) return;
      ModelServer& source = run.source();
      auto session = source.Connect(kAdmin, kAdminPassword, "postgres", "cutover");
      CHECK(session.has_value());
      Backend& backend = **session;
      for (bool there : {true, false, true, false})
        source.on_commit(backend,
                         [&] { source.Edit([&](ServerState& state) { change(state, there); }); });
      source.End(backend.pid);
    });
    EXPECT_THAT(
        failures,
        testing::Contains(testing::HasSubstr(name + " on the source was dropped and made again")));
  }
}

}  // namespace
}  // namespace cutover::sim
