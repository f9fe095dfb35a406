// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {

/// BackingUp: a mover Job dumps the source into the tenant's volume and reads every byte back,
/// while users work. Leaves on the Job's proof; a Job that merely ended well without one counts as
/// failed.
Plan PlanBackingUp(const api::TenantMigration& migration, const Observation& seen) {
  NEED(seen.backup_job);
  const JobFacts& job = *seen.backup_job;
  if (!job.exists || job.earlier)
    return Plan::Do(Intent::kCreateBackupJob,
                    "backing up into " + migration.spec.backup_claim_name);
  if (job.failed)
    return Plan::Undo("BackupFailed", job.message.empty()
                                          ? "the backup Job failed: see its pod's log"
                                          : job.message);
  if (!job.succeeded && job.hindrance) return AwaitPod(*job.hindrance);
  if (!job.succeeded)
    return Plan::Wait(std::chrono::seconds(2),
                      "backing up, users work" + (job.setback.empty() ? "" : "; " + job.setback));
  if (job.message.empty())
    return Plan::Undo("BackupUnproven",
                      "the backup Job ended without proof that its files were read back: see its "
                      "pod's log");
  return Plan::Go(Guard::kBackupProven, job.message);
}

}  // namespace cutover::migration
