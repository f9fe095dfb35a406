// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "reconcilers/migration/checks/check.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

/// What the product knows about one kind of application. Everything else of a migration works the
/// same for every tenant. Profiles have no state: one instance serves all threads.
class Profile {
 public:
  virtual ~Profile() = default;

  /// What about the application itself stands in the way of a move. `source` is the operator's
  /// session in the tenant's database; a profile reads plain tables there and nothing else, since
  /// a view of the tenant's would run the tenant's code with the operator's rights.
  virtual Result<std::vector<Finding>> Preflight(std::stop_token stop, Deadline deadline,
                                                 pg::Connection& source) const = 0;

  /// Figures of the fenced source that the target must show again. Never holds a secret. Kept by
  /// the caller until the checks have passed. Same rule as for Preflight.
  virtual Result<Json> Baseline(std::stop_token stop, Deadline deadline,
                                pg::Connection& source) const = 0;

  /// The checks that compare the running tenant with `baseline`; null when none was taken, which
  /// leaves out what needs one.
  virtual std::vector<BuiltinCheck> Checks(const Json& baseline) const = 0;
};

/// The profile of that type. Never destroyed.
const Profile& ProfileOf(api::ProfileType type);

}  // namespace cutover::migration
