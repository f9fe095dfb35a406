// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// Columns without a default that would inherit one while a dump is restored: a table two or more
/// levels below one that has it, whose parent was told to DROP DEFAULT. A dump creates all three
/// with what they inherit and takes the parent's default away afterwards; of the child it says
/// nothing, since neither it nor its parent has any. What an application's INSERT leaves out would
/// be another value after the move.
struct BareColumns {
  std::string table;    ///< Qualified and quoted.
  std::string columns;  ///< "ALTER a DROP DEFAULT, ALTER b DROP DEFAULT"
};

/// Those of the source. Not of partitions, which a dump creates alone and attaches.
Result<std::vector<BareColumns>> ReadBareColumns(std::stop_token stop, Deadline deadline,
                                                 pg::Connection& source);

/// Takes what they have inherited off the target's, once all tables and defaults are restored. Safe
/// to repeat.
Status DropInheritedDefaults(std::stop_token stop, Deadline deadline, pg::Connection& target,
                             const std::vector<BareColumns>& bare);

}  // namespace cutover::mover
