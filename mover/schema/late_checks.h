// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// A check constraint of a table that calls a function of the tenant's own. Such a function may
/// read other tables, which during a load are still empty, and then refuse rows that are right.
struct LateCheck {
  std::string table;       ///< Qualified and quoted.
  std::string name;        ///< Quoted.
  std::string definition;  ///< CHECK (…), with NOT VALID and NO INHERIT where it has them.
  std::string comment;
};

/// Those of the source. Left out are the ones that a child table has both inherited and declared
/// itself: taken off the parent, they would lose one of the two.
Result<std::vector<LateCheck>> ReadLateChecks(std::stop_token stop, Deadline deadline,
                                              pg::Connection& source);

/// Takes them off the target's tables, between creating and filling those. Safe to repeat.
Status RemoveLateChecks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                        const std::vector<LateCheck>& checks);

/// Puts them back when all rows are there, one transaction each, which proves them unless they were
/// NOT VALID. Safe to repeat. A row that violates one ends the run by the constraint's name: it did
/// so on the source already.
Status RestoreLateChecks(std::stop_token stop, Deadline deadline, pg::Connection& target,
                         const std::vector<LateCheck>& checks);

}  // namespace cutover::mover
