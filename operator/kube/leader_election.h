// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/client.h"

namespace cutover::kube {

struct ElectionOptions {
  Key lease{};             ///< Namespace and name of the Lease.
  std::string identity{};  ///< Unique to this process, not only to the pod: name_randomhex.
  std::chrono::milliseconds lease_duration{15'000};
  std::chrono::milliseconds renew_deadline{10'000};
  std::chrono::milliseconds retry_period{2'000};
};

/// Elects one process by a Lease.
///
/// *Guarantees*: IsLeader() is false at the latest `renew_deadline` after the start of the last
/// renewal that the server confirmed, whatever happens to the network; another process takes over
/// only once it has seen the record unchanged for `lease_duration` of its own monotonic clock, so
/// no clock is ever compared with another machine's. epoch() grows with every change of leader.
/// A standby leads at most 1.2 × `retry_period` after the lease was given back, and as much plus
/// `lease_duration` after its holder was last heard of, plus the time of its requests.
///
/// *Caveat*: a process that is paused between asking IsLeader() and acting can act after another
/// has been elected. What must not be done by two checks the epoch where it is done.
class LeaderElector {
 public:
  /// Aborts unless lease_duration > renew_deadline > 1.2 × retry_period.
  LeaderElector(Client& client, ElectionOptions options, const Clock& clock = RealClock(),
                Observer& observer = SilentObserver());

  enum class Outcome { kStopped, kLost };

  /// Tries to become leader, then calls `on_elected(epoch)` once (it must not block) and renews
  /// until `stop` is requested (kStopped: the lease is still ours, see Release) or the lease is
  /// lost (kLost: the process should exit at once). Once only.
  Outcome Run(std::stop_token stop, const std::function<void(int64_t epoch)>& on_elected);

  /// One attempt to acquire or renew; how long to wait before the next. What Run is made of.
  std::chrono::milliseconds Tick(std::stop_token stop);

  /// Gives the lease back so that another takes over at once. Only after all work has stopped.
  Status Release(std::stop_token stop, Deadline deadline);

  bool IsLeader() const;
  /// True when we were leader and can no longer be sure of it.
  bool IsLost() const;
  /// The number of the leadership last seen, this process's when IsLeader(); from 1, 0 before any.
  int64_t epoch() const;
  /// Who leads, as last seen; empty when nobody does or nothing has been seen.
  std::string Holder() const;
  /// False when a leader has neither renewed nor given up long after it should have: a process in
  /// that state is better restarted.
  bool IsHealthy(std::chrono::milliseconds tolerance = std::chrono::seconds(20)) const;

 private:
  std::chrono::milliseconds StandbyWait() const;
  void Acquire(std::stop_token stop);
  void Renew(std::stop_token stop);
  Result<Json> Write(std::stop_token stop, const std::optional<Json>& existing,
                     const std::string& holder, int64_t transitions);
  void Observe(const Json& lease);
  void Lead(const Json& lease, SteadyTime started);
  void Depose();
  Deadline RequestDeadline() const;
  bool HoldsLocked() const REQUIRES(mutex_);

  Client& client_;
  const ElectionOptions options_;
  const Clock& clock_;
  Observer& observer_;

  mutable Mutex mutex_;
  std::optional<Json> observed_ GUARDED_BY(mutex_);  // The lease as last seen,
  SteadyTime observed_at_ GUARDED_BY(mutex_){};      // and when it last changed.
  bool leading_ GUARDED_BY(mutex_) = false;          // Elected, and not known to be deposed.
  bool deposed_ GUARDED_BY(mutex_) = false;
  SteadyTime renewed_at_ GUARDED_BY(mutex_){};
  int64_t epoch_ GUARDED_BY(mutex_) = 0;
};

}  // namespace cutover::kube
