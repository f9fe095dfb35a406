// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/resource.h"

namespace cutover::kube {

std::string Resource::ApiVersion() const {
  if (group.empty()) return std::string(version);
  return std::string(group) + "/" + std::string(version);
}

std::string Resource::CollectionPath(std::string_view ns) const {
  std::string path = (group.empty() ? "/api/" : "/apis/") + ApiVersion();
  if (namespaced && !ns.empty()) path.append("/namespaces/").append(ns);
  return path.append("/").append(plural);
}

std::string Resource::ObjectPath(const Key& key, std::string_view subresource) const {
  std::string path = CollectionPath(key.ns) + "/" + key.name;
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

}  // namespace cutover::kube
