// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <set>
#include <string>

#include "mover/plan/obstacle_search.h"
#include "postgres/catalog.h"
#include "postgres/stream_names.h"

namespace cutover::mover {
namespace {

constexpr int kMajorOfSubscriptionRole = 16;
constexpr int kMajorOfNotNullConstraints = 18;

std::string HowToEndInvalidity(const std::string& index) {
  return "on the source: REINDEX INDEX CONCURRENTLY " + index + ", or DROP INDEX " + index;
}

/// Indexes that an interrupted CREATE INDEX CONCURRENTLY has left. No dump carries them. An index
/// of a partitioned table that is not attached everywhere yet is invalid as well, and comes along.
Status InvalidIndexes(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT n.nspname, c.relname FROM pg_catalog.pg_index i"
                             " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                             " WHERE c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)"
                             " AND n.nspname !~ '^pg_' ORDER BY 1, 2"));
  for (const pg::Row row : rows) {
    search.Add("INDEX " + row.Text(0) + "." + row.Text(1),
               "it is invalid: building it was interrupted or failed, and no query uses it",
               HowToEndInvalidity(pg::QuoteQualified(row.Text(0), row.Text(1))));
  }
  return Ok();
}

/// Collations that columns, indexes or domains use: the database's own ones, and those that the
/// source's server took over from its operating system.
constexpr char kCollations[] = R"(
SELECT DISTINCT c.oid, n.nspname, c.collname, c.collprovider, to_jsonb(c) ->> 'collcollate',
       to_jsonb(c) ->> 'collctype',
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                to_jsonb(c) ->> 'collcollate'),
       c.collisdeterministic, c.collversion, pg_catalog.pg_collation_actual_version(c.oid),
       n.nspname = 'pg_catalog'
  FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
 WHERE c.collprovider IN ('i', 'c', 'b') AND c.collname NOT IN ('C', 'POSIX', 'ucs_basic')
   AND (n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'
        OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refobjid = c.oid
                    AND d.refclassid = 'pg_catalog.pg_collation'::regclass))
 ORDER BY 2, 3)";

std::string ProbeOfCollation(const pg::Row row) {
  const std::string provider = row.Text(3);
  std::string sql = "CREATE COLLATION pg_temp.cutover_probe (PROVIDER = ";
  if (provider == "c")
    return sql + "libc, LC_COLLATE = " + pg::QuoteLiteral(row.Text(4)) +
           ", LC_CTYPE = " + pg::QuoteLiteral(row.Text(5)) + ")";
  return sql + (provider == "i" ? "icu" : "builtin") +
         ", LOCALE = " + pg::QuoteLiteral(row.Text(6)) +
         (row.Bool(7) ? "" : ", DETERMINISTIC = false") + ")";
}

/// Other versions of a collation sort otherwise. Indexes are built anew on the target, so they are
/// right there; what else rests on the order is for a person to know.
void CollationVersions(ObstacleSearch& search, const pg::Row row, const std::string& there) {
  const std::string name = row.Text(1) + "." + row.Text(2);
  if (!row.IsNull(8) && !row.IsNull(9) && row.Text(8) != row.Text(9))
    search.Note("collation " + name + " was of version " + row.Text(8) +
                " when it was made on the source, which sorts by version " + row.Text(9) +
                " now: the source's indexes on it may be damaged (the target's are built anew)");
  if (!row.IsNull(9) && !there.empty() && there != row.Text(9))
    search.Note("collation " + name + " is of version " + row.Text(9) + " on the source and " +
                there +
                " on the target: indexes are built anew and right, but rows may come out "
                "in another order");
}

Status Collations(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kCollations));
  for (const pg::Row row : rows) {
    const bool of_server = row.Bool(10);
    const std::string object = "collation " + row.Text(1) + "." + row.Text(2);
    if (of_server) {
      TRY_ASSIGN(pg::Rows there,
                 search.OfTarget("SELECT pg_catalog.pg_collation_actual_version(c.oid)"
                                 " FROM pg_catalog.pg_collation c WHERE c.collname = $1 AND"
                                 " c.collnamespace = 'pg_catalog'::pg_catalog.regnamespace",
                                 {row.Text(2)}));
      if (there.empty())
        search.Add(object, "the target's server does not have it",
                   "install the locale on that server's machine, then in its database: SELECT "
                   "pg_import_system_collations('pg_catalog')",
                   false);
      else
        CollationVersions(search, row, there[0].Text(0));
      continue;
    }
    CollationVersions(search, row, "");
    TRY_ASSIGN(auto refusal, search.Try(ProbeOfCollation(row)));
    if (refusal)
      search.Add(object, "the target's server cannot make it: " + refusal->message,
                 "install the locale on that server's machine or in its image, and restart it",
                 false);
  }
  return Ok();
}

