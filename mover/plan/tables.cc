// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/tables.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "postgres/excluded_tables.h"

namespace cutover::mover {
namespace {

// Types whose binary form is the same on every server: built in, and without OIDs of other types
// inside. What is not on the list goes as text: enums' arrays, composites, reg* (their numbers mean
// nothing elsewhere), extensions' types.
constexpr char kBinaryTypes[] =
    "'bool','bytea','char','name','int8','int2','int4','text','oid','json','jsonb','float4',"
    "'float8','numeric','bpchar','varchar','date','time','timetz','timestamp','timestamptz',"
    "'interval','bit','varbit','uuid','inet','cidr','macaddr','macaddr8','point','lseg','box',"
    "'path','polygon','line','circle','tsvector','int4range','int8range','numrange','daterange',"
    "'tsrange','tstzrange'";

// A value of megabytes lies in TOAST, compressed to no less than the 255th part (lz4's best; pglz
// does worse), and so does one that is worth a look: below that it cannot be of 8 MiB.
constexpr int64_t kToastBytesMin = 16 << 10;
constexpr int64_t kStoredBytesToLook = 32 << 10;

// Of texts and bytea octet_length() reads only the pointer into TOAST. Of other types nobody knows
// what they are when sent, so they are sent, but only those that are stored as something large.
//
// Extension members are left out unless the extension registered them for dumping. A domain travels
// as what it is made of, an array as its elements do.
constexpr char kTables[] = R"(
WITH RECURSIVE base (type, basis) AS (
  SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
  UNION ALL SELECT d.oid, b.basis FROM pg_catalog.pg_type d JOIN base b ON b.type = d.typbasetype
  WHERE d.typtype = 'd'),
binary_type (type) AS (
  SELECT b.type FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.basis
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
  WHERE t.typtype = 'e' OR (t.typnamespace = 'pg_catalog'::regnamespace AND t.oid < 10000
        AND (t.typname IN (%BINARY%)
             OR e.typname IN (%BINARY%)))),
row_bytes (relation, sql) AS (
  SELECT c.oid, pg_catalog.string_agg(pg_catalog.replace(
           CASE WHEN t.oid IN ('pg_catalog.text'::regtype, 'pg_catalog.varchar'::regtype,
                               'pg_catalog.bpchar'::regtype, 'pg_catalog.bytea'::regtype)
                THEN 'coalesce(pg_catalog.octet_length(%COLUMN%)::bigint, 0)'
                WHEN EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.castsource = t.oid
                             AND k.casttarget = 'pg_catalog.text'::regtype AND k.castmethod = 'b')
                THEN 'coalesce(pg_catalog.octet_length(%COLUMN%::pg_catalog.text)::bigint, 0)'
                ELSE 'CASE WHEN pg_catalog.pg_column_size(%COLUMN%) > %LOOK%'
                     ' THEN pg_catalog.octet_length('
                     || coalesce(pg_catalog.quote_ident(m.nspname) || '.'
                                 || pg_catalog.quote_ident(f.proname), 'pg_catalog.concat')
                     || '(%COLUMN%))::bigint ELSE 0 END' END,
           '%COLUMN%', pg_catalog.quote_ident(a.attname)), ' + ' ORDER BY a.attnum)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
  JOIN base b ON b.type = a.atttypid
  JOIN pg_catalog.pg_type t ON t.oid = b.basis
  LEFT JOIN pg_catalog.pg_proc f ON f.oid = t.typsend
  LEFT JOIN pg_catalog.pg_namespace m ON m.oid = f.pronamespace
  WHERE c.relkind = 'r' AND c.reltoastrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attlen = -1 AND a.attgenerated = '' AND t.typtype <> 'd'
    AND pg_catalog.pg_relation_size(c.reltoastrelid) >= %TOAST%
  GROUP BY c.oid)
SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_table_size(c.oid),
       greatest(c.reltuples, 0)::bigint,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attnum),
       e.oid IS NOT NULL,
       coalesce(e.extcondition[array_position(e.extconfig, c.oid)], ''),
       pg_catalog.pg_relation_size(c.oid)
         / pg_catalog.current_setting('block_size')::bigint,
       c.relam = (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'heap'),
       NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     AND a.atttypid NOT IN (SELECT type FROM binary_type)),
       coalesce(w.sql, '')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass
     AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
LEFT JOIN row_bytes w ON w.relation = c.oid
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
  AND (e.oid IS NULL OR c.oid = ANY (e.extconfig)))";

constexpr char kObjects[] = R"(
SELECT i.indexrelid, t.oid, pg_catalog.pg_table_size(t.oid), t.relkind, true, n.nspname, t.relname,
       '', 0::oid, pg_catalog.pg_relation_size(i.indexrelid)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname !~ '^pg_'
UNION ALL
SELECT k.oid, t.oid, pg_catalog.pg_table_size(t.oid), t.relkind, k.convalidated, n.nspname,
       t.relname, k.conname, k.confrelid, 0
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname !~ '^pg_')";

std::string ColumnList(const TablePlan& table) {
  // Without a list COPY takes all columns but generated ones: here there are none to name.
  if (table.columns.empty()) return "";
  std::string list;
  for (const std::string& column : table.columns)
    list += (list.empty() ? "" : ", ") + pg::QuoteIdentifier(column);
  return " (" + list + ")";
}

std::string FilledIn(std::string sql) {
  const std::pair<std::string_view, std::string> places[] = {
      {"%BINARY%", kBinaryTypes},
      {"%TOAST%", std::to_string(kToastBytesMin)},
      {"%LOOK%", std::to_string(kStoredBytesToLook)}};
  for (const auto& [place, text] : places)
    for (size_t at = 0; (at = sql.find(place, at)) != std::string::npos;)
      sql.replace(at, place.size(), text);
  return sql;
}

}  // namespace

