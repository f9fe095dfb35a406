// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cutover::telemetry {

/// `text` with a question mark for every byte that is not part of valid UTF-8. One bad byte in one
/// label would otherwise make a scraper refuse the whole exposition.
std::string ValidUtf8(std::string_view text);

}  // namespace cutover::telemetry
