// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/answers.h"

#include "reconcilers/migration/transitions.h"

namespace cutover::migration {
namespace {

using api::Phase;

// Whether the rollback that has just been answered began, or, going back already, the loss was
// accepted.
bool GoesBackByIt(const api::TenantMigration& before, const api::TenantMigration& after) {
  if (after.status.phase != Phase::kRollingBack) return false;
  if (before.status.phase != Phase::kRollingBack) return true;
  return after.meta.Annotation(api::kAcceptDataLossAnnotation) == after.status.handled.rollback;
}

}  // namespace

std::vector<Answer> AnswersOf(const api::TenantMigration& before,
                              const api::TenantMigration& after) {
  const api::TenantMigrationStatus& was = before.status;
  const api::TenantMigrationStatus& is = after.status;
  const bool moved = was.phase != is.phase;
  std::vector<Answer> answers;
  const auto add = [&](const char* action, const std::string& doing, const std::string& old_token,
                       const std::string& new_token, bool took_effect) {
    if (old_token == new_token || new_token.empty()) return;
    std::string note = "answered " + std::string(action) + ": ";
    if (!took_effect) note += "nothing to " + doing + " in " + std::string(Name(was.phase)) + "; ";
    answers.push_back({action, note + is.message});
  };
  add("Approve", "approve", was.handled.approve, is.handled.approve,
      moved && is.phase == Phase::kFencing);
  add("Abort", "abort", was.handled.abort, is.handled.abort, moved && is.phase == Phase::kUndoing);
  add("Rollback", "roll back", was.handled.rollback, is.handled.rollback,
      GoesBackByIt(before, after));
  add("Retry", "try again", was.handled.retry, is.handled.retry,
      IsEnd(was.phase) && is.phase == Phase::kPending);
  return answers;
}

}  // namespace cutover::migration
