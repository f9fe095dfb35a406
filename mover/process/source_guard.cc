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
// users may do that at any time, and no row of it is copied. Nor is a publication of our own part
// of the tenant.
constexpr char kMarks[] = R"(
WITH part (relation, mark) AS (
  SELECT attrelid, xmin::text::int8 FROM pg_catalog.pg_attribute WHERE attnum > 0
  UNION ALL SELECT conrelid, xmin::text::int8 FROM pg_catalog.pg_constraint WHERE conrelid <> 0
  UNION ALL SELECT indrelid, xmin::text::int8 FROM pg_catalog.pg_index
  UNION ALL SELECT tgrelid, xmin::text::int8 FROM pg_catalog.pg_trigger
  UNION ALL SELECT polrelid, xmin::text::int8 FROM pg_catalog.pg_policy
  UNION ALL SELECT adrelid, xmin::text::int8 FROM pg_catalog.pg_attrdef
  UNION ALL SELECT seqrelid, xmin::text::int8 FROM pg_catalog.pg_sequence
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
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover')
UNION ALL
SELECT 'statistics object ' || n.nspname || '.' || s.stxname, concat_ws(' ', s.oid, s.xmin)
FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
UNION ALL
SELECT concat('default privileges of role ', pg_catalog.pg_get_userbyid(d.defaclrole),
         ' in schema ' || n.nspname, ' on ', CASE d.defaclobjtype WHEN 'r' THEN 'tables'
           WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
           WHEN 'n' THEN 'schemas' ELSE 'large objects' END),
       concat_ws(' ', d.oid, d.xmin)
FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
UNION ALL
SELECT 'extension ' || extname, concat_ws(' ', oid, xmin) FROM pg_catalog.pg_extension
UNION ALL
SELECT 'cast from ' || pg_catalog.format_type(castsource, NULL) || ' to '
         || pg_catalog.format_type(casttarget, NULL), concat_ws(' ', oid, xmin)
FROM pg_catalog.pg_cast WHERE oid >= 16384
UNION ALL
SELECT 'event trigger ' || evtname, concat_ws(' ', oid, xmin) FROM pg_catalog.pg_event_trigger
UNION ALL
SELECT 'publication ' || p.pubname,
       concat_ws(' ', p.oid, p.xmin,
         (SELECT concat(count(*), ' ', sum(r.xmin::text::int8)) FROM pg_catalog.pg_publication_rel r
           WHERE r.prpubid = p.oid)%SCHEMAS%)
FROM pg_catalog.pg_publication p WHERE p.pubname !~ '^cutover_'
UNION ALL
SELECT 'foreign server ' || srvname, concat_ws(' ', oid, xmin) FROM pg_catalog.pg_foreign_server)";

constexpr int kMajorOfPublishedSchemas = 15;
constexpr char kPublishedSchemas[] = R"(,
         (SELECT concat(count(*), ' ', sum(s.xmin::text::int8))
           FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = p.oid))";

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
  std::string sql = kMarks;
  constexpr std::string_view kPlace = "%SCHEMAS%";
  const bool has_schemas = connection.major_version() >= kMajorOfPublishedSchemas;
  sql.replace(sql.find(kPlace), kPlace.size(), has_schemas ? kPublishedSchemas : "");
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, Deadline::Never(), sql));
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