/// Functions in C of the tenant's own, handlers of foreign data wrappers among them.
Status Libraries(ObstacleSearch& search) {
  if (!search.target_superuser) return Ok();  // They are refused as functions, then.
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT p.oid, p.probin, p.prosrc FROM pg_catalog.pg_proc p"
                             " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
                             " WHERE l.lanname = 'c' AND p.oid >= 16384 AND NOT EXISTS (SELECT"
                             "  FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.classid ="
                             "  'pg_catalog.pg_proc'::regclass AND d.deptype = 'e')"));
  for (const pg::Row row : rows) {
    const RestoreItem* item = search.Entry(static_cast<uint32_t>(row.Int(0)), "FUNCTION");
    TRY_ASSIGN(auto refusal,
               search.Try("SET LOCAL check_function_bodies TO on; CREATE FUNCTION "
                          "pg_temp.cutover_probe() RETURNS void LANGUAGE c AS " +
                          pg::QuoteLiteral(row.Text(1)) + ", " + pg::QuoteLiteral(row.Text(2))));
    if (refusal)
      search.Add(item != nullptr ? item->Describe() : "FUNCTION " + row.Text(2),
                 "its library " + row.Text(1) +
                     " is not as needed on the target's server: " + refusal->message,
                 "install the library there, or drop the function and what uses it on the source",
                 false);
  }
  return Ok();
}

/// 22023: no such provider is loaded. A try as somebody else's refusal says that there is one.
Status Labels(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT provider, bool_or(large) FROM ("
                             " SELECT provider, classoid = 'pg_catalog.pg_largeobject'::regclass"
                             "  FROM pg_catalog.pg_seclabel"
                             " UNION ALL SELECT provider, false FROM pg_catalog.pg_shseclabel l"
                             "  WHERE classoid = 'pg_catalog.pg_database'::regclass AND objoid ="
                             "  (SELECT oid FROM pg_catalog.pg_database"
                             "    WHERE datname = current_database())) l (provider, large)"
                             " GROUP BY 1 ORDER BY 1"));
  if (rows.empty()) return Ok();
  TRY_ASSIGN(pg::Rows database, search.target.QueryOne(search.stop, search.deadline,
                                                       "SELECT pg_catalog.current_database()"));
  for (const pg::Row row : rows) {
    const std::string provider = pg::QuoteIdentifier(row.Text(0));
    TRY_ASSIGN(auto refusal, search.Try("SECURITY LABEL FOR " + provider + " ON DATABASE " +
                                        pg::QuoteIdentifier(database[0].Text(0)) + " IS NULL"));
    if (!refusal || refusal->sqlstate != "22023") continue;
    search.Add(LabelsObject(row.Text(0)),
               "the target's server has not loaded this label provider: " + refusal->message,
               "add its library to shared_preload_libraries there and restart it", !row.Bool(1));
  }
  return Ok();
}

/// What makes a subscription that a dump has restored go on where the source's ended. It knows no
/// table: enabled with its slot, its worker would pass over all that comes, and the slot forget it.
/// Only an enabled one learns its tables, so that is done while it asks for a slot that is not
/// there. Where it begins is the source's to say, since a slot is told of what was applied in
/// intervals.
Result<std::string> HowToGoOn(ObstacleSearch& search, const std::string& name,
                              const std::string& slot) {
  TRY_ASSIGN(pg::Rows applied,
             search.OfSource("SELECT o.remote_lsn FROM pg_catalog.pg_replication_origin_status o"
                             " JOIN pg_catalog.pg_subscription s ON o.external_id = 'pg_' || s.oid"
                             " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
                             " WHERE d.datname = current_database() AND s.subname = $1"
                             " AND NOT s.subenabled AND o.remote_lsn <> '0/0'",
                             {name}));
  const std::string alter = "ALTER SUBSCRIPTION " + pg::QuoteIdentifier(name) + " ";
  std::string script;
  if (!applied.empty())
    script = "SELECT pg_replication_origin_advance('pg_' || oid, " +
             pg::QuoteLiteral(applied[0].Text(0)) +
             ") FROM pg_subscription WHERE subname = " + pg::QuoteLiteral(name) + "; ";
  return script + alter + "SET (slot_name = 'cutover_no_such_slot'); " + alter + "ENABLE; " +
         alter + "REFRESH PUBLICATION WITH (copy_data = false); " + alter + "DISABLE; " + alter +
         "SET (slot_name = " + pg::QuoteLiteral(slot) + "); " + alter + "ENABLE";
}

