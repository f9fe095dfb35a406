// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/observation.h"

namespace cutover {

/// Which of the commands abort, approve, retry and rollback the operator would obey, given now to
/// `migration` where it sees `seen`: what it asked for begins, or waits for what comes by itself. A
/// command that is refused until a person says more, or is answered by nothing, is not obeyed.
std::vector<std::string> ObeyedCommands(const api::TenantMigration& migration,
                                        const migration::Observation& seen);

}  // namespace cutover
