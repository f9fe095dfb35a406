// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::wiring {

/// On a workload that was stopped: how many replicas it had then. Only there can it be taken down
/// in one write with the stop, so that nobody's scaling is lost in between. A label, since a
/// Deployment's annotations are copied to its ReplicaSets, from where an undone rollout brings them
/// back.
inline constexpr char kReplicasLabel[] = "cutover.dev/replicas";

/// One Deployment, StatefulSet or CronJob of a placement, read live.
struct WorkloadObservation {
  api::ObjectRef ref;
  bool exists = false;
  int64_t wanted_replicas = 0;  ///< 0 or 1 for a CronJob: suspended or not.
  int64_t ready_replicas = 0;   ///< Of the present pod template; equals wanted for a CronJob.
  int64_t pods = 0;             ///< Its own that have not ended, terminating ones included.
  std::string pod_names;        ///< The first of them, each with its node.
  bool settled = false;         ///< Its controller has seen the present spec.
  std::optional<int64_t> replicas_before;  ///< As StopWorkloads has found it, until it is restored.
  /// RestoreWorkloads would have nothing to do; true when no record was given.
  bool as_recorded = true;
  bool loses_volumes = false;  ///< LosesVolumesWhenStopped
  std::string unfinished;      ///< DescribeUnfinishedRollout
  std::string template_hold;   ///< FindTemplateHold

  /// Nothing runs and nothing will be started. True for what does not exist.
  bool StoppedFully() const { return !exists || (wanted_replicas == 0 && settled && pods == 0); }
  /// All that is wanted is ready, in its present form.
  bool Ready() const { return exists && settled && ready_replicas >= wanted_replicas; }
  /// It runs, and its volumes would go with its pods.
  bool MustNotStop() const { return exists && wanted_replicas > 0 && loses_volumes; }
  /// "Deployment odoo: 1 of 2 ready",
  /// "Deployment odoo: 1 pod still running: odoo-5d8f-x2 (terminating, node worker-2)".
  std::string Describe() const;
};

/// All workloads of the placement, in its order. `record` (of RecordWorkloads) or null.
/// Pods are found by the workload's own selector and controller, not by status, which lags; those
/// of a CronJob by its Jobs. A pod counts until it has ended (Succeeded, Failed) or is gone.
Result<std::vector<WorkloadObservation>> ObserveWorkloads(std::stop_token stop, Deadline deadline,
                                                          kube::Client& client,
                                                          const api::DatabasePlacement& placement,
                                                          const Json& record = {});

/// Replica counts and suspension as they are, for the ledger; of what another move has stopped, as
/// they were.
/// Terminal "WorkloadNotFound" naming those that do not exist.
Result<Json> RecordWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::DatabasePlacement& placement);

/// What to do with a workload that runs and whose volumes Kubernetes would delete with its pods.
enum class VolumesAtStake {
  kRefuse,        ///< To stop it, and those after it: terminal "VolumesGoWithReplicas".
  kLeaveRunning,  ///< The others are stopped.
};

/// Zero replicas, CronJobs suspended; what they were stays on them (kReplicasLabel), also when
/// somebody has scaled up again what was stopped. Returns at once; ObserveWorkloads tells when all
/// has stopped. A workload that does not exist (any more) is stopped. Jobs that a CronJob has
/// started already are left to end.
Status StopWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                     const api::DatabasePlacement& placement,
                     VolumesAtStake at_stake = VolumesAtStake::kRefuse);

/// Starts again what is at zero or suspended: as StopWorkloads has found it; where that is not
/// known, as recorded. What runs is somebody else's doing, whatever its number, and stays as it is.
/// All are tried; the first error is returned.
Status RestoreWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const api::DatabasePlacement& placement, const Json& record);

/// "HorizontalPodAutoscaler web scales Deployment odoo": autoscalers whose target is a workload of
/// the placement. They leave a workload at zero alone, but may set another count than recorded.
Result<std::vector<std::string>> FindAutoscalers(std::stop_token stop, Deadline deadline,
                                                 kube::Client& client,
                                                 const api::DatabasePlacement& placement);

}  // namespace cutover::wiring
