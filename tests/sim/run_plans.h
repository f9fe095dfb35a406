// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/sim/simulation.h"

namespace cutover::sim {

/// "Success/0/DieBefore@17": what Replay() takes.
std::string Describe(const RunPlan& plan);
/// The plan that Describe() wrote; one without an itinerary when the text is none.
RunPlan ParsePlan(const std::string& text);

/// The run without a fault that others of its itinerary are held against. Computed once.
const RunResult& ReferenceOf(const Itinerary& itinerary);

/// Whether everything is asked for, by hand: CUTOVER_SIM_ALL=1. Otherwise a part of it is tried,
/// the same one each time.
bool TriesEverything();

/// kSurvivedFaults, or those named in CUTOVER_SIM_FAULTS, with commas between.
const std::vector<FaultKind>& TriedFaults();

/// One to three faults of any kind at any effects of any itinerary, and anything that may come in
/// any order in the order of the seed.
RunPlan RandomPlan(uint64_t seed);

/// What many runs came to.
struct Tally {
  int64_t runs = 0;
  int64_t effects = 0;
  std::unordered_set<uint64_t> states;
  std::vector<std::string> failures;  ///< Each ends with the line that replays it.
  double seconds = 0;
};

/// Runs every plan on two threads, or until `failures_max` have failed.
Tally RunPlans(const std::vector<RunPlan>& plans, size_t failures_max = 3);

/// The same for plans of one itinerary that have one fault each and no seed: they are alike up to
/// that, so that one process runs the itinerary, and at each fault a child of it goes on from
/// there, two at a time. A run that kills its process is a failure like another.
Tally RunFromEffects(const std::vector<RunPlan>& plans, size_t failures_max = 3);

}  // namespace cutover::sim
