// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cutover::pg {

/// Statements for a session that reads tenants' tables. Behind kTablesOnly it refuses views and
/// foreign tables that are not PostgreSQL's own, until kAnyRelation: their owner may give the name
/// of a table that we have looked up to a view, whose functions would run as us. Servers before
/// August 2024 have no such setting and are left as they are (CVE-2024-7348 is what it was made
/// for).
inline constexpr char kTablesOnly[] =
    "SELECT pg_catalog.set_config('restrict_nonsystem_relation_kind', 'view, foreign-table', false)"
    " WHERE pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL";
inline constexpr char kAnyRelation[] =
    "SELECT pg_catalog.set_config('restrict_nonsystem_relation_kind', '', false)"
    " WHERE pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) IS NOT NULL";

}  // namespace cutover::pg
