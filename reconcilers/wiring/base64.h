// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::wiring {

/// RFC 4648 with padding, on one line: the form of a Secret's `data`.
std::string EncodeBase64(std::string_view bytes);

/// Terminal "InvalidBase64" for anything that EncodeBase64 cannot have made.
Result<std::string> DecodeBase64(std::string_view text);

}  // namespace cutover::wiring
