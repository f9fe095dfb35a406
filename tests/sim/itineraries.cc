// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/itineraries.h"

#include <memory>
#include <utility>

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::seconds;

using Command = std::function<void(Simulation&)>;

Command Say(const char* annotation, const char* token = "t1") {
  return [=](Simulation& run) { run.Annotate(annotation, token); };
}

Command Delete() {
  return [](Simulation& run) { run.DeleteMigration(); };
}

Json Spec(const char* json) { return *Json::Parse(json); }

std::function<void(Surroundings&)> With(bool Misfortune::*what) {
  return [what](Surroundings& around) { around.misfortune.*what = true; };
}

// A node has died, and nobody removes it: what it had is told to end, and stays. Of either
// strategy.
void AddDeadNodes(std::vector<Itinerary>& all) {
  all.push_back({.name = "PodNeverGoes",
                 .given = With(&Misfortune::pods_never_go),
                 .ends = {Phase::kCompleted}});
  all.push_back(
      {.name = "PodNeverGoesBeforeItGoesBack",
       .given = With(&Misfortune::smoke_fails),
       .on_phase = {{Phase::kOpening,
                     [](Simulation& run) { run.surroundings().misfortune.pods_never_go = true; }}},
       .ends = {Phase::kRolledBack}});
  all.push_back({.name = "JobsPodNeverGoes",
                 .given = With(&Misfortune::job_pods_never_go),
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "JobsPodNeverGoesAndItIsAborted",
                 .given = With(&Misfortune::job_pods_never_go),
                 .on_phase = {{Phase::kCopying, Say(api::kAbortAnnotation)}},
                 .ends = {Phase::kAborted}});
}

// Those of either strategy.
void AddCommonFailures(std::vector<Itinerary>& all) {
  all.push_back(
      {.name = "CopyFails", .given = With(&Misfortune::copy_fails), .ends = {Phase::kFailed}});
  all.push_back({.name = "CopyDiffers",
                 .given = With(&Misfortune::copy_differs),
                 .ends = {Phase::kFailed},
                 .given_up_for = "VerificationFailed"});
  all.push_back({.name = "SmokeFails",
                 .given = With(&Misfortune::smoke_fails),
                 .ends = {Phase::kRolledBack}});
}

void AddFailures(std::vector<Itinerary>& all) {
  all.push_back(
      {.name = "BackupFails", .given = With(&Misfortune::backup_fails), .ends = {Phase::kFailed}});
  AddCommonFailures(all);
  all.push_back({.name = "PodsNeverReady",
                 .given = With(&Misfortune::pods_never_ready_on_target),
                 .ends = {Phase::kRolledBack}});
  all.push_back({.name = "TargetAwayWhileOpening",
                 .on_phase = {{Phase::kOpening,
                               [](Simulation& run) { run.TakeAway(run.target(), seconds(60)); }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SourceAwayWhileUndoing",
                 .given = With(&Misfortune::copy_fails),
                 .on_phase = {{Phase::kUndoing,
                               [](Simulation& run) { run.TakeAway(run.source(), seconds(60)); }}},
                 .ends = {Phase::kFailed}});
  all.push_back({.name = "SessionLingers",
                 .given = With(&Misfortune::session_lingers),
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "WritePauseExceeded",
                 .spec = Spec(R"({"cutover":{"approval":"Automatic","switch":"Restart",
                                  "maxWritePauseSeconds":2}})"),
                 .ends = {Phase::kFailed}});
}

// Of pods into which a service mesh has put its proxy.
void AddProxies(std::vector<Itinerary>& all) {
  auto misfortunes = [](bool Misfortune::*what) {
    return [what](Surroundings& around) {
      around.misfortune.proxies_live_on = true;
      if (what != nullptr) around.misfortune.*what = true;
    };
  };
  all.push_back(
      {.name = "ProxiesLiveOn", .given = misfortunes(nullptr), .ends = {Phase::kCompleted}});
  all.push_back({.name = "CopyFailsBesideAProxy",
                 .given = misfortunes(&Misfortune::copy_fails),
                 .ends = {Phase::kFailed},
                 .given_up_for = "CopyFailed"});
  all.push_back({.name = "BackupFailsBesideAProxy",
                 .given = misfortunes(&Misfortune::backup_fails),
                 .ends = {Phase::kFailed},
                 .given_up_for = "BackupFailed"});
}

// Whoever was to log in with the new one would be shut out, on the side to which the move goes.
Itinerary PasswordIsChangedBeforeTheDoorsClose(Json manual) {
  return {.name = "PasswordIsChangedBeforeTheDoorsClose",
          .spec = std::move(manual),
          .on_phase = {{Phase::kAwaitingCutover,
                        [](Simulation& run) {
                          run.surroundings().ChangePassword(run.source());
                          run.Later(seconds(60), Say(api::kApproveAnnotation));
                          run.Later(seconds(400), Say(api::kApproveAnnotation, "t2"));
                        }}},
          .ends = {Phase::kCompleted}};
}

// Too late for the copy: the tenant goes back to where its new one is known.
Itinerary PasswordIsChangedInCopying() {
  return {.name = "PasswordIsChangedInCopying",
          .on_phase = {{Phase::kCopying,
                        [](Simulation& run) { run.surroundings().ChangePassword(run.source()); }}},
          .ends = {Phase::kRolledBack}};
}

Itinerary PasswordIsChangedInHypercareAndItGoesBack() {
  return {.name = "PasswordIsChangedInHypercareAndItGoesBack",
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.surroundings().ChangePassword(run.target());
                          run.Later(seconds(10), Say(api::kRollbackAnnotation));
                        }}},
          .ends = {Phase::kRolledBack}};
}

// A page that was ready, and is not when the doors are to be closed: they stay open.
Itinerary PageIsAwayWhenItIsNeeded() {
  return {.name = "PageIsAwayWhenItIsNeeded",
          .spec = Spec(R"({"cutover":{"approval":"Manual","switch":"Restart"}})"),
          .on_phase = {{Phase::kAwaitingCutover,
                        [](Simulation& run) {
                          run.surroundings().misfortune.page_not_ready = true;
                          run.Later(seconds(10), Say(api::kApproveAnnotation));
                          run.Later(seconds(120), Say(api::kAbortAnnotation));
                        }}},
          .ends = {Phase::kAborted}};
}

