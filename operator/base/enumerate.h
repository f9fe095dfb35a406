// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cutover {

/// For a sentence: "a, b, c and 4 more", with at most `named_max` of the items by name; empty
/// without any.
std::string Enumerate(const std::vector<std::string>& items, size_t named_max);

}  // namespace cutover
