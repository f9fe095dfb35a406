// SPDX-License-Identifier: Apache-2.0
// Traps 9–18 and 21 of docs/verification.md: objects that are neither tables nor indexes. Each case
// plants one, moves it, and looks at the target by SQL of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kThisDatabase[] = " FROM pg_database WHERE datname = current_database()";

// PostgreSQL 17 ships neither old_snapshot nor adminpack any more.
TEST(CatalogTraps, Trap09_AnExtensionThatTheTargetLacksIsRefusedUnlessAccepted) {
  Move move;
  move.Plant({"CREATE EXTENSION old_snapshot", "CREATE EXTENSION adminpack"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("extension old_snapshot"), HasSubstr("extension adminpack"),
                    HasSubstr("DROP EXTENSION")));
  move.options.accept = {"extension old_snapshot"};
  EXPECT_THAT(move.MustBeRefused(), Not(HasSubstr("old_snapshot")));
  move.options.accept = {"extension old_snapshot", "extension adminpack"};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT extname FROM pg_extension"), ElementsAre("plpgsql"));
}

TEST(CatalogTraps, Trap09_AMissingExtensionThatSomethingNeedsCannotBeAccepted) {
  Move move;
  move.Plant({"CREATE EXTENSION old_snapshot",
              "CREATE VIEW v AS SELECT * FROM pg_old_snapshot_time_mapping()"});
  move.options.accept = {"extension old_snapshot"};
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("view public.v"), HasSubstr("this cannot be accepted")));
}

TEST(CatalogTraps, Trap09_ExtensionsKeepTheirVersionSchemaAndOwner) {
  Move move;
  const std::string owner = move.Role();
  move.Plant({"GRANT CREATE ON DATABASE " + move.quoted() + " TO " + QuoteIdentifier(owner),
              "CREATE SCHEMA ext AUTHORIZATION " + QuoteIdentifier(owner),
              "SET ROLE " + QuoteIdentifier(owner),
              "CREATE EXTENSION pg_trgm WITH SCHEMA ext VERSION '1.5'", "RESET ROLE",
              "CREATE EXTENSION pg_stat_statements WITH SCHEMA ext VERSION '1.9'",
              "CREATE TABLE t (a text)", "CREATE INDEX t_a ON t USING gin (a ext.gin_trgm_ops)"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', extname, extversion, extnamespace::regnamespace,"
      " extowner::regrole) FROM pg_extension ORDER BY 1");
  // Lent for the moment of creating only.
  move.ExpectSame(std::string("SELECT datacl::text") + kThisDatabase);
}

/// What trap_config makes: two tables whose rows are the users', with a key between them, and
/// things of its own.
constexpr char kExtensionScript[] = R"(
CREATE TABLE @extschema@.a_child (id int PRIMARY KEY, parent int, ours boolean);
CREATE TABLE @extschema@.z_parent (id int PRIMARY KEY, ours boolean);
INSERT INTO @extschema@.z_parent VALUES (0, true);
INSERT INTO @extschema@.a_child VALUES (0, 0, true);
ALTER TABLE @extschema@.a_child ADD FOREIGN KEY (parent) REFERENCES @extschema@.z_parent;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.a_child', 'WHERE NOT ours');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.z_parent', 'WHERE NOT ours');
CREATE TABLE @extschema@.lookup (id int, name text DEFAULT 'none');
INSERT INTO @extschema@.lookup VALUES (1, 'theirs');
CREATE FUNCTION @extschema@.known(int) RETURNS text LANGUAGE sql
  AS 'SELECT name FROM @extschema@.lookup WHERE id = $1';
COMMENT ON FUNCTION @extschema@.known(int) IS 'what is known';
CREATE TYPE @extschema@.mood AS ENUM ('sad');
)";

/// An extension that a server of version 18 has for as long as this lives: written into a directory
/// of its machine by its own hands.
class OwnExtension {
 public:
  OwnExtension() : admin_(MustConnect(server())) {
    // One at a time: the server has one place where it looks. Held by the session.
    MustExec(admin_, {"SELECT pg_advisory_lock(4712)"});
    Write("trap_config.control",
          "comment = 'config'\ndefault_version = '1'\nrelocatable = false\n");
    Write("trap_config--1.sql", kExtensionScript);
    MustExec(admin_, {"ALTER SYSTEM SET extension_control_path = '$system:" + directory_ + "'",
                      "SELECT pg_reload_conf()"});
    // A session that began right after the reload may not have seen it yet.
    while (!IsThere()) {
    }
  }
  ~OwnExtension() {
    MustExec(admin_, {"ALTER SYSTEM RESET extension_control_path", "SELECT pg_reload_conf()",
                      "COPY (SELECT 1) TO PROGRAM 'rm -r " + directory_ + "'"});
  }
  OwnExtension(const OwnExtension&) = delete;
  OwnExtension& operator=(const OwnExtension&) = delete;

