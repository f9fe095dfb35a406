// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace cutover {

/// A point of the steady clock past which a call must not block. Copyable, comparable, cheap.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline After(std::chrono::nanoseconds duration) {
    return Deadline(Clock::now() + std::chrono::duration_cast<Clock::duration>(duration));
  }
  static Deadline At(Clock::time_point point) { return Deadline(point); }
  static Deadline Never() { return Deadline(Clock::time_point::max()); }

  bool IsNever() const { return point_ == Clock::time_point::max(); }
  bool Expired() const { return !IsNever() && Clock::now() >= point_; }

  /// Time left, never negative; a very long time for Never().
  std::chrono::milliseconds Remaining() const {
    if (IsNever()) return std::chrono::hours(24 * 365);
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(point_ - Clock::now());
    return std::max(left, std::chrono::milliseconds(0));
  }

  /// The earlier of this deadline and `duration` from now.
  Deadline OrAfter(std::chrono::nanoseconds duration) const {
    return Deadline(std::min(point_, After(duration).point_));
  }

  Clock::time_point point() const { return point_; }

 private:
  explicit Deadline(Clock::time_point point) : point_(point) {}
  Clock::time_point point_;
};

}  // namespace cutover
