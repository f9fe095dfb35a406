// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover::wiring {

/// Which of the objects that a move of a placement changes.
struct Outdated {
  bool wiring = false;  ///< What tells workloads where their database is, the Service's slices too.
  bool doors = false;   ///< Workloads and routes.
};

/// Makes older requests come too late: gives each of the objects another resourceVersion, and
/// changes nothing of it. All that a move asks for is on condition of the version that was read, so
/// whatever is still on its way from a leader that froze in its request is refused from here on.
///
/// Each object is written twice: an annotation comes and goes. What is not there is passed over.
/// *Errors* are the client's own. From any thread.
Status OutdateRequests(std::stop_token stop, Deadline deadline, const Access& access,
                       const api::DatabasePlacement& placement, Outdated what);

}  // namespace cutover::wiring
