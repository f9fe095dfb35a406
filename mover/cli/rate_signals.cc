// SPDX-License-Identifier: Apache-2.0
#include "mover/cli/rate_signals.h"

#include <algorithm>
#include <limits>

namespace cutover::mover::cli {
namespace {

constexpr int64_t kRateMin = 64 << 10;

}  // namespace

RateSignals::RateSignals(int64_t bytes_per_second_max)
    : rate_(bytes_per_second_max), watch_({SIGUSR1, SIGUSR2}, [this](int signal) {
        rate_ = signal == SIGUSR1 ? Halved(rate_) : Doubled(rate_);
      }) {}

int64_t RateSignals::Halved(int64_t rate) {
  return rate == 0 ? kFirstRate : std::max(rate / 2, kRateMin);
}

int64_t RateSignals::Doubled(int64_t rate) {
  return rate > std::numeric_limits<int64_t>::max() / 2 ? rate : rate * 2;
}

}  // namespace cutover::mover::cli
