// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/backoff.h"

#include <algorithm>

namespace cutover::kube {

std::chrono::milliseconds Backoff::Next() {
  SteadyTime now = clock_.SteadyNow();
  if (now - last_failure_ > options_.reset_after) Reset();
  last_failure_ = now;
  std::chrono::milliseconds base = next_.count() == 0 ? options_.initial : next_;
  next_ = std::min(base * 2, options_.cap);
  auto jitter = static_cast<int64_t>(static_cast<double>(base.count()) * options_.random());
  return base + std::chrono::milliseconds(jitter);
}

}  // namespace cutover::kube
