// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cutover {

/// `text` where HTML has text or a quoted attribute.
std::string EscapeHtml(std::string_view text);

}  // namespace cutover
