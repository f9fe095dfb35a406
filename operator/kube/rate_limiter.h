// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "operator/base/clock.h"
#include "operator/kube/resource.h"

namespace cutover::kube {

/// When a key that failed may be tried again: the later of its own exponential delay and a token
/// bucket over all keys, so that neither one bad object nor a thousand of them burn a core. Not
/// thread-safe; the queue guards it.
class RateLimiter {
 public:
  struct Options {
    std::chrono::nanoseconds base = std::chrono::milliseconds(5);
    std::chrono::nanoseconds cap = std::chrono::seconds(1000);
    double tokens_per_second = 10;
    double bucket_size = 100;
  };

  explicit RateLimiter(const Clock& clock) : RateLimiter(clock, Options{}) {}
  RateLimiter(const Clock& clock, Options options);

  /// Counts a failure of `key`; the delay before it may run again.
  std::chrono::nanoseconds When(const Key& key);
  void Forget(const Key& key) { failures_.erase(key); }
  int Failures(const Key& key) const;

 private:
  std::chrono::nanoseconds ItemDelay(const Key& key);
  std::chrono::nanoseconds BucketDelay();

  const Clock& clock_;
  const Options options_;
  std::unordered_map<Key, int, KeyHash> failures_;
  double tokens_;  // Below zero when the future has been promised.
  SteadyTime refilled_at_;
};

}  // namespace cutover::kube
