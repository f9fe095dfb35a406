// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "operator/api/conditions.h"
#include "operator/base/json.h"

namespace cutover::api {

/// The bounds that crds/ sets on texts of a status whose length the operator does not choose: they
/// quote what servers and people said. A status beyond a bound would be refused whole, and the
/// migration would stand still over the length of a message.
inline constexpr size_t kMessageLengthMax = 4096;
inline constexpr size_t kReasonLengthMax = 256;
inline constexpr size_t kStageMessageLengthMax = 1024;
inline constexpr size_t kReportLengthMax = 8192;
inline constexpr size_t kStagesMax = 64;
inline constexpr size_t kSamplesMax = 60;
inline constexpr size_t kCheckStatusesMax = 64;
inline constexpr size_t kPreflightLinesMax = 64;

/// The first `length_max` bytes of `text`, ending in "..." if any were left out, and never within
/// a UTF-8 sequence.
std::string Shorten(std::string_view text, size_t length_max);

/// Writes a JSON object field by field, leaving out what says nothing: an empty text, a time that
/// has not come, an empty object. What is left out is removed by server-side apply.
class FieldWriter {
 public:
  FieldWriter& Text(std::string_view key, std::string_view text);
  FieldWriter& Text(std::string_view key, std::string_view text, size_t length_max);
  /// Counts are never negative in the schema; a negative one is written as 0.
  FieldWriter& Count(std::string_view key, int64_t count);
  FieldWriter& Time(std::string_view key, const std::optional<WallTime>& time);
  /// With microseconds: for moments that durations are computed from.
  FieldWriter& PreciseTime(std::string_view key, const std::optional<WallTime>& time);
  FieldWriter& Value(std::string_view key, Json value);

  Json Take() { return std::move(object_); }

 private:
  Json object_ = Json::Object();
};

Json EncodeConditions(const Conditions& conditions);

}  // namespace cutover::api
