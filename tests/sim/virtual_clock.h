// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "operator/base/clock.h"

namespace cutover::sim {

/// Time that passes when it is told to.
class VirtualClock final : public Clock {
 public:
  WallTime WallNow() const override { return wall_; }
  SteadyTime SteadyNow() const override { return steady_; }

  void Advance(std::chrono::nanoseconds by) {
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
    steady_ += std::chrono::duration_cast<SteadyTime::duration>(by);
  }

 private:
  WallTime wall_ = std::chrono::system_clock::from_time_t(1'800'000'000);
  SteadyTime steady_{std::chrono::hours(1)};
};

}  // namespace cutover::sim
