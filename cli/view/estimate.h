// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/view/migration_view.h"

namespace cutover::cli {

/// What an estimate is made of: nothing but what the API server has.
struct EstimateFacts {
  int64_t database_bytes = 0;  ///< With indexes, as PostgreSQL counts; 0: not known.
  std::string target_server_name;
  std::string strategy, switch_by;
  int64_t rate_mebibytes_per_second_max = 0;  ///< Ordered; 0: no limit.
  std::vector<MigrationView> migrations;      ///< All that may be read, in any order.
  std::string where = "in this cluster";      ///< What "all" is: in messages.
};

/// How long the copy may take, and what that rests on, or why nobody knows: from the rates of the
/// last copies to the same target, or else to any, that no limit of their own held back; a limit
/// that is ordered now bounds them. Pure.
std::string EstimateCopy(const EstimateFacts& facts);

/// How long users cannot write, likewise: from the last moves of the same strategy and switch,
/// where it does not grow with the database; Offline it is that of the copy at least. Pure.
std::string EstimatePause(const EstimateFacts& facts);

}  // namespace cutover::cli
