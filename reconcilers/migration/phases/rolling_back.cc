// SPDX-License-Identifier: Apache-2.0
#include "operator/api/write_pause.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Closed is not enough while the control row would still let somebody open it: a leader that froze
// in Opening may wake up at any time, and its epoch counts until ours has been in this row.
bool MayStillOpen(const DatabaseFacts& target) {
  return target.state == ControlState::kOpen || target.state == ControlState::kVerified;
}

// As a standby is that had not heard of the opening: nothing that a user wrote is there, whatever
// was on the server before it. From a fence it cannot be told.
bool IsOlderThanItsOpening(const Observation& seen) {
  if (!seen.target.known() || !seen.target->exists || seen.target->foreign) return false;
  const ControlState state = seen.target->state;
  return seen.target->closed &&
         (state == ControlState::kPreparing || state == ControlState::kCopied ||
          state == ControlState::kVerified);
}

// Nothing comes back from such a one, nobody may enter it, and of its row no fence can be made:
// whoever is in it still, as a superuser may be, keeps no user out.
bool NeedsNoFence(const Observation& seen) {
  return IsOlderThanItsOpening(seen) && !MayStillOpen(*seen.target);
}

// `open` is what a deposed leader's claim leaves when it comes after ours was taken back; but
// beside a target that may be open, what a failover leaves to a standby that had not heard of the
// fence.
bool BackOnSource(const Observation& seen) {
  const DatabaseFacts& source = *seen.source;
  if (!source.exists) return false;
  if (source.state == ControlState::kReopened) return true;
  const bool ours_or_none = source.state == ControlState::kNone ||
                            (source.state == ControlState::kOpen && !source.foreign);
  const bool left = seen.target.known() && seen.target->exists && !seen.target->foreign &&
                    MayStillOpen(*seen.target);
  return ours_or_none && !source.closed && !left;
}

// Whoever accepts a loss does not wait for what cannot come. What still can is not thrown away: a
// stream that followed when going back began, since when no heartbeat is written, is waited for
// this long.
constexpr std::chrono::minutes kPatience{5};
constexpr double kHeartbeatSecondsMax = 10;

bool MayStillArrive(const api::TenantMigration& migration, const Observation& seen) {
  if (!seen.reverse_publisher.known() || !seen.reverse_subscriber.known()) return false;
  const PublisherFacts& target = *seen.reverse_publisher;
  const SubscriberFacts& source = *seen.reverse_subscriber;
  const auto silent = seen.now - EnteredAt(migration, seen);
  const double age_max = std::chrono::duration<double>(silent).count() + kHeartbeatSecondsMax;
  const double age = source.HeartbeatAgeSeconds(target);
  return target.Streams() && source.working && age >= 0 && age <= age_max && silent < kPatience;
}

// Behind these very doors, where nobody can change it any more.
bool StructureIsSettled(const api::TenantMigration& migration, const Observation& seen) {
  return seen.structure.known() && seen.structure->settled >= MarkerOf(migration);
}

// Everything that was written on the target is on the source.
bool HasArrived(const api::TenantMigration& migration, const Observation& seen) {
  return StructureIsSettled(migration, seen) && seen.reverse_subscriber.known() &&
         seen.reverse_subscriber->marker >= MarkerOf(migration);
}

bool PauseIsOver(const api::TenantMigration& migration, const Observation& seen) {
  const auto& closed_at = migration.status.rollback.fenced_at;
  const auto bound = api::WritePauseSecondsMax(migration.spec);
  return bound && closed_at && seen.now - *closed_at > std::chrono::seconds(*bound);
}

struct Refusal {
  std::string reason, why;
};

// Why the tenant had better stay where it is; nothing while going back may lose nothing. What has
// arrived is given up for no pause, unless the target was opened again since.
std::optional<Refusal> FindRefusal(const api::TenantMigration& migration, const Observation& seen) {
  if (StructureIsSettled(migration, seen) && StructureDiffers(seen))
    return Refusal{"SchemaChanged", WhyWayBackIsShut(seen)};
  if (StreamBackIsGone(seen)) {
    if (FindWayBackGivenUp(migration.status) != nullptr)
      return Refusal{"WayBackGivenUp", DescribeWayBackGivenUp(migration)};
    return Refusal{SourceFailedOver(seen) ? "SourceFailedOver" : "StreamBroken",
                   WhyWayBackIsShut(seen)};
  }
  const bool is_fenced = seen.target->state == ControlState::kFenced;
  if (!PauseIsOver(migration, seen) || (is_fenced && HasArrived(migration, seen)))
    return std::nullopt;
  return Refusal{"WritePauseExceeded",
                 "the last write has not arrived on the source, and the doors have been closed for "
                 "longer than spec.cutover.maxWritePauseSeconds (" +
                     std::to_string(*api::WritePauseSecondsMax(migration.spec)) + " s)"};
}

