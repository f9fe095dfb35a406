// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// Sides of the tenant that somebody else can write to; nothing unless both are known. The target
/// is closed from its creation on, the source open until the fence is proven. Pure.
std::optional<int> WritableSides(const Observation& seen);

}  // namespace cutover::migration