  static pg::ConnectOptions server() { return Servers().OfMajor(18); }

 private:
  static bool IsThere() {
    pg::Connection session = MustConnect(server());
    return !MustRead(session, "SELECT name FROM pg_available_extensions WHERE name = 'trap_config'")
                .empty();
  }
  void Write(const std::string& file, const std::string& text) {
    MustExec(admin_, {"COPY (SELECT string_to_table(" + QuoteLiteral(text) +
                      ", E'\\n')) TO PROGRAM 'mkdir -p " + directory_ + "/extension && cat > " +
                      directory_ + "/extension/" + file + "'"});
  }

  const std::string directory_ = "/tmp/" + pg::testing::UniqueName("ext");
  pg::Connection admin_;
};

TEST(CatalogTraps, Trap09_HowAnExtensionsFunctionsWereAlteredComesAlongAndIsCompared) {
  Move move;
  move.Plant({"CREATE EXTENSION hstore", "CREATE EXTENSION unaccent",
              "ALTER FUNCTION tconvert(text, text) SET search_path TO public, pg_temp"
              " SET work_mem TO '5MB' PARALLEL RESTRICTED SECURITY DEFINER",
              "ALTER FUNCTION each(hstore) ROWS 7 COST 77 CALLED ON NULL INPUT VOLATILE",
              "ALTER FUNCTION unaccent(text) SET search_path TO public LEAKPROOF"});
  move.MustArrive();
  const std::string marks =
      "SELECT concat_ws(' ', p.oid::regprocedure, provolatile, proparallel, prosecdef, proisstrict,"
      " proleakproof, procost, prorows, proconfig) FROM pg_proc p JOIN pg_depend d ON d.objid ="
      " p.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass WHERE pronamespace ="
      " 'public'::regnamespace ORDER BY 1";
  move.ExpectSame(marks);
  EXPECT_THAT(move.OnTarget(marks),
              Contains("public.tconvert(text,text) i r t f f 1 0 {\"search_path=public, "
                       "pg_temp\",work_mem=5MB}"));
  {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"ALTER FUNCTION public.tconvert(text, text) RESET work_mem",
                    "ALTER FUNCTION public.each(public.hstore) ROWS 1000"});
  }
  VerifyOptions verify;
  verify.source = move.Source();
  verify.target = move.Copy();
  const Report report = MustVerify(verify);
  ASSERT_EQ(report.mismatch_count, 2) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "function public.each(public.hstore)");
  EXPECT_EQ(report.mismatches[1].table, "function public.tconvert(text,text)");
}

TEST(CatalogTraps, Trap09_AnExtensionsFunctionsGetNoPowersOnASharedServer) {
  Move move;
  // Together with the extension, so that their age does not tell.
  move.Plant({"BEGIN", "CREATE EXTENSION hstore",
              "ALTER FUNCTION tconvert(text, text) SECURITY DEFINER COST 7",
              "ALTER FUNCTION each(hstore) LEAKPROOF SET search_path TO public", "COMMIT"});
  const std::vector<std::string> mighty = {"function public.each(public.hstore)",
                                           "function public.tconvert(text,text)"};
  move.options.withhold_powers = true;
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr(mighty[0] + ": it is LEAKPROOF, and"),
                    HasSubstr(mighty[1] + ": it is SECURITY DEFINER, and extension hstore"),
                    Not(HasSubstr("akeys"))));
  move.options.accept = mighty;
  EXPECT_THAT(move.MustArrive().warnings,
              IsSupersetOf({HasSubstr(mighty[0]), HasSubstr(mighty[1])}));
  EXPECT_THAT(move.OnTarget("SELECT concat_ws(' ', proname, prosecdef, proleakproof, procost,"
                            " proconfig) FROM pg_proc WHERE proname IN ('tconvert', 'each')"
                            " ORDER BY 1"),
              ElementsAre("each f f 1 {search_path=public}", "tconvert f f 7"));
}

