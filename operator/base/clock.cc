// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace cutover {
namespace {

class MachineClock final : public Clock {
 public:
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  SteadyTime SteadyNow() const override { return std::chrono::steady_clock::now(); }
};

// Digits of `value` up to `text`'s end, with zeros before them.
void PutNumber(char* text, int digits, int value) {
  for (int at = digits; at-- > 0; value /= 10) text[at] = static_cast<char>('0' + value % 10);
}

// By hand: a status has dozens of times, and strftime() asks for the locale at each.
std::string FormatSeconds(WallTime time, std::string_view tail) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  std::string text = "0000-00-00T00:00:00";
  PutNumber(text.data(), 4, static_cast<int>(date.year()));
  PutNumber(text.data() + 5, 2, static_cast<int>(static_cast<unsigned>(date.month())));
  PutNumber(text.data() + 8, 2, static_cast<int>(static_cast<unsigned>(date.day())));
  PutNumber(text.data() + 11, 2, static_cast<int>(clock.hours().count()));
  PutNumber(text.data() + 14, 2, static_cast<int>(clock.minutes().count()));
  PutNumber(text.data() + 17, 2, static_cast<int>(clock.seconds().count()));
  return text.append(tail);
}

// Reads exactly `digits` digits at `position` and moves past them; -1 when they are not there.
int ReadNumber(std::string_view text, size_t& position, int digits) {
  if (position + static_cast<size_t>(digits) > text.size()) return -1;
  int value = 0;
  for (int i = 0; i < digits; ++i) {
    char c = text[position + static_cast<size_t>(i)];
    if (!std::isdigit(static_cast<unsigned char>(c))) return -1;
    value = value * 10 + (c - '0');
  }
  position += static_cast<size_t>(digits);
  return value;
}

bool Skip(std::string_view text, size_t& position, char wanted) {
  if (position >= text.size() || std::toupper(static_cast<unsigned char>(text[position])) != wanted)
    return false;
  ++position;
  return true;
}

// A fraction of a second of any length, as nanoseconds; the position moves past it.
std::optional<std::chrono::nanoseconds> ReadFraction(std::string_view text, size_t& position) {
  if (position >= text.size() || text[position] != '.') return std::chrono::nanoseconds(0);
  ++position;
  int64_t value = 0, scale = 1'000'000'000;
  size_t start = position;
  for (; position < text.size() && std::isdigit(static_cast<unsigned char>(text[position]));
       ++position) {
    if (scale == 1) continue;
    scale /= 10;
    value += (text[position] - '0') * scale;
  }
  if (position == start) return std::nullopt;
  return std::chrono::nanoseconds(value);
}

std::optional<std::chrono::minutes> ReadOffset(std::string_view text, size_t& position) {
  if (Skip(text, position, 'Z')) return std::chrono::minutes(0);
  if (position >= text.size() || (text[position] != '+' && text[position] != '-'))
    return std::nullopt;
  int sign = text[position++] == '-' ? -1 : 1;
  int hours = ReadNumber(text, position, 2);
  if (hours < 0 || !Skip(text, position, ':')) return std::nullopt;
  int minutes = ReadNumber(text, position, 2);
  if (minutes < 0 || hours > 23 || minutes > 59) return std::nullopt;
  return std::chrono::minutes(sign * (hours * 60 + minutes));
}

}  // namespace

const Clock& RealClock() {
  static const auto* clock = new MachineClock;
  return *clock;
}

std::string FormatTime(WallTime time) { return FormatSeconds(time, "Z"); }

std::string FormatMicroTime(WallTime time) {
  auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
      time - std::chrono::floor<std::chrono::seconds>(time));
  std::string tail = ".000000Z";
  PutNumber(tail.data() + 1, 6, static_cast<int>(micros.count()));
  return FormatSeconds(time, tail);
}

std::optional<WallTime> ParseTime(std::string_view text) {
  size_t at = 0;
  int year = ReadNumber(text, at, 4);
  // Nanoseconds since 1970 in 64 bits reach from 1677 to 2262.
  if (year < 1678 || year > 2261 || !Skip(text, at, '-')) return std::nullopt;
  int month = ReadNumber(text, at, 2);
  if (!Skip(text, at, '-')) return std::nullopt;
  int day = ReadNumber(text, at, 2);
  if (!Skip(text, at, 'T')) return std::nullopt;
  int hour = ReadNumber(text, at, 2);
  if (!Skip(text, at, ':')) return std::nullopt;
  int minute = ReadNumber(text, at, 2);
  if (!Skip(text, at, ':')) return std::nullopt;
  int second = ReadNumber(text, at, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  auto fraction = ReadFraction(text, at);
  if (!fraction) return std::nullopt;
  auto offset = ReadOffset(text, at);
  if (!offset || at != text.size()) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(std::max(month, 0))),
                                   std::chrono::day(static_cast<unsigned>(std::max(day, 0)))};
  if (!date.ok()) return std::nullopt;
  auto time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
              std::chrono::minutes(minute) + std::chrono::seconds(second) - *offset;
  return std::chrono::time_point_cast<WallTime::duration>(time + *fraction);
}

std::string FormatDuration(std::chrono::seconds duration) {
  auto total = std::max<int64_t>(duration.count(), 0);
  char text[32];
  if (total >= 3600)
    std::snprintf(text, sizeof text, "%ldh%02ldm", static_cast<long>(total / 3600),
                  static_cast<long>(total % 3600 / 60));
  else if (total >= 60)
    std::snprintf(text, sizeof text, "%ldm%02lds", static_cast<long>(total / 60),
                  static_cast<long>(total % 60));
  else
    std::snprintf(text, sizeof text, "%lds", static_cast<long>(total));
  return text;
}

}  // namespace cutover
