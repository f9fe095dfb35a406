// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "mover/process/signal_watch.h"

namespace cutover::mover::cli {

/// How fast the source may be read, changed by signals while it lives: SIGUSR1 halves it, SIGUSR2
/// doubles it. Both must be blocked before it is made: see SignalWatch.
class RateSignals {
 public:
  /// 0: no limit. Halved, that becomes kFirstRate; doubled, it stays.
  explicit RateSignals(int64_t bytes_per_second_max);

  static constexpr int64_t kFirstRate = int64_t{64} << 20;

  int64_t rate() const { return rate_; }
  static int64_t Halved(int64_t rate);
  static int64_t Doubled(int64_t rate);

 private:
  std::atomic<int64_t> rate_;
  SignalWatch watch_;  // Last: its thread uses the above.
};

}  // namespace cutover::mover::cli
