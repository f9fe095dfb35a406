// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "tests/sim/either_strategy.h"

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::seconds;

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

Itinerary PasswordIsChangedInHypercareAndItGoesBack() {
  return {.name = "PasswordIsChangedInHypercareAndItGoesBack",
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.surroundings().ChangePassword(run.target());
                          run.Later(seconds(10), Say(api::kRollbackAnnotation));
                        }}},
          .ends = {Phase::kRolledBack}};
}

// The password came with another Secret, and the one that the move knows is gone: users work on
// until it is there again, although somebody deletes the move meanwhile.
Itinerary PasswordSecretIsGoneWhenItGoesBackAndItIsDeleted(api::SwitchMode mode) {
  return {.name = "PasswordSecretIsGoneWhenItGoesBackAndItIsDeleted",
          .spec = OnlineSpecWithCutover(mode, "maxWritePauseSeconds", 600),
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.surroundings().ChangePassword(run.target());
                          run.LosePasswordSecret(seconds(120));
                          run.Annotate(api::kRollbackAnnotation, "t1");
                        }},
                       {Phase::kRollingBack, Delete()}},
          .ends = {}};
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

// One is prepared, and committed a minute later: no door is closed until then, or, where it was
// prepared after the last look, none for long.
void AddPreparedTransactions(std::vector<Itinerary>& all) {
  auto for_a_minute = [](auto server) {
    return [=](Simulation& run) {
      SetPrepared((run.*server)(), true);
      run.Later(seconds(60), [=](Simulation& then) { SetPrepared((then.*server)(), false); });
    };
  };
  const auto on_source = for_a_minute(&Simulation::source);
  const auto on_target = for_a_minute(&Simulation::target);
  auto asked = [](const auto& prepare, bool consent) {
    return [=](Simulation& run) {
      prepare(run);
      run.Annotate(api::kRollbackAnnotation, "t1");
      if (consent) run.Annotate(api::kAcceptDataLossAnnotation, "t1");
    };
  };
  all.push_back({.name = "TransactionIsPreparedBeforeTheDoorsClose",
                 .on_phase = {{Phase::kAwaitingCutover, on_source}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "TransactionIsPreparedBeforeTheFence",
                 .on_phase = {{Phase::kFencing, on_source}},
                 .ends = {Phase::kCompleted}});
  for (const bool consent : {false, true}) {
    const std::string with = consent ? "WithConsent" : "";
    all.push_back({.name = "TransactionIsPreparedBeforeARollback" + with,
                   .on_phase = {{Phase::kHypercare, asked(on_target, consent)}},
                   .ends = {Phase::kRolledBack},
                   .loss_accepted = consent});
    all.push_back({.name = "TransactionIsPreparedBeforeTheTargetsFence" + with,
                   .on_phase = {{Phase::kHypercare, asked([](Simulation&) {}, consent)},
                                {Phase::kRollingBack, on_target}},
                   .ends = {Phase::kRolledBack},
                   .loss_accepted = consent});
  }
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

// A standby takes the subscriber's place that has not received what was confirmed to the publisher,
// and is never sent again.
void AddFailovers(std::vector<Itinerary>& all, api::SwitchMode mode) {
  all.push_back({.name = "TargetFailsOverWhileItFollows",
                 .spec = OnlineSpecWithCutover(mode, "approval", "Manual"),
                 .on_phase = {{Phase::kAwaitingCutover,
                               [](Simulation& run) {
                                 run.SetStandbyAside(run.target());
                                 run.Later(seconds(10), [](Simulation& then) {
                                   if (then.phase() == Phase::kAwaitingCutover)
                                     then.FailOver(then.target());
                                 });
                               }}},
                 .ends = {Phase::kFailed},
                 .given_up_for = "TargetFailedOver"});
  // With a pooler all is proven before the phase is known.
  const bool is_recorded = mode == api::SwitchMode::kRestart;
  for (Phase phase : {Phase::kFencing, Phase::kFinalizing})
    if (is_recorded)
      all.push_back({.name = "TargetFailsOverIn" + std::string(api::Name(phase)),
                     .spec = OnlineSpecWithCutover(mode, "approval", "Manual"),
                     .on_phase = {{Phase::kAwaitingCutover,
                                   [](Simulation& run) {
                                     run.SetStandbyAside(run.target());
                                     run.Later(seconds(10), Say(api::kApproveAnnotation));
                                     // A cutover that was undone is asked for again.
                                     run.Later(seconds(400), Say(api::kApproveAnnotation, "t2"));
                                   }},
                                  {phase, [](Simulation& run) { run.FailOver(run.target()); }}},
                     .ends = {Phase::kFailed},
                     .given_up_for = "TargetFailedOver"});
  all.push_back(
      {.name = "SourceFailsOverInHypercareAndNobodyGoesBack",
       .spec = OnlineSpec(mode, R"({"hypercare":{"durationSeconds":90,"onFailedChecks":"Hold"}})"),
       .on_phase = {{Phase::kHypercare,
                     [](Simulation& run) {
                       run.SetStandbyAside(run.source());
                       run.Later(seconds(15), [](Simulation& then) {
                         if (then.phase() == Phase::kHypercare) then.FailOver(then.source());
                       });
                       run.Later(seconds(30), Say(api::kRollbackAnnotation));
                       run.Later(seconds(60), Say(api::kRollbackAnnotation, ""));
                     }}},
       .ends = {Phase::kCompleted}});
}

// As a standby is that had heard neither of the fence nor of what came after it.
ServerState WithoutTheFence(ServerState state) {
  DatabaseState* database = state.Edit(kTenant);
  database->control->state = "open";
  database->ledger.erase({"database", "access"});
  database->access = DefaultAccess(kTenant);
  for (auto& [name, subscription] : database->subscriptions) subscription.enabled = false;
  return state;
}

// Users write on the target, and the source can be written to as well, while nothing goes on: a
// person has asked to go back in vain, or has suspended the move.
void AddSourcesThatComeOpenAgain(std::vector<Itinerary>& all) {
  auto fail_over = [](Simulation& run) {
    if (run.phase() != Phase::kHypercare) return;
    run.SetStandbyAside(WithoutTheFence(run.source().state()));
    run.FailOver(run.source());
  };
  all.push_back({.name = "SourceComesOpenAgainWhileARollbackIsHeld",
                 .on_phase = {{Phase::kHypercare,
                               [fail_over](Simulation& run) {
                                 run.TakeAway(run.source(), seconds(20));
                                 run.Annotate(api::kRollbackAnnotation, "t1");
                                 run.Later(seconds(20), fail_over);
                                 run.Later(seconds(80), Say(api::kAcceptDataLossAnnotation));
                               }}},
                 .ends = {Phase::kRolledBack},
                 .loss_accepted = true,
                 .source_comes_open_again = true});
  auto open = [](Simulation& run) {
    if (run.phase() != Phase::kHypercare) return;
    run.source().Edit(
        [](ServerState& state) { state.Edit(kTenant)->access = DefaultAccess(kTenant); });
  };
  all.push_back({.name = "SourceIsOpenedByHandWhileItIsSuspended",
                 .on_phase = {{Phase::kHypercare,
                               [open](Simulation& run) {
                                 run.PatchSpec(Spec(R"({"suspend":true})"));
                                 run.Later(seconds(5), open);
                                 run.Later(seconds(80), [](Simulation& then) {
                                   then.PatchSpec(Spec(R"({"suspend":false})"));
                                 });
                               }}},
                 .ends = {Phase::kCompleted},
                 .source_comes_open_again = true});
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

// The target's server is lost, and later another one is in its place, without anything in it: a
// person goes back to what has arrived, numbers that were given out there included.
Itinerary TargetIsLostInHypercare(api::SwitchMode mode) {
  const auto lose = [](Simulation& then) {
    if (then.phase() != Phase::kHypercare) return;  // Over by then: no concern of a move's.
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
                                 // A cutover that was undone is asked for again.
                                 run.Later(seconds(400), Say(api::kApproveAnnotation, "t2"));
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

// One of two does not answer once both are paused: the other one's clients go on without it.
void AddSilentPoolers(std::vector<Itinerary>& all) {
  auto two = [](Surroundings& around) { around.PutSecondPoolerBeside(); };
  auto hang = [](Simulation& run) { run.surroundings().second_pooler().up = false; };
  all.push_back({.name = "OneOfTwoPoolersIsLostBehindDoors",
                 .given = two,
                 .on_phase = {{Phase::kSwitching, hang}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "OneOfTwoPoolersAnswersAgainMuchLater",
                 .given = two,
                 .on_phase = {{Phase::kSwitching,
                               [hang](Simulation& run) {
                                 hang(run);
                                 run.Later(seconds(150), [](Simulation& then) {
                                   then.surroundings().second_pooler().up = true;
                                 });
                               }}},
                 .ends = {Phase::kCompleted}});
  all.push_back({.name = "OneOfTwoPoolersIsLostAndItIsAborted",
                 .given = two,
                 .on_phase = {{Phase::kSwitching,
                               [hang](Simulation& run) {
                                 hang(run);
                                 run.Annotate(api::kAbortAnnotation, "t1");
                               }}},
                 .ends = {Phase::kAborted, Phase::kCompleted}});
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

// What all of them have: the switch in their names, its spec, and a pooler where it takes one.
void MakeOnline(std::vector<Itinerary>& all, api::SwitchMode mode) {
  for (Itinerary& itinerary : all) {
    itinerary.name = "Online" + std::string(api::Name(mode)) + itinerary.name;
    if (itinerary.spec.Empty()) itinerary.spec = OnlineSpec(mode);
    if (mode != api::SwitchMode::kPooler) continue;
    itinerary.given = [given = itinerary.given](Surroundings& around) {
      around.PutPoolerInFront();
      given(around);
    };
  }
}

}  // namespace

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
    all.push_back(PasswordSecretIsGoneWhenItGoesBackAndItIsDeleted(mode));
    AddDeadNodes(all);
    all.push_back(PodNeverGoesBeforeARollback());
    all.push_back(TransactionIsLeftPreparedByWorkloads());
  }
  if (mode == api::SwitchMode::kPooler) all.push_back(PauseExceeded());
  all.push_back(MarkerDoesNotArriveAtFirst(mode));
  AddPreparedTransactions(all);
  AddFailovers(all, mode);
  AddSourcesThatComeOpenAgain(all);
  AddWaysBack(all, mode);
  AddShutWaysBack(all, mode);
  AddStructuresThatDiffer(all);
  AddFullDisks(all, mode);
  AddLostSources(all, OnlineSpec(mode));
  AddNewAddresses(all, mode);
  all.push_back(TargetIsLostInHypercare(mode));
  AddLostTargets(
      all, OnlineSpec(mode, R"({"hypercare":{"durationSeconds":60,"onFailedChecks":"Hold"}})"));
  if (mode == api::SwitchMode::kPooler) AddPoolerTroubles(all);
  if (mode == api::SwitchMode::kPooler) AddSilentPoolers(all);
  MakeOnline(all, mode);
  return all;
}

}  // namespace cutover::sim