// What is held long enough to be asked its preflight twice, and then let go.
Command Resume() {
  return [](Simulation& run) {
    run.Later(seconds(700), [](Simulation& then) {
      then.PatchSpec(Json::Object({{"suspend", false}}));
    });
  };
}

void AddCommands(std::vector<Itinerary>& all) {
  for (Phase phase : {Phase::kPending, Phase::kPreflight, Phase::kBackingUp, Phase::kPreparing,
                      Phase::kAwaitingCutover, Phase::kFencing, Phase::kCopying, Phase::kFinalizing,
                      Phase::kVerifying, Phase::kSwitching}) {
    all.push_back({.name = "AbortIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Say(api::kAbortAnnotation)}},
                   .ends = {Phase::kAborted, Phase::kCompleted}});
    all.push_back({.name = "DeleteIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Delete()}},
                   .ends = {}});
  }
  for (Phase phase : {Phase::kOpening, Phase::kSmoke}) {
    all.push_back({.name = "RollbackIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Say(api::kRollbackAnnotation)}},
                   .ends = {Phase::kRolledBack, Phase::kCompleted}});
    all.push_back({.name = "DeleteIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Delete()}},
                   .ends = {}});
  }
  const Json hypercare = Spec(R"({"hypercare":{"durationSeconds":20,"onFailedChecks":"Hold"}})");
  for (Phase phase : {Phase::kAdmitting, Phase::kHypercare, Phase::kCompleting})
    all.push_back({.name = "DeleteIn" + std::string(api::Name(phase)),
                   .spec = hypercare,
                   .on_phase = {{phase, Delete()}},
                   .ends = {}});
  all.push_back({.name = "RollbackInHypercareWithConsent",
                 .spec = hypercare,
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) {
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 run.Annotate(api::kAcceptDataLossAnnotation, "t1");
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
  all.push_back({.name = "DeletedAfterRollback",
                 .given = With(&Misfortune::smoke_fails),
                 .on_phase = {{Phase::kRolledBack, Delete()}},
                 .ends = {}});
  all.push_back({.name = "Retry",
                 .given = With(&Misfortune::copy_fails),
                 .on_phase = {{Phase::kFailed,
                               [](Simulation& run) {
                                 run.surroundings().misfortune.copy_fails = false;
                                 run.Annotate(api::kRetryAnnotation, "again");
                               }}},
                 .ends = {Phase::kCompleted}});
}

void AddWaits(std::vector<Itinerary>& all) {
  all.push_back({.name = "Approval",
                 .spec = Spec(R"({"cutover":{"approval":"Manual","switch":"Restart"}})"),
                 .on_phase = {{Phase::kAwaitingCutover, Say(api::kApproveAnnotation)}},
                 .ends = {Phase::kCompleted}});
  // The virtual clock begins at 2027-01-15T08:00:00Z.
  all.push_back({.name = "Window",
                 .spec = Spec(R"({"cutover":{"approval":"Automatic","switch":"Restart","window":
                     {"start":"2027-01-15T08:01:00Z","end":"2027-01-15T09:00:00Z"}}})"),
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "WindowMissed",
                 .spec = Spec(R"({"cutover":{"approval":"Manual","switch":"Restart","window":
                     {"start":"2027-01-15T08:00:30Z","end":"2027-01-15T08:01:30Z"}}})"),
                 .ends = {Phase::kFailed}});
  all.push_back(
      {.name = "AppliedWithItsPlacement", .ends = {Phase::kCompleted}, .applied_at_once = true});
  all.push_back({.name = "Suspended",
                 .spec = Spec(R"({"suspend":true})"),
                 .on_phase = {{Phase::kPreflight, Resume()}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SourceDropped",
                 .spec = Spec(R"({"source":{"retentionSeconds":30,"reclaimPolicy":"Delete"}})"),
                 .ends = {Phase::kCompleted},
                 .settles = seconds(70)});
  all.push_back(
      {.name = "Rival",
       .given = [](Surroundings& around) { around.CreateMigration("another", Json::Object()); },
       .ends = {Phase::kCompleted, Phase::kFailed},
       .has_rival = true});
}

// An approval that comes before its window, and a window that had ended before anybody looked.
void AddWindows(std::vector<Itinerary>& all) {
  all.push_back({.name = "ApprovedBeforeItsWindow",
                 .spec = Spec(R"({"cutover":{"approval":"Manual","switch":"Restart","window":
                     {"start":"2027-01-15T08:02:00Z","end":"2027-01-15T09:00:00Z"}}})"),
                 .on_phase = {{Phase::kAwaitingCutover, Say(api::kApproveAnnotation)}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "WindowOver",
                 .spec = Spec(R"({"cutover":{"approval":"Automatic","switch":"Restart","window":
                     {"start":"2027-01-15T06:00:00Z","end":"2027-01-15T07:00:00Z"}}})"),
                 .ends = {Phase::kFailed},
                 .given_up_for = "PreflightFailed"});
}

// Wiring that does not name the source's endpoint: before the move, or no longer when it goes back.
void AddDriftedWirings(std::vector<Itinerary>& all) {
  all.push_back({.name = "SmokeFailsWithDriftedWiring",
                 .given =
                     [](Surroundings& around) {
                       around.misfortune.smoke_fails = true;
                       around.WireThrough("pg-alias.example");
                     },
                 .ends = {Phase::kRolledBack}});
  all.push_back({.name = "SmokeFailsOnceTheSourceHasAnotherName",
                 .given = With(&Misfortune::smoke_fails),
                 .on_phase = {{Phase::kOpening, [](Simulation& run) { run.RenameSource(); }}},
                 .ends = {Phase::kRolledBack}});
}

// Found before users are stopped: a move that had begun would not end Aborted.
Itinerary FrozenWiring() {
  return {.name = "FrozenWiringIsFoundBeforeUsersAreStopped",
          .given = [](Surroundings& around) { around.FreezeWiring(); },
          .on_phase = {{Phase::kPreflight,
                        [](Simulation& run) {
                          run.Later(std::chrono::minutes(3), Say(api::kAbortAnnotation));
                        }}},
          .ends = {Phase::kAborted}};
}

