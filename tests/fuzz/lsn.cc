// SPDX-License-Identifier: Apache-2.0
//
// A log position is read as the number that it writes, and what is read is written again as the
// same text; of two, the order of the numbers is that of the texts filled up with zeros.
#include <algorithm>
#include <cctype>
#include <string>

#include "postgres/pgoutput.h"
#include "tests/fuzz/fuzz.h"

namespace {

// The sixteen digits that it has when nothing is left out.
std::string Filled(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view low = text.substr(slash + 1);
  std::string all = std::string(8 - slash, '0') + std::string(text.substr(0, slash)) +
                    std::string(8 - low.size(), '0') + std::string(low);
  std::transform(all.begin(), all.end(), all.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return all;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using cutover::pg::FormatLsn;
  using cutover::pg::ParseLsn;
  cutover::fuzz::Parts parts(data, size);
  const std::string_view a = parts.Next(), b = parts.Rest();
  const auto x = ParseLsn(a), y = ParseLsn(b);
  for (const auto& [text, value] : {std::pair(a, x), std::pair(b, y)}) {
    if (!value) continue;
    HOLDS(text.find_first_not_of("0123456789abcdefABCDEF/") == text.npos);
    HOLDS(Filled(FormatLsn(*value)) == Filled(text));
    const auto again = ParseLsn(FormatLsn(*value));
    HOLDS(again && *again == *value);
  }
  if (x && y) HOLDS((*x < *y) == (Filled(a) < Filled(b)));
  return 0;
}