// The target is opened again instead of the source: what shut the way back came too late to be seen
// before the doors closed. A token that asked for the rollback is asked again then. Also one that
// is open is held under our epoch first: a leader that froze on his way to fence it must not wake
// up once users are to stay (the model's online_comes_to_rest).
Plan StayOnTarget(const api::TenantMigration& migration, const Observation& seen,
                  const Refusal& refusal) {
  if (seen.target->state == ControlState::kFenced || seen.target->admits_former_leader) {
    if (auto plan = TryToCloseSource(migration, seen)) return *plan;
    return Plan::Do(Intent::kReopenTarget, "opening the target again: " + refusal.why);
  }
  if (auto plan = LetUsersBackIn(migration, seen)) return *plan;
  if (auto plan = OutdateRequests(migration, seen)) return *plan;
  Plan plan = Plan::Go(Guard::kRollbackRefused, "not gone back: " + refusal.why);
  plan.reason = refusal.reason;
  return plan;
}

// What is left of the copy's way to users, there having been no way back to nothing.
std::optional<Plan> LeadToTarget(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.wiring);
  if (!seen.wiring->at_target)
    return Plan::Do(Intent::kApplyWiring, "pointing the workloads at the target again");
  NEED(seen.placement);
  if (seen.placement->exists && seen.placement->server_name != migration.spec.target_server_name)
    return Plan::Do(Intent::kPlaceOnTarget, "recording where the tenant lives");
  return std::nullopt;
}

// A target that was fenced has been open before, and the source has not been opened since: before
// that, users were led to the target, and after it they are led away from it first of all.
bool WasTheTenants(const api::TenantMigration& migration, const Observation& seen) {
  const bool placed =
      seen.placement->exists && seen.placement->server_name == migration.spec.target_server_name;
  return seen.wiring->at_target && (placed || migration.status.cutover.opened_at);
}

// Somebody has dropped the source database, or put another one in its place: there is nothing to go
// back to, and the target may be all that is left of the tenant, whatever a person has accepted to
// lose. Users go on there. Not where the source may have been theirs again before it went: which of
// the two they are to have is a person's to say.
std::optional<Plan> StayForWantOfSource(const api::TenantMigration& migration,
                                        const Observation& seen) {
  if (!SourceIsGone(seen)) return std::nullopt;
  NEED(seen.target);
  const DatabaseFacts& target = *seen.target;
  const bool ours = target.exists && !target.foreign;
  // Our row is the last thing to go from a source that was opened again.
  if (seen.source->exists && !(ours && MayStillOpen(target))) return std::nullopt;
  const Refusal gone{"SourceGone", WhySourceIsGone(migration)};
  if (ours && target.state == ControlState::kVerified)
    return Plan::Do(Intent::kOpenTarget, "opening the target database: " + gone.why);
  bool may_stay = ours && target.state == ControlState::kOpen;
  if (ours && target.state == ControlState::kFenced) {
    NEED(seen.wiring);
    NEED(seen.placement);
    may_stay = WasTheTenants(migration, seen);
  }
  if (!may_stay) {
    Plan hold =
        Plan::Wait(std::chrono::seconds(10),
                   gone.why + ", and the target is " + std::string(Name(target.state)) +
                       ": restore the database on server " + migration.status.source_server_name +
                       " from the copy on the target, which is kept, or from a backup; the "
                       "rollback ends by itself then",
                   gone.reason);
    hold.trouble = true;
    return hold;
  }
  if (target.state == ControlState::kOpen && !target.admits_former_leader) {
    if (auto plan = LeadToTarget(migration, seen)) return plan;
  }
  return StayOnTarget(migration, seen, gone);
}

// Somebody has dropped our schema from the target: nobody can close it, so nothing may be opened
// beside it, and no door that is closed would be opened again. Users go on there.
std::optional<Plan> StayForWantOfControl(const api::TenantMigration& migration,
                                         const Observation& seen) {
  ASK(seen.target);
  const std::string why = WhyTargetCannotBeClosed(migration, seen);
  if (why.empty() || seen.target->closed) return std::nullopt;
  NEED(seen.wiring);
  NEED(seen.placement);
  if (!WasTheTenants(migration, seen)) return std::nullopt;
  return StayOnTarget(migration, seen, {"LedgerMissing", why});
}

