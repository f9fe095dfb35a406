// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "mover/plan/role_names.h"
#include "mover/process/pg_programs.h"
#include "mover/process/side.h"
#include "mover/schema/large_objects.h"
#include "mover/schema/schema_dump.h"
#include "mover/verify/report.h"
#include "operator/base/result.h"
#include "postgres/roles.h"

namespace cutover::mover {

struct CatalogTerms {
  VerificationLevel level = VerificationLevel::kRows;
  bool compare_access = true;  ///< As VerifyOptions::compare_access.
  bool compare_sequences = true;
  /// Roles that have another name on the target. What is known of the source has them already.
  const RoleNames* role_names = nullptr;
  /// What the source is known to have, and is not read again. Null: it is read.
  const LargeObjects* known_large_objects = nullptr;
  const pg::RoleSet* known_roles =
      nullptr;                            ///< Under the source's names, as whoever asks knows them.
  SchemaDump* known_structure = nullptr;  ///< Moved from: it is large, and nobody needs it after.
};

/// Compares everything of two databases that is not rows of tables: sequences, and at level Rows
/// large objects, extensions, the database's properties, its roles with their memberships and
/// settings, which materialized views are filled, and the structure. Adds what differs to `report`,
/// and the version of pg_dump. Uses the connections of both sides, and for the structure others
/// under the same snapshots.
Status CompareCatalogs(std::stop_token stop, const PgPrograms& programs, Side& source, Side& target,
                       const CatalogTerms& terms, Report& report);

}  // namespace cutover::mover
