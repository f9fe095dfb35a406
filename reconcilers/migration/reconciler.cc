// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/reconciler.h"

#include <utility>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/kube/error.h"
#include "reconcilers/migration/answers.h"
#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/step.h"
#include "reconcilers/migration/transitions.h"
#include "reconcilers/migration/unreadable.h"

namespace cutover::migration {
namespace {

// One round may hold a fence, a dropped database or a slow check; none may hold a worker for ever.
constexpr std::chrono::seconds kRoundBound{60};

bool IsTrouble(api::Phase phase) {
  return phase == api::Phase::kFailed || phase == api::Phase::kUndoing ||
         phase == api::Phase::kRollingBack || phase == api::Phase::kRolledBack;
}

// Tells the object's author, and hands the error on. On condition of the version that was read.
tl::unexpected<Error> Refuse(const std::stop_token& stop, Deadline deadline,
                             const ClusterContext& context, Json object, Error why) {
  std::optional<Json> status = UnreadableStatus(object, why, context.clock.WallNow());
  if (!status) return tl::make_unexpected(std::move(why));
  object.Set("status", std::move(*status));
  kube::WriteOptions options;
  options.field_manager = "cutover-status";
  options.subresource = "status";
  Result<Json> told =
      context.client.Update(stop, deadline, kube::kTenantMigration, object, options);
  return tl::make_unexpected(told ? std::move(why) : std::move(told).error());
}

Result<std::optional<api::TenantMigration>> Read(std::stop_token stop, Deadline deadline,
                                                 const ClusterContext& context,
                                                 const kube::Key& key) {
  TRY_ASSIGN(auto object, context.client.Get(stop, deadline, kube::kTenantMigration, key));
  if (!object) return std::optional<api::TenantMigration>();
  Result<api::TenantMigration> migration = api::DecodeTenantMigration(*object);
  if (!migration)
    return Refuse(stop, deadline, context, std::move(*object), std::move(migration).error());
  return std::optional<api::TenantMigration>(std::move(*migration));
}

}  // namespace

MigrationReconciler::MigrationReconciler(const ClusterContext& context,
                                         const kube::Store<api::TenantMigration>& known,
                                         kube::EventRecorder& events, MigrationListeners listeners)
    : context_(context), known_(known), events_(events), listeners_(std::move(listeners)) {
  CHECK(CheckTable(Transitions()).empty());
}

std::optional<kube::Step> MigrationReconciler::Rest(const kube::Key& key) const {
  const auto known = known_.Get(key);
  // What is not there, or not to be read, may be so by now.
  if (!known || !*known) return std::nullopt;
  const api::TenantMigration& migration = **known;
  Observation seen;
  seen.now = context_.clock.WallNow();
  const auto rest = RestOf(migration, seen.now);
  if (!rest) return std::nullopt;
  if (listeners_.on_observation) listeners_.on_observation(migration, seen);
  return rest->count() == 0 ? kube::Step::Done() : kube::Step::After(*rest);
}

Result<kube::Step> MigrationReconciler::Reconcile(std::stop_token stop, Deadline deadline,
                                                  const kube::Key& key) {
  if (const std::optional<kube::Step> rest = Rest(key)) return *rest;
  ClusterWorld world(context_);
  // Behind closed doors the object is not read again after each step: whoever has written to it
  // meanwhile makes the next record fail as a conflict.
  std::optional<api::TenantMigration> migration;
  api::TenantMigrationStatus recorded;
  while (!stop.stop_requested()) {
    if (!migration) {
      TRY_ASSIGN(migration, Read(stop, deadline, context_, key));
      if (migration) recorded = migration->status;
    }
    if (!migration) {
      if (listeners_.on_gone) listeners_.on_gone(key);
      MutexLock lock(mutex_);
      led_.erase(key);
      return kube::Step::Gone();
    }
    LogContext scope(
        {{"migrationUID", migration->meta.uid}, {"phase", Name(migration->status.phase)}});
    auto round = RunOnce(world, stop, deadline.OrAfter(kRoundBound), *migration, recorded);
    if (!round) {
      // Somebody wrote at the same time, a person's command perhaps: look again at once.
      if (kube::IsConflict(round.error())) {
        migration.reset();
        continue;
      }
      return tl::make_unexpected(std::move(round).error());
    }
    if (listeners_.on_observation) listeners_.on_observation(*migration, round->seen);
    api::TenantMigration after = *migration;
    after.status = round->status;
    recorded = std::move(round->recorded);
    after.meta.resource_version = round->resource_version;
    Tell(*migration, after);
    migration.reset();
    if (DoorsClosed(after.status.phase, after.spec.strategy)) migration = after;
    if (round->moved && !deadline.Expired()) continue;
    if (round->moved) return kube::Step::After(std::chrono::milliseconds(0));
    if (round->wait.count() == 0) return kube::Step::Done();
    return kube::Step::After(round->wait);
  }
  return kube::Step::Done();
}

void MigrationReconciler::Tell(const api::TenantMigration& before,
                               const api::TenantMigration& after) {
  if (listeners_.on_status) listeners_.on_status(after);
  TellOfNewLeader(before, after);
  const auto& was = before.status;
  const auto& is = after.status;
  if (was.phase != is.phase) {
    LogInfo("phase changed",
            {{"from", Name(was.phase)}, {"to", Name(is.phase)}, {"message", is.message}});
    RecordEvent(after, IsTrouble(is.phase), "PhaseChanged", std::string(Name(is.phase)),
                is.message.empty() ? std::string(Name(is.phase)) : is.message);
  }
  if (const api::Condition* given_up = FindWayBackGivenUp(is); given_up && !FindWayBackGivenUp(was))
    RecordEvent(after, true, given_up->reason, std::string(Name(Intent::kGiveUpWayBack)),
                given_up->message);
  for (const Answer& answer : AnswersOf(before, after))
    RecordEvent(after, false, "CommandHandled", answer.action, answer.note);
}

// A pause that a leader's death made longer is else unexplained: the status goes on where it was.
void MigrationReconciler::TellOfNewLeader(const api::TenantMigration& before,
                                          const api::TenantMigration& after) {
  {
    MutexLock lock(mutex_);
    std::string& led = led_[{before.meta.namespace_name, before.meta.name}];
    if (std::exchange(led, before.meta.uid) == before.meta.uid) return;
  }
  const bool begun = before.status.observed_generation != 0;
  if (!begun || IsEnd(before.status.phase)) return;
  const std::string phase(Name(before.status.phase));
  RecordEvent(after, false, "LeaderChanged", phase,
              "another operator leads now, and goes on from " + phase +
                  "; the one before has ended, or was not heard of for as long as its lease lasts");
}

void MigrationReconciler::RecordEvent(const api::TenantMigration& migration, bool warning,
                                      std::string reason, std::string action, std::string note) {
  kube::EventSpec event;
  event.regarding = {kube::kTenantMigration,
                     {migration.meta.namespace_name, migration.meta.name},
                     migration.meta.uid};
  event.warning = warning;
  event.reason = std::move(reason);
  event.action = std::move(action);
  event.note = std::move(note);
  events_.Record(std::move(event));
}

}  // namespace cutover::migration
