// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "reconcilers/migration/cluster/jobs.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

// Checks whose question is put by a Job of the tenant's own. They carry the mover's labels
// (cutover.dev/job=check), so that whoever removes a migration's Jobs, the sweeper included,
// removes them, and they belong to the TenantMigration, with which they go at the latest.

/// Where the tenant is now, as the variables of libpq name it: PGHOST and the like.
struct TenantPlace {
  std::string host;
  int port = 5432;
  std::string database;
  std::string user;
  std::string ssl_mode;
  PasswordReference password;  ///< In the tenant's namespace; by reference, never copied.
};

/// "cutover-check-<8 of uid>-<attempt>-<number of the check>-<smoke, or number of the run>":
/// whoever starts a run twice makes one Job.
std::string CheckJobName(const api::TenantMigration& migration, const api::Check& check,
                         api::CheckWhen moment);

/// Of a phase that looks at checks, which only Smoke and Hypercare do: what Preflight asks is among
/// its findings.
inline api::CheckWhen MomentOf(api::Phase phase) {
  return phase == api::Phase::kSmoke ? api::CheckWhen::kSmoke : api::CheckWhen::kHypercare;
}

/// What becomes of the Jobs that `moment` asks for; in Hypercare, those due at `now`. One whose
/// CronJob does not exist is unknown, with that as its reason.
Result<std::vector<CheckOutcome>> ObserveCheckJobs(std::stop_token stop, Deadline deadline,
                                                   kube::Client& client,
                                                   const api::TenantMigration& migration,
                                                   api::CheckWhen moment, WallTime now);

/// Makes those that ObserveCheckJobs finds not started. Idempotent. Of the runs before, the last
/// one's Job stays, with its pod's log; that of the run before it goes. Retry error "JobNameTaken"
/// where somebody else has a Job of that name.
Status StartCheckJobs(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const api::TenantMigration& migration, api::CheckWhen moment, WallTime now,
                      const TenantPlace& place);

/// Whether any Job of a check is left, in all.
Result<JobFacts> ObserveAnyCheckJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                                    const api::TenantMigration& migration, WallTime now);

/// What StartCheckJobs makes of a CronJob: its jobTemplate, bounded by the check's timeoutSeconds,
/// with `place` in the environment of every container, over what the template says there. Pure.
Json CheckJobObject(const api::TenantMigration& migration, const api::Check& check,
                    api::CheckWhen moment, const Json& cron_job, const TenantPlace& place);

}  // namespace cutover::migration
