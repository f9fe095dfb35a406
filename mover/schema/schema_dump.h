// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <stop_token>
#include <string>

#include "mover/plan/restore_script.h"
#include "mover/process/pg_programs.h"
#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// A database's structure as pg_dump knows it, split into its entries.
struct SchemaDump {
  RestoreScript script;
  std::set<int> pre_data;  ///< Dump ids that come before the data.
};

/// Dumps everything but schema cutover. With `snapshot` (as pg_export_snapshot names it) the
/// structure is that of the snapshot's instant. Tablespaces are left out: everything goes to the
/// target's default one. Subscriptions come without their slots (and disabled, as pg_dump writes
/// them). The archive stands in $TMPDIR while this runs.
Result<SchemaDump> DumpSchema(std::stop_token stop, Deadline deadline, const PgPrograms& programs,
                              const pg::ConnectOptions& connect, const std::string& snapshot);

}  // namespace cutover::mover
