// SPDX-License-Identifier: Apache-2.0
#include "mover/cli/rate_signals.h"

#include <algorithm>
#include <limits>
#include <stop_token>

namespace cutover::mover::cli {
namespace {

constexpr int64_t kRateMin = 64 << 10;

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  return set;
}

}  // namespace

RateSignals::RateSignals(int64_t bytes_per_second_max)
    : rate_(bytes_per_second_max), thread_([this](std::stop_token ended) {
        const sigset_t signals = Signals();
        const timespec tick = {0, 100'000'000};
        while (!ended.stop_requested()) {
          const int signal = sigtimedwait(&signals, nullptr, &tick);
          if (signal == SIGUSR1) rate_ = Halved(rate_);
          if (signal == SIGUSR2) rate_ = Doubled(rate_);
        }
      }) {}

void RateSignals::Block() {
  const sigset_t signals = Signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

int64_t RateSignals::Halved(int64_t rate) {
  return rate == 0 ? kFirstRate : std::max(rate / 2, kRateMin);
}

int64_t RateSignals::Doubled(int64_t rate) {
  return rate > std::numeric_limits<int64_t>::max() / 2 ? rate : rate * 2;
}

}  // namespace cutover::mover::cli
