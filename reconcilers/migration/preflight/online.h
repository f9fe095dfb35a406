// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reconcilers/migration/preflight/facts.h"

namespace cutover::migration {

/// What strategy Online asks of the tenant's database, of the way between the servers, and of the
/// poolers. `source` and `target` are the administrator's options, where they could be had.
OnlineFacts GatherOnline(std::stop_token stop, Deadline deadline, const PreflightInputs& inputs,
                         const PreflightFacts& facts, const Fact<pg::ConnectOptions>& source,
                         const Fact<pg::ConnectOptions>& target);

}  // namespace cutover::migration