TEST(CatalogTraps, Trap10_ConfigurationRowsComeInOrderOfTheirKeysAndWithoutTheExtensionsOwn) {
  const OwnExtension extension;
  Move move(extension.server(), extension.server());
  move.Plant({"CREATE EXTENSION trap_config",
              "INSERT INTO z_parent SELECT i, false FROM generate_series(1, 500) i",
              // The child is bigger, and first by name: both orders would be wrong.
              "INSERT INTO a_child SELECT i, 1 + i % 500, false FROM generate_series(1, 20000) i",
              // Written again as they were, as pg_upgrade does it.
              "UPDATE lookup SET name = name", "ALTER FUNCTION known(int) STABLE"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT count(*) || ' ' || sum(parent) FROM public.a_child"),
              ElementsAre(move.OnSource("SELECT count(*) || ' ' || sum(parent)"
                                        " FROM public.a_child")[0]));
  move.ExpectSame("SELECT count(*) FROM public.z_parent");
  move.ExpectSame("SELECT id || name FROM public.lookup");
  move.ExpectSame(
      "SELECT extconfig::regclass[]::text || extcondition::text FROM pg_extension"
      " WHERE extname = 'trap_config'");
}

TEST(CatalogTraps, Trap10_RowsThatAnExtensionDoesNotMarkAreRefusedUnlessAccepted) {
  const OwnExtension extension;
  Move move(extension.server(), extension.server());
  move.Plant({"CREATE SCHEMA ext", "CREATE EXTENSION trap_config WITH SCHEMA ext",
              "INSERT INTO ext.lookup VALUES (2, 'users')"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("rows of ext.lookup: the table is extension trap_config's"),
                    Not(HasSubstr("a_child")), Not(HasSubstr("known"))));
  move.options.accept = {"rows of ext.lookup"};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("rows of ext.lookup")));
  EXPECT_THAT(move.OnTarget("SELECT name FROM ext.lookup"), ElementsAre("theirs"));
}

TEST(CatalogTraps, Trap09_WhatUsersChangedOfAnExtensionsObjectsComesAlongOrIsRefusedByName) {
  const OwnExtension extension;
  Move move(extension.server(), extension.server());
  const std::string role = move.Role();
  move.Plant({"CREATE EXTENSION trap_config",
              "CREATE OR REPLACE FUNCTION known(int) RETURNS text LANGUAGE sql AS 'SELECT NULL'",
              "COMMENT ON FUNCTION known(int) IS 'less'", "COMMENT ON COLUMN lookup.id IS 'new'",
              "ALTER TYPE mood ADD VALUE 'glad'", "ALTER TABLE lookup ALTER name SET DEFAULT 'any'",
              "ALTER TABLE lookup ADD extra int", "CREATE INDEX lookup_name ON lookup (name)",
              "ALTER TABLE lookup ADD CONSTRAINT named CHECK (name <> '')",
              "CREATE TRIGGER t BEFORE UPDATE ON lookup FOR EACH ROW EXECUTE FUNCTION"
              " suppress_redundant_updates_trigger()",
              "CREATE RULE r AS ON DELETE TO lookup DO INSTEAD NOTHING",
              // These come along.
              "ALTER TABLE lookup OWNER TO " + QuoteIdentifier(role),
              "ALTER FUNCTION known(int) OWNER TO " + QuoteIdentifier(role),
              "GRANT SELECT ON a_child TO " + QuoteIdentifier(role)});
  const std::vector<std::string> changed = {"function public.known(integer)",
                                            "comment on function public.known(integer)",
                                            "comment on column id of table public.lookup",
                                            "value 'glad' of type public.mood",
                                            "column name of table public.lookup",
                                            "column extra of table public.lookup",
                                            "index public.lookup_name",
                                            "constraint named on table public.lookup",
                                            "trigger t on table public.lookup",
                                            "rule r on table public.lookup"};
  const std::string refused = move.MustBeRefused();
  for (const std::string& object : changed) EXPECT_THAT(refused, HasSubstr("\n  " + object + ": "));
  EXPECT_EQ(std::ranges::count(refused, '\n'), static_cast<int>(changed.size())) << refused;
  move.options.accept = changed;
  move.Plant({"ALTER TABLE a_child ADD extra int"});
  EXPECT_THAT(move.MustBeRefused(), HasSubstr("column extra of table public.a_child"));
  move.options.accept.push_back("column extra of table public.a_child");
  EXPECT_THAT(move.MustBeRefused(), HasSubstr("this cannot be accepted"));
  move.options.accept.pop_back();
  move.Plant({"ALTER TABLE a_child DROP extra"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', relname, relacl, relowner::regrole) FROM pg_class WHERE oid IN"
      " ('public.a_child'::regclass, 'public.lookup'::regclass) ORDER BY 1");
  move.ExpectSame("SELECT proowner::regrole FROM pg_proc WHERE proname = 'known'");
  {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"ALTER TABLE public.lookup OWNER TO CURRENT_USER"});
  }
  VerifyOptions verify;
  verify.source = move.Source();
  verify.target = move.Copy();
  const Report report = MustVerify(verify);
  ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "TABLE public.lookup");
}

