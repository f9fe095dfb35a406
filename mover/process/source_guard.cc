// SPDX-License-Identifier: Apache-2.0
#include "mover/process/source_guard.h"

#include <algorithm>
#include <utility>

namespace cutover::mover {
namespace {

constexpr size_t kTablesPerLock = 200;

// A row's xmin tells who wrote it last; the sum over all rows that make up an object changes when
// one of them does. VACUUM and ANALYZE change catalog rows in place, which leaves xmin alone.
//
// A materialized view that is refreshed gets other rows in another place, and so do its indexes:
// users may do that at any time, and no row of it is copied.
constexpr char kMarks[] = R"(
WITH part (relation, mark) AS (
  SELECT attrelid, xmin::text::int8 FROM pg_catalog.pg_attribute WHERE attnum > 0
  UNION ALL SELECT conrelid, xmin::text::int8 FROM pg_catalog.pg_constraint WHERE conrelid <> 0
  UNION ALL SELECT indrelid, xmin::text::int8 FROM pg_catalog.pg_index
  UNION ALL SELECT tgrelid, xmin::text::int8 FROM pg_catalog.pg_trigger
  UNION ALL SELECT polrelid, xmin::text::int8 FROM pg_catalog.pg_policy
  UNION ALL SELECT adrelid, xmin::text::int8 FROM pg_catalog.pg_attrdef
  UNION ALL SELECT ev_class, xmin::text::int8 FROM pg_catalog.pg_rewrite),
own (relation, parts, marks) AS (SELECT relation, count(*), sum(mark) FROM part GROUP BY relation)
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'
            ELSE 'table' END || ' ' || n.nspname || '.' || c.relname,
       CASE WHEN c.relkind = 'm' OR v.relkind = 'm'
            THEN concat_ws(' ', c.oid, c.relispopulated, o.parts, o.marks)
            ELSE concat_ws(' ', c.oid, c.xmin, c.relfilenode, o.parts, o.marks) END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_class v ON v.oid = i.indrelid
LEFT JOIN own o ON o.relation = c.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '('
         || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', p.oid, p.xmin)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
UNION ALL
SELECT 'type ' || n.nspname || '.' || t.typname,
       concat_ws(' ', t.oid, t.xmin,
         (SELECT concat(count(*), ' ', sum(e.xmin::text::int8)) FROM pg_catalog.pg_enum e
           WHERE e.enumtypid = t.oid),
         (SELECT concat(count(*), ' ', sum(k.xmin::text::int8)) FROM pg_catalog.pg_constraint k
           WHERE k.contypid = t.oid))
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r')
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
UNION ALL
SELECT 'schema ' || nspname, concat_ws(' ', oid, xmin) FROM pg_catalog.pg_namespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover'))";

}  // namespace

Status LockTables(std::stop_token stop, pg::Connection& holder,
                  const std::vector<TablePlan>& tables) {
  for (size_t from = 0; from < tables.size(); from += kTablesPerLock) {
    const size_t to = std::min(from + kTablesPerLock, tables.size());
    std::string list;
    for (size_t i = from; i < to; ++i)
      list += (list.empty() ? "ONLY " : ", ONLY ") + tables[i].Qualified();
    TRY(holder.Exec(stop, Deadline::Never(), "LOCK TABLE " + list + " IN ACCESS SHARE MODE"));
  }
  return Ok();
}

Result<StructureMarks> ReadStructureMarks(std::stop_token stop, pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, Deadline::Never(), kMarks));
  StructureMarks marks;
  for (const pg::Row row : rows) marks.emplace(row.Text(0), row.Text(1));
  return marks;
}

SchemaChanges FindSchemaChanges(StructureMarks before, const StructureMarks& now) {
  SchemaChanges changes;
  for (const auto& [object, mark] : now) {
    auto found = before.find(object);
    if (found == before.end()) {
      changes.appeared.push_back(object);
      continue;
    }
    if (found->second != mark) changes.changed.push_back(object);
    before.erase(found);
  }
  for (const auto& [object, mark] : before) changes.changed.push_back(object);
  std::sort(changes.changed.begin(), changes.changed.end());
  std::sort(changes.appeared.begin(), changes.appeared.end());
  return changes;
}

}  // namespace cutover::mover
