// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>

#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/status/change.h"

namespace cutover::migration {
namespace {

using api::ConditionStatus;
using api::Phase;

// What was said before users were in is no longer so.
void NoteUsersWriteOnTarget(const Change& change) {
  const api::Condition* said = change.status.conditions.Find("RollbackReady");
  if (said == nullptr || (said->reason != "UsersNotIn" && said->reason != "RoutesLedBack")) return;
  change.Set("RollbackReady", ConditionStatus::kUnknown, "NotLookedAt",
             "users write on the target; whether that arrives on the source is looked at next");
}

// Decided without the stream, which says it itself once users write on the target. It stays said
// when the routes are led away again: users may have written by then.
void NoteRoutesLedBack(const Change& change) {
  const Phase phase = change.migration.status.phase;
  const bool held = change.plan.reason == "RollbackNeedsConsent" && !change.plan.guard;
  if (!held || (phase != Phase::kOpening && phase != Phase::kSmoke)) return;
  if (UsersWriteOnTarget(change.status)) return;
  change.Set("RollbackReady", ConditionStatus::kFalse, "RoutesLedBack",
             "somebody has led the routes back to the workloads before users were to come in: what "
             "they have written on the target since is lost by going back");
}

// It is ready all the same, and how much is left exactly would be another status each round.
std::string HeadroomOfWayBack(const api::TenantMigration& migration, const Observation& seen) {
  if (!seen.reverse_publisher->RunsOutOfWal()) return "";
  return "; but server " + migration.spec.target_server_name +
         " is about to throw away WAL that the way back needs, should the source fall behind: "
         "raise max_slot_wal_keep_size there";
}

// Hypercare, and the way back with it, goes on past its time until every check has passed, and as
// long as it is held.
void NoteUntilWhen(const Change& change) {
  auto& until = change.status.rollback.available_until;
  until = EnteredAt(change.migration, change.seen) +
          std::chrono::seconds(change.migration.spec.hypercare_seconds);
  if (*until <= change.seen.now) until.reset();
}

// RollbackReady as long as the way back is there to be asked about.
void NoteWayBack(const Change& change) {
  const api::TenantMigration& migration = change.migration;
  const bool gives_up = change.plan.effect == Intent::kGiveUpWayBack;
  if (!gives_up && (!UsersWriteOnTarget(change.status) || !migration.spec.online())) return;
  const Observation& seen = change.seen;
  auto& rollback = change.status.rollback;
  if (rollback.available_until && *rollback.available_until <= seen.now)
    rollback.available_until.reset();
  if (seen.reverse_sample.known() && seen.reverse_sample->taken_at) {
    rollback.sampled_at = std::chrono::floor<std::chrono::seconds>(*seen.reverse_sample->taken_at);
    rollback.sampled_rows = seen.reverse_sample->rows;
  }
  if (gives_up || WayBackIsGivenUp(migration, seen)) {
    rollback.available_until.reset();
    return change.Set("RollbackReady", ConditionStatus::kFalse, "WayBackGivenUp",
                      DescribeWayBackGivenUp(migration));
  }
  // What is prepared and committed in a moment shuts no way back: only as long as one waits for it.
  const auto why = WhyNoFence(seen.target, migration.spec.target_server_name);
  if (why && why->reason == change.plan.reason) {
    rollback.available_until.reset();
    return change.Set("RollbackReady", ConditionStatus::kFalse, why->reason, why->message);
  }
  if (seen.reverse_publisher.unseen() || seen.reverse_subscriber.unseen() ||
      seen.reverse_sample.unseen() || seen.structure.unseen())
    return NoteUsersWriteOnTarget(change);
  if (WayBackIsOpen(seen)) {
    if (migration.status.phase == Phase::kHypercare) NoteUntilWhen(change);
    return change.Set("RollbackReady", ConditionStatus::kTrue, "StreamFollows",
                      "everything that users write on the target arrives on the source" +
                          (seen.reverse_sample->not_compared.empty()
                               ? std::string()
                               : "; not compared row by row, being large and without a key: " +
                                     seen.reverse_sample->not_compared) +
                          HeadroomOfWayBack(migration, seen));
  }
  rollback.available_until.reset();
  const bool differs = FollowsBack(seen) && seen.structure.known() && seen.reverse_sample.known();
  change.Set("RollbackReady", ConditionStatus::kFalse,
             StructureDiffers(seen)   ? "SchemaChanged"
             : SourceFailedOver(seen) ? "SourceFailedOver"
             : differs                ? "SampleDiffers"
                                      : "StreamBroken",
             WhyWayBackIsShut(seen));
}

// A stream that is held up carries nothing, and one that goes on again is not in step before it has
// been seen to be.
void NoteInSync(const Change& change) {
  static constexpr char kType[] = "InSync";
  const Plan& plan = change.plan;
  const Phase phase = change.migration.status.phase;
  const bool follows = phase == Phase::kCatchingUp || phase == Phase::kAwaitingCutover;
  const api::Condition* said = change.status.conditions.Find(kType);
  if (!change.migration.spec.online() || !follows || plan.guard || plan.look_at) return;
  if (plan.reason == "ApplyFails" || plan.reason == "SchemaChanged")
    return change.Set(kType, ConditionStatus::kFalse, plan.reason, plan.message);
  const auto& seen = change.seen;
  if (!said || !seen.forward_publisher.known() || !seen.forward_subscriber.known()) return;
  const bool was_held = said->reason == "ApplyFails" || said->reason == "SchemaChanged";
  if (phase == Phase::kAwaitingCutover && FollowsClosely(change.migration, seen))
    return change.Set(kType, ConditionStatus::kTrue, "Following",
                      "the target follows the source closely");
  if (!was_held) return;
  change.Set(kType, ConditionStatus::kFalse, "Behind",
             "the target follows again, and catches up by itself");
}

}  // namespace

void NoteStreams(const Change& change) {
  NoteWayBack(change);
  NoteRoutesLedBack(change);
  NoteInSync(change);
}

}  // namespace cutover::migration
