// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/tables.h"

#include <algorithm>
#include <tuple>

namespace cutover::mover {
namespace {

// Extension members are left out unless the extension registered them for dumping.
constexpr char kTables[] = R"(
SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_table_size(c.oid),
       greatest(c.reltuples, 0)::bigint,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attnum),
       e.oid IS NOT NULL,
       coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass
     AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
  AND (e.oid IS NULL OR c.oid = ANY (e.extconfig)))";

constexpr char kObjects[] = R"(
SELECT i.indexrelid, t.oid, pg_catalog.pg_table_size(t.oid), t.relkind, true, n.nspname, t.relname,
       ''
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname !~ '^pg_'
UNION ALL
SELECT k.oid, t.oid, pg_catalog.pg_table_size(t.oid), t.relkind, k.convalidated, n.nspname,
       t.relname, k.conname
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

}  // namespace

std::string TablePlan::Qualified() const { return pg::QuoteQualified(schema, name); }
std::string TablePlan::Display() const { return schema + "." + name; }

Result<std::vector<TablePlan>> ReadTables(std::stop_token stop, Deadline deadline,
                                          pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kTables));
  std::vector<TablePlan> tables;
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

void OrderForCopy(std::vector<TablePlan>& tables) {
  std::sort(tables.begin(), tables.end(), [](const TablePlan& a, const TablePlan& b) {
    return std::tie(b.bytes, a.schema, a.name) < std::tie(a.bytes, b.schema, b.name);
  });
}

std::string CopyOutStatement(const TablePlan& table) {
  if (table.condition.empty())
    return "COPY " + table.Qualified() + ColumnList(table) + " TO STDOUT";
  std::string list = ColumnList(table);
  list = list.empty() ? " " : " " + list.substr(2, list.size() - 3) + " ";
  return "COPY (SELECT" + list + "FROM ONLY " + table.Qualified() + " " + table.condition +
         ") TO STDOUT";
}

std::string CopyInStatement(const TablePlan& table, bool freeze) {
  return "COPY " + table.Qualified() + ColumnList(table) + " FROM STDIN" +
         (freeze ? " WITH (FREEZE)" : "");
}

std::string EmptyStatement(const TablePlan& table) {
  if (table.condition.empty()) return "TRUNCATE ONLY " + table.Qualified();
  return "DELETE FROM ONLY " + table.Qualified() + " " + table.condition;
}

std::string CountStatement(const TablePlan& table) {
  return "SELECT count(*) FROM ONLY " + table.Qualified() + " " + table.condition;
}

}  // namespace cutover::mover
