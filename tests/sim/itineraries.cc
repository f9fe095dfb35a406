// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/itineraries.h"

#include <utility>

#include "tests/sim/either_strategy.h"

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::seconds;

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

// Too late for the copy: the tenant goes back to where its new one is known.
Itinerary PasswordIsChangedInCopying() {
  return {.name = "PasswordIsChangedInCopying",
          .on_phase = {{Phase::kCopying,
                        [](Simulation& run) { run.surroundings().ChangePassword(run.source()); }}},
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

}  // namespace

const std::vector<Itinerary>& Itineraries() {
  static const std::vector<Itinerary> itineraries = [] {
    std::vector<Itinerary> all;
    all.push_back({.name = "Success", .ends = {Phase::kCompleted}});
    AddFailures(all);
    AddDeadNodes(all);
    all.push_back(TransactionIsLeftPreparedByWorkloads());
    AddCommands(all);
    AddWaits(all);
    AddWindows(all);
    const Json hypercare = Spec(R"({"hypercare":{"durationSeconds":20,"onFailedChecks":"Hold"}})");
    AddLostSources(all, hypercare);
    AddLostTargets(all, hypercare);
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
