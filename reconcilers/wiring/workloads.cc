// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/workloads.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "operator/base/check.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/rollout.h"

namespace cutover::wiring {
namespace {

bool IsCronJob(const api::ObjectRef& ref) { return ref.kind == "CronJob"; }

std::string Title(const api::ObjectRef& ref) { return ref.kind + " " + ref.name; }

kube::Resource ResourceOf(const api::ObjectRef& ref) {
  const std::optional<kube::Resource> resource = ResourceOfKind(ref.kind);
  CHECK(resource.has_value());  // The CRD admits Deployment, StatefulSet and CronJob only.
  return *resource;
}

int64_t WantedReplicas(const api::ObjectRef& ref, const Json& workload) {
  if (IsCronJob(ref)) return workload["spec"]["suspend"].AsBool() ? 0 : 1;
  return workload["spec"]["replicas"].AsInt(1);
}

void SetWantedReplicas(const api::ObjectRef& ref, int64_t replicas, Json& workload) {
  if (WantedReplicas(ref, workload) == replicas) return;
  Json& spec = workload.MutableAt("spec");
  if (IsCronJob(ref))
    spec.Set("suspend", replicas == 0);
  else
    spec.Set("replicas", replicas);
}

// What is no number of replicas is not ours.
std::optional<int64_t> ReplicasBefore(const Json& workload) {
  const std::string text = kube::LabelOf(workload, kReplicasLabel);
  int64_t replicas = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), replicas);
  if (error != std::errc() || end != text.data() + text.size() || replicas <= 0)
    return std::nullopt;
  return replicas;
}

// Of the very version that is written: the policy may have come after preflight.
Status Stop(const api::ObjectRef& ref, VolumesAtStake at_stake, Json& workload) {
  const int64_t running = WantedReplicas(ref, workload);
  if (running == 0) return Ok();
  if (LosesVolumesWhenStopped(ref, workload)) {
    if (at_stake == VolumesAtStake::kLeaveRunning) return Ok();
    return TerminalError("VolumesGoWithReplicas",
                         Title(ref) +
                             " is not stopped, since Kubernetes would delete its volumes with its "
                             "pods: set its spec.persistentVolumeClaimRetentionPolicy.whenScaled "
                             "to Retain");
  }
  workload.MutableAt("metadata").MutableAt("labels").Set(kReplicasLabel, std::to_string(running));
  SetWantedReplicas(ref, 0, workload);
  return Ok();
}

void Restore(const api::ObjectRef& ref, int64_t recorded, Json& workload) {
  if (WantedReplicas(ref, workload) == 0)
    SetWantedReplicas(ref, ReplicasBefore(workload).value_or(recorded), workload);
  if (workload["metadata"]["labels"].Contains(kReplicasLabel))
    workload.MutableAt("metadata").MutableAt("labels").Remove(kReplicasLabel);
}

const Json* FindRecord(const Json& record, const api::ObjectRef& ref) {
  for (const Json& entry : record.Items())
    if (entry["kind"].StringRef() == ref.kind && entry["name"].StringRef() == ref.name)
      return &entry;
  return nullptr;
}

// A pod that has ended runs nothing; one that is terminating still may.
bool HasEnded(const Json& pod) {
  const std::string& phase = pod["status"]["phase"].StringRef();
  return phase == "Succeeded" || phase == "Failed";
}

std::string JoinValues(const Json& values) {
  std::string joined;
  for (const Json& value : values.Items()) joined += (joined.empty() ? "" : ",") + value.AsString();
  return joined;
}

// The text form of a LabelSelector.
std::string SelectorText(const Json& selector) {
  std::vector<std::string> terms;
  for (const auto& [key, value] : selector["matchLabels"].Members())
    terms.push_back(key + "=" + value.AsString());
  for (const Json& expression : selector["matchExpressions"].Items()) {
    const std::string key = expression["key"].AsString();
    const std::string& verb = expression["operator"].StringRef();
    const std::string values = "(" + JoinValues(expression["values"]) + ")";
    if (verb == "In") terms.push_back(key + " in " + values);
    if (verb == "NotIn") terms.push_back(key + " notin " + values);
    if (verb == "Exists") terms.push_back(key);
    if (verb == "DoesNotExist") terms.push_back("!" + key);
  }
  std::string text;
  for (const std::string& term : terms) text += (text.empty() ? "" : ",") + term;
  return text;
}

// What a selector finds is not all of the workload: a release's database and cache often carry the
// labels that its Deployment selects by. Of which Deployment a ReplicaSet is, is told by its name,
// since reading ReplicaSets would take another right.
bool IsPodOf(const api::ObjectRef& ref, const Json& pod) {
  if (ref.kind == "StatefulSet")
    return kube::ControllerOf(pod, kube::kStatefulSet).name == ref.name;
  const std::string hash = kube::LabelOf(pod, "pod-template-hash");
  return !hash.empty() && kube::ControllerOf(pod, kube::kReplicaSet).name == ref.name + "-" + hash;
}

