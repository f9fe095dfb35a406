// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// A foreign key that cannot be added where the rows of an excluded table are missing: rows of a
/// table that is copied refer to them.
struct BrokenReference {
  std::string table;       ///< schema.name, whose rows refer.
  std::string constraint;  ///< The foreign key's name.
  std::string referenced;  ///< schema.name: the excluded table.
  /// False for a part of a key to partitions, which only comes or stays behind as a whole.
  bool whole = true;

  /// As the dump's entry of the key is named.
  std::string Object() const { return "FK CONSTRAINT " + table + " " + constraint; }
};

/// Those of `connection`'s database, if the rows of the tables `excluded` ("schema.table") stayed
/// behind. Keys that are NOT VALID look at no row when they are added.
Result<std::vector<BrokenReference>> FindBrokenReferences(std::stop_token stop, Deadline deadline,
                                                          Connection& connection,
                                                          const std::vector<std::string>& excluded);

}  // namespace cutover::pg
