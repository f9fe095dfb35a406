// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/inherited_defaults.h"

namespace cutover::mover {
namespace {

constexpr char kBareColumns[] = R"(
WITH RECURSIVE above (child, ancestor) AS (
  SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
   WHERE c.relkind = 'r' AND NOT c.relispartition
  UNION
  SELECT a.child, i.inhparent FROM above a
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.ancestor)
SELECT n.nspname, c.relname,
       pg_catalog.string_agg(pg_catalog.format('ALTER %I DROP DEFAULT', a.attname), ', '
                             ORDER BY a.attnum)
  FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 WHERE c.oid IN (SELECT child FROM above) AND n.nspname NOT IN ('cutover', 'information_schema')
   AND n.nspname !~ '^pg_'
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount > 0 AND NOT a.atthasdef
   AND a.attidentity = ''
   AND EXISTS (SELECT FROM above u JOIN pg_catalog.pg_attribute p ON p.attrelid = u.ancestor
                WHERE u.child = c.oid AND p.attname = a.attname AND p.atthasdef)
   AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
        AND e.objid = c.oid AND e.deptype = 'e')
 GROUP BY n.nspname, c.relname ORDER BY 1, 2)";

}  // namespace

Result<std::vector<BareColumns>> ReadBareColumns(std::stop_token stop, Deadline deadline,
                                                 pg::Connection& source) {
  TRY_ASSIGN(pg::Rows rows, source.Query(stop, deadline, kBareColumns));
  std::vector<BareColumns> bare;
  for (const pg::Row row : rows)
    bare.push_back({pg::QuoteQualified(row.Text(0), row.Text(1)), row.Text(2)});
  return bare;
}

Status DropInheritedDefaults(std::stop_token stop, Deadline deadline, pg::Connection& target,
                             const std::vector<BareColumns>& bare) {
  for (const BareColumns& columns : bare)
    TRY(target.Exec(stop, deadline,
                    "ALTER TABLE IF EXISTS ONLY " + columns.table + " " + columns.columns));
  return Ok();
}

}  // namespace cutover::mover
