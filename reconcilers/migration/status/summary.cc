// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "reconcilers/migration/status/change.h"

namespace cutover::migration {
namespace {

using api::ConditionStatus;
using api::Phase;

// What the report of an equal copy says behind that: which changes nobody has compared.
std::string LeftOut(const api::VerificationStatus& verification) {
  const size_t at = verification.report.find("; ");
  return at == std::string::npos ? "" : verification.report.substr(at);
}

// ", and for 2m11s before, when the cutover was undone": what users remember of it.
std::string PauseBefore(const api::CutoverStatus& cutover) {
  if (cutover.earlier_pause_milliseconds == 0) return "";
  const std::chrono::milliseconds earlier(cutover.earlier_pause_milliseconds);
  return ", and for " + api::FormatPause(earlier) + " before, when the cutover was undone";
}

// What keeps the source after its retention is no part of how the move ended.
void NoteRetention(const Change& change) {
  const Plan& plan = change.plan;
  if (plan.guard || plan.message.empty() || change.migration.meta.deleting()) return;
  change.Set("SourceReclaimed", ConditionStatus::kFalse, plan.reason.empty() ? "Kept" : plan.reason,
             plan.message);
}

// How an end is summed up is part of the record: once it is there, and of this generation, it
// stays. A later operator that words it otherwise does not write to every migration there ever was.
bool IsSummedUp(const Change& change) {
  const api::TenantMigration& before = change.migration;
  return before.status.phase == change.status.phase &&
         before.status.observed_generation == before.meta.generation &&
         before.status.conditions.Find("Ready") && before.status.conditions.Find("Succeeded");
}

void SumUpEnd(const Change& change) {
  api::TenantMigrationStatus& status = change.status;
  std::string phase_name(Name(status.phase));
  std::string message = EndMessage(status);
  status.conditions.Remove("Reconciling");
  if (status.phase == Phase::kCompleted) {
    change.Set("Ready", ConditionStatus::kTrue, phase_name, message);
    change.Set("Succeeded", ConditionStatus::kTrue, phase_name, message);
    status.conditions.Remove("Stalled");
    return;
  }
  std::string reason = status.failure_reason.empty() ? phase_name : status.failure_reason;
  change.Set("Ready", ConditionStatus::kFalse, phase_name, message);
  change.Set("Succeeded", ConditionStatus::kFalse, reason, message);
  change.Set("Stalled", ConditionStatus::kTrue, phase_name, message);
}

}  // namespace

std::string EndMessage(const api::TenantMigrationStatus& status) {
  switch (status.phase) {
    case Phase::kCompleted:
      return "moved to the target: " + std::to_string(status.verification.tables) + " tables, " +
             std::to_string(status.verification.rows) + " rows equal; doors closed for " +
             std::to_string(status.cutover.write_pause_milliseconds) + " ms" +
             PauseBefore(status.cutover) + LeftOut(status.verification);
    case Phase::kAborted:
      return "aborted, everything is as it was (" + status.failure_message + ")";
    case Phase::kFailed:
      if (status.failure_reason == "PreflightFailed" || status.failure_reason == "PlacementBusy")
        return status.failure_message;
      // Another attempt would find the same window.
      return "failed, everything is as it was: " + status.failure_message +
             (status.failure_reason == "WindowMissed"
                  ? ""
                  : "; to try again, set a new cutover.dev/retry token");
    case Phase::kRolledBack:
      return "rolled back, the tenant works on the source as before: " + status.failure_message +
             "; the copy on the target stays, fenced, until this TenantMigration is deleted";
    default:
      return "";
  }
}

// kstatus (cli-utils): Reconciling and Stalled exist only while True; Stalled only where nothing
// will happen without a person. field-notes/kubernetes.md section 2 has the table.
void SetSummary(const Change& change) {
  api::TenantMigrationStatus& status = change.status;
  const Plan& plan = change.plan;
  Phase phase = status.phase;
  if (IsEnd(phase)) {
    if (!IsSummedUp(change)) SumUpEnd(change);
    if (phase == Phase::kCompleted) NoteRetention(change);
    return;
  }
  std::string reason = plan.reason.empty() || plan.guard ? std::string(Name(phase)) : plan.reason;
  change.Set("Ready", ConditionStatus::kFalse, reason, status.message);
  change.Set("Succeeded", ConditionStatus::kUnknown, "Running", status.message);
  change.Set("Reconciling", ConditionStatus::kTrue,
             plan.trouble ? "ProgressingWithRetry" : "Progressing", status.message);
  status.conditions.Remove("Stalled");
  if (phase == Phase::kPreflight && plan.reason == "PreflightFailed")
    change.Set("PreflightPassed", ConditionStatus::kFalse, "PreflightFailed", plan.message);
  // Nothing stands in the way any more, and somebody holds it all the same.
  if (phase == Phase::kPreflight && plan.reason == "Suspended")
    change.Set("PreflightPassed", ConditionStatus::kTrue, "Passed", "every check passed");
}

}  // namespace cutover::migration