TEST(CatalogTraps, WhatUsersHavePutIntoTheSystemsSchemasIsRefusedUnlessAccepted) {
  Move move;
  move.Plant({"CREATE FUNCTION pg_catalog.ours(int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
              "CREATE VIEW information_schema.ours AS SELECT 1 AS a",
              "CREATE EXTENSION adminpack"});  // In pg_catalog, too.
  move.options.accept = {"extension adminpack"};
  const std::vector<std::string> ours = {
      "function ours(integer) in schema pg_catalog",
      "view information_schema.ours in schema information_schema"};
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr(ours[0]), HasSubstr(ours[1]), Not(HasSubstr("pg_file"))));
  move.options.accept.insert(move.options.accept.end(), ours.begin(), ours.end());
  move.MustArrive();
}

TEST(CatalogTraps, SlotsThatStayOnTheSourceAreNamed) {
  Move move;
  const std::string slot = pg::testing::UniqueName("slot");
  move.Plant({"CREATE TABLE t (a int)",
              "SELECT pg_create_logical_replication_slot(" + QuoteLiteral(slot) + ", 'pgoutput')"});
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("replication slot " + slot)));
  move.Plant({"SELECT pg_drop_replication_slot(" + QuoteLiteral(slot) + ")"});
}

TEST(CatalogTraps, Trap11_ACommentOnAnExtensionArrives) {
  Move move;
  move.Plant({"CREATE EXTENSION unaccent", "COMMENT ON EXTENSION unaccent IS 'without ''accents'''",
              "COMMENT ON EXTENSION plpgsql IS NULL"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT extname || ' ' || coalesce(obj_description(oid, 'pg_extension'), 'none')"
      " FROM pg_extension ORDER BY 1");
}

/// Extensions that cannot be installed here, as the catalog shows them.
std::string FakeExtension(const std::string& name) {
  return "INSERT INTO pg_extension VALUES ((SELECT max(oid::bigint) + 77777 FROM pg_extension),"
         " '" +
         name + "', 10, 'public'::regnamespace, false, '1.0', NULL, NULL)";
}

TEST(CatalogTraps, Trap12_JobsOfPgCronAreRefusedUnlessAccepted) {
  Move move;
  move.Plant({FakeExtension("pg_cron"), "CREATE TABLE t (a int)"});
  EXPECT_THAT(move.MustBeRefused(), AllOf(HasSubstr("extension pg_cron"), HasSubstr("cron.job")));
  move.options.accept = {"extension pg_cron"};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("extension pg_cron")));
  EXPECT_THAT(move.OnTarget("SELECT extname FROM pg_extension"), ElementsAre("plpgsql"));
}

TEST(CatalogTraps, Trap13_TimescaleAndCitusAreRefusedByName) {
  for (const char* name : {"timescaledb", "citus"}) {
    Move move;
    move.Plant({FakeExtension(name)});
    EXPECT_THAT(move.MustBeRefused(),
                AllOf(HasSubstr(std::string("extension ") + name), HasSubstr("own means")));
  }
}

TEST(CatalogTraps, Trap14_EventTriggersComeAsTheyWereAndDoNotFireMeanwhile) {
  Move move;
  move.Plant({"CREATE TABLE fired (at timestamptz DEFAULT now())",
              "CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS"
              " 'BEGIN INSERT INTO public.fired DEFAULT VALUES; END'",
              "CREATE EVENT TRIGGER a_on ON ddl_command_end EXECUTE FUNCTION tell()",
              "CREATE EVENT TRIGGER b_tagged ON sql_drop WHEN TAG IN ('DROP TABLE')"
              " EXECUTE FUNCTION tell()",
              "CREATE EVENT TRIGGER c_off ON ddl_command_start EXECUTE FUNCTION tell()",
              "ALTER EVENT TRIGGER b_tagged ENABLE ALWAYS", "ALTER EVENT TRIGGER c_off DISABLE",
              "COMMENT ON EVENT TRIGGER a_on IS 'on'", "TRUNCATE fired"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', evtname, evtevent, evtenabled, evttags,"
      " obj_description(oid, 'pg_event_trigger')) FROM pg_event_trigger ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT at FROM public.fired"), IsEmpty());
}

