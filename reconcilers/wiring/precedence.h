// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/api/database_placement.h"
#include "reconcilers/wiring/endpoints.h"
#include "reconcilers/wiring/wiring.h"

namespace cutover::wiring {

enum class Severity {
  kWarning,   ///< Said, but not in the way.
  kBlocking,  ///< The tenant would still reach, or try to reach, the source after the switch.
};

struct Finding {
  Severity severity = Severity::kWarning;
  std::string reason;   ///< CamelCase; documented.
  std::string message;  ///< What is wrong, with object and container, and what to do.

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// What tells a workload its database and is not in the placement's wiring, so that a move would
/// leave it pointing at the source. Of Odoo's ways in: arguments beat everything; since 19 the
/// environment (PGHOST, …) beats the file; the official image turns HOST, PORT into arguments for
/// keys that the file leaves out; Bitnami's image reads its environment only once and updates all
/// modules at every start unless told not to; Doodba writes its file from the environment.
///
/// Pure. `objects` holds the placement's workloads and the ConfigMaps and Secrets that their
/// containers take their environment from (EnvironmentSources), as far as they exist.
///
/// Reasons: ArgumentOverridesWiring, EnvironmentOverridesWiring, EnvironmentNotChangeable,
/// ContainerNotFound, EnvironmentIgnored, ModulesUpdatedAtStart, PortNotWired,
/// SourceNamedElsewhere, NoWiring.
std::vector<Finding> CheckPrecedence(const api::DatabasePlacement& placement,
                                     const Objects& objects, const Sides& sides);

/// ConfigMaps and Secrets that containers of `workloads` take environment from.
std::vector<ObjectName> EnvironmentSources(const Objects& workloads);

/// Reads all that CheckPrecedence wants to know, and asks it; and finds the placement's own Service
/// ready to be led elsewhere, or ServiceNotReady, ServiceNotOurs.
Result<std::vector<Finding>> FindPrecedenceTraps(std::stop_token stop, Deadline deadline,
                                                 const Access& access,
                                                 const api::DatabasePlacement& placement,
                                                 const Sides& sides);

}  // namespace cutover::wiring
