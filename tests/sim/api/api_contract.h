// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

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

/// What one watch has told, from its beginning to its end.
struct Told {
  /// Each event as a sign and the object's name: "+" came, "~" changed, "-" went. "|" is the end of
  /// the initial events.
  std::string text;
  std::vector<Json> objects;           ///< Of each event but bookmarks.
  std::vector<std::string> bookmarks;  ///< Their versions.
  Status ended;
};
Told Watched(kube::Client& client, const kube::WatchOptions& options);
/// The same, by longer and longer watches for as long as one has ended before it had told all that
/// is expected: it ends by a server's clock, which goes on while a machine stands still.
Told WatchedUntilTold(kube::Client& client, kube::WatchOptions options,
                      const std::string& expected);

/// What the operator's reconcilers rely on in an API server. The same cases run against the model
/// (in sim_model_test) and against the real one (in sim_api_contract_kube_test): whatever the model
/// gets wrong fails here, and not unseen in a simulation. What takes a control plane of one's own
/// to be asked is in ClusterContract.
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
  /// A list's version now.
  std::string Now(const kube::Resource& resource);
  /// A watch of the ConfigMaps that are labelled watched=yes, in the test's namespace.
  Told WatchedFrom(const std::string& version, const std::string& expected,
                   std::chrono::seconds timeout = OneSecond());
  static std::chrono::seconds OneSecond() { return std::chrono::seconds(1); }

  std::shared_ptr<kube::Client> client_ = GetParam().connect();
  std::string ns_ = GetParam().make_namespace(*client_);
};

}  // namespace cutover::sim
