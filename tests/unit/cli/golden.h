// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cutover::cli::testing {

/// Empty when tests/unit/cli/golden/`name` says exactly `text`, else what to do about it. With
/// CUTOVER_UPDATE_GOLDEN set the file is written instead. Tests run in the source directory.
std::string CompareWithGolden(const std::string& name, const std::string& text);

/// The file's bytes; empty when there is none.
std::string ReadText(const std::string& path);

}  // namespace cutover::cli::testing
