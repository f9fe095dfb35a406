// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace cutover::mover::cli {

/// How fast the source may be read, changed by signals while it lives: SIGUSR1 halves it, SIGUSR2
/// doubles it. Both must be blocked in every thread before it is made (Block()), since it takes
/// them by waiting for them.
class RateSignals {
 public:
  /// 0: no limit. Halved, that becomes kFirstRate; doubled, it stays.
  explicit RateSignals(int64_t bytes_per_second_max);

  static constexpr int64_t kFirstRate = int64_t{64} << 20;
  static void Block();

  int64_t rate() const { return rate_; }
  static int64_t Halved(int64_t rate);
  static int64_t Doubled(int64_t rate);

 private:
  std::atomic<int64_t> rate_;
  std::jthread thread_;  // Last: it uses the above.
};

}  // namespace cutover::mover::cli
