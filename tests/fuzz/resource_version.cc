// SPDX-License-Identifier: Apache-2.0
//
// Of two resourceVersions either both sides agree which is the newer, or neither knows; and the
// order is that of the numbers they are.
#include <charconv>
#include <optional>

#include "operator/kube/metadata.h"
#include "tests/fuzz/fuzz.h"

namespace {

// What the order has to be for numbers that fit.
std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // No object has version 0: a list that says so may be of any age.
  bool plain = error == std::errc() && end == text.data() + text.size() && text[0] != '0';
  if (!plain) return std::nullopt;
  return value;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using cutover::kube::CompareResourceVersions;
  using cutover::kube::IsOlderVersion;
  cutover::fuzz::Parts parts(data, size);
  const std::string_view a = parts.Next(), b = parts.Next(), c = parts.Rest();
  const std::partial_ordering order = CompareResourceVersions(a, b);
  HOLDS((order == std::partial_ordering::less) ==
        (CompareResourceVersions(b, a) == std::partial_ordering::greater));
  HOLDS((order == std::partial_ordering::unordered) ==
        (CompareResourceVersions(b, a) == std::partial_ordering::unordered));
  HOLDS(!(order == std::partial_ordering::equivalent) || a == b);
  HOLDS(!(IsOlderVersion(a, b) && IsOlderVersion(b, c)) || IsOlderVersion(a, c));
  if (auto x = Number(a), y = Number(b); x && y) HOLDS(IsOlderVersion(a, b) == (*x < *y));
  return 0;
}
