// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/leftovers.h"

#include <utility>
#include <vector>

#include "postgres/event_triggers.h"

namespace cutover::mover {
namespace {

constexpr size_t kDropsPerTransaction = 100;

/// Each query yields DROP statements. Objects that would stop others from being dropped come first.
/// OIDs below 16384 are those that initdb made.
constexpr const char* kDrops[] = {
    "SELECT format('DROP EVENT TRIGGER IF EXISTS %I', evtname) FROM pg_catalog.pg_event_trigger"
    " WHERE oid >= 16384",
    "SELECT format('ALTER SUBSCRIPTION %1$I DISABLE; ALTER SUBSCRIPTION %1$I SET (slot_name = "
    "NONE);"
    " DROP SUBSCRIPTION IF EXISTS %1$I', subname) FROM pg_catalog.pg_subscription s"
    " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid AND d.datname = current_database()",
    "SELECT format('DROP PUBLICATION IF EXISTS %I', pubname) FROM pg_catalog.pg_publication",
    "SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW'"
    " WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE'"
    " ELSE 'TABLE' END, n.nspname, c.relname) FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_'"
    " AND n.nspname NOT IN ('information_schema', 'cutover') AND NOT EXISTS"
    " (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass"
    "  AND e.objid = c.oid AND e.deptype IN ('e', 'i', 'a'))",
    "SELECT format('DROP EXTENSION IF EXISTS %I CASCADE', extname) FROM pg_catalog.pg_extension"
    " WHERE extname <> 'plpgsql'",
    "SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname) FROM pg_catalog.pg_namespace"
    " WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover')",
    "SELECT format('DROP CAST IF EXISTS (%s AS %s)', format_type(castsource, NULL),"
    " format_type(casttarget, NULL)) FROM pg_catalog.pg_cast WHERE oid >= 16384",
    "SELECT format('DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', fdwname)"
    " FROM pg_catalog.pg_foreign_data_wrapper",
    "SELECT format('DROP LANGUAGE IF EXISTS %I CASCADE', lanname) FROM pg_catalog.pg_language l"
    " WHERE oid >= 16384 AND lanname <> 'plpgsql'",
    "SELECT format('DROP ACCESS METHOD IF EXISTS %I CASCADE', amname) FROM pg_catalog.pg_am"
    " WHERE oid >= 16384",
    "SELECT format('SELECT lo_unlink(%s)', oid) FROM pg_catalog.pg_largeobject_metadata",
    // Back to the built-in defaults, at which the catalog's row vanishes.
    "SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I REVOKE ALL ON %2$s FROM %3$s;"
    " ALTER DEFAULT PRIVILEGES FOR ROLE %1$I GRANT ALL ON %2$s TO %1$I;"
    " ALTER DEFAULT PRIVILEGES FOR ROLE %1$I %4$s', r.rolname, o.word, string_agg(DISTINCT"
    " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, ', "
    "'),"
    " CASE d.defaclobjtype WHEN 'f' THEN 'GRANT EXECUTE ON FUNCTIONS TO PUBLIC'"
    "  WHEN 'T' THEN 'GRANT USAGE ON TYPES TO PUBLIC'"
    "  ELSE 'REVOKE ALL ON ' || o.word || ' FROM PUBLIC' END)"
    " FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole"
    " JOIN (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES'), ('f', 'FUNCTIONS'), ('T', 'TYPES'),"
    "  ('n', 'SCHEMAS'), ('L', 'LARGE OBJECTS')) AS o (letter, word) ON o.letter = "
    "d.defaclobjtype::text"
    " LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl || acldefault(CASE d.defaclobjtype"
    "  WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) a ON true"
    " WHERE d.defaclnamespace = 0 GROUP BY r.rolname, o.word, d.defaclobjtype"};

/// What stands on a table's rows, and large objects, which no ledger speaks of. What belongs to a
/// partition goes with its root's; what belongs to an extension came with it.
constexpr const char* kBuilt[] = {
    "SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', k.conrelid::regclass,"
    " k.conname) FROM pg_catalog.pg_constraint k"
    " JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace"
    " WHERE k.contype IN ('p', 'u', 'x', 'f') AND k.conparentid = 0 AND k.conrelid <> 0"
    " AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover') AND NOT EXISTS"
    " (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass"
    "  AND e.objid = k.conrelid AND e.deptype = 'e')",
    "SELECT format('DROP INDEX IF EXISTS %s CASCADE', i.indexrelid::regclass)"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT c.relispartition"
    " AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover') AND NOT EXISTS"
    " (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass"
    "  AND e.objid = i.indrelid AND e.deptype = 'e')",
    "SELECT format('SELECT lo_unlink(%s)', oid) FROM pg_catalog.pg_largeobject_metadata"};

/// As initdb makes it on PostgreSQL 15 and newer; on 14 the owner and grants differ, and the dump
/// of a database says so where they do.
constexpr char kPublicSchema[] = R"(
CREATE SCHEMA public;
COMMENT ON SCHEMA public IS 'standard public schema';
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    ALTER SCHEMA public OWNER TO pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
  ELSE
    GRANT ALL ON SCHEMA public TO PUBLIC;
  END IF;
END $$;)";

constexpr char kForeign[] = R"(
SELECT what FROM (
  SELECT 'relation ' || n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
  UNION ALL SELECT 'function ' || n.nspname || '.' || p.proname FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'cutover')
  UNION ALL SELECT 'type ' || n.nspname || '.' || t.typname FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')
  UNION ALL SELECT 'schema ' || nspname FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover', 'public')
  UNION ALL SELECT 'extension ' || extname FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'
  UNION ALL SELECT 'event trigger ' || evtname FROM pg_catalog.pg_event_trigger WHERE oid >= 16384
  UNION ALL SELECT 'publication ' || pubname FROM pg_catalog.pg_publication
  UNION ALL SELECT 'foreign data wrapper ' || fdwname FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT 'cast ' || oid FROM pg_catalog.pg_cast WHERE oid >= 16384
  UNION ALL SELECT 'default privileges of ' || pg_catalog.pg_get_userbyid(defaclrole)
    FROM pg_catalog.pg_default_acl
  UNION ALL SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
) AS found (what) LIMIT 1)";

