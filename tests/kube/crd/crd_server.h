// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "operator/base/json.h"
#include "operator/kube/client.h"
#include "operator/kube/resource.h"
#include "operator/kube/transport.h"

namespace cutover::testing {

/// Applies crds/ to the server and waits until it serves them. Idempotent, also across processes.
/// Aborts when it cannot be done.
void InstallCrds(kube::Client& client);

/// An answer as the API server gave it.
struct Answer {
  int status = 0;
  Json body;
  /// What a refusal says, as kubectl would print it.
  std::string message() const { return body["message"].AsString(); }
};

/// The shared API server with our CRDs, spoken to as kubectl does: validating strictly, and without
/// a client in between that would turn answers into errors.
class CrdServer {
 public:
  CrdServer();

  Answer Get(const std::string& target, const std::string& accept = "application/json");
  /// Creates `object`, in `namespace_name` if its kind has one.
  Answer Create(const kube::Resource& resource, const Json& object, bool dry_run = false);
  Answer MergePatch(const kube::Resource& resource, const std::string& name, const Json& patch,
                    const std::string& subresource = "");
  Answer Put(const kube::Resource& resource, const Json& object);

  const std::string& namespace_name() const { return namespace_name_; }
  kube::Key KeyOf(const kube::Resource& resource, const std::string& name) const;

 private:
  Answer Call(kube::Request request);

  std::unique_ptr<kube::ApiClient> client_;
  std::unique_ptr<kube::Transport> transport_;
  std::string namespace_name_;
};

/// RFC 7386: null removes, lists are replaced.
void Merge(Json& object, const Json& patch);

}  // namespace cutover::testing
