// SPDX-License-Identifier: Apache-2.0
//
// Values stand within the message, and what of a message is read of its beginning alone is what is
// read of the whole.
#include "postgres/pgoutput.h"

#include <string_view>

#include "tests/fuzz/fuzz.h"

namespace {

using namespace cutover::pg;

void HoldsWithin(std::string_view bytes, const PgoutputRow& row) {
  for (const PgoutputValue& value : row) {
    if (value.kind != PgoutputValue::Kind::kText || value.text.empty()) continue;
    HOLDS(value.text.data() >= bytes.data());
    HOLDS(value.text.data() + value.text.size() <= bytes.data() + bytes.size());
  }
}

void HoldsSame(const PgoutputRow& whole, const PgoutputRow& part) {
  HOLDS(part.size() <= whole.size());
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i].kind == PgoutputValue::Kind::kCut) continue;
    HOLDS(part[i].kind == whole[i].kind);
    HOLDS(part[i].text == whole[i].text);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kBytesBeforeRows = 5;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = ParsePgoutput(bytes);
  if (!whole) return 0;
  HoldsWithin(bytes, whole->old_row);
  HoldsWithin(bytes, whole->new_row);
  HOLDS(whole->relation.columns.size() <= size);
  HOLDS(whole->relations.size() <= size);
  if (whole->old_row.empty() && whole->new_row.empty()) return 0;
  for (size_t length = kBytesBeforeRows; length < size; length += 1 + size / 8) {
    const auto part = ParsePgoutput(bytes.substr(0, length), /*cut=*/true);
    HOLDS(part.has_value());
    HOLDS(part->relations == whole->relations);
    HoldsSame(whole->old_row, part->old_row);
    HoldsSame(whole->new_row, part->new_row);
  }
  return 0;
}
