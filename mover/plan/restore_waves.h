// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "mover/plan/restore_schedule.h"

namespace cutover::mover {

/// Units that may be restored at the same time, each in a transaction of its own.
using RestoreWave = std::vector<RestoreUnit>;

/// Pure. Cuts items that a dump lists one after the other into waves: all of a wave must be there
/// before the next begins, and within one nothing waits for anything.
///
/// Only what a database has thousands of is spread out: tables, sequences, and the defaults,
/// comments and grants on them, by the dependencies that the dump names. Everything else (types,
/// functions, views …) keeps its place in the order, alone: of those a dump does not promise to
/// name every dependency, which is why pg_restore does all of this on one connection.
/// What belongs to one table stays together, so that units do not wait for each other's locks.
std::vector<RestoreWave> PlanWaves(const std::vector<const RestoreItem*>& items);

}  // namespace cutover::mover
