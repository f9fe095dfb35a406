// SPDX-License-Identifier: Apache-2.0
// Traps 42–51 and 83 of docs/verification.md: triggers, indexes and constraints, and a move by
// roles without superuser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::Servers;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kConstraints[] =
    "SELECT concat_ws(' ', conrelid::regclass, conname, contype, condeferrable, condeferred,"
    " convalidated, conislocal, coninhcount, contype = 'c' AND connoinherit, "
    "pg_get_constraintdef(oid))"
    " FROM pg_constraint WHERE connamespace <> 'pg_catalog'::regnamespace AND"
    " connamespace::regnamespace::text NOT IN ('cutover', 'information_schema') AND conrelid <> 0"
    " AND contype <> 'n' ORDER BY 1";
constexpr char kIndexes[] =
    "SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisready, indisclustered,"
    " indisreplident, indisexclusion, indimmediate, indnkeyatts, reloptions)"
    " FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indexrelid >= 16384"
    " AND relnamespace = 'public'::regnamespace ORDER BY 1";

TEST(IndexTraps, Trap42_TriggersAndRulesHaveTheirStatesAndSleptThroughTheLoad) {
  Move move;
  move.Plant({"CREATE TABLE fired (a text)", "CREATE TABLE t (a int, b int DEFAULT 1)",
              "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
              " 'BEGIN INSERT INTO public.fired VALUES (TG_NAME); NEW.b = 99; RETURN NEW; END'",
              "INSERT INTO t SELECT generate_series(1, 50)"});
  const std::vector<std::string> states = {"ENABLE", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"};
  for (const std::string& state : states) {
    const std::string name = QuoteIdentifier("of " + state);
    move.Plant({"CREATE TRIGGER " + name +
                    " BEFORE INSERT OR UPDATE ON t FOR EACH ROW"
                    " WHEN (NEW.a > 0) EXECUTE FUNCTION tell()",
                "ALTER TABLE t " + state + " TRIGGER " + name,
                "CREATE RULE " + name + " AS ON DELETE TO t DO ALSO NOTHING",
                "ALTER TABLE t " + state + " RULE " + name});
  }
  move.Plant(
      {"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
       " FOR EACH ROW EXECUTE FUNCTION tell()",
       "CREATE TRIGGER seen AFTER INSERT ON t REFERENCING NEW TABLE AS fresh"
       " FOR EACH STATEMENT EXECUTE FUNCTION tell()",
       "COMMENT ON TRIGGER late ON t IS 'late'"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT tgname || tgenabled::text || tgdeferrable || tginitdeferred ||"
      " pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1");
  move.ExpectSame(
      "SELECT rulename || ev_enabled::text FROM pg_rewrite WHERE rulename <> '_RETURN'"
      " AND oid >= 16384 ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.fired"), IsEmpty());
  EXPECT_THAT(move.OnTarget("SELECT count(*) || ' ' || max(b) FROM public.t"), ElementsAre("50 1"));
}

TEST(IndexTraps, Trap42_ForeignKeysThatNobodyIsHeldToAreRefusedUnlessAccepted) {
  Move move;
  move.Plant({"CREATE TABLE parent (id int PRIMARY KEY)",
              "CREATE TABLE child (parent int REFERENCES parent)",
              "ALTER TABLE child DISABLE TRIGGER ALL"});
  const std::string object = "triggers of the constraints of public.child";
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr(object), HasSubstr("ALTER TABLE public.child ENABLE TRIGGER ALL")));
  move.options.accept = {object};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr(object)));
  EXPECT_THAT(move.OnTarget("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgisinternal"),
              ElementsAre("O"));
}

TEST(IndexTraps, Trap43_AnExclusionConstraintIsOneIndexThatExcludes) {
  Move move;
  move.Plant({"CREATE EXTENSION btree_gist",
              "CREATE TABLE rooms (room int, during int4range, EXCLUDE USING gist (room WITH =,"
              " during WITH &&) WHERE (room > 0))",
              "INSERT INTO rooms VALUES (1, '[1,5)'), (1, '[5,9)'), (0, '[1,9)'), (0, '[1,9)')"});
  move.MustArrive();
  move.ExpectSame(kConstraints);
  move.ExpectSame(kIndexes);
  EXPECT_THAT(move.OnTarget("SELECT count(*) FROM pg_index WHERE indrelid ="
                            " 'public.rooms'::regclass"),
              ElementsAre("1"));
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_FALSE(copy.Exec({}, pg::testing::Soon(), "INSERT INTO public.rooms VALUES (1, '[2,3)')"));
}