Status DropPortion(std::stop_token stop, pg::Connection& target, const std::string& sql) {
  TRY_ASSIGN(pg::Transaction transaction, pg::Transaction::Begin(stop, Deadline::Never(), target));
  TRY(transaction.Exec(stop, Deadline::Never(), sql));
  return transaction.Commit(stop, Deadline::Never());
}

/// Does what the query `drops` yields, some at a time.
Status DropAll(std::stop_token stop, pg::Connection& target, const char* drops) {
  TRY_ASSIGN(pg::Rows rows,
             target.Query(stop, Deadline::Never(),
                          "SELECT x.* FROM (" + std::string(drops) + ") AS x (statement)"));
  std::string sql;
  size_t pending = 0;
  for (const pg::Row row : rows) {
    sql += row.Text(0) + ";\n";
    if (++pending < kDropsPerTransaction) continue;
    TRY(DropPortion(stop, target, std::exchange(sql, "")));
    pending = 0;
  }
  if (sql.empty()) return Ok();
  return DropPortion(stop, target, sql);
}

}  // namespace

Result<std::string> FindForeignObject(std::stop_token stop, Deadline deadline,
                                      pg::Connection& connection) {
  TRY_ASSIGN(pg::Rows rows, connection.Query(stop, deadline, kForeign));
  return rows.empty() ? std::string() : rows[0].Text(0);
}

Status DropLeftovers(std::stop_token stop, pg::Connection& target) {
  // What is dropped here may carry event triggers and functions of the tenant; none may run.
  TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), target));
  for (const char* drops : kDrops) TRY(DropAll(stop, target, drops));
  TRY(DropPortion(stop, target, kPublicSchema));
  TRY_ASSIGN(std::string left, FindForeignObject(stop, Deadline::Never(), target));
  if (left.empty()) return Ok();
  return TerminalError("TargetNotEmpty",
                       "the target database still holds " + left +
                           " of an earlier attempt; drop the database, then try again");
}

Status DropBuilt(std::stop_token stop, pg::Connection& target) {
  TRY(pg::SilenceEventTriggers(stop, Deadline::Never(), target));
  for (const char* drops : kBuilt) TRY(DropAll(stop, target, drops));
  return Ok();
}

}  // namespace cutover::mover
