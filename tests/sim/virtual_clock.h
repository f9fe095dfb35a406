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

/// While it lives, this thread's std::chrono::steady_clock is the virtual one, and sleeping lets it
/// pass: deadlines and polls of the code under test take no time of anybody's, and a run is the
/// same on a machine that is busy. (virtual_clock.cc defines steady_clock::now() and nanosleep()
/// for the whole program.)
class ThreadTime {
 public:
  explicit ThreadTime(VirtualClock& clock);
  ~ThreadTime();
  ThreadTime(const ThreadTime&) = delete;
  ThreadTime& operator=(const ThreadTime&) = delete;

 private:
  VirtualClock* const outer_;
};

}  // namespace cutover::sim
