// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/migration/intent.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// The world as a migration sees it: Kubernetes, two database servers, the mover's Jobs. The real
/// one is ClusterWorld; the simulation has another, which dies wherever it is told to.
class World {
 public:
  virtual ~World() = default;

  /// Begins an observation: what time it is, and whatever costs nothing to know.
  virtual Observation Observe(std::stop_token stop, Deadline deadline,
                              const api::TenantMigration& migration) = 0;

  /// Looks at one thing more: afterwards its fact in `seen` is known, or holds the reason why it
  /// cannot be. The call itself never fails. Blocks until the deadline at most.
  virtual void LookAt(std::stop_token stop, Deadline deadline,
                      const api::TenantMigration& migration, Subject subject,
                      Observation& seen) = 0;

  /// Does one thing. Idempotent. An error of disposition kInDoubt means that it may have happened.
  /// Reason "Deposed" means that another leader has taken over: do nothing more. "EpochBehind":
  /// this one leads, and what it changes has seen a later one, so that only a person can help.
  virtual Status Perform(std::stop_token stop, Deadline deadline,
                         const api::TenantMigration& migration, Intent intent) = 0;

  /// Writes status and returns the object's new resourceVersion. Fails with reason "Conflict" when
  /// the object is no longer at `migration.meta.resource_version`.
  virtual Result<std::string> Record(std::stop_token stop, Deadline deadline,
                                     const api::TenantMigration& migration,
                                     const api::TenantMigrationStatus& status) = 0;
};

}  // namespace cutover::migration
