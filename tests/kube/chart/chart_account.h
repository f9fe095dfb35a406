// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "operator/base/json.h"
#include "operator/kube/client.h"
#include "operator/kube/transport.h"

namespace cutover::testing {

/// One right of a role: a verb on a resource.
struct Right {
  std::string group;
  std::string resource;  ///< With its subresource: "tenantmigrations/status".
  std::string verb;

  /// "patch apps/deployments"
  std::string ToString() const;
  friend auto operator<=>(const Right&, const Right&) = default;
};

/// What a request asks of an authorizer: a right, and where.
struct AskedRight {
  Right right;
  std::string ns;  ///< Empty: in the whole cluster.
  std::string name;

  friend auto operator<=>(const AskedRight&, const AskedRight&) = default;
};

/// As kube-apiserver's own RequestInfo reads a request for an object or a collection.
AskedRight RightOf(kube::Method method, const std::string& target);

/// A Role or ClusterRole, and where it is.
struct ChartRole {
  kube::Resource resource;
  kube::Key key;
  Json object;

  /// One for each verb of each resource of each rule.
  std::vector<Right> Rights() const;
  /// The same role with these rights alone.
  Json With(const std::vector<Right>& rights) const;
};

/// The operator's ServiceAccount with the chart's roles and bindings and nothing else, on the
/// shared API server, as `helm install` would make them. Aborts when it cannot be had. Cluster-wide
/// objects go with it; namespaces are the caller's.
class ChartAccount {
 public:
  /// `values`: arguments of helm such as "--set-json 'watchNamespaces=[\"a\"]'".
  ChartAccount(kube::Client& admin, const std::string& admin_kubeconfig,
               const std::string& release_namespace, const std::string& values);
  ~ChartAccount();
  ChartAccount(const ChartAccount&) = delete;
  ChartAccount& operator=(const ChartAccount&) = delete;

  const std::string& token() const { return token_; }
  /// Path of a kubeconfig that speaks as this account.
  const std::string& kubeconfig() const { return kubeconfig_; }
  std::vector<ChartRole> Roles();
  /// What the API server's authorizer says now. It follows roles with a delay of its own.
  bool May(const AskedRight& asked);

 private:
  kube::Client& admin_;
  const std::string namespace_;
  const std::string name_;
  std::string token_;
  std::string kubeconfig_;
};

}  // namespace cutover::testing
