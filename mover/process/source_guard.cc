// SPDX-License-Identifier: Apache-2.0
#include "mover/process/source_guard.h"

#include <algorithm>
#include <map>
#include <utility>

namespace cutover::mover {
namespace {

constexpr size_t kTablesPerLock = 200;

// A row's xmin tells who wrote it last; the sum over all rows that make up an object changes when
// one of them does. VACUUM and ANALYZE change catalog rows in place, which leaves xmin alone.
constexpr char kFingerprints[] = R"(
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
       concat_ws(' ', c.oid, c.xmin, c.relfilenode, o.parts, o.marks)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
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

Result<SchemaChanges> FindSchemaChanges(std::stop_token stop, pg::Connection& holder,
                                        pg::Connection& now) {
  std::map<std::string, std::string> before;
  {
    TRY_ASSIGN(pg::Rows rows, holder.Query(stop, Deadline::Never(), kFingerprints));
    for (const pg::Row row : rows) before.emplace(row.Text(0), row.Text(1));
  }
  TRY_ASSIGN(pg::Rows rows, now.Query(stop, Deadline::Never(), kFingerprints));
  SchemaChanges changes;
  for (const pg::Row row : rows) {
    auto found = before.find(row.Text(0));
    if (found == before.end()) {
      changes.appeared.push_back(row.Text(0));
      continue;
    }
    if (found->second != row.Text(1)) changes.changed.push_back(found->first);
    before.erase(found);
  }
  for (const auto& [object, fingerprint] : before) changes.changed.push_back(object);
  std::sort(changes.changed.begin(), changes.changed.end());
  std::sort(changes.appeared.begin(), changes.appeared.end());
  return changes;
}

}  // namespace cutover::mover