TEST(IndexTraps, Trap44_DeferrableConstraintsStayDeferrable) {
  Move move;
  move.Plant(
      {"CREATE TABLE a (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, u int UNIQUE"
       " DEFERRABLE)",
       "CREATE TABLE b (a int UNIQUE)",
       "CREATE TABLE c (b int REFERENCES b (a) ON DELETE SET NULL ON UPDATE CASCADE"
       " DEFERRABLE INITIALLY DEFERRED)",
       "INSERT INTO a VALUES (1, 1), (2, 2)", "INSERT INTO b VALUES (1)",
       "INSERT INTO c VALUES (1)"});
  move.MustArrive();
  move.ExpectSame(kConstraints);
  // Two rows may change places, which only works when the check waits.
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_TRUE(copy.Exec({}, pg::testing::Soon(), "UPDATE public.a SET id = 3 - id"));
}

TEST(IndexTraps, Trap45_ConstraintsThatWereNotProvenStayUnproven) {
  Move move;
  move.Plant(
      {"CREATE TABLE people (id int PRIMARY KEY)", "CREATE TABLE t (id int, person int)",
       "INSERT INTO t VALUES (1, 999)",
       "ALTER TABLE t ADD CONSTRAINT orphans FOREIGN KEY (person) REFERENCES people NOT VALID",
       "ALTER TABLE t ADD CONSTRAINT big CHECK (id > 5) NOT VALID", "CREATE DOMAIN d AS int",
       "CREATE TABLE u (a d)", "INSERT INTO u VALUES (-1)",
       "ALTER DOMAIN d ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID"});
  move.MustArrive();
  move.ExpectSame(kConstraints);
  move.ExpectSame(
      "SELECT contypid::regtype || conname || convalidated FROM pg_constraint"
      " WHERE contypid >= 16384");
  EXPECT_THAT(move.OnTarget("SELECT person FROM public.t"), ElementsAre("999"));
}

TEST(IndexTraps, Trap45_AChildThatTakesNullWhereItsParentDoesNotIsRefusedByName) {
  Move move;
  move.Plant({"CREATE TABLE parent (a int NOT NULL)", "CREATE TABLE child () INHERITS (parent)",
              "ALTER TABLE child ALTER a DROP NOT NULL", "INSERT INTO child VALUES (NULL)"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("column public.child.a"), HasSubstr("public.parent"),
                    HasSubstr("ALTER COLUMN \"a\" SET NOT NULL")));
}

TEST(IndexTraps, Trap45_AForeignKeyThatRowsViolateIsNamedAndNeverDropped) {
  Move move;
  move.Plant({"CREATE TABLE people (id int PRIMARY KEY)",
              "CREATE TABLE t (person int CONSTRAINT damaged REFERENCES people)",
              "SET session_replication_role TO replica", "INSERT INTO t VALUES (999)"});
  // A fresh session each: the row above went around the trigger.
  move.Plant({"SET session_replication_role TO replica; INSERT INTO public.t VALUES (998)"});
  const Error error = move.MustFail();
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  EXPECT_THAT(error.message, HasSubstr("damaged"));
}

