// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/itineraries.h"

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

void AddFailures(std::vector<Itinerary>& all) {
  all.push_back(
      {.name = "BackupFails", .given = With(&Misfortune::backup_fails), .ends = {Phase::kFailed}});
  all.push_back(
      {.name = "CopyFails", .given = With(&Misfortune::copy_fails), .ends = {Phase::kFailed}});
  all.push_back(
      {.name = "CopyDiffers", .given = With(&Misfortune::copy_differs), .ends = {Phase::kFailed}});
  all.push_back({.name = "SmokeFails",
                 .given = With(&Misfortune::smoke_fails),
                 .ends = {Phase::kRolledBack}});
  all.push_back({.name = "PodsNeverReady",
                 .given = With(&Misfortune::pods_never_ready_on_target),
                 .ends = {Phase::kRolledBack}});
  all.push_back({.name = "SessionLingers",
                 .given = With(&Misfortune::session_lingers),
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "WritePauseExceeded",
                 .spec = Spec(R"({"cutover":{"approval":"Automatic","switch":"Restart",
                                  "maxWritePauseSeconds":2}})"),
                 .ends = {Phase::kFailed}});
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
  all.push_back({.name = "Suspended",
                 .spec = Spec(R"({"suspend":true})"),
                 .on_phase = {{Phase::kPending,
                               [](Simulation& run) {
                                 run.PatchSpec(Json::Object({{"suspend", false}}));
                               }}},
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

}  // namespace

const std::vector<Itinerary>& Itineraries() {
  static const std::vector<Itinerary> itineraries = [] {
    std::vector<Itinerary> all;
    all.push_back({.name = "Success", .ends = {Phase::kCompleted}});
    AddFailures(all);
    AddCommands(all);
    AddWaits(all);
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
