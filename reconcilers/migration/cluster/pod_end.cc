// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/pod_end.h"

#include "operator/kube/metadata.h"

namespace cutover::migration {
namespace {

const Json& ContainersOf(const Json& owner) {
  return owner.At({"spec", "template", "spec", "containers"});
}

bool IsWork(const Json& owner, const Json& status) {
  for (const Json& container : ContainersOf(owner).Items())
    if (container["name"] == status["name"]) return true;
  return false;
}

const Json* Newest(const std::vector<Json>& pods, bool failed_only = false) {
  const Json* newest = nullptr;
  for (const Json& pod : pods) {
    if (failed_only && pod.At({"status", "phase"}).StringRef() != "Failed") continue;
    const std::string& created = pod.At({"metadata", "creationTimestamp"}).StringRef();
    if (!newest || newest->At({"metadata", "creationTimestamp"}).StringRef() <= created)
      newest = &pod;
  }
  return newest;
}

}  // namespace

const Json* FindStatusOfWork(const Json& owner, const Json& pod) {
  const std::string& name = ContainersOf(owner)[size_t{0}]["name"].StringRef();
  for (const Json& status : pod.At({"status", "containerStatuses"}).Items())
    if (status["name"].StringRef() == name) return &status;
  return nullptr;
}

std::optional<bool> FindEndBesideOthers(const Json& job, const std::vector<Json>& pods) {
  const Json* pod = Newest(pods);
  // One that is going is replaced, or counted, by the Job's controller.
  if (!pod || kube::IsDeleting(*pod)) return std::nullopt;
  size_t ended = 0;
  bool well = true, others_live = false;
  for (const Json& status : pod->At({"status", "containerStatuses"}).Items()) {
    const Json& end = status.At({"state", "terminated"});
    if (!IsWork(job, status)) {
      others_live |= !end.IsObject();
    } else if (end.IsObject()) {
      ++ended;
      well &= end["exitCode"].AsInt(-1) == 0;
    }
  }
  // The kubelet tells of the last container's end before it calls the pod Succeeded or Failed.
  if (!others_live || ended == 0 || ended < ContainersOf(job).Size()) return std::nullopt;
  return well;
}

std::string FindLastWords(const Json& job, const std::vector<Json>& pods) {
  const Json* pod = Newest(pods);
  const Json* status = pod ? FindStatusOfWork(job, *pod) : nullptr;
  return status ? status->At({"state", "terminated", "message"}).AsString() : "";
}

std::string FindLastFailure(const Json& job, const std::vector<Json>& pods) {
  const Json* pod = Newest(pods, true);
  if (!pod) return "";
  const Json* status = FindStatusOfWork(job, *pod);
  const Json end = status ? status->At({"state", "terminated"}) : Json();
  if (!end["message"].StringRef().empty()) return end["message"].AsString();
  // A pod that is evicted may have no container left to tell of.
  if (const std::string& reason = pod->At({"status", "reason"}).StringRef(); !reason.empty())
    return reason + ": " + pod->At({"status", "message"}).AsString();
  if (!end.IsObject()) return "";
  return "exit code " + std::to_string(end["exitCode"].AsInt()) + " (" + end["reason"].AsString() +
         ")";
}

}  // namespace cutover::migration
