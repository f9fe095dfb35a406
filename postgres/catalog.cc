// SPDX-License-Identifier: Apache-2.0
#include "postgres/catalog.h"

#include <utility>

#include "postgres/roles.h"
#include "postgres/stream_names.h"

namespace cutover::pg {
namespace {

// Schemas of the system, of sessions, and our own.
constexpr std::string_view kTenantSchemas =
    "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')";

constexpr const char* kTables = R"(
  SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), c.relispartition,
         c.relpersistence = 'u', coalesce(e.extname, ''), greatest(c.reltuples, 0)::bigint,
         pg_table_size(c.oid)
    FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                              AND d.objsubid = 0 AND d.deptype = 'e'
         LEFT JOIN pg_extension e ON e.oid = d.refobjid
   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND )";

constexpr const char* kOldestTransaction = R"(
  SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::bigint
    FROM pg_stat_activity
   WHERE datname = current_database() AND pid <> pg_backend_pid()
     AND backend_type <> 'autovacuum worker')";

using Strings = std::vector<std::string>;

/// The first column of each row.
Result<Strings> ReadNames(const std::stop_token& stop, Deadline deadline, Connection& connection,
                          const std::string& sql) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, sql));
  Strings names;
  for (Row row : rows) names.push_back(row.Text(0));
  return names;
}

Status ReadTables(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  DatabaseFacts* facts) {
  TRY_ASSIGN(Rows rows,
             connection.Query(stop, deadline,
                              kTables + std::string(kTenantSchemas) + " ORDER BY 8 DESC, 1, 2"));
  for (Row row : rows) {
    facts->tables.push_back({row.Text(0), row.Text(1), row.Text(2), row.Bool(3), row.Bool(4),
                             row.Text(5), row.Int(6), row.Int(7)});
  }
  return Ok();
}

