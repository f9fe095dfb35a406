// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

#include "operator/base/clock.h"
#include "operator/base/random.h"

namespace cutover::kube {

/// How long to wait before the next try: 0.8 s, doubling to 30 s, each with up to as much again at
/// random, from the start again after two healthy minutes. Not thread-safe.
class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds initial{800};
    std::chrono::milliseconds cap{30'000};
    std::chrono::milliseconds reset_after{120'000};
    std::function<double()> random = RandomFraction;
  };

  explicit Backoff(const Clock& clock) : Backoff(clock, Options{}) {}
  Backoff(const Clock& clock, Options options) : clock_(clock), options_(std::move(options)) {}

  std::chrono::milliseconds Next();
  void Reset() { next_ = std::chrono::milliseconds(0); }

 private:
  const Clock& clock_;
  const Options options_;
  std::chrono::milliseconds next_{0};
  SteadyTime last_failure_{};
};

}  // namespace cutover::kube
