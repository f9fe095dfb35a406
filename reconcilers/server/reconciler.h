// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "operator/api/database_server.h"
#include "operator/base/clock.h"
#include "operator/base/deadline.h"
#include "operator/base/mutex.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/controller.h"
#include "operator/kube/manager.h"
#include "postgres/server_probe.h"

namespace cutover::server {

struct ServerReconcilerOptions {
  std::string operator_namespace = "cutover-system";  ///< Where the servers' Secrets live.
  std::chrono::seconds probe_interval{30};
  std::chrono::seconds probe_timeout{10};  ///< So that a dead server holds one worker this long.
  /// Its query goes through all files of all databases: seldom, and cut off rather than waited for.
  std::chrono::seconds size_interval{600};
  std::chrono::seconds size_timeout{60};
  int workers = 8;
  /// What vanished migrations have left on the server of this name, for a person to resolve;
  /// empty: nothing. Becomes condition OrphansFound.
  std::function<std::string(const std::string& server_name)> orphans = [](const auto&) {
    return std::string();
  };
};

/// Looks at a server with the given login.
using Probe =
    std::function<Result<pg::ServerFacts>(std::stop_token, Deadline, const pg::ConnectOptions&)>;
Result<pg::ServerFacts> ProbeOverNetwork(std::stop_token stop, Deadline deadline,
                                         const pg::ConnectOptions& login);

/// Reads the size in bytes of all databases with the given login.
using ReadSize =
    std::function<Result<int64_t>(std::stop_token, Deadline, const pg::ConnectOptions&)>;
Result<int64_t> ReadSizeOverNetwork(std::stop_token stop, Deadline deadline,
                                    const pg::ConnectOptions& login);

/// Says in its status what a DatabaseServer is and whether it can be worked with. Changes nothing
/// on the server. Keeps nothing between calls but the sizes that it has read, and when;
/// thread-safe.
class ServerReconciler {
 public:
  ServerReconciler(kube::Client& client, ServerReconcilerOptions options,
                   const Clock& clock = RealClock(), Probe probe = ProbeOverNetwork,
                   ReadSize read_size = ReadSizeOverNetwork);

  Result<kube::Step> Reconcile(std::stop_token stop, Deadline deadline, const kube::Key& key);

  const ServerReconcilerOptions& options() const { return options_; }

 private:
  Result<pg::ServerFacts> Observe(std::stop_token stop, Deadline deadline,
                                  const Result<pg::ConnectOptions>& login);

  Status Write(std::stop_token stop, Deadline deadline, const kube::Key& key,
               const api::DatabaseServer& server, const api::DatabaseServerStatus& status);
  bool SizeIsDue(const kube::Key& key);
  int64_t LastSize(const kube::Key& key);
  void KeepSize(const kube::Key& key, const Result<int64_t>& size);

  kube::Client& client_;
  const ServerReconcilerOptions options_;
  const Clock& clock_;
  const Probe probe_;
  const ReadSize read_size_;
  Mutex mutex_;
  struct SizeReading {
    std::optional<SteadyTime> asked_at;  ///< Nothing when it is to be asked again at once.
    int64_t bytes = 0;                   ///< 0 as long as none has come.
  };
  std::map<kube::Key, SizeReading> sizes_ GUARDED_BY(mutex_);
};

/// Runs the reconciler for every server of the store: when its spec changes, when a Secret that it
/// names changes, and every probe_interval. `servers` and `reconciler` outlive the manager's Run.
void AddServerController(kube::Manager& manager, kube::Store<api::DatabaseServer>& servers,
                         ServerReconciler& reconciler);

}  // namespace cutover::server