TEST(CatalogTraps, Trap14_ATriggerOnLoginFiresForNoneOfOurSessions) {
  Move move(Servers().OfMajor(17), Servers().OfMajor(18));
  move.Plant(
      {"CREATE TABLE logins (at timestamptz DEFAULT now(), "
       "who text DEFAULT current_setting('application_name'))",
       "CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS"
       " 'BEGIN INSERT INTO public.logins DEFAULT VALUES; END'",
       "CREATE EVENT TRIGGER tell ON login EXECUTE FUNCTION tell()"});
  move.MustArrive();
  move.ExpectSame("SELECT concat_ws(' ', evtname, evtevent, evtenabled) FROM pg_event_trigger");
  EXPECT_THAT(move.OnSource("SELECT who FROM public.logins"), IsEmpty());
  EXPECT_THAT(move.OnTarget("SELECT who FROM public.logins"), IsEmpty());
}

TEST(CatalogTraps, Trap14_WithoutSuperuserAnEventTriggerIsRefusedUnlessAccepted) {
  PlainAdmin admin(Servers().target, "CREATEDB CREATEROLE");
  Move move;
  const std::string owner = move.Role();
  move.Plant({"CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
              "ALTER FUNCTION tell() OWNER TO " + QuoteIdentifier(owner),
              "CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION tell()",
              "COMMENT ON EVENT TRIGGER tell IS 'tells'",
              "ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(owner)});
  move.WriteAs(admin);
  move.options.role_names = {{Servers().source.user, admin.name()}};
  EXPECT_THAT(move.MustBeRefused(), HasSubstr("EVENT TRIGGER tell"));
  move.options.accept = {"EVENT TRIGGER tell"};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT evtname FROM pg_event_trigger"), IsEmpty());
}

TEST(CatalogTraps, Trap15_ForeignServersAndUserMappingsComeWithPasswordsAndWithoutRows) {
  Move move;
  const std::string user = move.Role();
  move.Plant({"CREATE EXTENSION postgres_fdw",
              "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw"
              " OPTIONS (host 'far.invalid', port '6432', dbname 'd')",
              "CREATE USER MAPPING FOR " + QuoteIdentifier(user) +
                  " SERVER far OPTIONS (user 'u', password 'pass\"''word')",
              "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'anybody')",
              "GRANT USAGE ON FOREIGN SERVER far TO " + QuoteIdentifier(user),
              "CREATE FOREIGN TABLE rows_far_away (a int OPTIONS (column_name 'z')) SERVER far"
              " OPTIONS (table_name 'q', schema_name 's')",
              "CREATE FOREIGN DATA WRAPPER bare OPTIONS (x 'y')",
              "CREATE SERVER bare TYPE 'kind' VERSION '7' FOREIGN DATA WRAPPER bare"});
  // far.invalid answers nobody: whoever read its rows would fail.
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("far.invalid")));
  auto sorted = [](const std::string& options) {
    return "(SELECT array_agg(o ORDER BY o)::text FROM unnest(" + options + ") o)";
  };
  move.ExpectSame("SELECT concat_ws(' ', srvname, srvtype, srvversion, srvacl, " +
                  sorted("srvoptions") + ") FROM pg_foreign_server ORDER BY 1");
  move.ExpectSame("SELECT concat_ws(' ', srvname, usename, " + sorted("umoptions") +
                  ") FROM pg_user_mappings ORDER BY 1");
  move.ExpectSame("SELECT ftrelid::regclass || " + sorted("ftoptions") + " FROM pg_foreign_table");
  move.ExpectSame(
      "SELECT attfdwoptions::text FROM pg_attribute WHERE attrelid ="
      " 'public.rows_far_away'::regclass AND attname = 'a'");
}

