// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/migration_view.h"

namespace cutover::cli {

/// What one container has written, as the API server gives it with timestamps.
struct LogSource {
  std::string name;  ///< "cutover-operator-x/manager"
  std::string text;
  bool shared = false;  ///< The operator's, which writes about other migrations as well.
};

/// The lines about this migration from all sources, in the order of time: time, source, text. Of
/// shared sources those that name its uid, or it by namespace and name. Pure.
std::string MergeLogs(const std::vector<LogSource>& sources, const MigrationView& migration);

}  // namespace cutover::cli
