// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/finalizer.h"

#include "operator/kube/metadata.h"

namespace cutover::kube {
namespace {

// Writes the whole list, on condition that the object is still the version we saw: a merge patch
// replaces lists, and one made of an older list would drop somebody else's finalizer.
Result<Json> WriteFinalizers(std::stop_token stop, Deadline deadline, Client& client,
                             const Resource& resource, const Json& object, Json finalizers) {
  Json patch =
      Json::Object({{"metadata", Json::Object({{"resourceVersion", ResourceVersionOf(object)},
                                               {"uid", UidOf(object)},
                                               {"finalizers", std::move(finalizers)}})}});
  return client.Patch(stop, deadline, resource, KeyOf(object), patch);
}

}  // namespace

bool HasFinalizer(const Json& object, const std::string& finalizer) {
  for (const Json& present : object["metadata"]["finalizers"].Items())
    if (present.StringRef() == finalizer) return true;
  return false;
}

Result<Json> EnsureFinalizer(std::stop_token stop, Deadline deadline, Client& client,
                             const Resource& resource, const Key& key, const std::string& uid,
                             const std::string& finalizer) {
  TRY_ASSIGN(std::optional<Json> object, client.Get(stop, deadline, resource, key));
  if (!object) return RetryError(reason::kNotFound, key.ToString() + " is gone");
  if (UidOf(*object) != uid || IsDeleting(*object))
    return RetryError(reason::kConflict, key.ToString() + " is being deleted or was replaced");
  if (HasFinalizer(*object, finalizer)) return std::move(*object);
  Json finalizers = Json::ArrayOf(object->At({"metadata", "finalizers"}).Items());
  finalizers.Append(finalizer);
  return WriteFinalizers(stop, deadline, client, resource, *object, std::move(finalizers));
}

Status RemoveFinalizer(std::stop_token stop, Deadline deadline, Client& client,
                       const Resource& resource, const Key& key, const std::string& uid,
                       const std::string& finalizer) {
  TRY_ASSIGN(std::optional<Json> object, client.Get(stop, deadline, resource, key));
  if (!object || UidOf(*object) != uid || !HasFinalizer(*object, finalizer)) return Ok();
  Json remaining = Json::Array();
  for (const Json& present : object->At({"metadata", "finalizers"}).Items())
    if (present.StringRef() != finalizer) remaining.Append(present);
  Result<Json> written =
      WriteFinalizers(stop, deadline, client, resource, *object, std::move(remaining));
  if (!written && IsNotFound(written.error())) return Ok();
  TRY(written);
  return Ok();
}

}  // namespace cutover::kube
