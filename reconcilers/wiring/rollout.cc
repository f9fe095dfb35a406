// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/rollout.h"

#include <cstdint>

namespace cutover::wiring {
namespace {

bool IsDeployment(const api::ObjectRef& ref) { return ref.kind == "Deployment"; }
bool IsStatefulSet(const api::ObjectRef& ref) { return ref.kind == "StatefulSet"; }

std::string Of(int64_t count, int64_t wanted, const char* what) {
  return std::to_string(count) + " of " + std::to_string(wanted) +
         (wanted == 1 ? " pod " : " pods ") + what;
}

// As `kubectl rollout status` asks of a Deployment. Where the new form does not become ready, the
// pods of the one before are kept beside it and serve the users.
std::string UnfinishedDeployment(const Json& status, int64_t wanted) {
  const int64_t updated = status["updatedReplicas"].AsInt();
  std::string text;
  if (updated < wanted) text = Of(updated, wanted, "of its present form");
  const int64_t before = status["replicas"].AsInt() - updated;
  if (before > 0) text += (text.empty() ? "" : ", ") + std::to_string(before) + " of a form before";
  return text;
}

std::string UnfinishedStatefulSet(const Json& spec, const Json& status, int64_t wanted) {
  if (spec["updateStrategy"]["type"].StringRef() == "OnDelete") return "";
  if (status["currentRevision"] == status["updateRevision"]) return "";
  return Of(status["updatedReplicas"].AsInt(), wanted, "of its present form");
}

}  // namespace

bool LosesVolumesWhenStopped(const api::ObjectRef& ref, const Json& workload) {
  const Json& spec = workload["spec"];
  return IsStatefulSet(ref) && !spec["volumeClaimTemplates"].Empty() &&
         spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"].StringRef() == "Delete";
}

std::string DescribeUnfinishedRollout(const api::ObjectRef& ref, const Json& workload) {
  if (!IsDeployment(ref) && !IsStatefulSet(ref)) return "";
  const Json& spec = workload["spec"];
  const Json& status = workload["status"];
  const int64_t wanted = spec["replicas"].AsInt(1);
  if (wanted == 0) return "";
  if (status["observedGeneration"].AsInt() < workload["metadata"]["generation"].AsInt())
    return "its controller has not seen its present form";
  std::string text = IsDeployment(ref) ? UnfinishedDeployment(status, wanted)
                                       : UnfinishedStatefulSet(spec, status, wanted);
  const int64_t ready = status["readyReplicas"].AsInt();
  if (ready < wanted) text += (text.empty() ? "" : ", ") + Of(ready, wanted, "ready");
  return text;
}

std::string FindTemplateHold(const api::ObjectRef& ref, const Json& workload) {
  const Json& spec = workload["spec"];
  if (IsDeployment(ref) && spec["paused"].AsBool()) return "spec.paused: true";
  const Json& strategy = spec["updateStrategy"];
  const int64_t partition = strategy["rollingUpdate"]["partition"].AsInt();
  if (IsStatefulSet(ref) && strategy["type"].StringRef() != "OnDelete" && partition > 0)
    return "spec.updateStrategy.rollingUpdate.partition: " + std::to_string(partition);
  return "";
}

}  // namespace cutover::wiring
