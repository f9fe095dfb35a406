// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mover/plan/restore_script.h"
#include "mover/verify/report.h"

namespace cutover::mover {

/// Compares two databases' structure as the same pg_dump wrote it down: tables, columns, defaults,
/// indexes, constraints and whether they were proven, triggers and whether they fire, views,
/// functions, policies, comments, owners, grants, default privileges … whatever a dump carries.
/// Pure. Order does not matter, neither of objects nor of grants, nor of the columns of a table
/// that inherits: a dump puts the inherited ones first, whatever their order was (a warning says
/// so). Extensions are left out: their version may rightly differ and is compared elsewhere.
void CompareStructure(const RestoreScript& source, const RestoreScript& target, Report& report);

}  // namespace cutover::mover
