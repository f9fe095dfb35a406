// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

// All findings of one severity or worse in one sentence, so that a person mends them in one go.
std::string Report(const std::vector<Finding>& findings, Severity least) {
  std::string text;
  for (const Finding& finding : findings) {
    if (finding.severity < least) continue;
    if (!text.empty()) text += "; ";
    text += finding.message;
  }
  return text;
}

Severity Worst(const std::vector<Finding>& findings) {
  Severity worst = Severity::kWarning;
  for (const Finding& finding : findings)
    if (finding.severity > worst) worst = finding.severity;
  return worst;
}

}  // namespace

/// Preflight: everything that must be true before anything is touched, all reported at once.
/// What a person can mend is waited for: the migration goes on by itself once it is mended. What
/// can never be true for this immutable spec ends the migration.
Plan PlanPreflight(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.placement);  // Before the findings: so it is known which spec they are about.
  NEED(seen.preflight);
  const std::vector<Finding>& findings = *seen.preflight;
  switch (Worst(findings)) {
    case Severity::kHopeless: {
      Plan plan = Plan::Go(Guard::kHopeless, Report(findings, Severity::kBlocking));
      plan.reason = "PreflightFailed";
      return plan;
    }
    case Severity::kBlocking: {
      Plan plan = Plan::Wait(std::chrono::seconds(10), Report(findings, Severity::kBlocking),
                             "PreflightFailed");
      plan.trouble = true;
      return plan;
    }
    case Severity::kWarning:
      break;
  }
  bool backup = migration.spec.backup_mode == api::BackupMode::kRequired;
  return Plan::Go(backup ? Guard::kBackupWanted : Guard::kNoBackupWanted,
                  Report(findings, Severity::kWarning));
}

}  // namespace cutover::migration
