// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "tests/sim/simulation.h"

namespace cutover::sim {

// What itineraries of either strategy are made of, and those that are the same for both.

using Command = std::function<void(Simulation&)>;

Command Say(const char* annotation, const char* token = "t1");
Command Delete();
Json Spec(const char* json);
std::function<void(Surroundings&)> With(bool Misfortune::*what);
/// Of what is held long enough to be asked its preflight twice, and then let go.
Command Resume();

/// Whether somebody's transaction is prepared in the tenant's database there.
void SetPrepared(ModelServer& server, bool is_there);

/// By those who are tried on the target and come to nothing, before any user was in.
Itinerary TransactionIsLeftPreparedByWorkloads();
/// A node has died, and nobody removes it: what it had is told to end, and stays.
void AddDeadNodes(std::vector<Itinerary>& all);
void AddCommonFailures(std::vector<Itinerary>& all);
/// Somebody has dropped the source database, for its disk, or its server was built anew.
/// `hypercare` is a spec that has one.
void AddLostSources(std::vector<Itinerary>& all, const Json& hypercare);
/// The target's database is lost while users work there, and nobody goes back at once.
void AddLostTargets(std::vector<Itinerary>& all, const Json& hypercare);
/// Whoever was to log in with the new one would be shut out, on the side to which the move goes.
Itinerary PasswordIsChangedBeforeTheDoorsClose(Json manual);

/// All of strategy Online, by this way to switch.
std::vector<Itinerary> OnlineItineraries(api::SwitchMode mode);

}  // namespace cutover::sim