// `then` while users still work on the target, or again: nobody has begun to stop them.
template <typename Then>
std::optional<Plan> WhileUsersWork(const api::TenantMigration& migration, const Observation& seen,
                                   const Then& then) {
  if (seen.target->state != ControlState::kOpen || seen.target->closed) return std::nullopt;
  if (migration.spec.by_pooler()) {
    NEED(seen.poolers);
    if (!seen.poolers->resumed) return std::nullopt;
  } else {
    NEED(seen.routes);
    NEED(seen.workloads);
    if (!seen.routes->as_recorded || !seen.workloads->as_recorded) return std::nullopt;
  }
  return then();
}

// While users work as if nobody had begun to go back: a source that was away has to follow closely
// again before they are stopped, and a pooler that could not be paused is left alone for a while.
// That is said in the words of the try that failed.
std::optional<Plan> WaitWithDoorsOpen(const api::TenantMigration& migration,
                                      const Observation& seen) {
  return WhileUsersWork(migration, seen, [&]() -> std::optional<Plan> {
    const auto& retry_at = migration.status.cutover.retry_at;
    if (retry_at && seen.now < *retry_at) {
      Plan plan = Plan::Wait(std::chrono::seconds(2), "", "PoolerNotPaused");
      plan.effect = Intent::kWatchReverseStream;
      plan.trouble = true;
      return plan;
    }
    auto hold = HoldForWayBack(migration, seen, ConsentByNewToken());
    if (hold) hold->awaits_consent = false;  // The token that began it is answered.
    return hold;
  });
}

// Whoever accepts a loss does not make the target's server answer. It may be open to users all the
// same, as far as anybody knows, so the source stays shut until it is known to be there no more.
Plan AwaitTarget(const api::TenantMigration& migration, const Observation& seen) {
  Plan plan = Plan::Lacking(seen.target);
  if (plan.look_at) return plan;
  if (!IsHalfDropped(seen.target))
    plan.message +=
        "; the source stays shut while the target might be open; " + WhatIfTargetIsLost(migration);
  if (migration.spec.online() && !LossAccepted(migration))
    plan.message += ", and, to go back without what has not arrived, " + ConsentByNewToken();
  return plan;
}

// Online, unless a person accepts a loss: nothing that users have made on the target is left
// behind, and they do not wait for what does not come. Before they were in, what workloads did
// there by themselves is no reason to stay.
std::optional<Plan> MindUsers(const api::TenantMigration& migration, const Observation& seen) {
  if (LossAccepted(migration)) return std::nullopt;
  if (!UsersMayHaveBeenIn(migration)) return std::nullopt;
  ASK(seen.structure);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  if (!seen.target.known()) return AwaitTarget(migration, seen);
  if (IsOlderThanItsOpening(seen)) return std::nullopt;
  auto refusal = FindRefusal(migration, seen);
  if (!refusal) return WaitWithDoorsOpen(migration, seen);
  if (migration.status.cutover.opened_at) return StayOnTarget(migration, seen, *refusal);
  // Whoever died right after RESUME has not noted that clients were in.
  const std::string words = refusal->why + "; to go back without it, " + ConsentByNewToken();
  if (StreamBackIsGone(seen)) return Plan::Wait(std::chrono::seconds(5), words, "NoWayBack");
  return Plan::Wait(std::chrono::seconds(5), words, "RollbackNeedsConsent");
}

// FenceTarget has said so, whose patience is for those who commit at once what they prepare.
bool FenceWasRefused(const api::TenantMigration& migration, const Error& why) {
  const api::Condition* ready = migration.status.conditions.Find("Ready");
  return ready != nullptr && ready->reason == why.reason;
}

// What keeps the target from being fenced goes away by no consent and by no time: users who were in
// go on there, at once, and it is asked for again from Hypercare.
std::optional<Plan> StayForWantOfFence(const api::TenantMigration& migration,
                                       const Observation& seen) {
  ASK(seen.target);
  const auto why = WhyNoFence(seen.target, migration.spec.target_server_name);
  if (!why || !migration.status.cutover.opened_at || NeedsNoFence(seen)) return std::nullopt;
  const auto stay = [&]() -> std::optional<Plan> {
    Plan plan = StayOnTarget(migration, seen, {why->reason, why->message});
    if (plan.reason.empty()) plan.reason = why->reason;  // Known by the next round.
    return plan;
  };
  const bool is_fenced = seen.target->state == ControlState::kFenced;
  if (is_fenced || FenceWasRefused(migration, *why)) return stay();
  return WhileUsersWork(migration, seen, stay);
}