TEST(IndexTraps, Trap46_KeysThatPointAtEachOtherAndAtPartitionsArrive) {
  Move move;
  move.Plant(
      {"CREATE TABLE hen (id int PRIMARY KEY, egg int)",
       "CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen, self int REFERENCES egg)",
       "INSERT INTO hen SELECT i, i FROM generate_series(1, 300) i",
       "INSERT INTO egg SELECT i, i, 301 - i FROM generate_series(1, 300) i",
       "ALTER TABLE hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES egg",
       "CREATE TABLE part (id int PRIMARY KEY, hen int REFERENCES hen) PARTITION BY RANGE (id)",
       "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)",
       "CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200)"
       " PARTITION BY RANGE (id)",
       "CREATE TABLE part_2_1 PARTITION OF part_2 FOR VALUES FROM (100) TO (200)",
       "CREATE TABLE of_part (part int REFERENCES part)",
       "INSERT INTO part SELECT i, i + 1 FROM generate_series(0, 199) i",
       "INSERT INTO of_part SELECT generate_series(0, 199)"});
  move.options.jobs = 4;
  move.MustArrive();
  move.ExpectSame(kConstraints);
  move.ExpectSame("SELECT count(*) FROM pg_constraint WHERE conparentid <> 0");
}

TEST(IndexTraps, Trap47_AnInvalidIndexIsRefusedUnlessAccepted) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (1)"});
  pg::Connection inside = MustConnect(move.Source());
  EXPECT_FALSE(inside.Exec({}, pg::testing::Soon(),
                           "CREATE UNIQUE INDEX CONCURRENTLY t_once ON public.t (a)"));
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("INDEX public.t_once"), HasSubstr("REINDEX INDEX CONCURRENTLY")));
  move.options.accept = {"INDEX public.t_once"};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("INDEX public.t_once")));
  EXPECT_THAT(move.OnTarget("SELECT indexrelid FROM pg_index WHERE indrelid ="
                            " 'public.t'::regclass"),
              IsEmpty());
}

TEST(IndexTraps, Trap47_IndexesOfPartitionsAreAttachedAsTheyWere) {
  Move move;
  move.Plant({"CREATE TABLE part (id int, k int) PARTITION BY RANGE (id)",
              "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)",
              "CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20)",
              "INSERT INTO part SELECT i, i FROM generate_series(0, 19) i",
              "CREATE INDEX whole ON part (k)", "ALTER INDEX part_1_k_idx RENAME TO \"odd name\"",
              "CREATE UNIQUE INDEX key ON part (id)",
              // Invalid, since only one of the two is attached.
              "CREATE INDEX half ON ONLY part (k, id)", "CREATE INDEX half_1 ON part_1 (k, id)",
              "ALTER INDEX half ATTACH PARTITION half_1",
              "CREATE INDEX empty_shell ON ONLY part (id, k)",
              "CREATE INDEX on_one_only ON part_2 (k DESC)"});
  move.MustArrive();
  move.ExpectSame(kIndexes);
  move.ExpectSame(
      "SELECT inhrelid::regclass || ' in ' || inhparent::regclass FROM pg_inherits"
      " ORDER BY 1");
}

TEST(IndexTraps, Trap48_MarksAndOptionsOfTablesColumnsAndIndexesArrive) {
  Move move;
  move.Plant(
      {"CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text NOT NULL)"
       " WITH (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off,"
       " parallel_workers = 3)",
       "CREATE UNIQUE INDEX covering ON t (id) INCLUDE (a, b)", "CREATE UNIQUE INDEX t_c ON t (c)",
       "CREATE INDEX odd ON t USING btree (lower(a) text_pattern_ops DESC NULLS LAST, b)"
       " WITH (fillfactor = 60, deduplicate_items = off) WHERE b IS NOT NULL",
       "ALTER INDEX odd ALTER COLUMN 1 SET STATISTICS 77", "ALTER TABLE t CLUSTER ON t_c",
       "ALTER TABLE t REPLICA IDENTITY USING INDEX t_c",
       "ALTER TABLE t ALTER a SET STATISTICS 500, ALTER a SET STORAGE EXTERNAL,"
       " ALTER b SET COMPRESSION lz4, ALTER b SET (n_distinct = -0.5)",
       "CREATE TABLE full_identity (a int)", "ALTER TABLE full_identity REPLICA IDENTITY FULL",
       "CREATE TABLE no_identity (a int PRIMARY KEY)",
       "ALTER TABLE no_identity REPLICA IDENTITY NOTHING",
       "CREATE TABLE nulls (a int UNIQUE NULLS NOT DISTINCT)", "INSERT INTO nulls VALUES (NULL)",
       "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one", "CREATE UNIQUE INDEX m_one ON m (one)",
       "ALTER MATERIALIZED VIEW m CLUSTER ON m_one",
       "CREATE INDEX spread ON t USING brin (id)"
       " WITH (pages_per_range = 8)",
       "CREATE UNLOGGED TABLE lost_on_crash (a int)"});
  move.MustArrive();
  move.ExpectSame(kIndexes);
  move.ExpectSame(kConstraints);
  move.ExpectSame(
      "SELECT concat_ws(' ', c.relname, c.relreplident, c.relpersistence, c.reloptions,"
      " t.reloptions) FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid"
      " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1");
  // 17 says NULL for "not set" where 15 says -1; newer minors keep an option of their own.
  move.ExpectSame(
      "SELECT concat_ws(' ', attrelid::regclass, attname, coalesce(attstattarget, -1),"
      " attstorage, attcompression, (SELECT array_agg(o) FROM"
      " unnest(attoptions) o WHERE o NOT LIKE 'pg_attver%')) FROM pg_attribute a JOIN"
      " pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace"
      " AND attnum > 0 ORDER BY 1");
  pg::Connection copy = MustConnect(move.Copy());
  EXPECT_FALSE(copy.Exec({}, pg::testing::Soon(), "INSERT INTO public.nulls VALUES (NULL)"));
}

