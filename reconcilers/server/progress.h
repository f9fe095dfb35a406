// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "operator/api/conditions.h"

namespace cutover::server {

/// How a long-running object fares, in the terms of kstatus and Flux.
enum class Progress {
  kSettled,      ///< Nothing to wait for.
  kReconciling,  ///< May come right by itself: a server starts, a Secret arrives.
  kStalled,      ///< Somebody must change something.
};

/// Sets condition Reconciling or Stalled, which must be present only while they are True.
void SetProgress(Progress progress, const std::string& reason, const std::string& message,
                 int64_t generation, WallTime now, api::Conditions& conditions);

/// A figure for a status: `seen`, unless it is so close to `shown` (a twentieth) that writing it
/// would only wake everybody who watches. Zero is never close to anything else.
int64_t SettledFigure(int64_t shown, int64_t seen);

}  // namespace cutover::server