Status NoteSubscription(ObstacleSearch& search, const std::string& name, const std::string& slot) {
  const std::string comes = "subscription " + name + " comes disabled and without its slot";
  if (slot.empty()) {
    search.Note(comes + "; it has none on the source either");
    return Ok();
  }
  TRY_ASSIGN(std::string script, HowToGoOn(search, name, slot));
  search.Note(
      comes +
      ", and would pass over all that arrives if it were enabled as it is. When the source's "
      "is disabled and has let its slot go (ALTER SUBSCRIPTION " +
      pg::QuoteIdentifier(name) +
      " SET (slot_name = NONE)), on the target, one after the other: " + script);
  return Ok();
}

/// pg_dump leaves them out, with a warning that nobody reads, when it may not see their passwords.
Status Subscriptions(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT s.subname, coalesce(s.subslotname, '')"
                             " FROM pg_catalog.pg_subscription s"
                             " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
                             " WHERE d.datname = current_database() AND s.subname !~ $1"
                             " ORDER BY 1",
                             {pg::kStreamNamePattern}));
  if (rows.empty()) return Ok();
  bool may_create = search.target_superuser;
  if (!may_create && search.target.major_version() >= kMajorOfSubscriptionRole) {
    TRY_ASSIGN(pg::Rows member,
               search.OfTarget("SELECT pg_catalog.pg_has_role('pg_create_subscription', 'USAGE')"));
    may_create = member[0].Bool(0);
  }
  for (const pg::Row row : rows) {
    const std::string object = "SUBSCRIPTION " + row.Text(0);
    if (!search.source_superuser)
      search.Add(object,
                 "only a superuser of the source may read its connection, and role " +
                     pg::QuoteIdentifier(search.source_admin) + " is none",
                 "connect to the source as a superuser, or accept that it stays behind");
    else if (!may_create)
      search.Add(object,
                 "role " + pg::QuoteIdentifier(search.target_admin) +
                     " may not create subscriptions on the target",
                 "on the target: GRANT pg_create_subscription TO " +
                     pg::QuoteIdentifier(search.target_admin) +
                     " (a superuser before PostgreSQL 16), or accept that it stays behind");
    else
      TRY(NoteSubscription(search, row.Text(0), row.Text(1)));
  }
  return Ok();
}

/// Their rows are somewhere else and stay there; the way to them must lead from the target, too.
Status ForeignServers(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows servers,
             search.OfSource("SELECT s.srvname, coalesce((SELECT string_agg(o.option_value, ':'"
                             "  ORDER BY o.option_name) FROM pg_catalog.pg_options_to_table("
                             "  s.srvoptions) o WHERE o.option_name IN ('host', 'port')), '')"
                             " FROM pg_catalog.pg_foreign_server s ORDER BY 1"));
  for (const pg::Row row : servers)
    search.Note("foreign server " + row.Text(0) + " keeps its options" +
                (row.Text(1).empty() ? "" : " (" + row.Text(1) + ")") +
                "; see that the target's server can reach what it names");
  if (search.source_superuser) return Ok();
  TRY_ASSIGN(pg::Rows mappings,
             search.OfSource("SELECT usename, srvname FROM pg_catalog.pg_user_mappings"
                             " WHERE umoptions IS NULL ORDER BY 1, 2"));
  for (const pg::Row row : mappings)
    search.Add("USER MAPPING " + row.Text(0) + " SERVER " + row.Text(1),
               "role " + pg::QuoteIdentifier(search.source_admin) +
                   " may not read its options, a password perhaps",
               "connect to the source as a superuser; or accept, and give its options on the "
               "target afterwards: ALTER USER MAPPING");
  return Ok();
}

