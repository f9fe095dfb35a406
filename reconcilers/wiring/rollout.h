// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/api/database_placement.h"
#include "operator/base/json.h"

/// What becomes of a workload's pods and volumes when it is stopped and started again. Pure; of
/// Deployments and StatefulSets, all else has neither.
namespace cutover::wiring {

/// Whether Kubernetes deletes the volumes of the pods that go when it is scaled down: those of a
/// StatefulSet's volumeClaimTemplates, with persistentVolumeClaimRetentionPolicy.whenScaled Delete.
bool LosesVolumesWhenStopped(const api::ObjectRef& ref, const Json& workload);

/// Why not all pods that are wanted are there, ready, and of the present pod template alone: "1 of
/// 2 pods have its present form". Empty when they are. What its controller has not reported is not
/// there.
///
/// A StatefulSet with updateStrategy OnDelete replaces no pods by itself: pods of a form before are
/// what was ordered, and when it is started again all get the present one.
std::string DescribeUnfinishedRollout(const api::ObjectRef& ref, const Json& workload);

/// The field that keeps a changed pod template from some of its pods, also of those that are
/// started anew, with its value: "spec.paused: true". Empty when there is none.
std::string FindTemplateHold(const api::ObjectRef& ref, const Json& workload);

}  // namespace cutover::wiring
