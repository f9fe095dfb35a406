// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace cutover::kube {

/// Namespace and name of one object; the namespace is empty for cluster-scoped objects.
struct Key {
  std::string ns;
  std::string name;

  /// "namespace/name", or "name".
  std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const Key&, const Key&) = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    return std::hash<std::string>()(key.ns) * 31 + std::hash<std::string>()(key.name);
  }
};

/// A kind of object as the API serves it. Constants below; make your own for other kinds.
struct Resource {
  std::string_view group;  ///< Empty for the core group.
  std::string_view version;
  std::string_view plural;
  std::string_view kind;
  bool namespaced = true;

  /// "v1" or "apps/v1", as in an object's apiVersion.
  std::string ApiVersion() const;
  /// Path of the collection; all namespaces when `ns` is empty.
  std::string CollectionPath(std::string_view ns) const;
  /// Path of one object, or of its subresource ("status", "scale").
  std::string ObjectPath(const Key& key, std::string_view subresource = "") const;

  friend bool operator==(const Resource&, const Resource&) = default;
};

inline constexpr Resource kNamespace{"", "v1", "namespaces", "Namespace", false};
inline constexpr Resource kPod{"", "v1", "pods", "Pod"};
inline constexpr Resource kService{"", "v1", "services", "Service"};
inline constexpr Resource kSecret{"", "v1", "secrets", "Secret"};
inline constexpr Resource kConfigMap{"", "v1", "configmaps", "ConfigMap"};
inline constexpr Resource kServiceAccount{"", "v1", "serviceaccounts", "ServiceAccount"};
inline constexpr Resource kPersistentVolumeClaim{"", "v1", "persistentvolumeclaims",
                                                 "PersistentVolumeClaim"};
inline constexpr Resource kEndpointSlice{"discovery.k8s.io", "v1", "endpointslices",
                                         "EndpointSlice"};
inline constexpr Resource kDeployment{"apps", "v1", "deployments", "Deployment"};
inline constexpr Resource kReplicaSet{"apps", "v1", "replicasets", "ReplicaSet"};
inline constexpr Resource kStatefulSet{"apps", "v1", "statefulsets", "StatefulSet"};
inline constexpr Resource kJob{"batch", "v1", "jobs", "Job"};
inline constexpr Resource kCronJob{"batch", "v1", "cronjobs", "CronJob"};
inline constexpr Resource kIngress{"networking.k8s.io", "v1", "ingresses", "Ingress"};
inline constexpr Resource kHttpRoute{"gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"};
inline constexpr Resource kHorizontalPodAutoscaler{"autoscaling", "v2", "horizontalpodautoscalers",
                                                   "HorizontalPodAutoscaler"};
inline constexpr Resource kLease{"coordination.k8s.io", "v1", "leases", "Lease"};
inline constexpr Resource kEvent{"events.k8s.io", "v1", "events", "Event"};
inline constexpr Resource kCustomResourceDefinition{
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false};
inline constexpr Resource kDatabaseServer{"cutover.dev", "v1alpha1", "databaseservers",
                                          "DatabaseServer", false};
inline constexpr Resource kDatabasePlacement{"cutover.dev", "v1alpha1", "databaseplacements",
                                             "DatabasePlacement"};
inline constexpr Resource kTenantMigration{"cutover.dev", "v1alpha1", "tenantmigrations",
                                           "TenantMigration"};

}  // namespace cutover::kube