TEST(IndexTraps, Trap49_EveryTableAndPartitionRootHasStatisticsBeforeAnybodyComes) {
  Move move;
  move.Plant({"CREATE TABLE t (a int, b int)",
              "INSERT INTO t SELECT i % 10, i FROM generate_series(1, 1000) i",
              "CREATE STATISTICS st (ndistinct) ON a, b FROM t", "CREATE INDEX ON t ((a + b))",
              "CREATE TABLE part (id int) PARTITION BY RANGE (id)",
              "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (500)",
              "INSERT INTO part SELECT generate_series(0, 499)",
              "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
              // Statistics of the tree above it need a server that cannot be reached.
              "CREATE TABLE torn (id int) PARTITION BY RANGE (id)",
              "CREATE TABLE torn_1 PARTITION OF torn FOR VALUES FROM (0) TO (10)",
              "INSERT INTO torn VALUES (1), (2)", "CREATE EXTENSION postgres_fdw",
              "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1',"
              " port '1')",
              "CREATE USER MAPPING FOR PUBLIC SERVER far",
              "CREATE FOREIGN TABLE torn_2 PARTITION OF torn FOR VALUES FROM (10) TO (20) SERVER"
              " far"});
  EXPECT_THAT(move.MustArrive().warnings,
              Contains(AllOf(HasSubstr("no statistics"), HasSubstr("torn"))));
  EXPECT_THAT(move.OnTarget("SELECT DISTINCT tablename || ' ' || inherited FROM pg_stats WHERE"
                            " schemaname = 'public' ORDER BY 1"),
              ElementsAre("m false", "part true", "part_1 false", "t false", "t_expr_idx false",
                          "torn_1 false"));
  EXPECT_THAT(move.OnTarget("SELECT statistics_name FROM pg_stats_ext"), ElementsAre("st"));
  EXPECT_THAT(move.OnTarget("SELECT relname || reltuples FROM pg_class WHERE relname IN"
                            " ('t', 'part', 'm') ORDER BY 1"),
              ElementsAre("m1000", "part500", "t1000"));
}

TEST(IndexTraps, Trap50_IndexMemoryIsSharedByTheJobsAndNobodyForksMoreWorkers) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 100)",
              "CREATE FUNCTION witness(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
              "CREATE INDEX ON t (witness(a))",
              // From now on whoever builds the index says what it was given.
              "CREATE OR REPLACE FUNCTION witness(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$"
              " BEGIN IF 8 * pg_size_bytes(current_setting('maintenance_work_mem')) >"
              " 1024 * 1048576::bigint THEN RAISE 'memory %',"
              " current_setting('maintenance_work_mem'); END IF;"
              " IF current_setting('max_parallel_maintenance_workers') <> '0' THEN"
              " RAISE 'workers %', current_setting('max_parallel_maintenance_workers'); END IF;"
              " RETURN $1; END $$"});
  move.options.jobs = 8;
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT count(*) FROM pg_index WHERE indrelid ="
                            " 'public.t'::regclass AND indisvalid"),
              ElementsAre("1"));
}

