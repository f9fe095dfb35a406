// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/view/snapshot.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/kubeconfig.h"

namespace cutover::cli {

/// What every verb's flags say about where to look.
struct ClusterFlags {
  kube::ConnectionChoice choice;
  std::string ns;  ///< Empty: that of the context.
  std::string operator_namespace = "cutover-system";
  std::string lease_name = "cutover-operator";
};

/// Longest a single question to the API server may take. People wait for it.
inline constexpr std::chrono::seconds kQuestionBound{15};

/// One API server as one person sees it. Its errors are meant for that person: they name what was
/// asked for and the next step (which RBAC rule is missing, how the CRDs are installed, which
/// migrations there are). Not thread-safe.
class Cluster {
 public:
  static Result<Cluster> Connect(const ClusterFlags& flags);

  const std::string& ns() const { return ns_; }
  const std::string& operator_namespace() const { return flags_.operator_namespace; }
  const std::string& url() const { return url_; }
  kube::ApiClient& client() const { return *client_; }
  static Deadline Soon() { return Deadline::After(kQuestionBound); }

  /// The object, which must be there. Terminal "NotFound" that names near ones, for people who
  /// mistyped.
  Result<Json> Get(const kube::Resource& resource, const std::string& name) const;
  /// The object, or nothing.
  Result<std::optional<Json>> Find(const kube::Resource& resource, const kube::Key& key) const;
  /// All of one namespace; of all where `ns` is empty.
  Result<std::vector<Json>> List(const kube::Resource& resource, const std::string& ns,
                                 const std::string& label_selector = "") const;
  Result<Json> Patch(const kube::Resource& resource, const std::string& name,
                     const Json& merge_patch) const;

  /// A migration with everything that belongs to it. Fails only where the migration itself cannot
  /// be read; the rest is in the snapshot as far as it could be.
  Result<Snapshot> Look(const std::string& name) const;

  /// Who the API server takes us for; what the operating system calls us where it does not say.
  std::string WhoAmI() const;

  /// `error` of asking for `what` with `verb`, in words for people.
  Error Explain(Error error, std::string_view verb, const kube::Resource& resource,
                const std::string& ns) const;

 private:
  Cluster(ClusterFlags flags, kube::Connection connection, std::unique_ptr<kube::ApiClient> client);
  Error NoSuch(const kube::Resource& resource, const std::string& name) const;

  ClusterFlags flags_;
  std::string ns_, url_, origin_;
  std::unique_ptr<kube::ApiClient> client_;
};

/// The names of `candidates` that somebody may have meant by `name`, nearest first; at most three.
std::vector<std::string> NearNames(const std::string& name,
                                   const std::vector<std::string>& candidates);

}  // namespace cutover::cli