// "odoo-5d8f-x2 (terminating, node worker-2)"
std::string DescribePod(const Json& pod) {
  const std::string& node = pod["spec"]["nodeName"].StringRef();
  std::string state = kube::IsDeleting(pod) ? "terminating" : "";
  if (!node.empty()) state += (state.empty() ? "node " : ", node ") + node;
  return kube::KeyOf(pod).name + (state.empty() ? "" : " (" + state + ")");
}

void CountPod(const Json& pod, WorkloadObservation& observed) {
  constexpr int64_t kNamedMax = 3;
  if (++observed.pods > kNamedMax + 1) return;
  if (observed.pods > 1) observed.pod_names += ", ";
  observed.pod_names += observed.pods > kNamedMax ? "…" : DescribePod(pod);
}

Status CountPods(std::stop_token stop, Deadline deadline, kube::Client& client,
                 const std::string& ns, const Json& workload, WorkloadObservation& observed) {
  kube::ListOptions options;
  options.ns = ns;
  options.label_selector = SelectorText(workload["spec"]["selector"]);
  TRY_ASSIGN(const kube::ObjectList pods, client.List(stop, deadline, kube::kPod, options));
  for (const Json& pod : pods.items)
    if (!HasEnded(pod) && IsPodOf(observed.ref, pod)) CountPod(pod, observed);
  return Ok();
}

bool IsFinished(const Json& job) {
  return kube::FindCondition(job, "Complete") || kube::FindCondition(job, "Failed");
}

// "<cronjob>-<digits>", as the CronJob controller names its Jobs.
bool IsJobNameOf(const std::string& cron_job, const std::string& name) {
  if (!name.starts_with(cron_job + "-")) return false;
  const std::string rest = name.substr(cron_job.size() + 1);
  return !rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos;
}

// Pods of a CronJob's Jobs, and Jobs that have none yet. Pods are told by the name of their Job,
// since a Job may be deleted while its pod is still terminating.
Status CountCronJobPods(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const kube::Key& key, WorkloadObservation& observed) {
  kube::ListOptions options;
  options.ns = key.ns;
  TRY_ASSIGN(const kube::ObjectList jobs, client.List(stop, deadline, kube::kJob, options));
  int64_t unfinished = 0;
  for (const Json& job : jobs.items)
    if (kube::ControllerOf(job, kube::kCronJob) == key && !IsFinished(job)) ++unfinished;
  options.label_selector = "batch.kubernetes.io/job-name";
  TRY_ASSIGN(const kube::ObjectList pods, client.List(stop, deadline, kube::kPod, options));
  for (const Json& pod : pods.items)
    if (!HasEnded(pod) && IsJobNameOf(key.name, kube::LabelOf(pod, "batch.kubernetes.io/job-name")))
      CountPod(pod, observed);
  observed.pods = std::max(unfinished, observed.pods);
  return Ok();
}

// A Deployment or StatefulSet: what its status says, and the pods that are really there.
Status ObserveReplicated(std::stop_token stop, Deadline deadline, kube::Client& client,
                         const std::string& ns, const Json& workload,
                         WorkloadObservation& observed) {
  const Json& status = workload["status"];
  observed.ready_replicas =
      std::min(status["readyReplicas"].AsInt(), status["updatedReplicas"].AsInt());
  observed.settled =
      status["observedGeneration"].AsInt() >= workload["metadata"]["generation"].AsInt() &&
      (observed.wanted_replicas > 0 || status["replicas"].AsInt() == 0);
  return CountPods(stop, deadline, client, ns, workload, observed);
}

Result<WorkloadObservation> ObserveWorkload(std::stop_token stop, Deadline deadline,
                                            kube::Client& client, const std::string& ns,
                                            const api::ObjectRef& ref, const Json& record) {
  WorkloadObservation observed;
  observed.ref = ref;
  const Json* recorded = FindRecord(record, ref);
  TRY_ASSIGN(const std::optional<Json> workload,
             client.Get(stop, deadline, ResourceOf(ref), {ns, ref.name}));
  if (!workload) {
    observed.as_recorded = recorded == nullptr;
    return observed;
  }
  observed.exists = true;
  observed.wanted_replicas = WantedReplicas(ref, *workload);
  observed.replicas_before = ReplicasBefore(*workload);
  observed.loses_volumes = LosesVolumesWhenStopped(ref, *workload);
  observed.unfinished = DescribeUnfinishedRollout(ref, *workload);
  observed.template_hold = FindTemplateHold(ref, *workload);
  if (recorded) {
    Json restored = *workload;
    Restore(ref, (*recorded)["replicas"].AsInt(), restored);
    observed.as_recorded = restored == *workload;
  }
  if (IsCronJob(ref)) {
    observed.ready_replicas = observed.wanted_replicas;
    observed.settled = true;
    TRY(CountCronJobPods(stop, deadline, client, {ns, ref.name}, observed));
  } else {
    TRY(ObserveReplicated(stop, deadline, client, ns, *workload, observed));
  }
  return observed;
}