// While users still work on the target: one whom the source would refuse the login would be shut
// out behind open doors. What he was given on the target since the switch he is given there, too.
// Of another reason not to know, an accepted loss is not put off.
std::optional<Plan> KnowTenantOnSource(const api::TenantMigration& migration,
                                       const Observation& seen) {
  ASK(seen.target);
  if (!seen.target.known() || !seen.target->exists) return std::nullopt;
  return WhileUsersWork(migration, seen, [&]() -> std::optional<Plan> {
    ASK(seen.tenant_known_back);
    const auto& known = seen.tenant_known_back;
    if (known.known() && *known) return std::nullopt;
    if (known.known())
      return Plan::Do(Intent::kTakePasswordBack,
                      "giving the tenant's role on the source the password that it has by now");
    const std::string& why = known.error().reason;
    if (LossAccepted(migration) && why != "TenantLoginRefused") return std::nullopt;
    Plan hold = Plan::Lacking(known);
    if (migration.spec.online()) hold.effect = Intent::kWatchReverseStream;
    return hold;
  });
}

// Whether what has not arrived is to be left behind, as soon as it is known not to come.
bool MayLeaveBehind(const api::TenantMigration& migration, const Observation& seen) {
  if (LossAccepted(migration) || IsOlderThanItsOpening(seen)) return true;
  if (UsersMayHaveBeenIn(migration)) return false;
  const std::chrono::seconds bound(*api::WritePauseSecondsMax(migration.spec));  // Online has one.
  return (StructureIsSettled(migration, seen) && StructureDiffers(seen)) ||
         StreamBackIsGone(seen) || seen.now - EnteredAt(migration, seen) > bound;
}

// Online: the stream has been turned round, and the marker that was written on the fenced target
// has arrived on the source; so has everything before it. The structure was settled meanwhile.
std::optional<Plan> BringWritesBack(const api::TenantMigration& migration,
                                    const Observation& seen) {
  ASK(seen.structure);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  if (MayLeaveBehind(migration, seen) && !MayStillArrive(migration, seen)) return std::nullopt;
  if (auto plan = TurnStream(seen)) return plan;
  NEED(seen.reverse_subscriber);
  // What still has its connection brings the rest sooner by that.
  if (!seen.reverse_subscriber->working) {
    if (auto plan = FollowTargetsAddress(seen)) return plan;
  }
  const bool settled = StructureIsSettled(migration, seen) || LossAccepted(migration);
  if (seen.reverse_subscriber->marker < MarkerOf(migration) || !settled)
    return Plan::Do(Intent::kDrainReverse, "waiting for the last write to arrive on the source");
  return std::nullopt;
}

// Nobody can enter a database whose DROP was cut short, nor is anything to be had of it any more:
// it is no reason to wait, once nobody counts on what users may have written there. Its roles go
// with it, which is another transaction.
bool MayEndDropOfTarget(const api::TenantMigration& migration, const Observation& seen) {
  if (UsersMayHaveBeenIn(migration) && !LossAccepted(migration)) return false;
  return IsHalfDropped(seen.target) ||
         (seen.target.known() && !seen.target->exists && seen.target->traces);
}

// Before users were in, FenceTarget ends also what workloads have left prepared, which nobody will
// commit any more: it may come to light when their sessions have ended.
bool MustBeFenced(const api::TenantMigration& migration, const DatabaseFacts& target) {
  const bool left_prepared = target.prepared_transactions > 0 && !UsersMayHaveBeenIn(migration);
  return MayStillOpen(target) || !target.closed || target.other_sessions > 0 || left_prepared;
}

// While users work on the target, or may: a source that has come open again waits neither for the
// target's fence nor for what that waits for.
std::optional<Plan> CloseSourceBesideTarget(const api::TenantMigration& migration,
                                            const Observation& seen) {
  auto plan = TryToCloseSource(migration, seen);
  if (!plan) return std::nullopt;
  ASK(seen.target);
  if (IsHalfDropped(seen.target)) return std::nullopt;
  const bool is_shut =
      seen.target.known() &&
      (!seen.target->exists || (seen.target->closed && !MayStillOpen(*seen.target)));
  return is_shut ? std::nullopt : plan;
}

std::optional<Plan> FenceTarget(const api::TenantMigration& migration, const Observation& seen) {
  const DatabaseFacts& target = *seen.target;
  if (!target.exists || NeedsNoFence(seen)) return std::nullopt;
  if (MustBeFenced(migration, target))
    return Plan::Do(Intent::kFenceTarget, "fencing the target database");
  if (target.ProvenFenced()) return std::nullopt;
  return Plan::Wait(std::chrono::milliseconds(500), target.detail, "FenceNotProven");
}

