// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/column_orders.h"

#include <algorithm>
#include <utility>

#include "mover/plan/sql_tokens.h"

namespace cutover::mover {
namespace {

/// The columns of tables that inherit, and which parent gives each first. Extensions make their
/// tables themselves.
constexpr char kInheriting[] = R"(
SELECT c.oid AS child, n.nspname, c.relname, a.attnum, a.attname, a.atttypid, a.atttypmod,
       a.attcollation, a.attgenerated, f.inhseqno, f.attnum AS parent_attnum, f.attstorage
  FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN LATERAL (
         SELECT i.inhseqno, p.attnum, p.attstorage
           FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_attribute p ON p.attrelid = i.inhparent
                AND p.attname = a.attname AND p.attnum > 0 AND NOT p.attisdropped
          WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1) f ON true
 WHERE c.relkind IN ('r', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
   AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
   AND NOT EXISTS (
     SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
        AND e.objid = c.oid AND e.deptype = 'e'))";

// The order that a restored parent has is the source's: it is moulded as well where it must be.
constexpr char kOtherOrders[] = R"(
SELECT child, nspname, relname,
       pg_catalog.string_agg(pg_catalog.quote_ident(attname) || ' '
         || pg_catalog.format_type(atttypid, atttypmod)
         || CASE WHEN attcollation <> 0 AND attcollation <> t.typcollation
                 THEN (SELECT ' COLLATE ' || pg_catalog.quote_ident(s.nspname) || '.'
                              || pg_catalog.quote_ident(l.collname)
                         FROM pg_catalog.pg_collation l
                              JOIN pg_catalog.pg_namespace s ON s.oid = l.collnamespace
                        WHERE l.oid = attcollation) ELSE '' END, ', ' ORDER BY attnum),
       pg_catalog.string_agg(pg_catalog.format('ALTER TABLE %I.%I ALTER COLUMN %I SET STORAGE %s; ',
           nspname, 'cutover column order ' || child, attname,
           CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                           ELSE 'EXTENDED' END), '')
         FILTER (WHERE attstorage <> t.typstorage),
       pg_catalog.bool_or(attgenerated <> '')
  FROM (SELECT *, pg_catalog.row_number() OVER (PARTITION BY child ORDER BY attnum) AS stands,
               pg_catalog.row_number() OVER (PARTITION BY child ORDER BY inhseqno NULLS LAST,
                                             coalesce(parent_attnum, attnum)) AS restored
          FROM inheriting) i
       JOIN pg_catalog.pg_type t ON t.oid = i.atttypid
 GROUP BY child, nspname, relname HAVING pg_catalog.bool_or(stands <> restored)
 ORDER BY nspname, relname)";

/// The same entry with a parent more for as long as it makes the table; the entry itself where it
/// makes no table that inherits.
RestoreItem Moulded(RestoreItem item, const ColumnOrder& order) {
  const std::vector<SqlToken> tokens = TokenizeSql(item.sql);
  for (const SqlStatement& statement : SplitStatements(item.sql, tokens)) {
    if (!tokens[statement.begin].Is(item.sql, "CREATE")) continue;
    for (size_t at = statement.begin; at + 1 < statement.end; ++at) {
      if (tokens[at].depth > 0 || !tokens[at].Is(item.sql, "INHERITS")) continue;
      const size_t begin = tokens[statement.begin].begin, end = tokens[statement.end - 1].end;
      // From the back, so that places before stay where they are.
      item.sql.insert(end, "\nALTER TABLE " + order.Qualified() + " NO INHERIT " + order.mould +
                               ";\nDROP TABLE " + order.mould + ";");
      item.sql.insert(tokens[at + 1].end, order.mould + ", ");
      item.sql.insert(begin, "CREATE TABLE " + order.mould + " (" + order.columns + ");\n" +
                                 order.storage + "\n");
      return item;
    }
  }
  return item;
}

}  // namespace

Result<std::vector<ColumnOrder>> ReadColumnOrders(std::stop_token stop, Deadline deadline,
                                                  pg::Connection& source) {
  static const std::string sql =
      "WITH inheriting AS (" + std::string(kInheriting) + ")" + kOtherOrders;
  TRY_ASSIGN(pg::Rows rows, source.Query(stop, deadline, sql));
  std::vector<ColumnOrder> orders;
  for (const pg::Row row : rows) {
    ColumnOrder order;
    order.table_oid = static_cast<uint32_t>(row.Int(0));
    order.schema = row.Text(1);
    order.name = row.Text(2);
    order.mould = pg::QuoteQualified(order.schema, "cutover column order " + row.Text(0));
    order.columns = row.Text(3);
    order.storage = row.IsNull(4) ? "" : row.Text(4);
    order.has_generated = row.Bool(5);
    orders.push_back(std::move(order));
  }
  return orders;
}

std::vector<const RestoreItem*> MouldTables(const std::vector<const RestoreItem*>& items,
                                            const std::vector<ColumnOrder>& orders,
                                            std::list<RestoreItem>& moulded) {
  std::map<uint32_t, const ColumnOrder*> by_table;
  for (const ColumnOrder& order : orders)
    if (!order.has_generated) by_table.emplace(order.table_oid, &order);
  std::vector<const RestoreItem*> result;
  result.reserve(items.size());
  for (const RestoreItem* item : items) {
    auto order = by_table.find(item->object_oid);
    const bool makes = item->type == "TABLE" || item->type == "FOREIGN TABLE";
    result.push_back(makes && order != by_table.end()
                         ? &moulded.emplace_back(Moulded(*item, *order->second))
                         : item);
  }
  return result;
}

Result<std::map<std::string, std::string>> ReadInheritingColumns(std::stop_token stop,
                                                                 Deadline deadline,
                                                                 pg::Connection& connection) {
  static const std::string sql =
      "SELECT nspname, relname, pg_catalog.string_agg(attname, ', ' ORDER BY attnum) FROM (" +
      std::string(kInheriting) + ") i GROUP BY nspname, relname";
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, sql));
  std::map<std::string, std::string> columns;
  for (const pg::Row row : rows) {
    ColumnOrder order;
    order.schema = row.Text(0);
    order.name = row.Text(1);
    columns[order.Object()] = row.Text(2);
  }
  return columns;
}

}  // namespace cutover::mover
