// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/copy/digest.h"
#include "mover/plan/role_names.h"
#include "mover/plan/tables.h"
#include "mover/process/pg_programs.h"
#include "mover/process/reporter.h"
#include "mover/schema/large_objects.h"
#include "mover/schema/schema_dump.h"
#include "mover/verify/localize.h"
#include "mover/verify/report.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/roles.h"

namespace cutover::mover {

/// What a clone learned about the source while it passed. With it, verifying reads only the target.
struct SourceFacts {
  std::map<std::string, RowsSeen> rows;  ///< By TablePlan::Qualified().
  LargeObjects large_objects;
  SchemaDump structure;
  pg::RoleSet roles;  ///< Under their own names.
  /// The copy's ledger on the target: by what was copied it is said where a table differs.
  std::string migration_uid;
  int attempt = 1;
};

struct VerifyOptions {
  pg::ConnectOptions source;
  pg::ConnectOptions target;
  VerificationLevel level = VerificationLevel::kRows;
  int jobs = 2;         ///< Connections that read rows, on each side.
  int seconds_max = 0;  ///< 0: no bound.
  std::vector<std::string> exclude_tables;
  /// Objects that may differ, by the names of FindObstacles(): their differences become warnings.
  std::vector<std::string> accept;
  RoleNames role_names;  ///< Roles that have another name on the target.
  /// Whether owner, grants and connection limit of the database itself must be equal. Not while one
  /// side is fenced.
  bool compare_access = true;
  /// Whether nobody writes to the source. Where users do, its rows are those of SourceFacts, which
  /// must be given, and sequences are not compared.
  bool source_at_rest = true;
  /// A file that keeps which tables were found equal, and which parts of big ones were read, so
  /// that a run that was ended by its bound, or by anything else, can be continued. Level Rows,
  /// without SourceFacts. Empty: nothing is kept.
  std::string state_file;
  int64_t chunk_bytes = int64_t{64} << 20;  ///< As ReadTerms::chunk_bytes.
  LocalizeTerms localize;
};

/// Compares two databases at rest, except their schemas cutover. The report is complete for its
/// level: anything that could not be compared makes the call fail. Reason "VerificationTimeout"
/// when `seconds_max` ran out; its message says how to go on.
///
/// Rows of both sides and the structure are read at the same time, each side under one snapshot.
/// Of tables that differ the report says where (mover/verify/localize.h), as far as the bound
/// allows; of a source that was known by facts, the chunks that are not as they were copied
/// (mover/verify/copied_chunks.h), and whether the source still holds what was copied.
Result<Report> VerifyDatabases(std::stop_token stop, const PgPrograms& programs,
                               const VerifyOptions& options, std::optional<SourceFacts> known,
                               Reporter& reporter);

}  // namespace cutover::mover
