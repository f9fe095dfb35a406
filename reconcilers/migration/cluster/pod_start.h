// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// Whose pod is to start.
struct PodOwner {
  const char* kind;         ///< "Job".
  const char* image_value;  ///< Which of the chart's values names the image of its work.
  const Json& object;
  bool serves = false;  ///< It has to be ready, and not only to run.
};

/// Whether a Job that has not ended, or a Deployment that is not ready, has had time to start and
/// has no pod that runs: worth a look at its pods. Pure.
bool MayBeHindered(const Json& owner, WallTime now);

/// What keeps the newest of its `pods` from starting; nothing while one runs, or while it is too
/// early to tell: an image may be on its way, and a node be made for the pod. Pure.
std::optional<PodHindrance> FindHindrance(const PodOwner& owner, const std::vector<Json>& pods,
                                          WallTime now);

}  // namespace cutover::migration
