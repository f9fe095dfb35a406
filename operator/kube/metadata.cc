// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/metadata.h"

#include <algorithm>
#include <cctype>

namespace cutover::kube {
namespace {

bool IsDecimal(std::string_view text) {
  return !text.empty() && text[0] != '0' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

}  // namespace

std::partial_ordering CompareResourceVersions(std::string_view a, std::string_view b) {
  if (!IsDecimal(a) || !IsDecimal(b))
    return a == b && !a.empty() ? std::partial_ordering::equivalent
                                : std::partial_ordering::unordered;
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a <=> b;
}

Key KeyOf(const Json& object) {
  const Json& metadata = object["metadata"];
  return {metadata["namespace"].AsString(), metadata["name"].AsString()};
}

const std::string& UidOf(const Json& object) { return object["metadata"]["uid"].StringRef(); }

const std::string& ResourceVersionOf(const Json& object) {
  return object["metadata"]["resourceVersion"].StringRef();
}

bool IsDeleting(const Json& object) {
  return !object["metadata"]["deletionTimestamp"].StringRef().empty();
}

const Json* FindCondition(const Json& object, std::string_view type, std::string_view status) {
  for (const Json& condition : object["status"]["conditions"].Items())
    if (condition["type"].StringRef() == type && condition["status"].StringRef() == status)
      return &condition;
  return nullptr;
}

std::string LabelOf(const Json& object, std::string_view label) {
  return object["metadata"]["labels"][label].AsString();
}

std::string AnnotationOf(const Json& object, std::string_view annotation) {
  return object["metadata"]["annotations"][annotation].AsString();
}

Json NewObject(const Resource& resource, const Key& key) {
  Json metadata = Json::Object();
  if (!key.ns.empty()) metadata.Set("namespace", key.ns);
  metadata.Set("name", key.name);
  return Json::Object(
      {{"apiVersion", resource.ApiVersion()}, {"kind", resource.kind}, {"metadata", metadata}});
}

Json ControllerReference(const Resource& resource, const Json& owner) {
  return Json::Object({{"apiVersion", resource.ApiVersion()},
                       {"kind", resource.kind},
                       {"name", KeyOf(owner).name},
                       {"uid", UidOf(owner)},
                       {"controller", true},
                       {"blockOwnerDeletion", true}});
}

Key ControllerOf(const Json& object, const Resource& owner) {
  for (const Json& reference : object["metadata"]["ownerReferences"].Items()) {
    if (!reference["controller"].AsBool()) continue;
    // The group decides, not the version: a child may have been made through an older one.
    const std::string& api_version = reference["apiVersion"].StringRef();
    size_t slash = api_version.find('/');
    std::string group = slash == std::string::npos ? "" : api_version.substr(0, slash);
    if (group != owner.group || reference["kind"].StringRef() != owner.kind) return {};
    return {owner.namespaced ? KeyOf(object).ns : "", reference["name"].AsString()};
  }
  return {};
}

}  // namespace cutover::kube
