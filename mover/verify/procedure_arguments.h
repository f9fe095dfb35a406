// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "mover/plan/restore_script.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// The first major that writes a procedure as `forget(IN who integer)`: before, without the IN.
inline constexpr int kMajorOfProcedureModes = 14;

/// Puts the newer spelling into `script`, which a dump of `source`, an older server, has given.
/// Only the word IN is added, where the catalog says that it is meant: another argument, type, mode
/// or default still differs.
Status SpellProcedureArguments(std::stop_token stop, pg::Connection& source, RestoreScript& script);

}  // namespace cutover::mover
