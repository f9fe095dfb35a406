// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "operator/base/json.h"
#include "operator/kube/resource.h"

namespace cutover::kube {

/// Reading metadata of an object. Absent fields read as empty.
Key KeyOf(const Json& object);
const std::string& UidOf(const Json& object);
const std::string& ResourceVersionOf(const Json& object);

/// Which of two resourceVersions of one collection is the newer (KEP-5504: decimal numbers of any
/// length, without leading zeros). Unordered when either is not of that form: then nothing follows
/// from them but whether they are equal.
std::partial_ordering CompareResourceVersions(std::string_view a, std::string_view b);
/// True when `a` is known to be older than `b`.
inline bool IsOlderVersion(std::string_view a, std::string_view b) {
  return CompareResourceVersions(a, b) == std::partial_ordering::less;
}

/// True once somebody has asked for the object's deletion and a finalizer holds it.
bool IsDeleting(const Json& object);
/// The condition of status.conditions with that type and status; null where there is none.
const Json* FindCondition(const Json& object, std::string_view type,
                          std::string_view status = "True");
std::string LabelOf(const Json& object, std::string_view label);
std::string AnnotationOf(const Json& object, std::string_view annotation);

/// A new object of a kind: apiVersion, kind and metadata {namespace, name}. Add the rest with Set.
Json NewObject(const Resource& resource, const Key& key);

/// An entry for metadata.ownerReferences that makes `owner` the controller of a child in the same
/// namespace (or of any namespace, when the owner is cluster-scoped).
Json ControllerReference(const Resource& resource, const Json& owner);

/// The controller's reference in `object`'s ownerReferences when it is of this kind, else empty:
/// the key to reconcile when a child changes.
Key ControllerOf(const Json& object, const Resource& owner);

}  // namespace cutover::kube
