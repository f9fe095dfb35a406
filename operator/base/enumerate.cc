// SPDX-License-Identifier: Apache-2.0
#include "operator/base/enumerate.h"

#include <algorithm>

namespace cutover {

std::string Enumerate(const std::vector<std::string>& items, size_t named_max) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), named_max); ++i)
    text += (i == 0 ? "" : ", ") + items[i];
  if (items.size() > named_max)
    text += " and " + std::to_string(items.size() - named_max) + " more";
  return text;
}

}  // namespace cutover
