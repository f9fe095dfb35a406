// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/view/assessment.h"

namespace cutover::cli {

/// How the program ends. Part of its interface: docs/kubectl-cutover.md.
enum ExitCode : int {
  kExitGood = 0,      ///< Done; for status: going on by itself, or completed.
  kExitFailed = 1,    ///< Nothing was done or found out; the message says what to do.
  kExitNotMoved = 2,  ///< status: it is over, and the tenant was not moved, or was moved back.
  kExitAsksYou = 3,   ///< status: waits for somebody's answer. Others: refused, or not confirmed.
  kExitTrouble = 4,   ///< status: something is wrong, or nobody works on it.
  kExitTimedOut = 5,  ///< --timeout ran out first.
  kExitUsage = 64,    ///< Wrong arguments.
};

ExitCode ExitCodeOf(Health health);

}  // namespace cutover::cli
