// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/either_strategy.h"

#include <memory>
#include <utility>

namespace cutover::sim {
namespace {

using api::Phase;
using std::chrono::seconds;

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

// The target is lost, and a person deletes the migration: what is left of the tenant is on the
// source, so nothing there is retired or taken down. Later a person goes back to it.
Itinerary DeletedWithTheTargetLost(const Json& hypercare) {
  const auto lose_and_delete = [](Simulation& run) {
    if (run.phase() != Phase::kHypercare) return;
    run.LoseDatabase(run.target());
    run.TakeAway(run.target(), seconds(30));
    run.DeleteMigration();
    run.Later(seconds(60), Say(api::kRollbackAnnotation));
    run.Later(seconds(90), Say(api::kAcceptDataLossAnnotation));
  };
  return {.name = "DeletedWithTheTargetLostInHypercare",
          .spec = hypercare,
          .on_phase = {{Phase::kHypercare,
                        [=](Simulation& run) { run.Later(seconds(5), lose_and_delete); }}},
          .ends = {},
          .loss_accepted = true,
          .clients_see_errors = true};
}

// Nobody looks after it, and the time of hypercare runs out meanwhile.
Itinerary TargetIsLostAndHypercareRunsOut(const Json& hypercare) {
  const auto lose = [](Simulation& run) {
    if (run.phase() != Phase::kHypercare) return;
    run.LoseDatabase(run.target());
    run.Later(seconds(120), Say(api::kRollbackAnnotation));
    run.Later(seconds(120), Say(api::kAcceptDataLossAnnotation));
  };
  return {.name = "TargetIsLostAndHypercareRunsOut",
          .spec = hypercare,
          .on_phase = {{Phase::kHypercare, [=](Simulation& run) { run.Later(seconds(5), lose); }}},
          .ends = {Phase::kRolledBack},
          .loss_accepted = true,
          .clients_see_errors = true};
}

// A drop by hand that its server does not live to end leaves what nobody can enter, and a person
// goes back.
Itinerary TargetIsHalfDroppedAndRollbackAccepted(const Json& hypercare) {
  const auto lose = [](Simulation& run) {
    if (run.phase() != Phase::kHypercare) return;
    run.HalfDropDatabase(run.target());
    run.Later(seconds(60), Say(api::kRollbackAnnotation));
    run.Later(seconds(60), Say(api::kAcceptDataLossAnnotation));
  };
  return {.name = "TargetIsHalfDroppedAndRollbackAccepted",
          .spec = hypercare,
          .on_phase = {{Phase::kHypercare, [=](Simulation& run) { run.Later(seconds(5), lose); }}},
          .ends = {Phase::kRolledBack},
          .loss_accepted = true,
          .clients_see_errors = true};
}

// It comes back as it was, and the deleted migration is finished then.
Itinerary DeletedWhileTheTargetIsAway(const Json& hypercare) {
  return {.name = "DeletedInHypercareWhileTheTargetIsAway",
          .spec = hypercare,
          .on_phase = {{Phase::kHypercare,
                        [](Simulation& run) {
                          run.Later(seconds(5), [](Simulation& then) {
                            then.TakeAway(then.target(), seconds(60));
                            then.DeleteMigration();
                          });
                        }}},
          .ends = {},
          .clients_see_errors = true};
}

}  // namespace

Command Say(const char* annotation, const char* token) {
  return [=](Simulation& run) { run.Annotate(annotation, token); };
}

Command Delete() {
  return [](Simulation& run) { run.DeleteMigration(); };
}

Json Spec(const char* json) { return *Json::Parse(json); }

std::function<void(Surroundings&)> With(bool Misfortune::*what) {
  return [what](Surroundings& around) { around.misfortune.*what = true; };
}

void SetPrepared(ModelServer& server, bool is_there) {
  server.Edit([=](ServerState& state) {
    DatabaseState* database = state.Edit(kTenant);
    if (database == nullptr) return;
    if (is_there)
      database->prepared_transactions.insert("order-42");
    else
      database->prepared_transactions.clear();
  });
}

Itinerary TransactionIsLeftPreparedByWorkloads() {
  return {.name = "TransactionIsLeftPreparedByWorkloads",
          .given = With(&Misfortune::smoke_fails),
          .on_phase = {{Phase::kSmoke, [](Simulation& run) { SetPrepared(run.target(), true); }}},
          .ends = {Phase::kRolledBack}};
}

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

Command Resume() {
  return [](Simulation& run) {
    run.Later(seconds(700), [](Simulation& then) {
      then.PatchSpec(Json::Object({{"suspend", false}}));
    });
  };
}

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

void AddLostTargets(std::vector<Itinerary>& all, const Json& hypercare) {
  all.push_back(DeletedWithTheTargetLost(hypercare));
  all.push_back(TargetIsLostAndHypercareRunsOut(hypercare));
  all.push_back(TargetIsHalfDroppedAndRollbackAccepted(hypercare));
  all.push_back(DeletedWhileTheTargetIsAway(hypercare));
}

}  // namespace cutover::sim
