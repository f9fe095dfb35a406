// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

/// One thing that can be in the way: names of what is found, and the sentence around them.
struct Check {
  std::string sql;  ///< One column, a name a row.
  std::string what;
  std::string remedy;
};

constexpr const char* kFromTables =
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ";
constexpr const char* kInOrder = " ORDER BY 1";
constexpr const char* kOfTenant =
    " AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'cutover')";

// An apply worker finds the row of a table with identity FULL by comparing all columns, for which
// their types need an equality (trap 54). A domain, an array and a composite have that of what they
// are made of.
std::string Incomparable() {
  return R"(
  WITH RECURSIVE parts AS (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, a.atttypid AS type
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                              AND a.attgenerated = ''
     WHERE )" +
         std::string(kStreamedTables) + " AND (c.relreplident = 'f' OR NOT " +
         std::string(kHasIdentity) + R"()
    UNION
    SELECT p.name, inner_part.type
      FROM parts p JOIN pg_type t ON t.oid = p.type
           CROSS JOIN LATERAL (
             SELECT t.typbasetype WHERE t.typtype = 'd'
             UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND t.typlen = -1
             UNION ALL SELECT a.atttypid FROM pg_attribute a
                        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0
                          AND NOT a.attisdropped) inner_part (type))
  SELECT p.name || ' (' || string_agg(DISTINCT format_type(t.oid, NULL), ', ') || ')'
    FROM parts p JOIN pg_type t ON t.oid = p.type
   WHERE t.typtype = 'b' AND NOT (t.typelem <> 0 AND t.typlen = -1)
     AND NOT EXISTS (
       SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
        WHERE o.opcdefault AND m.amname IN ('btree', 'hash')
          AND (o.opcintype = t.oid
               OR EXISTS (SELECT FROM pg_cast k
                           WHERE k.castsource = t.oid AND k.casttarget = o.opcintype
                             AND k.castmethod = 'b' AND k.castcontext = 'i')))
   GROUP BY p.name ORDER BY 1)";
}

std::vector<Check> BlockingChecks(int major) {
  const std::string streamed(kStreamedTables);
  const std::string from = kFromTables;
  return {
      {from + "c.relkind = 'r' AND c.relpersistence = 'u'" + kOfTenant + kInOrder,
       "changes of unlogged tables are not replicated",
       "make them logged (ALTER TABLE … SET LOGGED)"},
      {Incomparable(),
       "updated rows of tables without a key are found by comparing all columns, and these have "
       "types that cannot be compared",
       "give each a primary key"},
      {from + streamed + " AND " + IdentityIsGenerated(major) + kInOrder,
       "rows of these tables are told apart by generated columns, which are not replicated, so "
       "that "
       "none could be updated or deleted",
       "give each a primary key of ordinary columns, and where it is FULL the REPLICA IDENTITY "
       "DEFAULT"},
      {"SELECT quote_ident(t.tgname) || ' on ' || quote_ident(n.nspname) || '.' ||"
       " quote_ident(c.relname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
       " JOIN pg_namespace n ON n.oid = c.relnamespace"
       " WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R')" +
           std::string(kOfTenant) + kInOrder,
       "triggers that fire for replicated rows, too, would do on the target again what was "
       "replicated already",
       "let them fire for users only (ALTER TABLE … ENABLE TRIGGER …)"},
      {from +
           "c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_roles r"
           " WHERE r.oid = c.relowner AND NOT r.rolsuper AND NOT r.rolbypassrls) AND " +
           streamed + kInOrder,
       "row security that also binds the owner keeps replicated rows out",
       "lift it for the time of the move (ALTER TABLE … NO FORCE ROW LEVEL SECURITY)"},
      {from +
           "NOT (has_table_privilege(c.relowner, c.oid, 'SELECT')"
           " AND has_table_privilege(c.relowner, c.oid, 'INSERT')"
           " AND has_table_privilege(c.relowner, c.oid, 'UPDATE')"
           " AND has_table_privilege(c.relowner, c.oid, 'DELETE')"
           " AND has_table_privilege(c.relowner, c.oid, 'TRUNCATE')) AND " +
           streamed + kInOrder,
       "replicated rows are written as the tables' owners, who have taken that right from "
       "themselves",
       "GRANT ALL on them to their owners"},
      // Where the stream back begins; nobody but a superuser has them by himself.
      {"SELECT f FROM unnest(ARRAY['pg_replication_origin_advance(text, pg_lsn)',"
       " 'pg_replication_origin_progress(text, boolean)']) f"
       " WHERE NOT has_function_privilege(f, 'EXECUTE') ORDER BY 1",
       "functions that the way back needs and the operator's role may not execute in this database",
       "GRANT EXECUTE ON FUNCTION … to it, in this database"},
  };
}