std::string TablePlan::Qualified() const { return pg::QuoteQualified(schema, name); }
std::string TablePlan::Display() const { return schema + "." + name; }

Result<std::vector<TablePlan>> ReadTables(std::stop_token stop, Deadline deadline,
                                          pg::Connection& connection) {
  static const std::string sql = FilledIn(kTables);
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, sql));
  std::vector<TablePlan> tables;
  tables.reserve(static_cast<size_t>(rows.size()));
  for (const pg::Row row : rows) {
    TablePlan table;
    table.oid = static_cast<uint32_t>(row.Int(0));
    table.schema = row.Text(1);
    table.name = row.Text(2);
    table.bytes = row.Int(3);
    table.rows_estimate = row.Int(4);
    table.columns = row.TextArray(5);
    table.extension_member = row.Bool(6);
    table.condition = row.Text(7);
    table.blocks = row.Int(8);
    table.heap = row.Bool(9);
    // Without a column there is nothing to save, and binary rows of no fields are not worth a test.
    table.binary = row.Bool(10) && !table.columns.empty();
    table.row_bytes_sql = row.Text(11);
    tables.push_back(std::move(table));
  }
  return tables;
}

Result<TablesByObject> ReadTablesByObject(std::stop_token stop, Deadline deadline,
                                          pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kObjects));
  TablesByObject objects;
  for (const pg::Row row : rows) {
    TableOfObject table;
    table.table_oid = static_cast<uint32_t>(row.Int(1));
    table.table_bytes = row.Int(2);
    table.plain_table = row.Text(3) == "r";
    table.materialized_view = row.Text(3) == "m";
    table.validated = row.Bool(4);
    table.table = pg::QuoteQualified(row.Text(5), row.Text(6));
    table.constraint = row.Text(7).empty() ? "" : pg::QuoteIdentifier(row.Text(7));
    table.referenced_oid = static_cast<uint32_t>(row.Int(8));
    table.bytes = row.Int(9);
    objects.emplace(static_cast<uint32_t>(row.Int(0)), std::move(table));
  }
  return objects;
}

Status ExcludeTables(const std::vector<std::string>& names, std::vector<TablePlan>& tables) {
  for (const std::string& name : names) {
    auto found = std::find_if(tables.begin(), tables.end(),
                              [&](const TablePlan& table) { return table.Display() == name; });
    if (found == tables.end())
      return TerminalError("NoSuchTable", "excluded table '" + name +
                                              "' is not in the source database; correct its name "
                                              "(schema.table) or take it off the list");
    found->excluded = true;
  }
  return Ok();
}

Status ExcludeTables(std::stop_token stop, Deadline deadline, pg::Connection& connection,
                     const std::vector<std::string>& names, std::vector<TablePlan>& tables) {
  Status marked = ExcludeTables(names, tables);
  if (marked) return marked;
  TRY_ASSIGN(auto others, pg::FindNotExcludable(stop, deadline, connection, names));
  for (const pg::NotExcludable& other : others)
    if (other.partitioned)
      return TerminalError("PartitionedTable", "excluded table " + other.WhatToName());
  return marked;
}

void OrderForCopy(std::vector<TablePlan>& tables) {
  std::sort(tables.begin(), tables.end(), [](const TablePlan& a, const TablePlan& b) {
    return std::tie(b.bytes, a.schema, a.name) < std::tie(a.bytes, b.schema, b.name);
  });
}

std::string BlockRange::Describe() const {
  if (whole()) return "";
  return "blocks " + std::to_string(from) + "-" + (to ? std::to_string(*to - 1) : "");
}

std::string ConditionOf(const TablePlan& table, const BlockRange& range) {
  // Whatever an extension says there is taken as a whole, so such a table is never split.
  if (range.whole() || !table.condition.empty()) return table.condition;
  // The first tuple of a block is number 1, so "less than (block,0)" ends before the block.
  std::string blocks = "ctid >= '(" + std::to_string(range.from) + ",0)'";
  if (range.to) blocks += " AND ctid < '(" + std::to_string(*range.to) + ",0)'";
  return "WHERE " + blocks;
}

std::string CopyOutStatement(const TablePlan& table, std::string_view condition) {
  if (condition.empty()) return "COPY " + table.Qualified() + ColumnList(table) + " TO STDOUT";
  std::string list = ColumnList(table);
  list = list.empty() ? " " : " " + list.substr(2, list.size() - 3) + " ";
  return "COPY (SELECT" + list + "FROM ONLY " + table.Qualified() + " " + std::string(condition) +
         ") TO STDOUT";
}

std::string CopyInStatement(const TablePlan& table) {
  return "COPY " + table.Qualified() + ColumnList(table) + " FROM STDIN";
}

std::string CopyOptions(RowFormat format, std::string_view encoding, bool freeze) {
  std::string options =
      format == RowFormat::kBinary ? "FORMAT binary" : "ENCODING " + pg::QuoteLiteral(encoding);
  if (freeze) options += ", FREEZE";
  return " WITH (" + options + ")";
}

std::string EmptyStatement(const TablePlan& table) {
  if (!table.extension_member) return "TRUNCATE ONLY " + table.Qualified();
  // Another of the extension's tables may refer to it, which TRUNCATE would not look at.
  std::string sql = "DELETE FROM ONLY " + table.Qualified();
  return table.condition.empty() ? sql : sql + " " + table.condition;
}

std::string CountStatement(const TablePlan& table) {
  return "SELECT pg_catalog.count(*) FROM ONLY " + table.Qualified() + " " + table.condition;
}

}  // namespace cutover::mover
