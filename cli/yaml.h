// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/base/json.h"

namespace cutover::cli {

/// The document in YAML's block style, keys in their order. Texts that YAML would read as
/// something else (numbers, booleans, times, null) are quoted. Pure.
std::string ToYaml(const Json& document);

}  // namespace cutover::cli
