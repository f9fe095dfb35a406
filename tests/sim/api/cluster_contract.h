// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "operator/kube/client.h"

namespace cutover::sim {

/// A control plane that nobody else uses, so that it can be mistreated.
class OwnCluster {
 public:
  virtual ~OwnCluster() = default;

  /// Of an API server that has everything. Good until Compact.
  virtual kube::Client& client() = 0;
  /// Of another API server over the same objects.
  virtual kube::Client& replica() = 0;
  /// From now on, until LetReplicaGoOn, the other API server hears of nothing new.
  virtual void HoldReplicaBack() = 0;
  virtual void LetReplicaGoOn() = 0;
  /// What was before now is forgotten: by etcd, and by the memory of the first API server.
  virtual void Compact() = 0;
  /// Lets the garbage collector work for a moment; before the first call there is none.
  virtual void CollectGarbage() = 0;
};

struct ClusterSubject {
  std::string name;
  std::function<std::unique_ptr<OwnCluster>()> make;
};
std::ostream& operator<<(std::ostream& out, const ClusterSubject& subject);

/// What the operator relies on in a control plane that forgets, of which a part is behind, and that
/// collects what nobody owns any more. The same cases run against the model (in sim_model_test) and
/// against etcd, two kube-apiservers and a kube-controller-manager (in sim_api_contract_kube_test).
///
/// No case can ask of a real server what the model does beyond it, which is to be worse:
///  - after a compaction it refuses every older version at once, where API servers that run go on
///    telling from their own memory;
///  - a replica that is behind (ModelTransport::view) shows the past also to who asks for the most
///    recent state, where a real one waits for etcd and then fails. Only one whose etcd was
///    restored from a backup does the like (InformerDisasters.Entry12 has that).
/// Nor what it leaves out: deletion with orphans, which nobody here asks for and it aborts at, and
/// lists of exactly one version.
class ClusterContract : public ::testing::TestWithParam<ClusterSubject> {
 protected:
  void SetUp() override;

  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }
  /// Polls, while the garbage collector works, until the ConfigMap is as is said; for at most a
  /// minute. Null: it is gone.
  bool Becomes(const std::string& name, const std::function<bool(const Json* object)>& what);
  bool Goes(const std::string& name);
  bool Is(const std::string& name);

  Json Made(const std::string& name, const std::string& rest = "{}");
  void Change(const std::string& name, const std::string& patch);
  void Delete(const std::string& name, kube::Propagation how = kube::Propagation::kBackground);
  kube::WatchOptions From(const std::string& version) const;
  std::string Now(kube::Client& client);

  std::unique_ptr<OwnCluster> cluster_;
  std::string ns_;
};

}  // namespace cutover::sim
