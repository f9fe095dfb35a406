// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Some refresh theirs every minute: the doors would never close. What is late is made good for when
// they are open again.
constexpr std::chrono::minutes kViewsPause{5};

}  // namespace

/// CatchingUp: users work on the source, and the target applies what they write. The way back is
/// laid already here: making a slot waits for every transaction on a server, which would be too
/// long behind closed doors, and from then on it tells who else writes to the target.
Plan PlanCatchingUp(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = LetLeftBehindGo(migration, seen)) return *plan;
  if (auto plan = TroubleOfStream(migration, seen)) return *plan;
  NEED(seen.target);
  if (seen.target->state == ControlState::kCopied || seen.target->state == ControlState::kVerified)
    return Plan::Do(Intent::kPrepareAgain, "taking the last cutover's marks from the target");
  if (seen.target->state != ControlState::kPreparing)
    return Plan::Undo("TargetChanged", "the target database is not the one that was copied into (" +
                                           std::string(Name(seen.target->state)) + ")");
  const SubscriberFacts& target = *seen.forward_subscriber;
  if (!target.exists) {
    // What was committed last of the copy: a standby that lacks it lacks what came before.
    NEED(seen.copy_result);
    const auto& result = *seen.copy_result;
    if (!result || result->attempt != migration.status.attempt || !result->Proven())
      return Plan::Undo("TargetChanged",
                        "the target database no longer holds the result of its copy: server " +
                            migration.spec.target_server_name +
                            " has failed over to a standby that had not received it, or was "
                            "restored");
  }
  if (!target.exists || !target.enabled)
    return Plan::Do(Intent::kStartForwardStream, "beginning to follow the source");
  NEED(seen.reverse_subscriber);
  // Made after it. With another one, what was written there in between would go unseen.
  if (!seen.reverse_publisher->slot && seen.reverse_subscriber->exists)
    return Plan::Undo("NoWayBack", "the slot of the way back is gone from server " +
                                       migration.spec.target_server_name +
                                       ", and with it who else has written there");
  if (!seen.reverse_publisher->published || !seen.reverse_publisher->slot ||
      !seen.reverse_subscriber->exists)
    return Plan::Do(Intent::kLayWayBack, "laying the way back: slot and subscription");
  const auto& retry_at = migration.status.cutover.retry_at;
  bool may_try = !retry_at || seen.now >= *retry_at;
  if (may_try && FollowsClosely(migration, seen)) {
    if (auto plan = RefreshViews(seen, kViewsPause)) return *plan;
    return Plan::Go(Guard::kCaughtUp);
  }
  std::string message = "following: " + DescribeLag(target, *seen.forward_publisher);
  if (!may_try) message += "; the cutover is tried again at " + FormatTime(*retry_at);
  Plan plan = Plan::Do(Intent::kWatchStream, std::move(message));
  plan.wait = std::chrono::seconds(1);
  return plan;
}

}  // namespace cutover::migration
