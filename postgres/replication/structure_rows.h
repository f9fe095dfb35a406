// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cutover::pg {

/// WITH … rows (part, class, object, row): one row for everything that DDL can change in the
/// tenant's part of a database. `class` and `object` are what it belongs to, as
/// pg_identify_object() takes them: a column, an index or a trigger belongs to its table. Object 0:
/// to nothing that is there any more.
///
/// What changes without DDL is not in it: VACUUM and ANALYZE write sizes and flags (relhasindex,
/// relhassubclass, …) into pg_class, TRUNCATE the file, a rewrite attmissingval; nor are replica
/// identities, which a move sets itself. Defaults, expressions and rules are as the catalog stores
/// them, which is quicker than writing them out as SQL. OIDs are in it on purpose: a table that was
/// dropped and made again is another one. Indexes go by name instead, since REINDEX CONCURRENTLY
/// gives them new ones. Comments are left out: they are many, and nothing breaks by one that is
/// lost. Large objects are made without DDL, but no stream carries them either: both ends of them
/// are in it, as the database's, since they may be many.
constexpr char kStructureRows[] = R"(
  WITH spaces AS MATERIALIZED (
    SELECT * FROM pg_namespace
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'cutover')),
  relations AS MATERIALIZED (
    SELECT c.* FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.relpersistence <> 't'),
  rows (part, class, object, row) AS (
    SELECT 'schema', 'pg_namespace'::regclass, oid, (oid, nspname, nspowner, nspacl)::text
      FROM spaces
    UNION ALL
    SELECT 'relation', 'pg_class'::regclass, oid,
           (oid, relname, relnamespace, relowner, relkind, relpersistence, relam, reloptions,
            relacl, relrowsecurity, relforcerowsecurity, relispartition, relpartbound,
            reloftype)::text
      FROM relations
    UNION ALL
    SELECT 'column', 'pg_class'::regclass, CASE WHEN attisdropped THEN 0 ELSE attrelid END,
           concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attidentity,
                     '.', attgenerated, '.', attisdropped, attislocal, attinhcount, attcollation,
                     attstorage, attacl)
      FROM pg_attribute
     WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations WHERE relkind <> 'S')
    UNION ALL
    SELECT 'default', 'pg_class'::regclass, adrelid, concat_ws(' ', adrelid, adnum, adbin)
      FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'constraint',
           CASE WHEN conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END,
           CASE WHEN conrelid <> 0 THEN conrelid ELSE contypid END,
           (conrelid, contypid, conname, contype, condeferrable, condeferred, convalidated,
            confrelid, confupdtype, confdeltype, confmatchtype, conkey, confkey, conbin, conexclop,
            coninhcount, connoinherit)::text
      FROM pg_constraint
     WHERE conrelid IN (SELECT oid FROM relations)
        OR contypid <> 0 AND connamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'index', 'pg_class'::regclass, i.indrelid,
           (i.indrelid, c.relname, c.relam, c.reloptions, i.indkey, i.indclass, i.indcollation,
            i.indoption, i.indisunique, i.indisprimary, i.indisexclusion, i.indimmediate,
            i.indnkeyatts, i.indexprs, i.indpred, i.indisclustered)::text
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indisvalid AND i.indrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'trigger', 'pg_class'::regclass, tgrelid,
           (tgrelid, tgname, tgfoid, tgtype, tgenabled, tgdeferrable, tginitdeferred, tgattr,
            tgargs, tgqual, tgoldtable, tgnewtable)::text
      FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'rule', 'pg_class'::regclass, ev_class,
           (ev_class, rulename, ev_type, ev_enabled, is_instead, ev_qual, ev_action)::text
      FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'policy', 'pg_class'::regclass, polrelid, p::text
      FROM pg_policy p WHERE polrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'sequence', 'pg_class'::regclass, seqrelid, s::text
      FROM pg_sequence s WHERE seqrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'parent', 'pg_class'::regclass, inhrelid, i::text
      FROM pg_inherits i WHERE inhrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'statistics', 'pg_class'::regclass, stxrelid,
           (oid, stxrelid, stxname, stxkeys, stxkind)::text
      FROM pg_statistic_ext WHERE stxrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'function', 'pg_proc'::regclass, oid, p::text
      FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'type', 'pg_type'::regclass, oid,
           (oid, typname, typnamespace, typowner, typtype, typbasetype, typtypmod, typnotnull,
            typcollation, typdefaultbin, typdefault, typacl)::text
      FROM pg_type
     WHERE typtype <> 'c' AND typelem = 0 AND typnamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'label', 'pg_type'::regclass, enumtypid, e::text
      FROM pg_enum e
     WHERE enumtypid IN (SELECT oid FROM pg_type
                          WHERE typnamespace IN (SELECT oid FROM spaces))
    UNION ALL
    SELECT 'extension', 'pg_extension'::regclass, oid, e::text FROM pg_extension e
    UNION ALL
    SELECT 'cast', 'pg_cast'::regclass, oid, e::text FROM pg_cast e WHERE oid >= 16384
    UNION ALL
    SELECT 'collation', 'pg_collation'::regclass, oid, e::text
      FROM pg_collation e WHERE oid >= 16384
    UNION ALL
    SELECT 'operator', 'pg_operator'::regclass, oid, e::text
      FROM pg_operator e WHERE oid >= 16384
    UNION ALL
    SELECT 'operator class', 'pg_opclass'::regclass, oid, e::text
      FROM pg_opclass e WHERE oid >= 16384
    UNION ALL
    SELECT 'event trigger', 'pg_event_trigger'::regclass, oid, e::text FROM pg_event_trigger e
    UNION ALL
    SELECT 'language', 'pg_language'::regclass, oid, e::text
      FROM pg_language e WHERE oid >= 16384
    UNION ALL
    SELECT 'server', 'pg_foreign_server'::regclass, oid,
           (oid, srvname, srvowner, srvfdw, srvoptions, srvacl)::text
      FROM pg_foreign_server
    UNION ALL
    SELECT 'dictionary', 'pg_ts_dict'::regclass, oid, e::text
      FROM pg_ts_dict e WHERE oid >= 16384
    UNION ALL
    SELECT 'configuration', 'pg_ts_config'::regclass, oid, e::text
      FROM pg_ts_config e WHERE oid >= 16384
    UNION ALL
    SELECT 'privileges', 'pg_default_acl'::regclass, oid, e::text FROM pg_default_acl e
    UNION ALL
    SELECT 'large objects', 'pg_database'::regclass,
           (SELECT oid FROM pg_database WHERE datname = current_database()),
           concat_ws(' ', min(oid), max(oid))
      FROM pg_largeobject_metadata))";

}  // namespace cutover::pg
