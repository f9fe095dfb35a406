// SPDX-License-Identifier: Apache-2.0
#include "postgres/excluded_tables.h"

#include <utility>

#include "operator/base/enumerate.h"

namespace cutover::pg {
namespace {

// Each with a query that yields a row if one of a table that is not excluded refers to a row of the
// excluded one: a key with a NULL in it refers to nothing. Of a partition that is excluded the rows
// are compared, where that runs nothing but PostgreSQL's own, since most may refer to others. A key
// is asked for once, at the root of partitions.
constexpr char kReferences[] = R"(
WITH excluded (oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND n.nspname || '.' || c.relname = ANY ($1::text[])),
reference AS (
  SELECT k.conname, k.conparentid, k.conrelid, n.nspname, c.relname, c.relkind, m.nspname AS their_nspname,
         f.relname AS their_relname,
         f.relispartition AND bool_and(o.oprnamespace = 'pg_catalog'::regnamespace) AS compared,
         string_agg(format('r.%I IS NOT NULL', a.attname), ' AND ') AS refers,
         string_agg(format('x.%I OPERATOR(pg_catalog.%s) r.%I', b.attname, o.oprname, a.attname),
                    ' AND ') AS same
    FROM pg_catalog.pg_constraint k
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
         JOIN pg_catalog.pg_namespace m ON m.oid = f.relnamespace
         CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) AS u (ours, theirs, operator)
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.ours
         JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.theirs
         JOIN pg_catalog.pg_operator o ON o.oid = u.operator
   WHERE k.contype = 'f' AND k.convalidated AND k.confrelid IN (SELECT oid FROM excluded)
     AND k.conrelid NOT IN (SELECT oid FROM excluded)
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p
                      WHERE p.oid = k.conparentid AND p.confrelid = k.confrelid)
   GROUP BY k.oid, k.conname, k.conparentid, k.conrelid, n.nspname, c.relname, c.relkind, m.nspname, f.relname,
            f.relispartition)
SELECT nspname || '.' || relname, conname, their_nspname || '.' || their_relname, conparentid = 0,
       format('SELECT FROM %s %I.%I r%s WHERE r.tableoid <> ALL (%L::oid[]) AND %s LIMIT 1',
              CASE relkind WHEN 'r' THEN 'ONLY' END, nspname, relname,
              CASE WHEN compared
                   THEN format(' JOIN ONLY %I.%I x ON ', their_nspname, their_relname) || same END,
              (SELECT array_agg(oid) FROM excluded), refers),
       ARRAY(SELECT s.nspname || '.' || l.relname
               FROM pg_catalog.pg_partition_tree(conrelid) t
                    JOIN pg_catalog.pg_class l ON l.oid = t.relid
                    JOIN pg_catalog.pg_namespace s ON s.oid = l.relnamespace
              WHERE reference.relkind = 'p' AND l.relkind = 'r'
                AND l.oid NOT IN (SELECT oid FROM excluded) ORDER BY 1)
  FROM reference ORDER BY 1, 2)";

constexpr char kNotExcludable[] = R"(
SELECT wanted, c.oid IS NOT NULL,
       ARRAY(SELECT s.nspname || '.' || l.relname
               FROM pg_catalog.pg_partition_tree(c.oid) t
                    JOIN pg_catalog.pg_class l ON l.oid = t.relid
                    JOIN pg_catalog.pg_namespace s ON s.oid = l.relnamespace
              WHERE l.relkind = 'r' ORDER BY 1)
  FROM pg_catalog.unnest($1::text[]) AS wanted
       LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace)
         ON c.relkind = 'p' AND n.nspname || '.' || c.relname = wanted
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class o
                          JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
                    WHERE o.relkind = 'r' AND m.nspname || '.' || o.relname = wanted)
 ORDER BY 1)";

/// More would hide what else a message says.
constexpr size_t kPartitionsShownMax = 100;

}  // namespace

std::string BrokenReference::Referring() const {
  if (partitions.empty()) return table;
  return Enumerate(partitions, kPartitionsShownMax) + ", the partitions of " + table + ",";
}

std::string NotExcludable::WhatToName() const {
  if (partitions.empty())
    return name + " is partitioned and has no partition, and so no rows; take it off the list";
  return name +
         " is partitioned, and its rows are those of its partitions; name the ones that are "
         "meant instead: " +
         Enumerate(partitions, kPartitionsShownMax);
}

Result<std::vector<NotExcludable>> FindNotExcludable(std::stop_token stop, Deadline deadline,
                                                     Connection& connection,
                                                     const std::vector<std::string>& wanted) {
  std::vector<NotExcludable> found;
  if (wanted.empty()) return found;
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kNotExcludable, {wanted}));
  for (const Row row : rows) found.push_back({row.Text(0), row.Bool(1), row.TextArray(2)});
  return found;
}

Result<std::vector<BrokenReference>> FindBrokenReferences(
    std::stop_token stop, Deadline deadline, Connection& connection,
    const std::vector<std::string>& excluded) {
  std::vector<BrokenReference> broken;
  if (excluded.empty()) return broken;
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kReferences, {excluded}));
  for (const Row row : rows) {
    TRY_ASSIGN(Rows found, connection.Query(stop, deadline, row.Text(4)));
    if (!found.empty())
      broken.push_back({row.Text(0), row.Text(1), row.Text(2), row.Bool(3), row.TextArray(5)});
  }
  return broken;
}

}  // namespace cutover::pg
