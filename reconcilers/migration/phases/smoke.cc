// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

namespace {

using std::chrono::seconds;

// A Job starts when everything else has passed, so it is given their time, too. What it says in the
// end is final, since its own backoffLimit has let it try again.
bool IsOutOfTime(const std::vector<CheckOutcome>& checks, const CheckOutcome& check,
                 std::chrono::nanoseconds elapsed) {
  if (!check.by_job) return elapsed >= seconds(check.timeout_seconds);
  int others = 0;
  for (const CheckOutcome& other : checks)
    if (!other.by_job) others = std::max(others, other.timeout_seconds);
  return check.verdict == Verdict::kFailed || elapsed >= seconds(others + check.timeout_seconds);
}

Plan Judge(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.checks);
  auto elapsed = seen.now - EnteredAt(migration, seen);
  std::string failing;
  bool jobs_wait = false, others_fail = false;
  for (const CheckOutcome& check : *seen.checks) {
    if (check.Passed()) continue;
    jobs_wait |= check.verdict == Verdict::kNotStarted;
    others_fail |= !check.by_job;
    if (!failing.empty()) failing += "; ";
    failing += check.name + ": " + check.message;
    if (IsOutOfTime(*seen.checks, check, elapsed))
      return Plan::RollBack("SmokeFailed", "check " + failing);
  }
  if (jobs_wait && !others_fail)
    return Plan::Do(Intent::kStartCheckJobs, "starting the Jobs of the smoke checks");
  if (!failing.empty()) return Plan::Wait(std::chrono::milliseconds(500), "not yet: " + failing);
  return Plan::Go(Guard::kSmokePassed,
                  std::to_string(seen.checks->size()) + " smoke checks passed");
}

// With a pooler users write on the target already: their way back is kept open, and they are not
// stopped for one that is shut.
Plan MindUsers(const api::TenantMigration& migration, const Observation& seen, Plan plan) {
  if (plan.look_at || plan.guard == Guard::kSmokePassed) return plan;
  if (plan.guard) {
    auto hold = HoldForWayBack(migration, seen, ConsentByNewToken());
    if (!hold) return plan;
    if (!hold->look_at) hold->message = plan.message + "; " + hold->message;
    return *hold;
  }
  if (plan.effect) return plan;
  if (auto turn = TurnStream(seen)) return *turn;
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  plan.effect = Intent::kWatchReverseStream;
  return plan;
}

}  // namespace

/// Smoke: the checks ask the workloads themselves, past the route, before a user can. A check may
/// go on failing until its own timeout, since workloads take their time; then the tenant goes back
/// by itself. What is unknown until then has not passed. Nothing of any user is lost: none is in,
/// or, with a pooler, the stream back carries what they write.
Plan PlanSmoke(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = SeeWhetherUsersAreIn(migration, seen)) return *plan;
  if (auto plan = LetLeftBehindGo(migration, seen)) return *plan;
  Plan plan = Judge(migration, seen);
  const bool users_are_in = migration.spec.online() && migration.status.cutover.opened_at;
  return users_are_in ? MindUsers(migration, seen, std::move(plan)) : plan;
}

}  // namespace cutover::migration