// What serves users would not come back once it was stopped: found while they are in. It is
// repaired later than Opening would wait for its pods.
Itinerary RolloutThatHangs() {
  const auto set = [](bool is_gone) {
    return [=](Simulation& then) { then.surroundings().misfortune.image_is_gone = is_gone; };
  };
  return {.name = "RolloutThatHangsIsFoundBeforeUsersAreStopped",
          .spec = Spec(R"({"suspend":true})"),
          .on_phase = {{Phase::kPreflight,
                        [=](Simulation& run) {
                          run.Later(seconds(30), set(true));
                          Resume()(run);
                          run.Later(seconds(1500), set(false));
                        }}},
          .ends = {Phase::kCompleted}};
}

// Somebody scales while a move waits, hours after its ledger was written.
Itinerary ScaledWhileItWaits(int replicas, const char* command, Phase end) {
  return {
      .name = "ScaledTo" + std::to_string(replicas) + "WhileItWaits" + std::string(api::Name(end)),
      .spec = Spec(R"({"cutover":{"approval":"Manual","switch":"Restart"}})"),
      .on_phase = {{Phase::kAwaitingCutover,
                    [=](Simulation& run) {
                      run.ScaleWorkloadForGood(replicas);
                      run.Later(seconds(5), Say(command));
                    }}},
      .ends = {end}};
}

void AddScalings(std::vector<Itinerary>& all) {
  all.push_back(ScaledWhileItWaits(6, api::kApproveAnnotation, Phase::kCompleted));
  all.push_back(ScaledWhileItWaits(6, api::kAbortAnnotation, Phase::kAborted));
  all.push_back(ScaledWhileItWaits(0, api::kAbortAnnotation, Phase::kAborted));
}

