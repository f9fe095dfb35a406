// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "reconcilers/migration/phases/phases.h"
#include "reconcilers/migration/tally.h"

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

bool LacksAnyBaseline(const api::TenantMigration& migration) {
  return std::any_of(
      migration.spec.checks.begin(), migration.spec.checks.end(),
      [&](const api::Check& check) { return LacksBaseline(migration.status.checks, check); });
}

// A baseline that cannot be taken is no reason not to move: the check's other bounds hold.
void WarnOfMissingBaselines(const Observation& seen, std::vector<Finding>& findings) {
  if (!seen.baselines.known()) return;
  for (const CheckOutcome& outcome : *seen.baselines)
    if (!outcome.Passed())
      findings.push_back({Severity::kWarning, "NoBaseline",
                          "check " + outcome.name +
                              " does not pass before the move, so that its latency afterwards has "
                              "nothing to be compared with: " +
                              outcome.message});
}

// Somebody has deleted the placement and made it again since this attempt began: it may be about
// another server's tenant, and until it is adopted nobody knows.
std::optional<Plan> MindReplacement(const api::TenantMigration& migration,
                                    const Observation& seen) {
  const PlacementFacts& placement = *seen.placement;
  const std::string& source = migration.status.source_server_name;
  if (!placement.exists || placement.server_name == source) return std::nullopt;
  if (placement.server_name.empty())
    return Plan::Wait(std::chrono::seconds(5),
                      "DatabasePlacement " + migration.spec.placement_name +
                          " was replaced and has not been adopted yet: see its conditions",
                      "PlacementNotReady");
  return Plan::Undo("PlacementChanged", "DatabasePlacement " + migration.spec.placement_name +
                                            " was replaced: its tenant is on server " +
                                            placement.server_name + ", and this attempt is about " +
                                            source);
}

}  // namespace

/// Preflight: everything that must be true before anything is touched, all reported at once.
/// What a person can mend is waited for: the migration goes on by itself once it is mended. What
/// can never be true for this immutable spec ends the migration. One that is suspended is held
/// here, and is asked all the same: that is how a move is planned. How long the checks of Hypercare
/// take is measured here, while nothing but the users works on the source.
Plan PlanPreflight(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.placement);  // Before the findings: so it is known which spec they are about.
  if (auto plan = MindReplacement(migration, seen)) return *plan;
  NEED(seen.preflight);
  std::vector<Finding> findings = *seen.preflight;
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
  if (migration.spec.suspend)
    return Plan::Wait(std::chrono::minutes(10),
                      "suspended: nothing stands in the way; set spec.suspend to false to begin",
                      "Suspended");
  if (LacksAnyBaseline(migration)) NEED(seen.baselines);
  WarnOfMissingBaselines(seen, findings);
  bool backup = migration.spec.backup_mode == api::BackupMode::kRequired;
  return Plan::Go(backup ? Guard::kBackupWanted : Guard::kNoBackupWanted,
                  Report(findings, Severity::kWarning));
}

}  // namespace cutover::migration
