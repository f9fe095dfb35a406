// SPDX-License-Identifier: Apache-2.0
#include "cli/view/words.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace cutover::cli {

std::string FormatBytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  double value = static_cast<double>(std::max<int64_t>(bytes, 0));
  size_t unit = 0;
  // Not 1000: what would be rounded to "1000 MB" is "1.0 GB".
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", unit > 0 && value < 99.95 ? 1 : 0, value,
                kUnits[unit]);
  return text;
}

std::string FormatSpan(std::chrono::system_clock::duration span) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
  constexpr int64_t kDay = 86400;
  if (seconds.count() < kDay) return FormatDuration(seconds);
  char text[32];
  std::snprintf(text, sizeof text, "%ldd%02ldh", static_cast<long>(seconds.count() / kDay),
                static_cast<long>(seconds.count() % kDay / 3600));
  return text;
}

std::string FormatDistance(WallTime time, WallTime now) {
  return time > now ? "in " + FormatSpan(time - now) : FormatSpan(now - time) + " ago";
}

std::string FormatBar(int percent, int width, bool unicode) {
  const int filled = std::clamp(percent, 0, 100) * width / 100;
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < filled ? (unicode ? "█" : "#") : (unicode ? "░" : "-");
  return bar;
}

int Percent(int64_t done, int64_t total) {
  if (total <= 0) return 0;
  if (done >= total) return 100;
  double share = static_cast<double>(std::max<int64_t>(done, 0)) / static_cast<double>(total);
  return std::min(99, static_cast<int>(share * 100));
}

std::string Counted(int64_t count, std::string_view word) {
  return std::to_string(count) + " " + std::string(word) + (count == 1 ? "" : "s");
}

size_t Columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // Not a continuation byte.
  }));
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // C1 controls are two bytes in UTF-8, C2 80 to C2 9F; one of them begins escape sequences.
    const bool c1 =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c == '\n' || c == '\t' || c == '\r')
      printable += ' ';
    else if (c < 0x20 || c == 0x7F || c1)
      printable += '?';
    else
      printable += text[i];
    if (c1) ++i;
  }
  return printable;
}

}  // namespace cutover::cli