/// Before 18, NOT NULL of a parent could be missing from a child (ALTER TABLE ONLY … SET NOT NULL).
/// No statement makes such a pair anew: what the parent forbids, its children inherit.
Status NullableChildren(ObstacleSearch& search) {
  if (search.source.major_version() >= kMajorOfNotNullConstraints) return Ok();
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT DISTINCT n.nspname, c.relname, a.attname,"
                             "       p.relnamespace::regnamespace || '.' || p.relname"
                             " FROM pg_catalog.pg_inherits i"
                             " JOIN pg_catalog.pg_class p ON p.oid = i.inhparent"
                             " JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                             " JOIN pg_catalog.pg_attribute f ON f.attrelid = p.oid"
                             "      AND f.attnum > 0 AND NOT f.attisdropped AND f.attnotnull"
                             " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
                             "      AND a.attname = f.attname AND NOT a.attnotnull"
                             " WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname !~ '^pg_'"
                             " ORDER BY 1, 2, 3"));
  for (const pg::Row row : rows) {
    const std::string child = pg::QuoteQualified(row.Text(0), row.Text(1));
    const std::string column = pg::QuoteIdentifier(row.Text(2));
    search.Add("column " + row.Text(0) + "." + row.Text(1) + "." + row.Text(2),
               "it takes NULL, which its parent table " + row.Text(3) +
                   " forbids; a restored child forbids what its parent does",
               "on the source, when no row has NULL there: ALTER TABLE " + child +
                   " ALTER COLUMN " + column +
                   " SET NOT NULL; or allow it in the parent: ALTER TABLE ONLY … DROP NOT NULL",
               false);
  }
  return Ok();
}

/// Where a dump looks for nothing but grants.
constexpr char kInSystemSchemas[] = R"(
SELECT pg_catalog.pg_describe_object(o.classid, o.oid, 0) || ' in schema ' || n.nspname
  FROM (SELECT 'pg_catalog.pg_proc'::regclass::oid AS classid, oid, pronamespace AS place
          FROM pg_catalog.pg_proc
        UNION ALL SELECT 'pg_catalog.pg_class'::regclass, oid, relnamespace FROM pg_catalog.pg_class
         WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
        UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type
         WHERE typtype IN ('e', 'd', 'r')
        UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace
          FROM pg_catalog.pg_operator
        UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgnamespace
          FROM pg_catalog.pg_ts_config
        UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictnamespace
          FROM pg_catalog.pg_ts_dict) o
       JOIN pg_catalog.pg_namespace n ON n.oid = o.place
 WHERE o.oid >= 16384 AND n.nspname IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.classid AND d.objid = o.oid
            AND d.deptype IN ('e', 'i'))
 ORDER BY 1)";

Status InSystemSchemas(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows, search.OfSource(kInSystemSchemas));
  for (const pg::Row row : rows)
    search.Add(
        row.Text(0), "no dump holds what users have put into the system's own schemas",
        "on the source: ALTER … SET SCHEMA to one of the database's own; or accept, and make "
        "it on the target");
  return Ok();
}

/// They stay where they are: what they stand for is the source's log.
Status Slots(ObstacleSearch& search) {
  TRY_ASSIGN(pg::Rows rows,
             search.OfSource("SELECT slot_name, plugin FROM pg_catalog.pg_replication_slots"
                             " WHERE database = pg_catalog.current_database() AND NOT temporary"
                             " AND slot_name !~ $1 ORDER BY 1",
                             {pg::kStreamNamePattern}));
  for (const pg::Row row : rows)
    search.Note("replication slot " + row.Text(0) + " (" + row.Text(1) +
                ") stays on the source: whoever reads it learns nothing of what is written on the "
                "target, and it keeps the source's log until it is dropped");
  return Ok();
}

/// A dump has no word for it, so the target holds everybody to them again.
Status UnenforcedConstraints(ObstacleSearch& search) {
  TRY_ASSIGN(const std::vector<std::string> tables,
             pg::ReadUnenforcedTables(search.stop, search.deadline, search.source));
  for (const std::string& table : tables)
    search.Add("triggers of the constraints of " + table,
               "they are switched off on the source, where nobody is held to its foreign keys, and "
               "would be on again on the target",
               "on the source: ALTER TABLE " + table +
                   " ENABLE TRIGGER ALL (its other triggers, too; rows that break a foreign key "
                   "stop the move); or accept that the target enforces them");
  return Ok();
}

}  // namespace

Status FindObjectObstacles(ObstacleSearch& search) {
  TRY(InvalidIndexes(search));
  TRY(NullableChildren(search));
  TRY(Collations(search));
  TRY(Libraries(search));
  TRY(Labels(search));
  TRY(Subscriptions(search));
  TRY(UnenforcedConstraints(search));
  TRY(InSystemSchemas(search));
  TRY(Slots(search));
  return ForeignServers(search);
}

}  // namespace cutover::mover
