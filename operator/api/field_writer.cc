// SPDX-License-Identifier: Apache-2.0
#include "operator/api/field_writer.h"

#include <algorithm>

namespace cutover::api {

std::string Shorten(std::string_view text, size_t length_max) {
  constexpr std::string_view kEllipsis = "...";
  if (text.size() <= length_max) return std::string(text);
  size_t end = length_max - kEllipsis.size();
  // 10xxxxxx continues a character that began further left.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)).append(kEllipsis);
}

FieldWriter& FieldWriter::Text(std::string_view key, std::string_view text) {
  if (!text.empty()) object_.Set(key, text);
  return *this;
}

FieldWriter& FieldWriter::Text(std::string_view key, std::string_view text, size_t length_max) {
  return Text(key, Shorten(text, length_max));
}

FieldWriter& FieldWriter::Count(std::string_view key, int64_t count) {
  object_.Set(key, std::max<int64_t>(count, 0));
  return *this;
}

FieldWriter& FieldWriter::Time(std::string_view key, const std::optional<WallTime>& time) {
  if (time) object_.Set(key, FormatTime(*time));
  return *this;
}

FieldWriter& FieldWriter::PreciseTime(std::string_view key, const std::optional<WallTime>& time) {
  if (time) object_.Set(key, FormatMicroTime(*time));
  return *this;
}

FieldWriter& FieldWriter::Value(std::string_view key, Json value) {
  bool empty = value.IsNull() || ((value.IsObject() || value.IsArray()) && value.Empty());
  if (!empty) object_.Set(key, std::move(value));
  return *this;
}

}  // namespace cutover::api
