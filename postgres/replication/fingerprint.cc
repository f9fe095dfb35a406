// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "postgres/replication.h"
#include "postgres/replication/structure_rows.h"

namespace cutover::pg {
namespace {

// Each part is a sum of hashes, so that no order has to be made. Without a large object the hash is
// what it was before those were looked at: a move that began under an earlier operator goes on.
constexpr char kHash[] = R"(
  SELECT encode(sha256(string_agg(part || ' ' || hashes, ',' ORDER BY part COLLATE "C")::bytea),
                'hex')
    FROM (SELECT part, count(*) || ' ' || sum(hashtextextended(row, 0)) AS hashes
            FROM rows WHERE row <> '' GROUP BY part) parts)";

// A large object is made without DDL, and no stream carries it: none may come, or go, either. Of
// many that were accepted only both ends are looked at, which an index has.
constexpr char kLargeObjects[] =
    " UNION ALL SELECT min(oid)::bigint, max(oid)::bigint::numeric FROM pg_largeobject_metadata";

// Those that the fingerprint and ReadStructure() read.
constexpr std::array kCatalogs = {
    "namespace",   "class",         "attribute",   "attrdef",         "constraint", "index",
    "trigger",     "rewrite",       "policy",      "sequence",        "inherits",   "statistic_ext",
    "proc",        "type",          "enum",        "extension",       "cast",       "collation",
    "operator",    "opclass",       "language",    "foreign_server",  "ts_dict",    "ts_config",
    "default_acl", "event_trigger", "publication", "publication_rel",
};

// Statistics are written in place, which leaves xmin alone. A row that was frozen keeps its xmin,
// and one that a wraparound makes look new only costs a fingerprint.
std::string MarkStatement() {
  std::string sql;
  for (const char* catalog : kCatalogs)
    sql += std::string(sql.empty() ? "" : " UNION ALL ") +
           "SELECT count(*) AS n, sum(hashtextextended(xmin::text, 0))"
           " FILTER (WHERE age(xmin) <= age($1::xid)) AS new FROM pg_" +
           catalog;
  return "SELECT string_agg(concat(n, ' ', new), ',') FROM (" + sql + kLargeObjects +
         ") AS catalogs";
}

Result<std::string> ReadMark(std::stop_token stop, Deadline deadline, Connection& connection,
                             const std::string& oldest_xid) {
  static const std::string sql = MarkStatement();
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, sql, {oldest_xid}));
  return rows[0].Text(0);
}

}  // namespace

Result<CatalogMark> MarkCatalogs(std::stop_token stop, Deadline deadline, Connection& connection) {
  TRY_ASSIGN(
      Rows oldest,
      connection.QueryOne(stop, deadline, "SELECT pg_snapshot_xmin(pg_current_snapshot())::xid"));
  CatalogMark mark{oldest[0].Text(0), ""};
  TRY_ASSIGN(mark.rows, ReadMark(stop, deadline, connection, mark.oldest_xid));
  return mark;
}

Result<bool> CatalogsTouched(std::stop_token stop, Deadline deadline, Connection& connection,
                             const CatalogMark& mark) {
  TRY_ASSIGN(std::string rows, ReadMark(stop, deadline, connection, mark.oldest_xid));
  return rows != mark.rows;
}

Result<std::string> SchemaFingerprint(std::stop_token stop, Deadline deadline,
                                      Connection& connection) {
  static const std::string sql = std::string(kStructureRows) + kHash;
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, sql));
  return rows[0].Text(0);
}

}  // namespace cutover::pg
