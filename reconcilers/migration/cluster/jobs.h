// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/contract/job_spec.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "reconcilers/migration/cluster/config.h"
#include "reconcilers/migration/cluster/labelled.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// A password that a Job's pod takes from a Secret by reference: it is never copied.
struct PasswordReference {
  std::string secret_name;
  std::string key;
};

/// One mover Job and the ConfigMap that carries its order.
struct MoverJob {
  mover::JobSpec spec;
  std::string namespace_name;
  PasswordReference source_password;
  PasswordReference target_password;  ///< Empty for a backup.
  std::string source_ca_pem;          ///< Empty: none. Certificates are no secret.
  std::string target_ca_pem;
  std::string claim_name;  ///< Mounted at kBackupPath; empty: none.
};

/// How a copy's Job reaches the two databases.
struct CopySides {
  mover::Endpoint source, target;
};

/// Which kind of a migration's Jobs, and of what belongs to them, an object is of.
inline constexpr char kJobKindLabel[] = "cutover.dev/job";

inline constexpr char kBackupPath[] = "/backup";
inline constexpr char kOrderPath[] = "/etc/cutover";

/// "cutover-copy-<8 of uid>-<attempt>" and "cutover-backup-…".
std::string JobName(const api::TenantMigration& migration, mover::JobKind kind);

/// What a copy's order takes from the migration's spec. The rows of excluded tables are accepted to
/// be missing: the backup has them, and the source keeps them. A throttle query that the operator
/// does not know leaves the one that the order has.
void OrderCopy(const OperatorConfig& config, const api::TenantMigrationSpec& migration,
               mover::JobSpec& order);

/// Whether spec.copy.throttleQuery names none of the operator's.
bool ThrottleIsUnknown(const OperatorConfig& config, const api::TenantMigrationSpec& migration);

/// The order that a Job was given; nothing where there is none, or none that can be read as one.
Result<std::optional<mover::JobSpec>> ReadOrder(std::stop_token stop, Deadline deadline,
                                                kube::Client& client, const kube::Key& job);

/// Order first, then the Job, both idempotent: a Job that exists is left alone, since a second
/// mover of one attempt must not start; it reads its order's throttle again and again, so that this
/// is also how that is changed. The rest counts for the next pod, if this one's ends too early.
Status CreateMoverJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const OperatorConfig& config, const api::TenantMigration& migration,
                      const MoverJob& job);

/// The Jobs of this kind that belong to the migration, whatever their attempt; what became of it,
/// its pod's last words, and what keeps its pod from starting, of the present attempt's alone. A
/// Job that is being deleted still exists until its pods are gone. `sides`: how a copy's order
/// should reach the databases by now; nullptr where nobody knows.
Result<JobFacts> ObserveJob(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const OperatorConfig& config, const std::string& ns,
                            const api::TenantMigration& migration, mover::JobKind kind,
                            WallTime now, const CopySides* sides = nullptr);

/// Whether the Job is deleted, and every pod that it has left should have ended a minute ago and
/// more: those of a node that has died stay until somebody removes the node.
Result<bool> IsAbandoned(std::stop_token stop, Deadline deadline, kube::Client& client,
                         const Json& job, WallTime now);

/// Every order and then every Job of the migration, or of any when `migration_uid` is empty; in
/// `ns`, or everywhere when that is. Without those that have been asked to go already.
Result<std::vector<LabelledObject>> ListMoverObjects(std::stop_token stop, Deadline deadline,
                                                     kube::Client& client, const std::string& ns,
                                                     const std::string& migration_uid = "");

/// Deletes every Job and order of the migration in `ns`. Orders first: as long as a Job is there
/// somebody comes back for the rest.
Status DeleteMoverJobs(std::stop_token stop, Deadline deadline, kube::Client& client,
                       const std::string& ns, const api::TenantMigration& migration);

Result<std::vector<Json>> PodsOf(std::stop_token stop, Deadline deadline, kube::Client& client,
                                 const Json& job);

/// An environment variable whose value the kubelet takes from a Secret.
Json PasswordVariable(const char* name, const PasswordReference& reference);

/// What CreateMoverJob creates. Pure.
Json MoverJobObject(const OperatorConfig& config, const api::TenantMigration& migration,
                    const MoverJob& job);
Json MoverOrderObject(const api::TenantMigration& migration, const MoverJob& job);

}  // namespace cutover::migration
