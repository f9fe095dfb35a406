// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <vector>

#include "reconcilers/migration/preflight/facts.h"

namespace cutover::migration {

/// Asks the running workload, past its routes, the pages that the profile's checks for Preflight
/// ask, as the operator will after the switch. Nothing is asked of workloads that are not all up
/// (other findings say that), nor where there is no route. Blocks until the deadline, and a page no
/// longer than 10 s.
Result<std::vector<Finding>> FindUnreachable(std::stop_token stop, Deadline deadline,
                                             const PreflightInputs& inputs,
                                             const PreflightFacts& facts);

}  // namespace cutover::migration
