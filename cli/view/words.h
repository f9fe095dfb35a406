// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "operator/base/clock.h"

namespace cutover::cli {

/// "596 MB", "1.2 GB": decimal units, as the operator's own summaries have them.
std::string FormatBytes(int64_t bytes);

/// "12s", "4m05s", "3h12m", "5d03h": how long something takes; never negative.
std::string FormatSpan(std::chrono::system_clock::duration span);

/// "4.2s ago"-like phrases: "12s ago", and "in 4m05s" for what is still to come.
std::string FormatDistance(WallTime time, WallTime now);

/// `percent` (0 to 100) as a bar of `width` characters.
std::string FormatBar(int percent, int width, bool unicode);

/// done of total in whole percent; 100 only when all is done, 0 without a total.
int Percent(int64_t done, int64_t total);

/// "1 table", "2 tables"; only for words that take an s.
std::string Counted(int64_t count, std::string_view word);

/// Columns that UTF-8 text takes on a terminal, one for each code point. Our own words need no
/// more than that.
size_t Columns(std::string_view text);

/// `text` with everything that a terminal would obey (control characters, escapes) replaced by
/// "?", newlines by spaces: statuses quote what servers and people said.
std::string Printable(std::string_view text);

}  // namespace cutover::cli
