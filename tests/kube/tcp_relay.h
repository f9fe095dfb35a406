// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <limits>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"

namespace cutover::testing {

/// Passes TCP connections on to a port of the loopback, and does to them what no program sees
/// coming: holds all bytes back while both ends think that they are connected (a half-open socket,
/// as far as a program can tell), or cuts after a number of bytes. Thread-safe.
class TcpRelay {
 public:
  static constexpr size_t kNever = std::numeric_limits<size_t>::max();

  /// Listens on a free port. Aborts when there is none.
  explicit TcpRelay(int target_port);
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  int port() const { return port_; }
  /// Where connections made from now on lead; those that exist stay, as behind a Service.
  void LeadTo(int target_port) { target_port_ = target_port; }

  /// While frozen nothing passes, in either direction, and nothing is closed; connections made
  /// meanwhile are accepted and hang. Thawing lets everything held back go on.
  void SetFrozen(bool frozen) { frozen_ = frozen; }
  /// Every connection that exists now hangs for good, as those to a lost node do; new ones work.
  void ForgetConnections();
  /// Each connection made from now on is reset once so many bytes have come from the target.
  void CutAfter(size_t bytes) { cut_after_bytes_ = bytes; }
  int connections() const { return connections_; }

 private:
  struct Connection {
    int client = -1;
    int target = -1;
    size_t cut_after_bytes = kNever;
    std::atomic<bool> forgotten{false};
  };

  void Accept();
  void Pump(Connection& connection);
  bool PassOn(Connection& connection, bool from_target, size_t& from_target_bytes);

  std::atomic<int> target_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> frozen_{false};
  std::atomic<bool> closing_{false};
  std::atomic<size_t> cut_after_bytes_{kNever};
  std::atomic<int> connections_{0};
  Mutex mutex_;
  std::list<Connection> all_ GUARDED_BY(mutex_);
  std::list<std::jthread> pumps_;  // The acceptor's own.
  std::jthread acceptor_;
};

}  // namespace cutover::testing
