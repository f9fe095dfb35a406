// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "operator/kube/client.h"

namespace cutover::sim {

/// An API server that the contract is tried on.
struct ApiSubject {
  std::string name;
  std::function<std::shared_ptr<kube::Client>()> connect;
  /// A namespace that nobody else uses; DatabasePlacements can be made in it.
  std::function<std::string(kube::Client&)> make_namespace;
};
std::ostream& operator<<(std::ostream& out, const ApiSubject& subject);

/// What the operator's reconcilers rely on in an API server. The same cases run against the model
/// (in sim_model_test) and against the real one (in sim_api_contract_kube_test): whatever the model
/// gets wrong fails here, and not unseen in a simulation.
class ApiContract : public ::testing::TestWithParam<ApiSubject> {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

  Json Object(const kube::Resource& resource, const std::string& name, const char* rest = "{}");
  Json Created(const kube::Resource& resource, const std::string& name, const char* rest = "{}");
  Json Stored(const kube::Resource& resource, const std::string& name);
  /// A DatabasePlacement that its CRD admits.
  Json Placement(const std::string& name);
  Result<Json> Merge(const kube::Resource& resource, const std::string& name, const char* patch,
                     const std::string& subresource = "");
  Result<Json> Apply(const kube::Resource& resource, const std::string& name, const char* rest,
                     const std::string& manager, const std::string& subresource = "");

  std::shared_ptr<kube::Client> client_ = GetParam().connect();
  std::string ns_ = GetParam().make_namespace(*client_);
};

}  // namespace cutover::sim