// The placement's own Service comes late, or has gone while nothing of the move has begun: the
// placement makes it, and the move waits for it no longer than that.
void AddServicesThatComeLate(std::vector<Itinerary>& all) {
  const Json held = Spec(R"({"suspend":true})");
  all.push_back({.name = "ServiceIsNamedWhileItIsHeld",
                 .spec = held,
                 .on_phase = {{Phase::kPreflight,
                               [](Simulation& run) {
                                 run.PatchPlacement(Spec(R"({"connection":{"service":null}})"));
                                 run.DeleteService();
                                 run.Later(seconds(60), [](Simulation& then) {
                                   then.PatchPlacement(
                                       Spec(R"({"connection":{"service":{"name":"acme-pg"}}})"));
                                 });
                                 Resume()(run);
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "PlacementIsMadeAgainWhileItIsHeld",
                 .spec = held,
                 .on_phase = {{Phase::kPreflight,
                               [](Simulation& run) {
                                 run.Later(seconds(60),
                                           [](Simulation& then) { then.MakePlacementAgain(); });
                                 Resume()(run);
                               }}},
                 .ends = {Phase::kCompleted}});
  for (Phase phase : {Phase::kPending, Phase::kPreflight, Phase::kBackingUp, Phase::kPreparing})
    all.push_back({.name = "ServiceIsDeletedIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, [](Simulation& run) { run.DeleteService(); }}},
                   .ends = {Phase::kCompleted}});
}

// Git still names the server that the tenant has left. The Service stays where users work, until
// somebody says where that is.
void AddLostStatus(std::vector<Itinerary>& all) {
  all.push_back(
      {.name = "PlacementStatusIsLostAfterTheMove",
       .on_phase = {{Phase::kCompleted,
                     [](Simulation& run) {
                       run.LosePlacementStatus();
                       run.Later(seconds(90), [](Simulation& then) {
                         then.PatchPlacement(Json::Object({{"serverName", kTargetServer}}));
                       });
                     }}},
       .ends = {Phase::kCompleted}});
}

// --- strategy Online ----------------------------------------------------------------------------

constexpr int64_t kRogueRow = 9'999;

Json OnlineSpec(api::SwitchMode mode, const char* rest = "{}") {
  Json spec = Json::Object({{"strategy", "Online"}});
  spec.Set("cutover", Json::Object({{"approval", "Automatic"}, {"switch", Name(mode)}}));
  spec.Set("hypercare", Spec(R"({"durationSeconds":20,"onFailedChecks":"Hold"})"));
  const Json more = Spec(rest);
  for (const auto& [key, value] : more.Members()) spec.Set(key, value);
  return spec;
}

Json OnlineSpecWithCutover(api::SwitchMode mode, const char* field, Json value) {
  Json spec = OnlineSpec(mode);
  spec.MutableAt("cutover").Set(field, std::move(value));
  return spec;
}

// Where something can happen behind closed doors: with a pooler only these phases are recorded.
Phase BehindDoors(api::SwitchMode mode) {
  return mode == api::SwitchMode::kPooler ? Phase::kFencing : Phase::kFinalizing;
}

// What happens to the stream before there is no way back to the source but it.
void AddStreamTroubles(std::vector<Itinerary>& all, api::SwitchMode mode) {
  all.push_back(
      {.name = "SlotLost",
       .on_phase = {{Phase::kCatchingUp, [](Simulation& run) { run.LoseSlots(run.source()); }}},
       .ends = {Phase::kFailed}});
  all.push_back(
      {.name = "ReverseSlotLostBehindDoors",
       .on_phase = {{BehindDoors(mode), [](Simulation& run) { run.LoseSlots(run.target()); }}},
       .ends = {Phase::kFailed}});
  all.push_back(
      {.name = "RogueWriteOnTheTarget",
       .on_phase = {{Phase::kAwaitingCutover,
                     [](Simulation& run) { run.WriteBehindTheFence(run.target(), kRogueRow); }}},
       .ends = {Phase::kFailed}});
  all.push_back({.name = "StructureChangedIsCopiedAgain",
                 .spec = OnlineSpec(mode, R"({"copy":{"jobs":2,"onSchemaChange":"CopyAgain"}})"),
                 .on_phase = {{Phase::kCatchingUp,
                               [](Simulation& run) { run.ChangeStructure(run.source()); }}},
                 .ends = {Phase::kCompleted}});
  all.push_back(
      {.name = "RowsRewrittenByDdlAreCopiedAgain",
       .spec = OnlineSpec(mode, R"({"copy":{"jobs":2,"onSchemaChange":"CopyAgain"}})"),
       .on_phase = {{Phase::kCatchingUp, [](Simulation& run) { run.RewriteRows(run.source()); }}},
       .ends = {Phase::kCompleted}});
  // Behind the doors, before the last look. With a pooler that is over before the phase is known.
  if (mode == api::SwitchMode::kRestart)
    all.push_back(
        {.name = "RowsRewrittenByDdlTooLateToBeSeen",
         .spec = OnlineSpec(mode, R"({"copy":{"jobs":2,"onSchemaChange":"CopyAgain"}})"),
         .on_phase = {{Phase::kFencing, [](Simulation& run) { run.RewriteRows(run.source()); }}},
         .ends = {Phase::kCompleted}});
  all.push_back({.name = "StructureChangedHoldsUntilAborted",
                 .on_phase = {{Phase::kCatchingUp,
                               [](Simulation& run) {
                                 run.ChangeStructure(run.source());
                                 run.Later(seconds(20), Say(api::kAbortAnnotation));
                               }}},
                 .ends = {Phase::kAborted}});
  Json held = OnlineSpec(mode);
  held.Set("suspend", true);
  all.push_back({.name = "SuspendedBeforeItBegins",
                 .spec = held,
                 .on_phase = {{Phase::kPreflight, Resume()}},
                 .ends = {Phase::kCompleted}});
  all.push_back(
      {.name = "DeletedWhileItIsHeld",
       .spec = std::move(held),
       .on_phase = {{Phase::kPreflight, [](Simulation& run) { run.Later(seconds(20), Delete()); }}},
       .ends = {},
       .settles = seconds(150)});  // Online, as long as DeletedWhileStreamsAreTried.
  all.push_back({.name = "SuspendedWhileCatchingUp",
                 .on_phase = {{Phase::kCatchingUp,
                               [](Simulation& run) {
                                 run.PatchSpec(Json::Object({{"suspend", true}}));
                                 run.Later(seconds(20), [](Simulation& then) {
                                   then.PatchSpec(Json::Object({{"suspend", false}}));
                                 });
                               }}},
                 .ends = {Phase::kCompleted}});
}

// Suspension holds what a person should not be surprised by; a slot is lost all the same.
Itinerary SuspendedAndSlotLost() {
  return {.name = "SuspendedAndSlotLost",
          .on_phase = {{Phase::kCatchingUp,
                        [](Simulation& run) {
                          run.PatchSpec(Json::Object({{"suspend", true}}));
                          run.Later(seconds(10),
                                    [](Simulation& then) { then.LoseSlots(then.source()); });
                        }}},
          .ends = {Phase::kFailed}};
}

// The last write does not arrive while the doors may be closed: tried again later.
Itinerary MarkerDoesNotArriveAtFirst(api::SwitchMode mode) {
  Json spec = OnlineSpec(mode);
  Json cutover = spec["cutover"];
  cutover.Set("maxWritePauseSeconds", 3);
  spec.Set("cutover", std::move(cutover));
  return {.name = "MarkerDoesNotArriveAtFirst",
          .spec = std::move(spec),
          .on_phase = {{Phase::kFencing, [](Simulation& run) { run.target().applies = false; }},
                       {Phase::kUndoing, [](Simulation& run) { run.target().applies = true; }}},
          .ends = {Phase::kCompleted}};
}

// It was prepared after the last look, and nobody commits it before the fence gives up.
Itinerary TransactionIsPreparedBeforeTheFence() {
  auto prepared = [](Simulation& run, bool is_there) {
    run.source().Edit([=](ServerState& state) {
      DatabaseState* database = state.Edit(kTenant);
      if (database == nullptr) return;
      if (is_there)
        database->prepared_transactions.insert("order-42");
      else
        database->prepared_transactions.clear();
    });
  };
  return {.name = "TransactionIsPreparedBeforeTheFence",
          .on_phase = {{Phase::kAwaitingCutover,
                        [=](Simulation& run) {
                          prepared(run, true);
                          run.Later(seconds(60), [=](Simulation& then) { prepared(then, false); });
                        }}},
          .ends = {Phase::kCompleted}};
}

// The pooler does not come to its pause in time: tried again later.
Itinerary PauseExceeded() {
  auto stick = [](Surroundings& around, bool is_stuck) {
    around.pooler().transaction_stuck = is_stuck;
  };
  Itinerary itinerary{
      .name = "PauseExceededAndTriedLater",
      .given = [stick](Surroundings& around) { stick(around, true); },
      .spec = OnlineSpec(api::SwitchMode::kPooler),
      .on_phase = {{Phase::kUndoing,
                    [stick](Simulation& run) { stick(run.surroundings(), false); }}},
      .ends = {Phase::kCompleted}};
  Json cutover = itinerary.spec["cutover"];
  cutover.Set("maxWritePauseSeconds", 3);
  itinerary.spec.Set("cutover", std::move(cutover));
  return itinerary;
}

// The finalizer is taken away with the object: what it had made is undone by the sweeper, which
// comes at once, and once more when what is half made is nobody's for certain.
Itinerary VanishesIn(Phase phase) {
  return {.name = "VanishesIn" + std::string(api::Name(phase)),
          .on_phase = {{phase, [](Simulation& run) { run.VanishMigration(); }}},
          .ends = {},
          .settles = seconds(150)};
}

// The target is open, so it is reported, and finished when a person has said so.
Itinerary VanishesAndIsFinished() {
  return {.name = "VanishesInHypercareAndIsFinished",
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.VanishMigration();
                          run.Later(seconds(20), [](Simulation& then) { then.ResolveOrphan(); });
                        }}},
          .ends = {},
          .settles = seconds(310)};
}