TEST(CatalogTraps, Trap15_OptionsOfAUserMappingThatCannotBeReadAreRefused) {
  PlainAdmin reader(Servers().source, "", {"GRANT pg_read_all_data TO %s"});
  Move move;
  const std::string user = move.Role();
  move.Plant({"CREATE EXTENSION postgres_fdw",
              "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
              "CREATE USER MAPPING FOR " + QuoteIdentifier(user) +
                  " SERVER far OPTIONS (user 'u', password 'p')",
              "ALTER SERVER far OWNER TO " + QuoteIdentifier(user),
              "ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(user)});
  move.options.source = reader.As(move.Source());
  const std::string object = "USER MAPPING " + user + " SERVER far";
  EXPECT_THAT(move.MustBeRefused(), HasSubstr(object));
  move.options.accept = {object};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT usename FROM pg_user_mappings"), IsEmpty());
}

TEST(CatalogTraps, Trap16_PublicationsComeWithFiltersAndColumns) {
  Move move;
  move.Plant({"CREATE TABLE t (id int PRIMARY KEY, a text, b text)", "CREATE SCHEMA s",
              "CREATE TABLE s.u (id int)",
              "CREATE PUBLICATION a_part FOR TABLE t (id, a) WHERE (id > 3 AND a <> 'x')"
              " WITH (publish = 'insert, update')",
              "CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root)",
              "CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA s",
              "COMMENT ON PUBLICATION a_part IS 'some of it'"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', pubname, puballtables, pubinsert, pubupdate, pubdelete,"
      " pubtruncate, pubviaroot, obj_description(oid)) FROM pg_publication ORDER BY 1");
  move.ExpectSame(
      "SELECT concat_ws(' ', pubname, schemaname, tablename, attnames, rowfilter)"
      " FROM pg_publication_tables ORDER BY 1");
  move.ExpectSame("SELECT pnnspid::regnamespace FROM pg_publication_namespace");
}

TEST(CatalogTraps, Trap16_SubscriptionsComeDisabledAndCannotTakeTheSourcesSlotAway) {
  Move move;
  move.Plant(
      {"CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 dbname=nowhere password=secret'"
       " PUBLICATION a, b WITH (connect = false, slot_name = 'the_slot', binary = true)",
       "COMMENT ON SUBSCRIPTION news IS 'slot_name = ''the_slot'''"});
  EXPECT_THAT(move.MustArrive().warnings,
              Contains(AllOf(HasSubstr("subscription news"), HasSubstr("the_slot"))));
  move.ExpectSame(
      "SELECT concat_ws(' ', subname, subconninfo, subpublications, subbinary,"
      " obj_description(s.oid, 'pg_subscription')) FROM pg_subscription s JOIN"
      " pg_database d ON d.oid = subdbid AND datname = current_database()");
  EXPECT_THAT(move.OnTarget("SELECT subenabled::text || (subslotname IS NULL) FROM pg_subscription"
                            " JOIN pg_database d ON d.oid = subdbid AND datname ="
                            " current_database()"),
              ElementsAre("falsetrue"));
}

/// The statements behind `before` in the one warning that has it.
std::vector<std::string> StatementsOf(const Report& report, const std::string& before) {
  std::vector<std::string> statements;
  for (const std::string& warning : report.warnings) {
    const size_t at = warning.find(before);
    if (at == std::string::npos) continue;
    std::istringstream rest(warning.substr(at + before.size()));
    // They hold no semicolon themselves.
    for (std::string statement; std::getline(rest, statement, ';');)
      statements.push_back(statement);
  }
  return statements;
}

// The source reads a publication of a third server, up to the move.
TEST(CatalogTraps, Trap16_WhoDoesAsTheReportSaysMissesNothingThatIsPublished) {
  const pg::ConnectOptions third = Servers().OfMajor(16);
  const pg::testing::TestDatabase published(third, third.user);
  pg::Connection publisher = MustConnect(published.Options());
  MustExec(publisher,
           {"CREATE TABLE public.news (id int)", "CREATE PUBLICATION p FOR TABLE public.news"});
  Move move;
  const pg::ConnectOptions at = published.Options();
  move.Plant({"CREATE TABLE news (id int)",
              "CREATE SUBSCRIPTION n CONNECTION " +
                  QuoteLiteral("host=" + at.host + " port=" + std::to_string(at.port) + " user=" +
                               at.user + " dbname=" + at.database + " password=" + at.password) +
                  " PUBLICATION p WITH (slot_name = " + QuoteLiteral(move.name()) + ")"});
  // By the stream, and not with the first copy of the table, which knows no position.
  while (move.OnSource("SELECT srrelid FROM pg_subscription_rel WHERE srsubstate = 'r'").empty()) {
  }
  MustExec(publisher, {"INSERT INTO public.news VALUES (1)"});
  while (move.OnSource("SELECT id FROM public.news").empty()) {
  }
  move.Plant({"ALTER SUBSCRIPTION n DISABLE"});
  MustExec(publisher, {"INSERT INTO public.news VALUES (2)"});
  const auto statements = StatementsOf(move.MustArrive(), "one after the other: ");
  EXPECT_THAT(statements, SizeIs(7));
  move.Plant({"ALTER SUBSCRIPTION n SET (slot_name = NONE)"});
  {
    pg::Connection copy = MustConnect(move.Copy());
    for (const std::string& statement : statements) MustExec(copy, {statement});
  }
  MustExec(publisher, {"INSERT INTO public.news VALUES (3)"});
  const Deadline soon = Soon();
  while (move.OnTarget("SELECT id FROM public.news WHERE id = 3").empty() && !soon.Expired()) {
  }
  EXPECT_THAT(move.OnTarget("SELECT id FROM public.news ORDER BY id"), ElementsAre("1", "2", "3"));
  pg::Connection copy = MustConnect(move.Copy());
  MustExec(copy, {"ALTER SUBSCRIPTION n DISABLE"});
  MustExec(copy, {"ALTER SUBSCRIPTION n SET (slot_name = NONE)"});
  while (!MustRead(publisher,
                   "SELECT slot_name FROM pg_replication_slots WHERE slot_name = $1"
                   " AND active",
                   {move.name()})
              .empty()) {
  }
  MustExec(publisher, {"SELECT pg_drop_replication_slot(" + QuoteLiteral(move.name()) + ")"});
}

TEST(CatalogTraps, Trap17_CommentsAndStatisticsObjectsArrive) {
  Move move;
  move.Plant({"CREATE TABLE t (a int PRIMARY KEY, b text, c text DEFAULT 'x' CHECK (c <> ''))",
              "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
              "CREATE TYPE pair AS (x int, y int)",
              "CREATE DOMAIN d AS int CHECK (VALUE > 0)",
              "CREATE STATISTICS st (ndistinct, dependencies) ON a, b FROM t",
              "ALTER STATISTICS st SET STATISTICS 55",
              "CREATE STATISTICS by_expression ON lower(b), (a + 1) FROM t",
              "COMMENT ON TABLE t IS 'table'",
              "COMMENT ON COLUMN t.b IS E'two\\nlines'",
              "COMMENT ON CONSTRAINT t_c_check ON t IS 'check'",
              "COMMENT ON INDEX t_pkey IS 'key'",
              "COMMENT ON FUNCTION f(int) IS 'function'",
              "COMMENT ON TYPE pair IS 'type'",
              "COMMENT ON COLUMN pair.x IS 'field'",
              "COMMENT ON DOMAIN d IS 'domain'",
              "COMMENT ON STATISTICS st IS 'statistics'",
              "SELECT lo_from_bytea(4711, 'x')",
              "COMMENT ON LARGE OBJECT 4711 IS 'large'",
              "CREATE CAST (text AS int4range) WITH INOUT AS ASSIGNMENT",
              "COMMENT ON CAST (text AS int4range) IS 'cast'"});
  move.MustArrive();
  // Comments by the objects' names; 16384 is where objects begin that initdb did not make.
  move.ExpectSame(
      "SELECT pg_describe_object(classoid, objoid, objsubid) || ': ' || description"
      " FROM pg_description WHERE objoid >= 16384 OR classoid ="
      " 'pg_largeobject'::regclass ORDER BY 1");
  move.ExpectSame(
      "SELECT pg_get_statisticsobjdef(oid) || ' ' || coalesce((to_jsonb(s) ->>"
      " 'stxstattarget')::int, -1) FROM pg_statistic_ext s ORDER BY 1");
}

TEST(CatalogTraps, Trap17_ASecurityLabelWithoutItsProviderIsRefusedUnlessAccepted) {
  Move move;
  // No provider of labels can be had here: the rows are what one would have written.
  move.Plant({"CREATE TABLE t (a int)",
              "INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'guard',"
              " 'secret'), ('t'::regclass, 'pg_class'::regclass, 1, 'guard', 'more; secret')",
              "INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'guard', 'whole'"
              " FROM pg_database WHERE datname = current_database()"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("security labels of guard"), HasSubstr("shared_preload_libraries")));
  move.options.accept = {"security labels of guard"};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("guard")));
  EXPECT_THAT(move.OnTarget("SELECT label FROM pg_seclabel"), IsEmpty());
  move.Plant({"DELETE FROM pg_shseclabel WHERE provider = 'guard'"});
}

TEST(CatalogTraps, Trap18_ClientProgramsOlderThanTheSourceAreRefused) {
  Move move(Servers().target, Servers().target);
  Reporter silent(Reporter::Output::kSilent);
  Result<Report> report =
      CloneDatabase({}, PgPrograms::In("/usr/lib/postgresql/15/bin"), move.options, silent);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, AllOf(HasSubstr("15"), HasSubstr("17")));
  EXPECT_EQ(report.error().disposition, Disposition::kTerminal);
}

