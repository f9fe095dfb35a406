// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operator/base/result.h"
#include "operator/kube/client.h"

namespace cutover::testing {

/// A program started by this process. Killed by the destructor, and by the kernel when the thread
/// that started it ends, so that nothing survives a crash.
class Process {
 public:
  static Result<Process> Start(const std::vector<std::string>& command,
                               const std::string& log_file);
  Process(Process&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  Process& operator=(Process&& other) noexcept;
  ~Process() { Kill(); }

  /// SIGKILL, and waits for the end.
  void Kill();
  bool IsRunning();

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// A real etcd and one or more real kube-apiservers over it, on free ports of the loopback, with
/// throw-away certificates and data in a directory of its own. RBAC is on; no controllers run but
/// the garbage collector, where it is asked for.
/// Users: `admin` (system:masters), `nobody` (no role), and the bearer of kAdminToken or
/// kRotatedToken.
/// The programs are those of `hack/cluster binaries --api-only`, built on first use; so is the
/// kube-controller-manager.
class ControlPlane {
 public:
  static constexpr char kAdminToken[] = "throw-away-admin-token";
  static constexpr char kRotatedToken[] = "throw-away-rotated-token";

  /// Starts etcd and one API server that is ready.
  static Result<std::unique_ptr<ControlPlane>> Start(const std::string& directory);
  /// Stops all and removes the directory.
  ~ControlPlane();

  /// One more API server over the same etcd; its number. `etcd_port`, when given, is where it
  /// finds etcd instead: a TcpRelay to etcd_port(), that can cut it off.
  Result<int> AddServer(int etcd_port = 0);
  /// Kills a server as a crash would, and starts it again on its port.
  void KillServer(int server) { servers_[server].process.reset(); }
  Status RestartServer(int server);

  /// Makes another authority, "new-ca.crt", which alone signs what servers present from their next
  /// start on. Clients that the first one has signed are let in as before.
  Status ReplaceAuthority() const;

  /// Starts the garbage collector of a kube-controller-manager, unless it runs already. It begins
  /// once it has seen all objects, some seconds later.
  Status StartGarbageCollector();

  int etcd_port() const { return etcd_port_; }
  /// Makes etcd forget all versions before the present one. API servers that run still know them
  /// from their own memory.
  Status Compact() const;
  /// Keeps what etcd has now; it is away for a moment.
  Status Backup();
  /// Brings back what the last Backup kept, as an administrator would: all servers stop and start
  /// again over it.
  Status RestoreBackup();

  std::string Url(int server) const;
  /// Path of a kubeconfig for a user at a server.
  Result<std::string> Kubeconfig(const std::string& user = "admin", int server = 0) const;
  const std::string& directory() const { return directory_; }

 private:
  struct Server {
    int port;
    int etcd_port;
    std::unique_ptr<Process> process;
  };

  explicit ControlPlane(std::string directory) : directory_(std::move(directory)) {}
  Status MakeCertificates() const;
  Status StartEtcd();
  /// Stops etcd, runs `while_stopped` and starts it on the same data and port.
  Status RestartEtcd(const std::function<void()>& while_stopped);
  Status StartServer(Server& server) const;
  Status WaitUntilReady(const Server& server) const;

  const std::string directory_;
  std::string binaries_;
  int etcd_port_ = 0;
  int etcd_peer_port_ = 0;
  std::unique_ptr<Process> etcd_;
  std::unique_ptr<Process> garbage_collector_;
  std::vector<Server> servers_;
};

/// Kubeconfig of the API server that tests share: what CUTOVER_TEST_KUBECONFIG names (the ctest
/// fixture kube_api_server sets it up), else a server that lives as long as this process.
/// Aborts when there can be none. Tests keep apart by namespaces of their own.
const std::string& SharedKubeconfig();

/// A client; aborts for a kubeconfig that cannot be used.
std::unique_ptr<kube::ApiClient> MakeClient(const std::string& kubeconfig = SharedKubeconfig());

/// Creates a namespace whose name begins with `prefix` and is nobody else's.
std::string MakeNamespace(kube::Client& client, const std::string& prefix = "test");

}  // namespace cutover::testing
