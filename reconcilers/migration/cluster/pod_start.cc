// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/pod_start.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/pod_end.h"

namespace cutover::migration {
namespace {

// A pod whose image is on the node starts within a second or two.
constexpr std::chrono::seconds kStart{10};
// What may pass by itself: a node is made, a volume attached, a large image pulled.
constexpr std::chrono::seconds kSlowStart{60};

// Of a container that waits, as the kubelet says it (pkg/kubelet/images, pkg/kubelet/kuberuntime).
constexpr std::array<std::string_view, 7> kImageReasons{
    "ErrImagePull",      "ImagePullBackOff",    "InvalidImageName",         "ErrImageNeverPull",
    "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"};
constexpr std::array<std::string_view, 3> kContainerReasons{
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError"};

bool IsAmong(auto& reasons, const std::string& reason) {
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// An object without a time was made just now, as far as patience goes.
WallTime CreatedAt(const Json& object, WallTime now) {
  return ParseTime(object.At({"metadata", "creationTimestamp"}).StringRef()).value_or(now);
}

std::string Describe(const char* kind, const kube::Key& key) {
  return "kubectl -n " + key.ns + " describe " + kind + " " + key.name;
}

// The scheduler's own words, where it has found no node.
const Json* Unschedulable(const Json& pod) {
  const Json* condition = kube::FindCondition(pod, "PodScheduled", "False");
  return condition && (*condition)["reason"].StringRef() == "Unschedulable" ? condition : nullptr;
}

// The kubelet alternates between a failed pull and the pause after it, in different words: said is
// what both mean.
std::string ImageWords(const kube::Key& key, const std::string& image, const char* value) {
  return "Pod " + key.ToString() + " cannot start: its image " + image +
         " cannot be pulled: correct the chart's " + value +
         ", or what it is pulled with, which is "
         "images.pullSecrets, and in a tenant's namespace its ServiceAccount default";
}

std::string WordsOf(const PodOwner& owner, const Json& pod, std::chrono::nanoseconds age) {
  const kube::Key key = kube::KeyOf(pod);
  const std::string begins = "Pod " + key.ToString();
  const Json* status = FindStatusOfWork(owner.object, pod);
  const Json container = status ? *status : Json();
  // What holds the pod is a sidecar's: the work has begun without it.
  if (container["state"].Contains("running") && !owner.serves) return "";
  const Json& waiting = container.At({"state", "waiting"});
  const std::string& reason = waiting["reason"].StringRef();
  if (IsAmong(kImageReasons, reason))
    return ImageWords(key, container["image"].AsString(), owner.image_value);
  if (IsAmong(kContainerReasons, reason))
    return begins + " cannot start: " + reason + ": " + waiting["message"].AsString();
  if (age < kSlowStart) return "";
  if (const Json* found_no_node = Unschedulable(pod))
    return begins + " has no node: " + (*found_no_node)["message"].AsString();
  const bool runs = container["state"].Contains("running");
  return begins + (runs ? " does not become ready" : " does not start") +
         (reason.empty() ? "" : " (" + reason + ")") + ": " + Describe("pod", key);
}

}  // namespace

bool MayBeHindered(const Json& owner, WallTime now) {
  return owner.At({"status", "ready"}).AsInt() == 0 && now - CreatedAt(owner, now) > kStart;
}

std::optional<PodHindrance> FindHindrance(const PodOwner& owner, const std::vector<Json>& pods,
                                          WallTime now) {
  const kube::Key key = kube::KeyOf(owner.object);
  const std::string begins = std::string(owner.kind) + " " + key.ToString();
  if (const Json* refused = kube::FindCondition(owner.object, "ReplicaFailure", "True"))
    return PodHindrance{begins + " can make no pod: " + (*refused)["message"].AsString(),
                        CreatedAt(owner.object, now)};
  const Json* newest = nullptr;
  for (const Json& pod : pods)
    if (!newest || CreatedAt(*newest, now) <= CreatedAt(pod, now)) newest = &pod;
  const WallTime since = CreatedAt(newest ? *newest : owner.object, now);
  if (!newest) {
    if (now - since < kSlowStart) return std::nullopt;
    return PodHindrance{
        begins + " has made no pod, as where a quota or an admission policy forbids it: " +
            Describe(owner.kind, key),
        since};
  }
  const std::string& phase = newest->At({"status", "phase"}).StringRef();
  if (phase != "Pending" && !(owner.serves && phase == "Running")) return std::nullopt;
  std::string words = WordsOf(owner, *newest, now - since);
  if (words.empty()) return std::nullopt;
  return PodHindrance{std::move(words), since};
}

}  // namespace cutover::migration