void AddWaysBack(std::vector<Itinerary>& all, api::SwitchMode mode) {
  for (Phase phase : {Phase::kOpening, Phase::kSmoke, Phase::kAdmitting, Phase::kHypercare})
    all.push_back({.name = "RollbackIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Say(api::kRollbackAnnotation)}},
                   .ends = {Phase::kRolledBack}});
  all.push_back(
      {.name = "CheckFailsInHypercare",
       .spec =
           OnlineSpec(mode, R"({"hypercare":{"durationSeconds":60,"onFailedChecks":"Rollback"}})"),
       .on_phase = {{Phase::kHypercare,
                     [](Simulation& run) { run.surroundings().misfortune.smoke_fails = true; }}},
       .ends = {Phase::kRolledBack}});
  if (mode == api::SwitchMode::kRestart)
    all.push_back({.name = "RollbackOfWhatWasScaledInHypercare",
                   .on_phase = {{Phase::kHypercare,
                                 [](Simulation& run) {
                                   run.ScaleWorkloadForGood(6);
                                   run.Later(seconds(5), Say(api::kRollbackAnnotation));
                                 }}},
                   .ends = {Phase::kRolledBack}});
  // The stream back stands still, and a person will not wait for it.
  all.push_back({.name = "RollbackInHypercareWithConsent",
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) {
                                 run.source().applies = false;
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 run.Annotate(api::kAcceptDataLossAnnotation, "t1");
                                 run.Later(seconds(5),
                                           [](Simulation& then) { then.source().applies = true; });
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
  all.push_back({.name = "RollbackWhileTheSourceIsAwayWaits",
                 .on_phase = {{Phase::kHypercare, Say(api::kRollbackAnnotation)},
                              {Phase::kRollingBack,
                               [](Simulation& run) { run.TakeAway(run.source(), seconds(60)); }}},
                 .ends = {Phase::kRolledBack}});
  const Json long_hypercare =
      OnlineSpec(mode, R"({"hypercare":{"durationSeconds":90,"onFailedChecks":"Rollback"}})");
  all.push_back({.name = "SourceAwayInHypercare",
                 .spec = long_hypercare,
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) { run.TakeAway(run.source(), seconds(40)); }}},
                 .ends = {Phase::kCompleted}});
  all.push_back(
      {.name = "ReverseSlotLostInHypercare",
       .spec = long_hypercare,
       .on_phase = {{Phase::kHypercare, [](Simulation& run) { run.LoseSlots(run.target()); }}},
       .ends = {Phase::kCompleted}});
}

