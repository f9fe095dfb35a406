// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cli/cluster.h"
#include "cli/view/move_plan.h"

namespace cutover::cli {

/// What the operator would write to wiring and routes, made by its own code on copies of the
/// objects as they are now. Nothing is written. What cannot be read or told says so in its place.
std::vector<ObjectDiff> PlanChanges(const Cluster& cluster, const MoveFacts& facts);

}  // namespace cutover::cli