std::string StillRunning(const WorkloadObservation& workload) {
  if (workload.pods == 0) return "stopping";
  return std::to_string(workload.pods) + (workload.pods == 1 ? " pod" : " pods") +
         " still running" + (workload.pod_names.empty() ? "" : ": " + workload.pod_names);
}

}  // namespace

std::string WorkloadObservation::Describe() const {
  std::string text = Title(ref) + ": ";
  if (!exists) return text + "does not exist";
  if (wanted_replicas == 0) return text + (StoppedFully() ? "stopped" : StillRunning(*this));
  if (IsCronJob(ref)) return text + "scheduled";
  return text + std::to_string(ready_replicas) + " of " + std::to_string(wanted_replicas) +
         " ready";
}

Result<std::vector<WorkloadObservation>> ObserveWorkloads(std::stop_token stop, Deadline deadline,
                                                          kube::Client& client,
                                                          const api::DatabasePlacement& placement,
                                                          const Json& record) {
  std::vector<WorkloadObservation> all;
  for (const api::ObjectRef& ref : placement.spec.workloads) {
    TRY_ASSIGN(WorkloadObservation observed,
               ObserveWorkload(stop, deadline, client, placement.meta.namespace_name, ref, record));
    all.push_back(std::move(observed));
  }
  return all;
}

Result<Json> RecordWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                             const api::DatabasePlacement& placement) {
  Json record = Json::Array();
  std::string missing;
  for (const api::ObjectRef& ref : placement.spec.workloads) {
    TRY_ASSIGN(
        const std::optional<Json> workload,
        client.Get(stop, deadline, ResourceOf(ref), {placement.meta.namespace_name, ref.name}));
    if (!workload) {
      missing += (missing.empty() ? "" : ", ") + Title(ref);
      continue;
    }
    int64_t replicas = WantedReplicas(ref, *workload);
    if (replicas == 0) replicas = ReplicasBefore(*workload).value_or(0);
    record.Append(Json::Object({{"kind", ref.kind}, {"name", ref.name}, {"replicas", replicas}}));
  }
  if (!missing.empty())
    return TerminalError("WorkloadNotFound", missing +
                                                 ": no such workload; create it, or take it out of "
                                                 "spec.workloads of the DatabasePlacement");
  return record;
}

Status StopWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                     const api::DatabasePlacement& placement, VolumesAtStake at_stake) {
  for (const api::ObjectRef& ref : placement.spec.workloads)
    TRY(EditObject(stop, deadline, client, ResourceOf(ref),
                   {placement.meta.namespace_name, ref.name},
                   [&](Json& workload) { return Stop(ref, at_stake, workload); }));
  return Ok();
}

Status RestoreWorkloads(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const api::DatabasePlacement& placement, const Json& record) {
  Status first = Ok();
  for (const Json& entry : record.Items()) {
    const api::ObjectRef ref{entry["kind"].AsString(), entry["name"].AsString()};
    const int64_t replicas = entry["replicas"].AsInt();
    const Result<bool> found = EditObject(
        stop, deadline, client, ResourceOf(ref), {placement.meta.namespace_name, ref.name},
        [&](Json& workload) {
          Restore(ref, replicas, workload);
          return Ok();
        },
        kPuttingBack);
    if (!first) continue;
    if (!found)
      first = tl::make_unexpected(found.error());
    else if (!*found)
      first = TerminalError("WorkloadNotFound", Title(ref) + " is gone: create it again with " +
                                                    std::to_string(replicas) + " replicas");
  }
  return first;
}

Result<std::vector<std::string>> FindAutoscalers(std::stop_token stop, Deadline deadline,
                                                 kube::Client& client,
                                                 const api::DatabasePlacement& placement) {
  kube::ListOptions options;
  options.ns = placement.meta.namespace_name;
  TRY_ASSIGN(const kube::ObjectList list,
             client.List(stop, deadline, kube::kHorizontalPodAutoscaler, options));
  std::vector<std::string> found;
  for (const Json& autoscaler : list.items) {
    const Json& target = autoscaler["spec"]["scaleTargetRef"];
    const api::ObjectRef ref{target["kind"].AsString(), target["name"].AsString()};
    const auto& workloads = placement.spec.workloads;
    if (std::find(workloads.begin(), workloads.end(), ref) != workloads.end())
      found.push_back("HorizontalPodAutoscaler " + kube::KeyOf(autoscaler).name + " scales " +
                      Title(ref));
  }
  return found;
}

}  // namespace cutover::wiring
