// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "operator/api/database_placement.h"
#include "operator/base/clock.h"
#include "reconcilers/placement/observe.h"

namespace cutover::placement {

/// Whether the tenant's database is on the server, and its owner and login are good there. Pure.
bool TenantIsFound(const PlacementObservation& observation);

/// The status that an observation asks for. Pure.
///
/// Ready's reasons, in the order of the checks, the first that fails: ServerNotChosen,
/// ServerNotFound, ServerNotReady, NamespaceNotAllowed, PasswordMissing, DatabaseNotObserved,
/// DatabaseNotFound, OwnerDiffers, TenantLoginFailed, ServiceNotCurrent; else Ready.
/// InSync's: InSync, WiringDrifted, PinnedElsewhere, Unknown. WiringDrifted's: AsExpected, Drifted,
/// Unknown. While a migration moves the tenant all three say Migrating: what it changes is no
/// drift. Only a spec that has changed since the migration took it down makes InSync say
/// ChangeQueued.
///
/// status.serverName is set once, when the tenant has been found there; afterwards only a migration
/// changes it.
api::DatabasePlacementStatus DecideStatus(const PlacementObservation& observation, WallTime now);

/// The migration by whose finalizer a placement that is deleted stays.
struct Holder {
  std::string migration_name;  ///< Empty: there is none any more.
  bool is_over = false;        ///< Rolled back: its copy on the target is still there.
};

/// The status of a placement that is deleted and held: Ready says Deleting, and by whom it is held.
/// The rest stays as it was. Pure.
api::DatabasePlacementStatus DecideStatusOfHeld(const api::DatabasePlacement& placement,
                                                const Holder& holder, WallTime now);

}  // namespace cutover::placement