TEST(IndexTraps, Trap51_ChecksAndGeneratedColumnsWhoseFunctionsReadOtherTablesArrive) {
  Move move;
  move.Plant(
      {"CREATE TABLE z_moods (m text)", "INSERT INTO z_moods VALUES ('happy'), ('sad')",
       // By search path, and of a table that is loaded later: smaller, and last by name.
       "CREATE FUNCTION known(text) RETURNS boolean LANGUAGE plpgsql AS"
       " 'BEGIN RETURN EXISTS (SELECT FROM z_moods WHERE m = $1); END'",
       "CREATE FUNCTION styled(date) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
       " $$ BEGIN RETURN to_char($1, 'DD.MM.') || prefix(); END $$",
       "CREATE FUNCTION prefix() RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT ''p''::text'",
       "CREATE TABLE a (m text CONSTRAINT known CHECK (known(m)), d date,"
       " s text GENERATED ALWAYS AS (styled(d)) STORED)",
       "INSERT INTO a SELECT 'happy', '2026-01-01'::date + i FROM generate_series(1, 3000) i"});
  move.MustArrive();
  move.ExpectSame(kConstraints);
  move.ExpectSame("SELECT md5(string_agg(a::text, ' ' ORDER BY d)) FROM public.a");
}

TEST(IndexTraps, Trap51_AnIndexThatTheTargetsMajorCannotBuildIsNamedWithTheRemedy) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)",
              "CREATE FUNCTION counted(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
              " 'BEGIN RETURN (SELECT count(*) FROM t); END'",
              "CREATE INDEX t_counted ON t (counted(a))"});
  const Error error = move.MustFail();  // 17 builds indexes under a search path of its own.
  EXPECT_EQ(error.disposition, Disposition::kTerminal);
  EXPECT_THAT(error.message, AllOf(HasSubstr("INDEX public.t_counted"), HasSubstr("search_path")));
}

/// A database such as tenants of a provider have: an owner, a reader, a bit of everything that an
/// ordinary role may make.
struct PlainTenant {
  explicit PlainTenant(Move& move)
      : owner(move.Role("LOGIN PASSWORD 'o'", "owner")), reader(move.Role("", "reader")) {
    const std::string o = QuoteIdentifier(owner), r = QuoteIdentifier(reader);
    move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + o,
                "GRANT " + r + " TO " + o,
                "SET ROLE " + o,
                "CREATE EXTENSION pg_trgm",
                "CREATE SCHEMA s",
                "CREATE TYPE s.mood AS ENUM ('a', 'b')",
                "CREATE TABLE s.t (id serial PRIMARY KEY, a text, m s.mood)",
                "INSERT INTO s.t (a, m) SELECT 'x' || i, 'a' FROM generate_series(1, 500) i",
                "CREATE INDEX ON s.t USING gin (a gin_trgm_ops)",
                "CREATE TABLE s.u (t int REFERENCES s.t)",
                "INSERT INTO s.u VALUES (1)",
                "GRANT SELECT ON s.t TO " + r,
                "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY p ON s.t TO " + r + " USING (id < 10)",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO " + r,
                "CREATE VIEW s.v AS SELECT * FROM s.t",
                "CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM s.t",
                "CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER tr BEFORE INSERT ON s.u FOR EACH ROW EXECUTE FUNCTION s.f()",
                "SELECT lo_from_bytea(9001, 'large')",
                "CREATE PUBLICATION pub FOR TABLE s.u",
                "COMMENT ON TABLE s.t IS 'a table'",
                "RESET ROLE",
                "ALTER DATABASE " + move.quoted() + " SET work_mem TO '6MB'"});
  }
  std::string owner, reader;
};

