// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>

namespace cutover {

/// How long `work` takes.
inline std::chrono::milliseconds TimeOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start);
}

/// The least that `measured` returns in up to five calls; one below `bound` is the last. For what
/// has to be over at once: a machine may stand still for seconds in any of them, while something
/// that waits for what it should not wait for does so in all.
inline std::chrono::milliseconds LeastTime(
    std::chrono::milliseconds bound, const std::function<std::chrono::milliseconds()>& measured) {
  std::chrono::milliseconds least = measured();
  for (int more = 4; more > 0 && least >= bound; --more) least = std::min(least, measured());
  return least;
}

}  // namespace cutover
