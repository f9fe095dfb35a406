// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// Behind closed doors users wait for a copy, however long it takes; not for one that cannot begin.
constexpr std::chrono::minutes kStartBound{10};

}  // namespace

/// Copying: a mover Job copies and compares what arrived: Offline under the fence, Online under the
/// snapshot at which the stream's slot begins, while users work. Leaves on the result that
/// the mover committed into the target for this very attempt; the Job's exit code only tells when
/// to give up, never that it went well. A result that says "different" undoes right here: such a
/// Job leaves no slots, so nothing could be followed, and what is wrong would be taken for those.
Plan PlanCopying(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.source);
  bool online = migration.spec.online();
  if (!online && !seen.source->ProvenFenced())
    return Plan::Undo("FenceBroken", "somebody opened the source database during the copy: " +
                                         seen.source->detail);
  NEED(seen.copy_job);
  if (!seen.copy_job->exists || seen.copy_job->earlier)
    return Plan::Do(Intent::kCreateCopyJob, "starting the copy");
  ASK(seen.copy_result);
  // A Job that has given up brings no result: users need not wait for a target that is away, too.
  if (seen.copy_job->failed && !seen.copy_result.known())
    return Plan::Undo("CopyFailed", seen.copy_job->message.empty()
                                        ? seen.copy_result.error().message
                                        : seen.copy_job->message);
  NEED(seen.copy_result);
  const auto& result = *seen.copy_result;
  if (result && result->attempt == migration.status.attempt) {
    if (!result->Proven()) return Plan::Undo("VerificationFailed", result->report);
    return Plan::Go(online ? Guard::kSnapshotCopied : Guard::kCopyProven);
  }
  if (seen.copy_job->failed || seen.copy_job->succeeded)
    return Plan::Undo("CopyFailed", seen.copy_job->message.empty()
                                        ? "the copy Job ended without a result: see its pod's log"
                                        : seen.copy_job->message);
  if (!seen.copy_job->order_current)
    return Plan::Do(Intent::kCreateCopyJob,
                    "telling the copy what has changed since it was ordered");
  if (const auto& hindrance = seen.copy_job->hindrance) {
    if (!online && seen.now - hindrance->since > kStartBound)
      return Plan::Undo("PodCannotStart", hindrance->words);
    return AwaitPod(*hindrance);
  }
  ASK(seen.copy_progress);
  // Offline, users wait while this runs, so the result is looked for more often than progress is
  // recorded.
  std::string words = "copying";
  if (seen.copy_progress.known() && *seen.copy_progress)
    words += ": " + (*seen.copy_progress)->stage;
  for (const std::string& remark : {seen.copy_job->setback, seen.copy_job->message})
    if (!remark.empty()) words += "; " + remark;
  return Plan::Wait(std::chrono::milliseconds(online ? 2'000 : 500), std::move(words));
}

}  // namespace cutover::migration