// Drivers look up what a number in pg_type stands for once in a session, and a server gives its own
// to each type that does not come with it (from 16384 on). Of an array its elements' type is named.
Check TypesByNumber() {
  return {
      "SELECT DISTINCT format_type(coalesce(nullif(t.typelem, 0), t.oid), NULL)"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
      " JOIN pg_type t ON t.oid = a.atttypid AND t.oid >= 16384 WHERE " +
          std::string(kStreamedTables) + kInOrder,
      "these types have other numbers (pg_type.oid) on the target, and clients behind the "
      "pooler whose driver sends or expects the numbers that it has looked up see errors after "
      "the switch until they connect anew",
      "restart such clients then, or choose switch Restart"};
}

std::vector<Check> WarningChecks(std::chrono::seconds long_transaction) {
  const std::string seconds = std::to_string(long_transaction.count());
  const std::string from = kFromTables;
  return {
      {from + "c.relkind = 'm'" + kOfTenant + kInOrder,
       "materialized views are no part of the stream; those that are refreshed during the move are "
       "so on the target, too, unless that takes longer than a minute",
       "look at the migration's message after the switch, and refresh there what it names"},
      {"SELECT quote_ident(pubname) FROM pg_publication WHERE pubname !~ '^cutover_'" +
           std::string(kInOrder),
       "whoever subscribes to these publications does not move along",
       "point the subscribers to the target after the switch"},
      {"SELECT slot_name::text FROM pg_replication_slots"
       " WHERE database = current_database() AND slot_name !~ '^cutover_'" +
           std::string(kInOrder),
       "whoever reads these replication slots is shut out by the fence, and they do not move along",
       "make them anew on the target after the switch"},
      {"SELECT quote_ident(s.subname) FROM pg_subscription s JOIN pg_database d ON d.oid = "
       "s.subdbid"
       " WHERE d.datname = current_database() AND NOT s.subenabled AND s.subname !~ '^cutover_'" +
           std::string(kInOrder),
       "subscriptions of this database must stay disabled during the move", "leave them so"},
      {"SELECT quote_literal(gid) || ' of role ' || quote_ident(owner) || ' since ' ||"
       " to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"Z\"')"
       " FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared",
       "prepared transactions keep the slot from being made, and the fence from closing",
       "COMMIT PREPARED or ROLLBACK PREPARED each"},
      {"SELECT 'role ' || quote_ident(usename) || ' in database ' || quote_ident(datname) ||"
       " ' since ' || to_char(xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"Z\"')"
       " FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
       " AND xact_start < now() - interval '" +
           seconds +
           " seconds'"
           " AND (backend_xid IS NOT NULL OR datname = current_database()) ORDER BY xact_start",
       "transactions have been open for more than " + seconds +
           " seconds; those that write keep the slot from being made",
       "end them, if they do not end by themselves"},
  };
}

Status Run(const std::stop_token& stop, Deadline deadline, Connection& connection,
           const std::vector<Check>& checks, std::vector<std::string>* sentences) {
  for (const Check& check : checks) {
    TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, check.sql));
    if (rows.empty()) continue;
    std::vector<std::string> names;
    for (Row row : rows) names.push_back(row.Text(0));
    sentences->push_back(check.what + " (" + std::to_string(names.size()) + "): " + Some(names) +
                         "; " + check.remedy);
  }
  return Ok();
}

}  // namespace

Result<OnlineObstacles> FindOnlineObstacles(std::stop_token stop, Deadline deadline,
                                            Connection& connection, const OnlineTerms& terms) {
  const int major = std::max(connection.major_version(), terms.other_major);
  OnlineObstacles found;
  TRY_ASSIGN(Rows objects,
             connection.QueryOne(stop, deadline, "SELECT count(*) FROM pg_largeobject_metadata"));
  if (objects[0].Int(0) > 0)
    found.blocking.push_back("changes of large objects are not replicated, and there are " +
                             objects[0].Text(0) + "; move them into a table's bytea column");
  TRY(Run(stop, deadline, connection, BlockingChecks(major), &found.blocking));
  TRY_ASSIGN(std::vector<std::string> keyless, TablesWithoutIdentity(stop, deadline, connection));
  const std::string count = " (" + std::to_string(keyless.size()) + "): ";
  if (!keyless.empty() && terms.may_set_full_identity)
    found.warnings.push_back(
        "tables without a key get REPLICA IDENTITY FULL for the time of the "
        "move, which makes updates and deletes of many rows slow" +
        count + Some(keyless) + "; a primary key would avoid that");
  if (!keyless.empty() && !terms.may_set_full_identity)
    found.blocking.push_back(
        "updates and deletes cannot be replicated from tables without a key" + count +
        Some(keyless) + "; give each a primary key, or set spec.copy.replicaIdentity to SetFull");
  TRY(Run(stop, deadline, connection, WarningChecks(terms.long_transaction), &found.warnings));
  if (terms.sessions_stay) TRY(Run(stop, deadline, connection, {TypesByNumber()}, &found.warnings));
  return found;
}

}  // namespace cutover::pg
