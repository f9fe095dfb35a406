// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cutover::mover {

/// pg_dump 18 writes down that a table forbids NULL in a column it inherits by a clause that only
/// servers from 18 on can read, whatever the source's major:
///
///   CREATE TABLE child (
///       NOT NULL id,
///       more text
///   )
///   INHERITS (parent);
///
/// Returns the text of such an entry with the statement that every major knows instead, at its end:
/// `ALTER TABLE ONLY child ALTER COLUMN id SET NOT NULL;`. Clauses that say more (a constraint's
/// name, NO INHERIT) stay: only an 18 can be their source. Any other text is returned as it is.
std::string WithoutNotNullClauses(std::string sql);

}  // namespace cutover::mover
