// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/view/migration_view.h"
#include "operator/base/clock.h"

namespace cutover::cli {

/// What happens next when nobody does anything: who or what stops the users and lets them in again,
/// and what bounds it. Empty for a migration that is over, or in a phase that this plugin does not
/// know.
std::string DescribeNext(const MigrationView& migration, WallTime now);

/// Names of the checks of hypercare that have failed at their last run; empty: none has.
std::string FailingChecks(const MigrationView& migration);

/// Why it goes back, is undone, or has ended so, as far as the status says; empty otherwise.
std::string DescribeCause(const MigrationView& migration);

/// For how long users are stopped by the cutover: ", for seconds; …", ", while 596 MB are …".
std::string CostOfCutover(const MigrationView& migration);

}  // namespace cutover::cli