/// What restores differently, or not at all, elsewhere.
Status ReadSpecialObjects(const std::stop_token& stop, Deadline deadline, Connection& connection,
                          DatabaseFacts* facts) {
  TRY_ASSIGN(Rows extensions, connection.Query(stop, deadline, R"(
      SELECT e.extname, e.extversion, n.nspname
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1)"));
  for (Row row : extensions) facts->extensions.push_back({row.Text(0), row.Text(1), row.Text(2)});
  TRY_ASSIGN(Rows prepared, connection.Query(stop, deadline, R"(
      SELECT gid, owner, prepared FROM pg_prepared_xacts
       WHERE database = current_database() ORDER BY prepared)"));
  for (Row row : prepared)
    facts->prepared_transactions.push_back({row.Text(0), row.Text(1), row.Text(2)});
  TRY_ASSIGN(Rows triggers, connection.Query(stop, deadline, R"(
      SELECT evtname, pg_get_userbyid(evtowner), evtenabled <> 'D'
        FROM pg_event_trigger WHERE evtname !~ $1 ORDER BY 1)",
                                             {kStreamNamePattern}));
  for (Row row : triggers) facts->event_triggers.push_back({row.Text(0), row.Text(1), row.Bool(2)});
  TRY_ASSIGN(Rows subscriptions, connection.Query(stop, deadline, R"(
      SELECT s.subname, s.subenabled
        FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
       WHERE d.datname = current_database() ORDER BY 1)"));
  for (Row row : subscriptions) facts->subscriptions.push_back({row.Text(0), row.Bool(1)});
  TRY_ASSIGN(facts->publications, ReadNames(stop, deadline, connection,
                                            "SELECT pubname FROM pg_publication ORDER BY 1"));
  TRY_ASSIGN(facts->foreign_tables, ReadNames(stop, deadline, connection, R"(
      SELECT n.nspname || '.' || c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'f' ORDER BY 1)"));
  TRY_ASSIGN(facts->tablespaces, ReadNames(stop, deadline, connection, R"(
      SELECT spcname FROM pg_tablespace t
       WHERE t.oid IN (SELECT reltablespace FROM pg_class WHERE NOT relisshared)
          OR t.oid = (SELECT dattablespace FROM pg_database WHERE datname = current_database())
             AND spcname <> 'pg_default'
       ORDER BY 1)"));
  TRY_ASSIGN(facts->unenforced_tables, ReadUnenforcedTables(stop, deadline, connection));
  return Ok();
}

}  // namespace

int64_t DatabaseFacts::table_bytes() const {
  int64_t bytes = 0;
  for (const Table& table : tables) bytes += table.bytes;
  return bytes;
}

// ALTER TABLE … DISABLE TRIGGER ALL, for one, and loads that were never finished.
Result<std::vector<std::string>> ReadUnenforcedTables(std::stop_token stop, Deadline deadline,
                                                      Connection& connection) {
  return ReadNames(stop, deadline, connection, R"(
      SELECT DISTINCT n.nspname || '.' || c.relname
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE t.tgisinternal AND t.tgconstraint <> 0 AND t.tgenabled <> 'O' AND n.nspname !~ '^pg_'
       ORDER BY 1)");
}

Result<DatabaseFacts> ObserveDatabase(std::stop_token stop, Deadline deadline,
                                      Connection& connection) {
  DatabaseFacts facts;
  TRY_ASSIGN(Rows name, connection.QueryOne(stop, deadline, R"(
      SELECT d.datname, o.rolsuper, (SELECT count(*) FROM pg_largeobject_metadata)
        FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba
       WHERE d.datname = current_database())"));
  facts.owner_is_superuser = name[0].Bool(1);
  facts.large_objects = name[0].Int(2);
  TRY_ASSIGN(std::optional<DatabaseProperties> properties,
             FindDatabase(stop, deadline, connection, name[0].Text(0)));
  if (!properties)
    return RetryError("DatabaseNotFound", "database " + QuoteIdentifier(name[0].Text(0)) +
                                              " was renamed while it was looked at");
  facts.properties = std::move(*properties);
  TRY(ReadTables(stop, deadline, connection, &facts));
  TRY(ReadSpecialObjects(stop, deadline, connection, &facts));
  TRY_ASSIGN(facts.referenced_roles, ReadReferencedRoleNames(stop, deadline, connection));
  TRY_ASSIGN(Rows oldest, connection.QueryOne(stop, deadline, kOldestTransaction));
  facts.oldest_transaction_age_seconds = oldest[0].Int(0);
  return facts;
}

Result<std::vector<std::string>> ReadUnreadableTables(std::stop_token stop, Deadline deadline,
                                                      Connection& connection,
                                                      std::string_view role) {
  // Row security does not bind a superuser, a role that bypasses it, nor (unless forced) the owner.
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         R"(
      SELECT n.nspname || '.' || c.relname
        FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_roles r ON r.rolname = $1
       WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND )" +
                                             std::string(kTenantSchemas) + R"(
         AND NOT (has_schema_privilege(r.oid, n.oid, 'USAGE')
                  AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(r.oid, c.oid, 'SELECT')
                      ELSE has_table_privilege(r.oid, c.oid, 'SELECT') END
                  AND (NOT c.relrowsecurity OR r.rolsuper OR r.rolbypassrls
                       OR pg_has_role(r.oid, c.relowner, 'USAGE') AND NOT c.relforcerowsecurity))
       ORDER BY 1)",
                                         {role}));
  Strings names;
  for (Row row : rows) names.push_back(row.Text(0));
  return names;
}

Result<std::map<std::string, AvailableExtension>> ReadAvailableExtensions(std::stop_token stop,
                                                                          Deadline deadline,
                                                                          Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, R"(
      SELECT e.name, e.default_version, array_agg(v.version ORDER BY v.version)
        FROM pg_available_extensions e JOIN pg_available_extension_versions v USING (name)
       GROUP BY 1, 2)"));
  std::map<std::string, AvailableExtension> available;
  for (Row row : rows) available[row.Text(0)] = {row.Text(1), row.TextArray(2)};
  return available;
}

}  // namespace cutover::pg
