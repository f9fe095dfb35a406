// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace cutover::kube {

/// A clock that moves only when told to. Thread-safe.
class FakeClock final : public Clock {
 public:
  WallTime WallNow() const override {
    MutexLock lock(mutex_);
    return WallTime(std::chrono::seconds(1'800'000'000)) +
           std::chrono::duration_cast<WallTime::duration>(now_.time_since_epoch());
  }
  SteadyTime SteadyNow() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  void Advance(std::chrono::nanoseconds by) {
    MutexLock lock(mutex_);
    now_ += by;
  }

 private:
  mutable Mutex mutex_;
  SteadyTime now_ GUARDED_BY(mutex_){std::chrono::hours(1)};
};

}  // namespace cutover::kube