// Closes the target for good before the source is opened: at no instant are both writable.
std::optional<Plan> ExchangeSides(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = CloseSourceBesideTarget(migration, seen)) return plan;
  if (auto plan = StayForWantOfControl(migration, seen)) return plan;
  if (auto plan = StayForWantOfFence(migration, seen)) return plan;
  if (migration.spec.online()) {
    if (auto plan = MindUsers(migration, seen)) return plan;
  }
  if (auto plan = KnowTenantOnSource(migration, seen)) return plan;
  if (!migration.spec.by_pooler()) {
    NEED(seen.routes);
    NEED(seen.maintenance_page);
    if (!seen.routes->at_maintenance &&
        (!seen.maintenance_page->exists || seen.maintenance_page->half))
      return Plan::Do(Intent::kEnsureMaintenancePage, "starting the maintenance page");
  }
  if (auto plan = CloseDoors(migration, seen)) return plan;
  if (MayEndDropOfTarget(migration, seen))
    return Plan::Do(Intent::kDropTarget, "ending the drop of the target database");
  if (!seen.target.known()) return AwaitTarget(migration, seen);
  // From here nobody opens it, and what is in it can still be told.
  if (migration.spec.online() && IsOlderThanItsOpening(seen) && StreamBackIsGone(seen) &&
      seen.target->state == ControlState::kVerified)
    return Plan::Do(Intent::kPrepareAgain, "taking the target's marks from it: it was not opened");
  if (auto plan = FenceTarget(migration, seen)) return plan;
  if (migration.spec.online()) {
    if (auto plan = BringWritesBack(migration, seen)) return plan;
  }
  return Plan::Do(Intent::kReopenSource, "opening the source database again");
}

std::optional<Plan> PointBackAtSource(const api::TenantMigration& migration,
                                      const Observation& seen) {
  NEED(seen.wiring_restored);
  if (!*seen.wiring_restored)
    return Plan::Do(Intent::kRestoreWiring, "pointing the workloads at the source again");
  NEED(seen.placement);
  if (seen.placement->exists && seen.placement->server_name != migration.status.source_server_name)
    return Plan::Do(Intent::kPlaceOnSource, "recording where the tenant lives again");
  return std::nullopt;
}

// What was not stopped has read where its database is once, and that was on the target.
std::string WhatIsLeftToDo(const Observation& seen) {
  if (!seen.workloads.known() || seen.workloads->left_running.empty()) return "";
  return seen.workloads->left_running +
         " was left running, since Kubernetes would have deleted its volumes with its pods "
         "(persistentVolumeClaimRetentionPolicy.whenScaled: Delete): if it does not connect to its "
         "database again by itself, restart it by kubectl rollout restart";
}

}  // namespace

/// RollingBack: after the journal, the same cutover with the sides exchanged. Online, what users
/// wrote on the target comes back with them; where that cannot be, or there is no source any more,
/// the target is opened again and Hypercare goes on. The copy on the target stays, fenced, for
/// whoever wants to find out what went wrong; deleting the TenantMigration drops it.
Plan PlanRollingBack(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.source);
  NEED(seen.ledger_recorded);
  if (auto plan = HoldWhereMoveWasOver(migration, seen)) return *plan;
  if (!*seen.ledger_recorded) {
    // Before any door closes that could not be opened again. Our row on the source goes last.
    ASK(seen.target);
    if (seen.source->state != ControlState::kNone || !BackOnSource(seen))
      return HoldForLedger(seen);
  }
  if (seen.source->state == ControlState::kOpen) ASK(seen.target);
  if (auto plan = StayForWantOfSource(migration, seen)) return *plan;
  if (!BackOnSource(seen)) {
    if (auto plan = ExchangeSides(migration, seen)) return *plan;
  }
  if (*seen.ledger_recorded) {
    if (auto plan = PointBackAtSource(migration, seen)) return *plan;
    if (auto plan = LetUsersBackIn(migration, seen)) return *plan;
  }
  if (auto plan = RemoveHelpers(seen)) return *plan;
  if (migration.spec.online()) {
    if (auto plan = RemoveStreams(seen)) return *plan;
  }
  // Before the control row goes: see Undoing.
  if (*seen.ledger_recorded) {
    if (auto plan = OutdateRequests(migration, seen)) return *plan;
  }
  if (seen.source->state != ControlState::kNone && !seen.source->foreign)
    return Plan::Do(Intent::kCleanSource, "removing our schema from the source database");
  // The ledger stays as long as the copy does: it says which database that is.
  return Plan::Go(Guard::kRolledBack, WhatIsLeftToDo(seen));
}

}  // namespace cutover::migration
