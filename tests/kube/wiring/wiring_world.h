// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/kube/client.h"
#include "operator/kube/metadata.h"
#include "reconcilers/wiring/endpoints.h"
#include "tests/kube/api_server.h"

namespace cutover::wiring {

/// Answers what it was told to, and knows nothing else.
class TableResolver final : public Resolver {
 public:
  std::map<std::string, std::vector<std::string>> names;
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override;
};

/// A tenant's namespace on a real API server. No controllers run there: what they would write into
/// a status, tests write.
class OnApiServer : public ::testing::Test {
 protected:
  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }

  OnApiServer();

  /// Creates what `json` says, in the tenant's namespace; returns it as stored.
  Json Create(const kube::Resource& resource, const std::string& json);
  Json Stored(const kube::Resource& resource, const std::string& name);
  bool Exists(const kube::Resource& resource, const std::string& name);
  std::string VersionOf(const kube::Resource& resource, const std::string& name);
  /// As another user would: by merge patch under another name.
  void Patch(const kube::Resource& resource, const std::string& name, const std::string& json,
             const std::string& subresource = "");
  /// Spec or data without what the server keeps for itself.
  std::string Content(const kube::Resource& resource, const std::string& name);

  std::unique_ptr<kube::ApiClient> client_ = testing::MakeClient();
  std::string ns_ = testing::MakeNamespace(*client_, "wiring");
  TableResolver resolver_;
  Access access_{*client_, resolver_, "cutover-system"};
  api::DatabasePlacement placement_;
};

}  // namespace cutover::wiring
