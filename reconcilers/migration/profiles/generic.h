// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reconcilers/migration/profiles/profile.h"

namespace cutover::migration {

/// An application of which nothing is known but its database.
class GenericProfile final : public Profile {
 public:
  Result<std::vector<Finding>> Preflight(std::stop_token stop, Deadline deadline,
                                         pg::Connection& source) const override;
  /// {"databaseBytes": …, "figures": {"tables": …}}
  Result<Json> Baseline(std::stop_token stop, Deadline deadline,
                        pg::Connection& source) const override;
  std::vector<BuiltinCheck> Checks(const Json& baseline) const override;
};

}  // namespace cutover::migration