TEST(IndexTraps, Trap83_WithoutSuperuserOnEitherSideEverythingArrives) {
  PlainAdmin reader(Servers().source, "BYPASSRLS", {"GRANT pg_read_all_data TO %s"});
  PlainAdmin admin(Servers().target, "CREATEDB CREATEROLE");
  Move move;
  PlainTenant tenant(move);
  move.Plant({"GRANT SELECT ON LARGE OBJECT 9001 TO " + reader.quoted()});
  move.options.source = reader.As(move.Source());
  move.WriteAs(admin);
  // What the reader was granted above is the reader's, and he is not on the target.
  move.options.role_names = {{reader.name(), admin.name()}};
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', relname, relkind, relowner::regrole) FROM pg_class WHERE"
      " relnamespace = 's'::regnamespace ORDER BY 1");
  move.ExpectSame(
      "SELECT concat_ws(' ', polname, polroles::regrole[], pg_get_expr(polqual,"
      " polrelid)) FROM pg_policy");
  move.ExpectSame("SELECT count(*) || min(a) FROM s.t");
  move.ExpectSame(
      "SELECT pg_get_userbyid(datdba) || setconfig::text FROM pg_database d JOIN"
      " pg_db_role_setting ON setdatabase = d.oid WHERE datname = current_database()");
  move.ExpectSame(
      "SELECT extname || extowner::regrole FROM pg_extension WHERE extname <> 'plpgsql'");
  move.ExpectSame(
      "SELECT encode(lo_get(9001), 'escape') || lomowner::regrole FROM"
      " pg_largeobject_metadata");
  EXPECT_THAT(move.OnTarget("SELECT roleid::regrole FROM pg_auth_members WHERE grantor = member AND"
                            " member::regrole::text = " +
                            QuoteLiteral(admin.name())),
              IsEmpty())
      << "the admin is still a member of the tenant's roles";
  pg::ConnectOptions owner = move.Copy();
  owner.user = tenant.owner;
  owner.password = "o";
  pg::Connection as_owner = MustConnect(owner);
  EXPECT_TRUE(as_owner.Exec({}, pg::testing::Soon(), "INSERT INTO s.u VALUES (2)"));
}

TEST(IndexTraps, Trap83_WhatTheSourcesRoleMayNotReadIsNamedWithTheExactGrant) {
  PlainAdmin nobody(Servers().source, "");
  Move move;
  PlainTenant tenant(move);
  move.Plant({"GRANT CONNECT ON DATABASE " + move.quoted() + " TO " + nobody.quoted()});
  move.options.source = nobody.As(move.Source());
  move.options.role_names = {{nobody.name(), Servers().target.user}};
  EXPECT_THAT(move.MustFail().message, HasSubstr("GRANT pg_read_all_data TO " + nobody.quoted()));
  pg::Connection source = MustConnect(Servers().source);
  pg::testing::MustExec(source, {"GRANT pg_read_all_data TO " + nobody.quoted()});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("table s.t: row security"), HasSubstr("BYPASSRLS"),
                    HasSubstr("GRANT SELECT ON LARGE OBJECT 9001 TO " + nobody.quoted())));
}

TEST(IndexTraps, Trap83_WhatTheTargetsRoleMayNotDoIsNamedWithTheExactGrant) {
  PlainAdmin admin(Servers().target, "");
  Move move;
  PlainTenant tenant(move);
  move.Plant({"CREATE EXTENSION pageinspect", "CREATE PUBLICATION everything FOR ALL TABLES",
              "ALTER DATABASE " + move.quoted() + " SET log_min_messages TO 'error'",
              "ALTER TABLE s.t FORCE ROW LEVEL SECURITY"});
  move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(tenant.reader),
                      "CREATE ROLE " + QuoteIdentifier(tenant.owner) + " LOGIN"});
  move.WriteAs(admin);
  move.options.role_names = {{Servers().source.user, admin.name()}};
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("ALTER ROLE " + admin.quoted() + " CREATEDB"),
                    HasSubstr("extension pageinspect"), HasSubstr("PUBLICATION everything"),
                    HasSubstr("GRANT SET ON PARAMETER log_min_messages TO " + admin.quoted()),
                    HasSubstr("GRANT " + QuoteIdentifier(tenant.owner) + " TO " + admin.quoted()),
                    HasSubstr("ALTER ROLE " + admin.quoted() + " BYPASSRLS")));
}

}  // namespace
}  // namespace cutover::mover::testing
