// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "tests/sim/simulation.h"

namespace cutover::sim {

/// Everything that people and machines make of a migration: success, failures of every part,
/// aborts, rollbacks, deletions, retries, suspension, approval, windows, rivals.
const std::vector<Itinerary>& Itineraries();

/// Null when there is none of that name.
const Itinerary* FindItinerary(std::string_view name);

}  // namespace cutover::sim
