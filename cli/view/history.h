// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/migration_view.h"
#include "operator/base/json.h"

namespace cutover::cli {

/// The moves of one placement, or of all where `placement_name` is empty, the latest first.
std::vector<MigrationView> HistoryOf(std::vector<MigrationView> migrations,
                                     const std::string& placement_name);

/// One line for each: from where to where, how it ended, how long it took, how long users could
/// not write, what was proved. Pure.
std::string RenderHistory(const std::vector<MigrationView>& moves, WallTime now,
                          bool all_namespaces);
/// The same for programs.
Json HistoryDocument(const std::vector<MigrationView>& moves);

}  // namespace cutover::cli