// What nobody can go back over without a loss, or not yet: users work on until a person has been
// asked, or until it comes.
void AddShutWaysBack(std::vector<Itinerary>& all, api::SwitchMode mode) {
  auto consent_later = [](Simulation& run) {
    run.Later(seconds(20), [](Simulation& then) {
      then.Annotate(api::kRollbackAnnotation, "t2");
      then.Annotate(api::kAcceptDataLossAnnotation, "t2");
    });
  };
  all.push_back({.name = "RollbackOverALostStreamIsTakenBack",
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) {
                                 run.LoseSlots(run.target());
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 run.Later(seconds(15), Say(api::kRollbackAnnotation, ""));
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "RollbackOverALostStreamIsAccepted",
                 .on_phase = {{Phase::kHypercare,
                               [consent_later](Simulation& run) {
                                 run.LoseSlots(run.target());
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 consent_later(run);
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
  // With a pooler users are in; otherwise nobody is, and nothing of theirs is lost.
  all.push_back({.name = "SmokeFailsOverALostStream",
                 .given = With(&Misfortune::smoke_fails),
                 .on_phase = {{Phase::kSmoke,
                               [consent_later, mode](Simulation& run) {
                                 run.LoseSlots(run.target());
                                 if (mode == api::SwitchMode::kPooler) consent_later(run);
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = mode == api::SwitchMode::kPooler});
  // Behind the doors: they are opened again, on the target.
  Itinerary stands_still{.name = "LastWriteDoesNotComeBackAtFirst",
                         .spec = OnlineSpec(mode),
                         .on_phase = {{Phase::kHypercare, Say(api::kRollbackAnnotation)},
                                      {Phase::kRollingBack,
                                       [](Simulation& run) {
                                         run.source().applies = false;
                                         run.Later(seconds(60), [](Simulation& then) {
                                           then.source().applies = true;
                                         });
                                       }}},
                         .ends = {Phase::kRolledBack}};
  Json cutover = stands_still.spec["cutover"];
  cutover.Set("maxWritePauseSeconds", 3);
  stands_still.spec.Set("cutover", std::move(cutover));
  all.push_back(std::move(stands_still));
  if (mode == api::SwitchMode::kPooler)
    all.push_back({.name = "TransactionHoldsUpTheRollback",
                   .on_phase = {{Phase::kHypercare,
                                 [](Simulation& run) {
                                   run.surroundings().pooler().transaction_stuck = true;
                                   run.Annotate(api::kRollbackAnnotation, "t1");
                                   run.Later(seconds(45), [](Simulation& then) {
                                     then.surroundings().pooler().transaction_stuck = false;
                                   });
                                 }}},
                   .ends = {Phase::kRolledBack}});
}

// DDL on the target while users work there: nothing goes back until it is undone, or accepted.
void AddStructuresThatDiffer(std::vector<Itinerary>& all) {
  auto undo_later = [](Simulation& run) {
    run.Later(seconds(15), [](Simulation& then) { then.ChangeStructure(then.target(), -1); });
  };
  all.push_back({.name = "TargetsStructureChangedHoldsTheRollback",
                 .on_phase = {{Phase::kHypercare,
                               [undo_later](Simulation& run) {
                                 run.ChangeStructure(run.target());
                                 run.Later(seconds(4), Say(api::kRollbackAnnotation));
                                 undo_later(run);
                               }}},
                 .ends = {Phase::kRolledBack}});
  // Behind the doors, in the last moment before the fence: users go on on the target.
  all.push_back({.name = "TargetsStructureChangedTooLateToBeSeen",
                 .on_phase = {{Phase::kHypercare, Say(api::kRollbackAnnotation)},
                              {Phase::kRollingBack,
                               [undo_later](Simulation& run) {
                                 run.ChangeStructure(run.target());
                                 undo_later(run);
                               }}},
                 .ends = {Phase::kRolledBack}});
  all.push_back({.name = "TargetsStructureChangedAndAccepted",
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) {
                                 run.ChangeStructure(run.target());
                                 run.Later(seconds(6), [](Simulation& then) {
                                   then.Annotate(api::kRollbackAnnotation, "t1");
                                   then.Annotate(api::kAcceptDataLossAnnotation, "t1");
                                 });
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
}

// From here on a server keeps so much for a slot that is not read that the bound is passed within
// ten seconds.
void WriteMuch(ModelServer& server) { server.bytes_per_change = 20'000; }

// One server is away for so long that the other one would have to keep too much for it.
void AddFullDisks(std::vector<Itinerary>& all, api::SwitchMode mode) {
  const Json spec = OnlineSpec(mode, R"({"copy":{"jobs":2,"maxRetainedWalBytes":1048576},
                           "hypercare":{"durationSeconds":90,"onFailedChecks":"Hold"}})");
  auto away_beyond_the_bound = [](Simulation& run) {
    WriteMuch(run.target());
    run.TakeAway(run.source(), seconds(75));
  };
  all.push_back({.name = "SourceAwayInHypercareBeyondTheBound",
                 .spec = spec,
                 .on_phase = {{Phase::kHypercare, away_beyond_the_bound}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "RollbackOnceTheWayBackIsGivenUp",
                 .spec = spec,
                 .on_phase = {{Phase::kHypercare,
                               [=](Simulation& run) {
                                 away_beyond_the_bound(run);
                                 run.Later(seconds(80), [](Simulation& then) {
                                   then.Annotate(api::kRollbackAnnotation, "t1");
                                   then.Annotate(api::kAcceptDataLossAnnotation, "t1");
                                 });
                               }}},
                 .ends = {Phase::kRolledBack, Phase::kCompleted},
                 .loss_accepted = true});
  // Going back waits for the source, and users work on meanwhile. It is away for so long that also
  // a leader who comes late gives up.
  auto away_until_accepted = [](Simulation& run) {
    WriteMuch(run.target());
    run.TakeAway(run.source(), seconds(150));
    run.Later(seconds(175), [](Simulation& then) {
      then.Annotate(api::kRollbackAnnotation, "t2");
      then.Annotate(api::kAcceptDataLossAnnotation, "t2");
    });
  };
  all.push_back({.name = "SourceAwayWhileGoingBackBeyondTheBound",
                 .spec = spec,
                 .on_phase = {{Phase::kHypercare, Say(api::kRollbackAnnotation)},
                              {Phase::kRollingBack, away_until_accepted}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
  // Without a pooler nobody is in yet.
  if (mode == api::SwitchMode::kPooler)
    all.push_back({.name = "SourceAwayInSmokeBeyondTheBound",
                   .given = With(&Misfortune::smoke_fails),
                   .spec = spec,
                   .on_phase = {{Phase::kSmoke, away_until_accepted}},
                   .ends = {Phase::kRolledBack},
                   .loss_accepted = true});
  all.push_back({.name = "SourceAwayWhileCompleting",
                 .spec = spec,
                 .on_phase = {{Phase::kCompleting, away_beyond_the_bound}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SourceWritesMuchWhileCopying",
                 .spec = spec,
                 .on_phase = {{Phase::kCopying,
                               [](Simulation& run) { run.source().bytes_per_change = 1'000'000; }}},
                 .ends = {Phase::kFailed}});
  all.push_back({.name = "AbortedWhileTheSourceIsAway",
                 .spec = OnlineSpecWithCutover(mode, "approval", "Manual"),
                 .on_phase = {{Phase::kAwaitingCutover,
                               [](Simulation& run) {
                                 run.TakeAway(run.source(), seconds(60));
                                 run.Annotate(api::kAbortAnnotation, "t1");
                               }}},
                 .ends = {Phase::kAborted},
                 .clients_see_errors = true});
}

// The lease is gone while the doors are closed, and its count begins below what the source has
// seen, until a person raises it.
void AddLostLease(std::vector<Itinerary>& all) {
  all.push_back(
      {.name = "LeaseIsLostBehindTheDoors",
       .on_phase = {{Phase::kAwaitingCutover, [](Simulation& run) { run.KillOperators(); }},
                    {Phase::kCopying,
                     [](Simulation& run) {
                       run.LoseLease();
                       run.Later(seconds(90), [](Simulation& then) { then.RaiseLease(); });
                     }}},
       .ends = {Phase::kCompleted}});
}

// Somebody deletes the ledger, or installs the operator in another namespace, and puts it back
// later; meanwhile whoever would restore something has to wait.
void AddLostLedgers(std::vector<Itinerary>& all, const Json& hypercare) {
  constexpr seconds kLater{60};
  all.push_back({.name = "LedgerIsLostBeforeTheRollback",
                 .spec = hypercare,
                 .on_phase = {{Phase::kHypercare,
                               [=](Simulation& run) {
                                 run.LoseLedger(kLater);
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 run.Annotate(api::kAcceptDataLossAnnotation, "t1");
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true});
  all.push_back({.name = "LedgerIsLostBehindTheDoors",
                 .on_phase = {{Phase::kCopying,
                               [=](Simulation& run) {
                                 run.LoseLedger(kLater);
                                 run.Annotate(api::kAbortAnnotation, "t1");
                               }}},
                 .ends = {Phase::kAborted, Phase::kCompleted}});
}

// A person who would go back whatever is lost by it, and takes that back later; not before any
// outage is over, so that it is heard.
void AskToGoBackForAWhile(Simulation& run) {
  run.Annotate(api::kRollbackAnnotation, "t1");
  run.Annotate(api::kAcceptDataLossAnnotation, "t1");
  run.Later(seconds(90), Say(api::kRollbackAnnotation, ""));
}

// As soon as the rollback has fenced the target, which is between two effects.
void LoseSourceOnceTheTargetIsFenced(Simulation& run) {
  if (run.phase() != Phase::kRollingBack || run.source().state().Find(kTenant) == nullptr) return;
  const DatabaseState* target = run.target().state().Find(kTenant);
  if (target == nullptr) return;
  if (!target->control || target->control->state != "fenced")
    return run.Later(seconds(0), LoseSourceOnceTheTargetIsFenced);
  run.LoseDatabase(run.source());
}

// The copy is all that is left of it then, and the source is there again only where that was kept.
void LoseSourceWhileItIsDeleted(Simulation& run) {
  auto lost = std::make_shared<DatabaseState>(run.LoseDatabase(run.source()));
  run.DeleteMigration();
  run.Later(seconds(45), [lost](Simulation& then) {
    if (then.target().state().Find(kTenant) == nullptr) return;
    then.source().Edit([&](ServerState& state) { state.databases[kTenant] = lost; });
  });
}

// Somebody has dropped the source database, for its disk, or its server was built anew. `hypercare`
// is a spec that has one.
void AddLostSources(std::vector<Itinerary>& all, const Json& hypercare) {
  // The stream to the target, whose role and slot are not the database's alone, is gone by then.
  constexpr seconds kLater{5};
  auto lose_later = [=](Simulation& run, Command after) {
    run.Later(kLater, [=](Simulation& then) {
      then.LoseDatabase(then.source());
      after(then);
    });
  };
  all.push_back({.name = "SourceDroppedByHandInHypercare",
                 .spec = hypercare,
                 .on_phase = {{Phase::kHypercare,
                               [=](Simulation& run) { lose_later(run, [](Simulation&) {}); }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SourceDroppedByHandAndRollbackAccepted",
                 .spec = hypercare,
                 .on_phase = {{Phase::kHypercare,
                               [=](Simulation& run) { lose_later(run, AskToGoBackForAWhile); }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SourceDroppedByHandBehindTheRollbacksDoors",
                 .spec = Spec(R"({"hypercare":{"durationSeconds":90,"onFailedChecks":"Hold"}})"),
                 .on_phase = {{Phase::kHypercare, AskToGoBackForAWhile},
                              {Phase::kRollingBack, LoseSourceOnceTheTargetIsFenced}},
                 .ends = {Phase::kCompleted, Phase::kRolledBack},
                 .loss_accepted = true,
                 .clients_see_errors = true});
  all.push_back({.name = "SourceDroppedByHandAfterTheRollback",
                 .given = With(&Misfortune::smoke_fails),
                 .on_phase = {{Phase::kRolledBack, LoseSourceWhileItIsDeleted}},
                 .ends = {},
                 .clients_see_errors = true});
}

// The target's server is lost, and later another one is in its place, without anything in it: a
// person goes back to what has arrived, numbers that were given out there included.
Itinerary TargetIsLostInHypercare(api::SwitchMode mode) {
  const auto lose = [](Simulation& then) {
    then.LoseDatabase(then.target());
    then.TakeAway(then.target(), seconds(45));
    then.Annotate(api::kRollbackAnnotation, "t1");
    then.Annotate(api::kAcceptDataLossAnnotation, "t1");
  };
  return {
      .name = "TargetIsLostInHypercareAndRollbackAccepted",
      .spec = OnlineSpec(mode, R"({"hypercare":{"durationSeconds":60,"onFailedChecks":"Hold"}})"),
      .on_phase = {{Phase::kHypercare, [=](Simulation& run) { run.Later(seconds(15), lose); }}},
      .ends = {Phase::kRolledBack},
      .loss_accepted = true,
      .clients_see_errors = true};
}

Itinerary PodNeverGoesBeforeARollback() {
  return {.name = "PodNeverGoesBeforeARollbackInHypercare",
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.surroundings().misfortune.pods_never_go = true;
                          run.Annotate(api::kRollbackAnnotation, "t1");
                        }}},
          .ends = {Phase::kRolledBack}};
}

// A server answers under another name than the streams were made for, and its DatabaseServer says
// so.
void AddNewAddresses(std::vector<Itinerary>& all, api::SwitchMode mode) {
  all.push_back({.name = "SourceHasANewAddressWhileItIsFollowed",
                 .spec = OnlineSpecWithCutover(mode, "approval", "Manual"),
                 .on_phase = {{Phase::kAwaitingCutover,
                               [](Simulation& run) {
                                 run.Readdress(run.source());
                                 run.Later(seconds(40), Say(api::kApproveAnnotation));
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "TargetHasANewAddressInHypercare",
                 .on_phase = {{Phase::kHypercare,
                               [](Simulation& run) {
                                 run.Readdress(run.target());
                                 run.Later(seconds(10), Say(api::kRollbackAnnotation));
                               }}},
                 .ends = {Phase::kRolledBack}});
}

void AddPoolerTroubles(std::vector<Itinerary>& all) {
  all.push_back({.name = "PoolerAwayBeforeTheDoorsClose",
                 .on_phase = {{Phase::kCatchingUp,
                               [](Simulation& run) {
                                 run.surroundings().pooler().up = false;
                                 run.Later(seconds(30), [](Simulation& then) {
                                   then.surroundings().pooler().up = true;
                                 });
                               }}},
                 .ends = {Phase::kCompleted},
                 .clients_see_errors = true});
  all.push_back({.name = "PoolerRestartsBehindDoors",
                 .on_phase = {{Phase::kSwitching,
                               [](Simulation& run) { run.surroundings().pooler().Restart(); }}},
                 .ends = {Phase::kCompleted},
                 .clients_see_errors = true});
}

// What is waited for, held and tried again while the stream runs.
void AddOnlineWaits(std::vector<Itinerary>& all, api::SwitchMode mode) {
  const Json manual = OnlineSpecWithCutover(mode, "approval", "Manual");
  all.push_back({.name = "Approval",
                 .spec = manual,
                 .on_phase = {{Phase::kAwaitingCutover,
                               [](Simulation& run) {
                                 run.Later(seconds(90), Say(api::kApproveAnnotation));
                                 // A cutover that was undone is asked for again.
                                 run.Later(seconds(400), Say(api::kApproveAnnotation, "t2"));
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "Window",
                 .spec = OnlineSpecWithCutover(
                     mode, "window",
                     Spec(R"({"start":"2027-01-15T08:03:00Z","end":"2027-01-15T09:00:00Z"})")),
                 .ends = {Phase::kCompleted}});
  Json missed = manual;
  missed.MutableAt("cutover").Set(
      "window", Spec(R"({"start":"2027-01-15T08:00:30Z","end":"2027-01-15T08:02:30Z"})"));
  all.push_back({.name = "WindowMissed",
                 .spec = std::move(missed),
                 .ends = {Phase::kFailed},
                 .given_up_for = "WindowMissed"});
  all.push_back({.name = "Retry",
                 .given = With(&Misfortune::copy_fails),
                 .on_phase = {{Phase::kFailed,
                               [](Simulation& run) {
                                 run.surroundings().misfortune.copy_fails = false;
                                 run.Annotate(api::kRetryAnnotation, "again");
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "SuspendedWhileItFollows",
                 .spec = manual,
                 .on_phase = {{Phase::kAwaitingCutover,
                               [](Simulation& run) {
                                 run.PatchSpec(Spec(R"({"suspend":true})"));
                                 run.Annotate(api::kApproveAnnotation, "t1");
                                 run.Later(seconds(60), [](Simulation& then) {
                                   then.PatchSpec(Spec(R"({"suspend":false})"));
                                 });
                                 run.Later(seconds(400), Say(api::kApproveAnnotation, "t2"));
                               }}},
                 .ends = {Phase::kCompleted}});
}

std::vector<Itinerary> OnlineItineraries(api::SwitchMode mode) {
  std::vector<Itinerary> all;
  all.push_back({.name = "Success", .ends = {Phase::kCompleted}});
  AddCommonFailures(all);
  for (Phase phase : {Phase::kPreflight, Phase::kPreparing, Phase::kCopying, Phase::kCatchingUp,
                      Phase::kAwaitingCutover, Phase::kFencing, Phase::kFinalizing,
                      Phase::kVerifying, Phase::kSwitching, Phase::kOpening, Phase::kSmoke,
                      Phase::kAdmitting, Phase::kHypercare, Phase::kCompleting}) {
    const bool is_recorded =
        phase != Phase::kFinalizing && phase != Phase::kVerifying && phase != Phase::kAdmitting;
    if (mode == api::SwitchMode::kPooler && !is_recorded) continue;
    if (phase < Phase::kOpening)
      all.push_back({.name = "AbortIn" + std::string(api::Name(phase)),
                     .on_phase = {{phase, Say(api::kAbortAnnotation)}},
                     .ends = {Phase::kAborted, Phase::kCompleted}});
    all.push_back({.name = "DeleteIn" + std::string(api::Name(phase)),
                   .on_phase = {{phase, Delete()}},
                   .ends = {}});
  }
  // When the leader has died while it tried a stream, nobody tries again. What it had made is gone
  // once the sweeper has come twice.
  all.push_back(
      {.name = "DeletedWhileStreamsAreTried",
       .on_phase = {{Phase::kPreflight, [](Simulation& run) { run.Later(seconds(1), Delete()); }}},
       .ends = {},
       .settles = seconds(150)});
  for (Phase phase : {Phase::kPreparing, Phase::kCopying, Phase::kCatchingUp,
                      Phase::kAwaitingCutover, Phase::kFencing})
    all.push_back(VanishesIn(phase));
  // By pooler it depends on the very moment whether the target has been opened.
  if (mode != api::SwitchMode::kPooler) all.push_back(VanishesIn(Phase::kSwitching));
  all.push_back(VanishesAndIsFinished());
  AddOnlineWaits(all, mode);
  AddStreamTroubles(all, mode);
  all.push_back(SuspendedAndSlotLost());
  if (mode == api::SwitchMode::kRestart) {
    all.push_back(
        PasswordIsChangedBeforeTheDoorsClose(OnlineSpecWithCutover(mode, "approval", "Manual")));
    all.push_back(PasswordIsChangedInHypercareAndItGoesBack());
    AddDeadNodes(all);
    all.push_back(PodNeverGoesBeforeARollback());
  }
  if (mode == api::SwitchMode::kPooler) all.push_back(PauseExceeded());
  all.push_back(MarkerDoesNotArriveAtFirst(mode));
  all.push_back(TransactionIsPreparedBeforeTheFence());
  AddWaysBack(all, mode);
  AddShutWaysBack(all, mode);
  AddStructuresThatDiffer(all);
  AddFullDisks(all, mode);
  AddLostSources(all, OnlineSpec(mode));
  AddNewAddresses(all, mode);
  all.push_back(TargetIsLostInHypercare(mode));
  if (mode == api::SwitchMode::kPooler) AddPoolerTroubles(all);
  for (Itinerary& itinerary : all) {
    itinerary.name = "Online" + std::string(api::Name(mode)) + itinerary.name;
    if (itinerary.spec.Empty()) itinerary.spec = OnlineSpec(mode);
    if (mode != api::SwitchMode::kPooler) continue;
    itinerary.given = [given = itinerary.given](Surroundings& around) {
      around.PutPoolerInFront();
      given(around);
    };
  }
  return all;
}

}  // namespace

const std::vector<Itinerary>& Itineraries() {
  static const std::vector<Itinerary> itineraries = [] {
    std::vector<Itinerary> all;
    all.push_back({.name = "Success", .ends = {Phase::kCompleted}});
    AddFailures(all);
    AddDeadNodes(all);
    AddCommands(all);
    AddWaits(all);
    AddWindows(all);
    const Json hypercare = Spec(R"({"hypercare":{"durationSeconds":20,"onFailedChecks":"Hold"}})");
    AddLostSources(all, hypercare);
    AddLostLedgers(all, hypercare);
    AddLostLease(all);
    AddDriftedWirings(all);
    AddScalings(all);
    AddProxies(all);
    all.push_back(PasswordIsChangedBeforeTheDoorsClose(
        Spec(R"({"cutover":{"approval":"Manual","switch":"Restart"}})")));
    all.push_back(PasswordIsChangedInCopying());
    all.push_back(PageIsAwayWhenItIsNeeded());
    all.push_back({.name = "PageIsNotReadyAtFirst",
                   .given = With(&Misfortune::page_not_ready),
                   .on_phase = {{Phase::kPreparing,
                                 [](Simulation& run) {
                                   run.Later(seconds(90), [](Simulation& then) {
                                     then.surroundings().misfortune.page_not_ready = false;
                                   });
                                 }}},
                   .ends = {Phase::kCompleted}});
    all.push_back(FrozenWiring());
    all.push_back(RolloutThatHangs());
    AddServicesThatComeLate(all);
    AddLostStatus(all);
    for (api::SwitchMode mode : {api::SwitchMode::kRestart, api::SwitchMode::kPooler})
      for (Itinerary& itinerary : OnlineItineraries(mode)) all.push_back(std::move(itinerary));
    return all;
  }();
  return itineraries;
}

const Itinerary* FindItinerary(std::string_view name) {
  for (const Itinerary& itinerary : Itineraries())
    if (itinerary.name == name) return &itinerary;
  return nullptr;
}

}  // namespace cutover::sim
