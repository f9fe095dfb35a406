// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/rate_limiter.h"

namespace cutover::kube {

RateLimiter::RateLimiter(const Clock& clock, Options options)
    : clock_(clock),
      options_(options),
      tokens_(options.bucket_size),
      refilled_at_(clock.SteadyNow()) {}

std::chrono::nanoseconds RateLimiter::When(const Key& key) {
  return std::max(ItemDelay(key), BucketDelay());
}

int RateLimiter::Failures(const Key& key) const {
  auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

std::chrono::nanoseconds RateLimiter::ItemDelay(const Key& key) {
  int earlier = failures_[key]++;
  std::chrono::nanoseconds delay = options_.base;
  // Doubling step by step cannot overflow: it ends at the cap.
  for (int i = 0; i < earlier && delay < options_.cap; ++i) delay *= 2;
  return std::min(delay, options_.cap);
}

std::chrono::nanoseconds RateLimiter::BucketDelay() {
  SteadyTime now = clock_.SteadyNow();
  std::chrono::duration<double> passed = now - refilled_at_;
  refilled_at_ = now;
  tokens_ = std::min(options_.bucket_size, tokens_ + passed.count() * options_.tokens_per_second);
  tokens_ -= 1;
  if (tokens_ >= 0) return std::chrono::nanoseconds(0);
  std::chrono::duration<double> wait(-tokens_ / options_.tokens_per_second);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(wait);
}

}  // namespace cutover::kube
