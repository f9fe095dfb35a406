// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <future>
#include <stop_token>
#include <utility>

#include "operator/base/result.h"

namespace cutover::mover {

/// Does one task at a time, by number. Owned by one thread, with the connections it needs.
using Lane = std::function<Status(std::stop_token, size_t task)>;

/// Makes a lane; called in the thread that the lane will live in.
using LaneFactory = std::function<Result<Lane>(std::stop_token)>;

/// Does tasks 0 … task_count-1, taken in that order, on up to `lanes_max` threads. The first error
/// requests the others to stop and is returned when all have; a stop requested from outside ends
/// in an error with reason "Stopped".
Status RunInParallel(std::stop_token stop, int lanes_max, size_t task_count,
                     const LaneFactory& make_lane);

/// Does both at the same time. What fails in one stops the other, and is what is returned.
Status RunBoth(std::stop_token stop, const std::function<Status(std::stop_token)>& first,
               const std::function<Status(std::stop_token)>& second);

/// Calls both at the same time, the first in a thread of its own, and returns both results.
template <class A, class B>
auto Together(A first, B second) {
  std::future<decltype(first())> pending = std::async(std::launch::async, std::move(first));
  auto right = second();
  return std::pair(pending.get(), std::move(right));
}

}  // namespace cutover::mover
