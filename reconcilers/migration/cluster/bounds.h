// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace cutover::migration {

// How long users wait at most for what may be given up, or left out, while they wait.

/// For transactions to end by themselves before a pooler's PAUSE. One that does not resumes all
/// poolers: no client is shown an error, and the cutover is tried again later. All others wait for
/// it meanwhile, so never for longer than the spec lets them: `write_pause_seconds_max`.
constexpr std::chrono::seconds PauseBound(std::optional<int> write_pause_seconds_max) {
  constexpr std::chrono::seconds kBound{2};
  if (!write_pause_seconds_max) return kBound;
  return std::min(kBound, std::chrono::seconds(*write_pause_seconds_max));
}

/// For comparing under the fence what was changed during the move; past it the rest of the changed
/// rows is "not compared". A pause that is over before users are on the target has been for
/// nothing: of `remaining`, what is to be done behind the comparison, and the second that a round
/// may take longer, have two seconds. Never nothing, so that what is left out is said.
constexpr std::chrono::milliseconds CompareBudget(std::chrono::milliseconds remaining) {
  constexpr std::chrono::milliseconds kBudget{10'000}, kRestOfPause{2'000}, kMin{100};
  return std::min(kBudget, std::max(remaining - kRestOfPause, kMin));
}

}  // namespace cutover::migration
