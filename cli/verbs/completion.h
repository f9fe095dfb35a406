// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cutover::cli {

/// The first argument by which shells ask for candidates. No verb: what follows is a line that is
/// not finished, and must not be parsed as one that is.
inline constexpr char kCompleteWord[] = "__complete";

/// What the last of `words` (those after "kubectl cutover") may become: verbs and flags of `app`,
/// names of objects in the cluster that the line means. Empty where nothing is known; a cluster
/// that cannot be asked is no error, since nobody could read it in the middle of a line.
std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace cutover::cli
