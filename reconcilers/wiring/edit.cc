// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/edit.h"

#include "operator/kube/error.h"
#include "operator/kube/metadata.h"

namespace cutover::wiring {

std::optional<Json> MergePatchBetween(const Json& before, const Json& after) {
  if (before == after) return std::nullopt;
  if (!before.IsObject() || !after.IsObject()) return after;
  Json patch = Json::Object();
  for (const auto& [key, value] : after.Members()) {
    const Json* previous = before.Find(key);
    if (previous == nullptr) {
      patch.Set(key, value);
    } else if (auto inner = MergePatchBetween(*previous, value)) {
      patch.Set(key, *inner);
    }
  }
  for (const auto& [key, value] : before.Members())
    if (!after.Contains(key)) patch.Set(key, nullptr);
  return patch;
}

std::optional<Json> ConditionalPatch(const Json& before, const Json& after) {
  std::optional<Json> patch = MergePatchBetween(before, after);
  if (patch) patch->MutableAt("metadata").Set("resourceVersion", kube::ResourceVersionOf(before));
  return patch;
}

std::optional<kube::Resource> ResourceOfKind(std::string_view kind) {
  for (const kube::Resource& resource :
       {kube::kSecret, kube::kConfigMap, kube::kDeployment, kube::kStatefulSet, kube::kCronJob,
        kube::kIngress, kube::kHttpRoute})
    if (resource.kind == kind) return resource;
  return std::nullopt;
}

Result<bool> EditObject(std::stop_token stop, Deadline deadline, kube::Client& client,
                        const kube::Resource& resource, const kube::Key& key, const Edit& edit,
                        const std::string& manager) {
  kube::PatchOptions options;
  options.field_manager = manager;
  Error last;
  for (int attempt = 0; attempt < kEditAttemptsMax; ++attempt) {
    TRY_ASSIGN(const std::optional<Json> before, client.Get(stop, deadline, resource, key));
    if (!before) return false;
    Json after = *before;
    TRY(edit(after));
    const std::optional<Json> patch = ConditionalPatch(*before, after);
    if (!patch) return true;
    Result<Json> written = client.Patch(stop, deadline, resource, key, *patch, options);
    if (written) return true;
    last = std::move(written).error();
    // In doubt: the next round reads, and finds nothing left to change if it did happen.
    if (!kube::IsConflict(last) && last.disposition != Disposition::kInDoubt) break;
  }
  return tl::make_unexpected(WithContext(
      std::move(last), "changing " + std::string(resource.kind) + " " + key.ToString()));
}

}  // namespace cutover::wiring
