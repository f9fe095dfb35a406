// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/view/migration_view.h"
#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/base/clock.h"
#include "operator/base/result.h"

namespace cutover::cli {

/// What became of looking for an object: it, nothing where there is none, or why it could not be
/// read, which is not the same (a tenant's own people often may not read servers).
template <class T>
using Lookup = Result<std::optional<T>>;

/// The lease that the leading operator renews.
struct OperatorLease {
  std::string holder;  ///< Empty: given back, nobody leads.
  std::optional<WallTime> renewed_at;
  std::chrono::seconds duration{15};
};

/// One migration and what belongs to it, as read at `now` by this machine's clock.
struct Snapshot {
  WallTime now;
  MigrationView migration;
  Lookup<api::DatabasePlacement> placement;
  Lookup<api::DatabaseServer> source, target;
  Lookup<OperatorLease> lease;
};

}  // namespace cutover::cli
