// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "mover/clone.h"
#include "mover/plan/restore_schedule.h"
#include "mover/plan/tables.h"
#include "mover/process/pg_programs.h"
#include "mover/process/side.h"
#include "mover/schema/column_orders.h"
#include "mover/schema/extensions.h"
#include "mover/schema/inherited_defaults.h"
#include "mover/schema/late_checks.h"
#include "mover/schema/schema_dump.h"
#include "operator/base/result.h"
#include "postgres/database.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// All that is known of the source before anything is written: what is there, under one snapshot.
struct Survey {
  pg::DatabaseProperties properties;
  bool has_public_schema = true;
  pg::RoleSet roles;              ///< That come along, under the names that they will have.
  pg::RoleSet source_roles;       ///< All, under their own names.
  std::vector<TablePlan> tables;  ///< In the order of their copy.
  std::vector<Extension> extensions;
  std::vector<LateCheck> late_checks;
  std::vector<BareColumns> bare_columns;
  std::vector<ColumnOrder> column_orders;
  std::vector<std::string> matviews;  ///< Those that are filled, in an order to fill them.
  SchemaDump structure;
  RestoreSchedule schedule;        ///< Points into `structure`; movable with it, not copyable.
  std::vector<std::string> notes;  ///< What people must know, for the report.

  Survey() = default;
  Survey(Survey&&) = default;
  Survey& operator=(Survey&&) = default;
};

/// The source under the snapshot that the options name, or one of its own.
Result<Side> OpenSource(std::stop_token stop, const CloneOptions& options);

/// Reads the source, with its tables locked against being altered until `source` is closed. Nothing
/// is written anywhere. Terminal where something cannot come along: see plan/obstacles.h.
Result<Survey> SurveySource(std::stop_token stop, const PgPrograms& programs,
                            const CloneOptions& options, Side& source);

}  // namespace cutover::mover
