// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/endpoints.h"

namespace cutover::wiring {

/// Those objects of a placement that a move changes.
struct ObjectsOfAMove {
  bool wiring = false;  ///< What tells workloads where their database is, the Service's slices too.
  bool doors = false;   ///< Workloads and routes.
};

/// Makes older requests come too late: gives each of the objects another resourceVersion. All that
/// a move asks for is on condition of the version that was read, so whatever is still on its way
/// from a leader that froze in its request is refused from here on.
///
/// Each object is written twice: a label comes and goes. (No annotation: a Deployment's controller
/// copies those to its ReplicaSets, and their coming counts as another generation.) Nothing else of
/// it changes. Labels go under kPuttingBack, as Git may compare them again. The label of somebody
/// who died in here goes with the next call.
///
/// What is not there is passed over, and so is, with a warning, what the API server will not have
/// changed by us (Forbidden, or an error that is terminal): it would refuse the late request, too.
///
/// *Caveat*: an EndpointSlice of a family of addresses that is not there has no version yet; a late
/// one is found by the placement's next look at its Service.
///
/// *Errors* are the client's own. From any thread.
Status OutdateRequests(std::stop_token stop, Deadline deadline, const Access& access,
                       const api::DatabasePlacement& placement, ObjectsOfAMove objects);

}  // namespace cutover::wiring
