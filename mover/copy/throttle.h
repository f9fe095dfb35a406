// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace cutover::mover {

/// How fast all lanes together may read from a server that others use, and whether they may read at
/// all just now. Changeable while the work runs, from any thread.
class Throttle {
 public:
  /// Limits nothing and holds nobody. `clock` is for tests.
  explicit Throttle(const Clock& clock = RealClock());

  /// 0: no limit. A change works at once.
  void SetRate(int64_t bytes_per_second_max);
  int64_t rate() const;

  /// Holds all readers until Resume(); `reason` is what people are told. Without effect while
  /// already held for the same reason.
  void Hold(std::string reason);
  void Resume();
  /// Why the readers stand still, while they do.
  std::optional<std::string> held_for() const;

  /// Accounts for `bytes` that were read and returns when the next may be. Never more than a second
  /// of the rate is saved up. False when a stop was requested.
  bool Take(std::stop_token stop, int64_t bytes);

  /// How long readers have waited so far, all together.
  double seconds_waited() const;

 private:
  void Refill() REQUIRES(mutex_);

  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar changed_;
  int64_t bytes_per_second_max_ GUARDED_BY(mutex_) = 0;
  double bytes_left_ GUARDED_BY(mutex_) = 0;
  SteadyTime refilled_at_ GUARDED_BY(mutex_);
  std::optional<std::string> held_for_ GUARDED_BY(mutex_);
  double seconds_waited_ GUARDED_BY(mutex_) = 0;
};

}  // namespace cutover::mover
