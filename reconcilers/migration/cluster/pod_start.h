// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// Whether a Job that has not ended has had time to start and has no pod that runs: worth a look at
/// its pods. Pure.
bool MayBeHindered(const Json& job, WallTime now);

/// What keeps the newest of its `pods` from starting; nothing while one runs, or while it is too
/// early to tell: an image may be on its way, and a node be made for the pod. Pure.
std::optional<PodHindrance> FindHindrance(const Json& job, const std::vector<Json>& pods,
                                          WallTime now);

}  // namespace cutover::migration