TEST(CatalogTraps, Trap18_TextThatLooksLikePsqlsCommandsIsOnlyText) {
  Move move;
  move.Plant(
      {"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '\n\\restrict abc\n"
       "--\n-- TOC entry 1 (class 0 OID 0)\n-- Name: x; Type: TABLE; Schema: -; Owner: -\n--\n"
       "\\unrestrict abc\n' $$",
       "COMMENT ON FUNCTION f() IS E'\n\\\\connect nowhere\n\\\\.\n'"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT public.f() || prosrc || obj_description(oid) FROM pg_proc"
      " WHERE proname = 'f'");
}

TEST(CatalogTraps, Trap18_TextThatForgesEntriesOfTheDumpIsOnlyText) {
  Move move;
  const std::string evil = "evil_" + move.name();
  move.ForgetRole(evil);
  const std::string order = "CREATE ROLE " + QuoteIdentifier(evil) + " SUPERUSER LOGIN;\n";
  std::string forged;  // Whatever number the archive gives to an entry, it is among these.
  for (int id = 1; id <= 5000; ++id)
    forged += "\n--\n-- TOC entry " + std::to_string(id) +
              " (class 0 OID 0)\n-- Name: x; Type: SCHEMA; Schema: -; Owner: -\n--\n\n" + order;
  const std::string replaced = "\nCREATE TABLE t (\n    NOT NULL a; " + order + "--\n);\n";
  const std::string taken_out = " SET (pg_attver=1);\nx\"() RETURNS int AS ''; " + order + "--";
  move.Plant(
      {"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ /*" + forged + "*/ SELECT 'f' $f$",
       "CREATE FUNCTION g() RETURNS text LANGUAGE sql AS $f$ /*" + replaced + "*/ SELECT 'g' $f$",
       "CREATE FUNCTION \"ALTER x\"() RETURNS text LANGUAGE sql AS $f$ SELECT $x$" + taken_out +
           "$x$ $f$",
       "COMMENT ON FUNCTION f() IS '" + forged + "'",
       "CREATE TABLE t (a text DEFAULT '" + forged + "', \"b\n--\" int)",
       "CREATE VIEW v AS SELECT '" + forged + "\\'::text AS a",
       "CREATE FUNCTION h() RETURNS text LANGUAGE sql AS 'SELECT 1'"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT rolname FROM pg_roles WHERE rolname = '" + evil + "'"),
              IsEmpty());
  move.ExpectSame(
      "SELECT proname || prosrc || coalesce(obj_description(oid), '') FROM pg_proc"
      " WHERE pronamespace = 'public'::regnamespace ORDER BY proname");
  move.ExpectSame("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef");
  move.ExpectSame("SELECT pg_get_viewdef('public.v'::regclass)");
}

TEST(CatalogTraps, Trap21_NamesWithQuotesNewlinesAndSixtyThreeBytesArrive) {
  Move move;
  const std::string role = move.Role("", "o\"d;d -- \n; Owner: x");
  const std::string longest(63, 'x');
  const std::string wild = QuoteIdentifier("ta\"b\nle; Type: TABLE; Schema: s; Owner: o");
  const std::string schema = QuoteIdentifier("sche.ma'\"\n--");
  std::string arguments, columns;
  for (int i = 0; i < 90; ++i) {
    const std::string name = "argument_of_a_function_with_very_many_" + std::to_string(i);
    arguments += (i == 0 ? "" : ", ") + QuoteIdentifier(name) + " pg_catalog.timestamptz";
  }
  move.Plant({"CREATE SCHEMA " + schema + " AUTHORIZATION " + QuoteIdentifier(role),
              "CREATE TABLE " + schema + "." + wild + " (\"a\"\"b\nc\" int PRIMARY KEY, \"" +
                  longest + "\" text)",
              "INSERT INTO " + schema + "." + wild + " VALUES (1, 'one')",
              "ALTER TABLE " + schema + "." + wild + " OWNER TO " + QuoteIdentifier(role),
              "CREATE INDEX \"i\nx\" ON " + schema + "." + wild + " (\"" + longest + "\")",
              "GRANT SELECT (\"a\"\"b\nc\") ON " + schema + "." + wild + " TO PUBLIC",
              "CREATE TABLE \"" + longest + "\" (\"SELECT\" int)",
              "INSERT INTO \"" + longest + "\" VALUES (7)",
              "CREATE FUNCTION f(" + arguments + ") RETURNS int LANGUAGE sql AS 'SELECT 1'",
              "COMMENT ON SCHEMA " + schema + " IS E'a\\nb'",
              "CREATE SEQUENCE " + schema + ".\"s q\n\"",
              "SELECT nextval('" + schema.substr(0, 8) + "''" + schema.substr(9) + ".\"s q\n\"')"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws('|', n.nspname, c.relname, c.relkind, c.relowner::regrole,"
      " array_agg(a.attname || coalesce(a.attacl::text, '') ORDER BY a.attnum))"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a"
      " ON attrelid = c.oid AND attnum > 0 WHERE c.oid >= 16384 AND nspname !~ '^pg_'"
      " GROUP BY nspname, relname, relkind, relowner ORDER BY 1");
  move.ExpectSame("SELECT count(*) FROM " + schema + "." + wild);
  move.ExpectSame("SELECT pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'f'");
}

}  // namespace
}  // namespace cutover::mover::testing
