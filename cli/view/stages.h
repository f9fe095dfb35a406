// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/view/migration_view.h"

namespace cutover::cli {

enum class StageState {
  kDone,
  kRunning,
  kFailed,
  kSkipped,  ///< A later phase was entered, and this one never was.
  kToCome,
};

/// One line of the pipeline.
struct StageLine {
  std::string name;
  StageState state = StageState::kToCome;
  std::optional<WallTime> started_at, completed_at;
  std::string message;
  int percent = -1;      ///< -1: nothing to count.
  std::string measures;  ///< "312/596 MB, 12 MB/s on average, about 7s left, 3/40 tables"

  /// From its beginning to its end, or to `now`; nothing when it never began.
  std::optional<std::chrono::system_clock::duration> Lasted(WallTime now) const;
};

/// The pipeline of the migration's strategy with what status.stages says of it: what was entered,
/// then what is still to come, unless the move goes back or is over. Pure.
std::vector<StageLine> PipelineOf(const MigrationView& migration);

/// Bytes a second on average since the copy began, as far as the status tells.
std::optional<int64_t> CopyRate(const MigrationView& migration);

/// How far the side that follows is: "12 MB, 3s behind", or empty where no lag is reported.
std::string DescribeLag(const MigrationView& migration);

}  // namespace cutover::cli
