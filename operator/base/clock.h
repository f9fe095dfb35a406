// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace cutover {

using WallTime = std::chrono::system_clock::time_point;
using SteadyTime = std::chrono::steady_clock::time_point;

/// Both clocks behind one seam, so that whole migrations run in virtual time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime WallNow() const = 0;      ///< For people and for status.
  virtual SteadyTime SteadyNow() const = 0;  ///< For durations and leases.
};

/// The machine's clocks. Never destroyed.
const Clock& RealClock();

/// RFC 3339 in UTC with seconds ("2026-11-21T03:04:05Z"), as metav1.Time has it.
std::string FormatTime(WallTime time);

/// RFC 3339 in UTC with microseconds, as metav1.MicroTime has it.
std::string FormatMicroTime(WallTime time);

/// Parses RFC 3339 with optional fraction and any offset. Nothing when `text` is not one.
std::optional<WallTime> ParseTime(std::string_view text);

/// "3h12m", "4m05s", "12s": for messages that people read.
std::string FormatDuration(std::chrono::seconds duration);

}  // namespace cutover
