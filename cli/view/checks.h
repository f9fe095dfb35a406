// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/migration_view.h"

namespace cutover::cli {

enum class CheckState {
  kPassed,
  kUnknown,  ///< The last run found nothing out, which counts neither way.
  kFailing,  ///< The last run failed, and not as often in a row as it takes.
  kFailed,   ///< So often in a row that it counts.
  kNotRun,   ///< Nothing but its latency before the move is known yet.
};

/// Where one of Hypercare's checks stands, for people.
struct CheckLine {
  std::string name;
  CheckState state = CheckState::kNotRun;
  std::string text;  ///< "failed 12s ago, 3 of 16 in a row, failing for 2m05s: answered 502".
};

/// One line for each of status.checks, in its order; none until a check of Hypercare has run. Pure.
std::vector<CheckLine> ChecksOf(const MigrationView& migration, WallTime now);

/// What follows from the checks that do not pass, and what to do about it, while it is Hypercare;
/// empty when there are none. Pure.
std::string WhatChecksLeadTo(const MigrationView& migration);

}  // namespace cutover::cli
