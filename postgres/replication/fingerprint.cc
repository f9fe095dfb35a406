// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>

#include "postgres/replication.h"

namespace cutover::pg {
namespace {

// Each part is a sum of hashes, so that no order has to be made. What changes without DDL is not
// in it: VACUUM and ANALYZE write sizes and flags (relhasindex, relhassubclass, …) into pg_class,
// TRUNCATE the file, a rewrite attmissingval; nor are replica identities, which a move sets itself.
// Defaults, expressions and rules are hashed as the catalog stores them, which is quicker than
// writing them out as SQL. OIDs are in it on purpose: a table that was dropped and made again is
// another one. Indexes go by name instead, since REINDEX CONCURRENTLY gives them new ones. Comments
// are left out: they are many, and nothing breaks by one that is lost.
constexpr const char* kFingerprint = R"(
  WITH spaces AS MATERIALIZED (
    SELECT * FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover')),
  relations AS MATERIALIZED (
    SELECT c.* FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.relpersistence <> 't'),
  rows (part, row) AS (
    SELECT 'schema', (oid, nspname, nspowner, nspacl)::text FROM spaces
    UNION ALL
    SELECT 'relation', (oid, relname, relnamespace, relowner, relkind, relpersistence, relam,
                        reloptions, relacl, relrowsecurity, relforcerowsecurity, relispartition,
                        relpartbound, reloftype)::text
      FROM relations
    UNION ALL
    SELECT 'column', concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull,
                               attidentity, '.', attgenerated, '.', attisdropped, attislocal,
                               attinhcount, attcollation, attstorage, attacl)
      FROM pg_attribute
     WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations WHERE relkind <> 'S')
    UNION ALL
    SELECT 'default', concat_ws(' ', adrelid, adnum, adbin)
      FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'constraint', (conrelid, contypid, conname, contype, condeferrable, condeferred,
                          convalidated, confrelid, confupdtype, confdeltype, confmatchtype, conkey,
                          confkey, conbin, conexclop, coninhcount, connoinherit)::text
      FROM pg_constraint
     WHERE conrelid IN (SELECT oid FROM relations)
        OR contypid <> 0 AND connamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'index', (i.indrelid, c.relname, c.relam, c.reloptions, i.indkey, i.indclass,
                     i.indcollation, i.indoption, i.indisunique, i.indisprimary, i.indisexclusion,
                     i.indimmediate, i.indnkeyatts, i.indexprs, i.indpred, i.indisclustered)::text
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisvalid AND i.indrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'trigger', (tgrelid, tgname, tgfoid, tgtype, tgenabled, tgdeferrable, tginitdeferred,
                       tgattr, tgargs, tgqual, tgoldtable, tgnewtable)::text
      FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'rule', (ev_class, rulename, ev_type, ev_enabled, is_instead, ev_qual, ev_action)::text
      FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'policy', p::text FROM pg_policy p WHERE polrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'sequence', s::text FROM pg_sequence s WHERE seqrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'parent', i::text FROM pg_inherits i WHERE inhrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'statistics', (oid, stxrelid, stxname, stxkeys, stxkind)::text
      FROM pg_statistic_ext WHERE stxrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'function', p::text FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'type', (oid, typname, typnamespace, typowner, typtype, typbasetype, typtypmod,
                    typnotnull, typcollation, typdefaultbin, typdefault, typacl)::text
      FROM pg_type
     WHERE typtype <> 'c' AND typelem = 0 AND typnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'label', e::text FROM pg_enum e
     WHERE enumtypid IN (SELECT oid FROM pg_type
                          WHERE typnamespace IN (SELECT oid FROM spaces))
    UNION ALL SELECT 'extension', e::text FROM pg_extension e
    UNION ALL SELECT 'cast', e::text FROM pg_cast e WHERE oid >= 16384
    UNION ALL SELECT 'collation', e::text FROM pg_collation e WHERE oid >= 16384
    UNION ALL SELECT 'operator', e::text FROM pg_operator e WHERE oid >= 16384
    UNION ALL SELECT 'operator class', e::text FROM pg_opclass e WHERE oid >= 16384
    UNION ALL SELECT 'event trigger', e::text FROM pg_event_trigger e
    UNION ALL SELECT 'language', e::text FROM pg_language e WHERE oid >= 16384
    UNION ALL SELECT 'server', (oid, srvname, srvowner, srvfdw, srvoptions, srvacl)::text
      FROM pg_foreign_server
    UNION ALL SELECT 'dictionary', e::text FROM pg_ts_dict e WHERE oid >= 16384
    UNION ALL SELECT 'configuration', e::text FROM pg_ts_config e WHERE oid >= 16384
    UNION ALL SELECT 'privileges', e::text FROM pg_default_acl e)
  SELECT encode(sha256(string_agg(part || ' ' || hashes, ',' ORDER BY part COLLATE "C")::bytea),
                'hex')
    FROM (SELECT part, count(*) || ' ' || sum(hashtextextended(row, 0)) AS hashes
            FROM rows GROUP BY part) parts)";

// Those that the fingerprint reads.
constexpr std::array kCatalogs = {
    "namespace",   "class",         "attribute", "attrdef",        "constraint", "index",
    "trigger",     "rewrite",       "policy",    "sequence",       "inherits",   "statistic_ext",
    "proc",        "type",          "enum",      "extension",      "cast",       "collation",
    "operator",    "opclass",       "language",  "foreign_server", "ts_dict",    "ts_config",
    "default_acl", "event_trigger",
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
  return "SELECT string_agg(concat(n, ' ', new), ',') FROM (" + sql + ") AS catalogs";
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
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, kFingerprint));
  return rows[0].Text(0);
}

}  // namespace cutover::pg
