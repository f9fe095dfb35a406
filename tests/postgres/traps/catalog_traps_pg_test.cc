// SPDX-License-Identifier: Apache-2.0
// Traps 1–21 and 79 of docs/verification.md: what belongs to a database besides its rows. Each case
// plants one, moves it, and looks at the target by SQL of its own.
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
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kThisDatabase[] = " FROM pg_database WHERE datname = current_database()";

TEST(CatalogTraps, Trap01_TheDatabaseIsTheSourcesTwinUnderAnotherName) {
  Move move(Servers().source, Servers().target, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
  const std::string owner = move.Role("LOGIN"), guest = move.Role();
  move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(owner),
              "ALTER DATABASE " + move.quoted() + " CONNECTION LIMIT 17",
              "COMMENT ON DATABASE " + move.quoted() + " IS 'the tenant''s own'",
              "REVOKE ALL ON DATABASE " + move.quoted() + " FROM PUBLIC",
              "GRANT CONNECT ON DATABASE " + move.quoted() + " TO " + QuoteIdentifier(guest) +
                  " WITH GRANT OPTION",
              "ALTER DATABASE " + move.quoted() + " SET work_mem TO '7MB'",
              "ALTER DATABASE " + move.quoted() + " SET search_path TO public, \"Odd one\"",
              "ALTER DATABASE " + move.quoted() + " SET default_transaction_read_only TO on"});
  move.MustArrive();
  for (const char* what :
       {"pg_encoding_to_char(encoding)", "datcollate", "datctype", "pg_get_userbyid(datdba)",
        "datacl::text", "datconnlimit::text", "shobj_description(oid, 'pg_database')"})
    move.ExpectSame(std::string("SELECT ") + what + kThisDatabase);
  move.ExpectSame(
      "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid ="
      " setdatabase AND datname = current_database() ORDER BY 1");
}

TEST(CatalogTraps, Trap01_AnIcuDatabaseStaysOne) {
  Move move(Servers().source, Servers().target, "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'");
  move.Plant({"CREATE TABLE t (a text)", "INSERT INTO t VALUES ('z'), ('ä'), ('a')"});
  move.MustArrive();
  EXPECT_THAT(
      move.OnTarget("SELECT datlocprovider::text || ' ' || datlocale" + std::string(kThisDatabase)),
      ElementsAre("i de-DE"));
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.t ORDER BY a"), ElementsAre("a", "ä", "z"));
}

TEST(CatalogTraps, Trap01_ADatabaseThatExistsWithAnotherLocaleIsRefused) {
  Move move;
  move.options.admin.reset();
  move.PlantOnTarget({"CREATE DATABASE " + QuoteIdentifier(move.copy_name()) +
                      " TEMPLATE template0 LC_COLLATE 'C'"});
  const Error error = move.MustFail();
  EXPECT_EQ(error.reason, "Obstacles");
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("database collation"), HasSubstr("'C.UTF-8' on the source")));
  EXPECT_THAT(move.OnTarget("SELECT nspname FROM pg_namespace WHERE nspname = 'cutover'"),
              IsEmpty());
}

TEST(CatalogTraps, Trap02_SettingsOfARoleInADatabaseFollowItsNewName) {
  Move move;
  const std::string role = move.Role();
  move.Plant({"CREATE TABLE t (a int)", "GRANT SELECT ON t TO " + QuoteIdentifier(role),
              "ALTER ROLE " + QuoteIdentifier(role) + " IN DATABASE " + move.quoted() +
                  " SET work_mem TO '9MB'"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT rolname || ' ' || unnest(setconfig) FROM pg_db_role_setting s"
                            " JOIN pg_roles r ON r.oid = setrole JOIN pg_database d ON d.oid ="
                            " setdatabase AND datname = current_database()"),
              ElementsAre(role + " work_mem=9MB"));
}

/// As a setting stands in the catalog that no server of the target's version knows.
std::string PlantOddSetting(const Move& move) {
  return "UPDATE pg_db_role_setting SET setconfig = setconfig || '{gone_setting=1}' WHERE"
         " setdatabase = (SELECT oid FROM pg_database WHERE datname = " +
         QuoteLiteral(move.name()) + ")";
}

TEST(CatalogTraps, Trap03_ASettingThatTheTargetDoesNotTakeIsRefusedByName) {
  Move move;
  move.Plant({"ALTER DATABASE " + move.quoted() + " SET work_mem TO '7MB'", PlantOddSetting(move)});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("database setting gone_setting"),
                    HasSubstr("ALTER DATABASE " + move.quoted() + " RESET gone_setting")));
}

TEST(CatalogTraps, Trap03_AnAcceptedSettingStaysBehindAndIsReported) {
  Move move;
  move.Plant({"ALTER DATABASE " + move.quoted() + " SET work_mem TO '7MB'", PlantOddSetting(move)});
  move.options.accept = {"database setting gone_setting"};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("gone_setting")));
  EXPECT_THAT(move.OnTarget("SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d"
                            " ON d.oid = setdatabase AND datname = current_database()"),
              ElementsAre("work_mem=7MB"));
}

TEST(CatalogTraps, Trap03_AcceptingWhatIsNotInTheWayIsAnError) {
  Move move;
  move.options.accept = {"database setting no_such"};
  EXPECT_THAT(move.MustBeRefused("NothingToAccept"), HasSubstr("database setting no_such"));
}

TEST(CatalogTraps, Trap04_OnlyRolesOfTheDatabaseComeWithTheirMemberships) {
  Move move;
  const std::string owner = move.Role("LOGIN CONNECTION LIMIT 3 VALID UNTIL '2040-01-01'");
  const std::string group = move.Role("NOINHERIT"), above = move.Role(), stranger = move.Role();
  const std::string member = move.Role();
  move.Plant(
      {"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(owner),
       "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(owner) + " WITH ADMIN OPTION",
       "GRANT " + QuoteIdentifier(above) + " TO " + QuoteIdentifier(group),
       "GRANT " + QuoteIdentifier(owner) + " TO " + QuoteIdentifier(member),
       "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(stranger),
       "ALTER ROLE " + QuoteIdentifier(owner) + " SET lock_timeout TO '5s'",
       "COMMENT ON ROLE " + QuoteIdentifier(owner) + " IS 'whose it is'"});
  move.MustArrive();
  const std::string ours = "(" + QuoteLiteral(owner) + ", " + QuoteLiteral(group) + ", " +
                           QuoteLiteral(above) + ", " + QuoteLiteral(member) + ")";
  move.ExpectSame(
      "SELECT concat_ws(' ', rolname, rolinherit, rolcanlogin, rolconnlimit,"
      " rolvaliduntil, rolpassword, rolcreatedb, rolbypassrls, rolsuper,"
      " shobj_description(oid, 'pg_authid')) FROM pg_authid WHERE rolname IN " +
      ours + " ORDER BY 1");
  move.ExpectSame(
      "SELECT roleid::regrole || ' ' || member::regrole || ' ' || admin_option"
      " FROM pg_auth_members WHERE member::regrole::text IN " +
      ours + " ORDER BY 1");
  move.ExpectSame(
      "SELECT setrole::regrole || ' ' || setconfig::text FROM pg_db_role_setting"
      " WHERE setdatabase = 0 AND setrole::regrole::text IN " +
      ours);
  EXPECT_THAT(
      move.OnTarget("SELECT rolname FROM pg_roles WHERE rolname = " + QuoteLiteral(stranger)),
      IsEmpty());
}

TEST(CatalogTraps, Trap04_ARoleThatIsAnotherOnTheTargetIsRefusedUnlessAccepted) {
  Move move;
  const std::string role = move.Role("LOGIN PASSWORD 'ours'");
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role)});
  move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(role) + " NOLOGIN CREATEDB"});
  EXPECT_THAT(move.MustBeRefused(), AllOf(HasSubstr("role " + role), HasSubstr("CREATEDB, LOGIN"),
                                          HasSubstr("--map-role")));
  move.options.accept = {"role " + role};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("role " + role)));
  EXPECT_THAT(
      move.OnTarget("SELECT rolcanlogin::text || rolcreatedb FROM pg_roles WHERE rolname = " +
                    QuoteLiteral(role)),
      ElementsAre("falsetrue"));
  move.ExpectSame("SELECT tableowner FROM pg_tables WHERE tablename = 't'");
}

TEST(CatalogTraps, Trap04_AMembershipThatReachesOtherTenantsIsRefusedUnlessAccepted) {
  Move move;
  const std::string role = move.Role();
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
              "GRANT pg_read_all_data TO " + QuoteIdentifier(role)});
  EXPECT_THAT(move.MustBeRefused(), HasSubstr("membership of " + role + " in pg_read_all_data"));
  move.options.accept = {"membership of " + role + " in pg_read_all_data"};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT FROM pg_auth_members WHERE member::regrole::text = " +
                            QuoteLiteral(role)),
              IsEmpty());
}

TEST(CatalogTraps, Trap04_ARoleThatWouldNotBeThereIsRefusedWithWhatItOwns) {
  Move move;
  const std::string super = move.Role("SUPERUSER");
  move.Plant(
      {"CREATE TABLE of_super (a int)", "ALTER TABLE of_super OWNER TO " + QuoteIdentifier(super)});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("role " + super), HasSubstr("TABLE public.of_super"),
                    HasSubstr("REASSIGN OWNED BY")));
}

/// Every place of a database where a role can stand.
void PlantRolesEverywhere(Move& move, const std::string& owner, const std::string& reader) {
  const std::string o = QuoteIdentifier(owner), r = QuoteIdentifier(reader);
  const std::string text_with_role = QuoteLiteral("SELECT " + QuoteLiteral("TO " + reader + ";"));
  move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + o,
              "GRANT TEMPORARY ON DATABASE " + move.quoted() + " TO " + r,
              "ALTER ROLE " + r + " IN DATABASE " + move.quoted() + " SET work_mem TO '9MB'",
              "ALTER ROLE " + o + " SET lock_timeout TO '7s'",
              "GRANT " + o + " TO " + r,
              "CREATE EXTENSION postgres_fdw",
              "GRANT CREATE ON SCHEMA public TO " + o,
              "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
              "CREATE USER MAPPING FOR " + r + " SERVER far OPTIONS (user 'u', password 'p')",
              "GRANT USAGE ON FOREIGN SERVER far TO " + o + " WITH GRANT OPTION",
              "SET ROLE " + o,
              "CREATE SCHEMA s",
              "CREATE TABLE s.t (owner name DEFAULT current_user, a int)",
              "INSERT INTO s.t VALUES (" + QuoteLiteral(owner) + ", 1)",
              "GRANT USAGE ON SCHEMA s TO PUBLIC",
              "GRANT SELECT ON s.t TO " + r + " WITH GRANT OPTION",
              "GRANT UPDATE (a) ON s.t TO " + r,
              "SET ROLE " + r,
              "GRANT SELECT ON s.t TO PUBLIC",
              "SET ROLE " + o,
              "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY",
              "CREATE POLICY p ON s.t TO " + o + " USING (owner = " + QuoteLiteral(reader) + ")",
              "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO " + r,
              "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
              "CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS " + text_with_role,
              "CREATE VIEW s.v AS SELECT 1 AS " + r,
              "CREATE TYPE s.e AS ENUM ('x')",
              "GRANT USAGE ON TYPE s.e TO " + r,
              "SELECT lo_from_bytea(77, 'x')",
              "GRANT SELECT ON LARGE OBJECT 77 TO " + r,
              "RESET ROLE"});
}

/// What a database says about its roles, one list an element.
const std::vector<std::string>& QuestionsAboutRoles() {
  static const std::vector<std::string> questions = {
      "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
      "SELECT pg_get_userbyid(relowner) || relname FROM pg_class WHERE relnamespace ="
      " 's'::regnamespace ORDER BY relname",
      "SELECT pg_get_userbyid(grantor) || '>' || pg_get_userbyid(grantee) || privilege_type ||"
      " is_grantable FROM pg_class, aclexplode(relacl) WHERE relname = 't' AND privilege_type <>"
      " 'MAINTAIN' ORDER BY grantor = relowner, grantee = relowner, grantee = 0, privilege_type",
      "SELECT pg_get_userbyid(grantee) || privilege_type FROM pg_attribute, aclexplode(attacl)"
      " WHERE attrelid = 's.t'::regclass",
      "SELECT concat_ws(' ', pg_get_userbyid(defaclrole), defaclobjtype, pg_get_userbyid(grantee)) "
      "FROM"
      " pg_default_acl, aclexplode(defaclacl) GROUP BY defaclrole, defaclobjtype, grantee"
      " ORDER BY defaclobjtype, defaclrole = grantee",
      "SELECT pg_get_userbyid(polroles[1]) FROM pg_policy",
      "SELECT usename || (SELECT array_agg(o ORDER BY o)::text FROM unnest(umoptions) o) FROM"
      " pg_user_mappings",
      "SELECT pg_get_userbyid(grantee) || is_grantable FROM pg_foreign_server,"
      " aclexplode(srvacl) WHERE grantee <> srvowner",
      "SELECT pg_get_userbyid(lomowner) || pg_get_userbyid(grantee) FROM"
      " pg_largeobject_metadata, aclexplode(lomacl) WHERE grantee <> lomowner",
      "SELECT pg_get_userbyid(setrole) || setconfig::text FROM pg_db_role_setting JOIN pg_database"
      " d ON d.oid = setdatabase AND datname = current_database()",
      "SELECT pg_get_userbyid(roleid) || pg_get_userbyid(member) FROM pg_auth_members WHERE roleid"
      " = (SELECT relowner FROM pg_class WHERE oid = 's.t'::regclass)",
      "SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole ="
      " (SELECT relowner FROM pg_class WHERE oid = 's.t'::regclass)"};
  return questions;
}

TEST(CatalogTraps, Trap04_RolesMayHaveOtherNamesOnTheTargetEverywhere) {
  Move move;
  const std::string owner = move.Role("LOGIN PASSWORD 'o'", "old \"owner\"");
  const std::string reader = move.Role("", "old; reader");
  PlantRolesEverywhere(move, owner, reader);
  const std::string new_owner = pg::testing::UniqueName("new owner");
  const std::string new_reader = pg::testing::UniqueName("new'reader");
  move.ForgetRole(new_owner);
  move.ForgetRole(new_reader);
  move.options.role_names = {{owner, new_owner}, {reader, new_reader}};
  move.MustArrive();
  // What the target says, with the old names put back in, is what the source says.
  for (const std::string& question : QuestionsAboutRoles()) {
    std::vector<std::string> rows = move.OnTarget(question);
    for (std::string& row : rows) {
      for (const auto& [old_name, new_name] : move.options.role_names) {
        for (size_t at; (at = row.find(new_name)) != std::string::npos;)
          row.replace(at, new_name.size(), old_name);
      }
    }
    EXPECT_EQ(rows, move.OnSource(question)) << question;
    EXPECT_FALSE(rows.empty()) << question;
  }
  // What is text to PostgreSQL stays as its author wrote it.
  move.ExpectSame(
      "SELECT s.f() || (SELECT owner FROM s.t) || pg_get_viewdef('s.v'::regclass) ||"
      " (SELECT pg_get_expr(polqual, polrelid) FROM pg_policy)");
  EXPECT_THAT(move.OnTarget("SELECT rolname FROM pg_roles WHERE rolname IN (" +
                            QuoteLiteral(owner) + ", " + QuoteLiteral(reader) + ")"),
              IsEmpty());
  pg::ConnectOptions tenant = move.Copy();
  tenant.user = new_owner;
  tenant.password = "o";
  EXPECT_TRUE(pg::Connection::Open({}, pg::testing::Soon(), tenant));
}

TEST(CatalogTraps, Trap04_ALostGrantIsSeenThroughOtherNames) {
  Move move;
  const std::string owner = move.Role(), reader = move.Role();
  PlantRolesEverywhere(move, owner, reader);
  const std::string new_owner = pg::testing::UniqueName("renamed");
  move.ForgetRole(new_owner);
  move.options.role_names = {{owner, new_owner}};
  move.MustArrive();
  VerifyOptions verify;
  verify.source = move.Source();
  verify.target = move.Copy();
  verify.role_names = move.options.role_names;
  const Report proven = MustVerify(verify);
  EXPECT_TRUE(proven.equal()) << Describe(proven);
  {
    pg::Connection copy = MustConnect(move.Copy());
    MustExec(copy, {"REVOKE UPDATE (a) ON s.t FROM " + QuoteIdentifier(reader)});
  }
  const Report report = MustVerify(verify);
  ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
  EXPECT_THAT(report.mismatches[0].table, HasSubstr("COLUMN t.a"));
}

TEST(CatalogTraps, Trap05_PasswordsComeAlongWithoutBeingKnown) {
  Move move;
  const std::string role = move.Role("LOGIN PASSWORD 'opens the door'");
  move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(role)});
  move.MustArrive();
  pg::ConnectOptions tenant = move.Copy();
  tenant.user = role;
  tenant.password = "opens the door";
  EXPECT_TRUE(pg::Connection::Open({}, pg::testing::Soon(), tenant));
  tenant.password = "does not";
  EXPECT_FALSE(pg::Connection::Open({}, pg::testing::Soon(), tenant));
}

/// Reads what a role may read, and not pg_authid (as pg_read_all_data does).
void LetReadAs(const std::string& role, const PlainAdmin& reader) {
  pg::Connection source = MustConnect(Servers().source);
  MustExec(source, {"GRANT " + QuoteIdentifier(role) + " TO " + reader.quoted()});
}

TEST(CatalogTraps, Trap05_APasswordThatCannotBeReadIsRefusedWithTheExactGrant) {
  PlainAdmin reader(Servers().source, "");
  Move move;
  const std::string role = move.Role("LOGIN PASSWORD 'hidden'");
  LetReadAs(role, reader);
  move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(role)});
  move.options.source = reader.As(move.Source());
  move.options.role_names = {{reader.name(), Servers().target.user}};
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("password of role " + role),
                    HasSubstr("GRANT SELECT ON pg_catalog.pg_authid TO " + reader.quoted())));
  move.options.accept = {"password of role " + role};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = " +
                            QuoteLiteral(role)),
              ElementsAre("t"));
}

TEST(CatalogTraps, Trap05_ARoleThatIsOnTheTargetAlreadyNeedsNoPassword) {
  PlainAdmin reader(Servers().source, "");
  Move move;
  const std::string role = move.Role("LOGIN PASSWORD 'hidden'");
  LetReadAs(role, reader);
  move.Plant({"ALTER DATABASE " + move.quoted() + " OWNER TO " + QuoteIdentifier(role)});
  move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(role) + " LOGIN PASSWORD 'from a Secret'"});
  move.options.source = reader.As(move.Source());
  move.options.role_names = {{reader.name(), Servers().target.user}};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("role " + role)));
  pg::ConnectOptions tenant = move.Copy();
  tenant.user = role;
  tenant.password = "from a Secret";
  EXPECT_TRUE(pg::Connection::Open({}, pg::testing::Soon(), tenant));
}

TEST(CatalogTraps, Trap06_DefaultPrivilegesComeAndDoNotTouchWhatIsRestored) {
  Move move;
  const std::string owner = move.Role(), reader = move.Role();
  const std::string for_owner = "ALTER DEFAULT PRIVILEGES FOR ROLE " + QuoteIdentifier(owner);
  move.Plant(
      {"CREATE TABLE before (a int)", "ALTER TABLE before OWNER TO " + QuoteIdentifier(owner),
       for_owner + " IN SCHEMA public GRANT SELECT ON TABLES TO " + QuoteIdentifier(reader),
       for_owner + " REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
       for_owner + " GRANT USAGE ON SCHEMAS TO " + QuoteIdentifier(reader) + " WITH GRANT OPTION",
       // Of the very role that restores.
       "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
       "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"});
  move.MustArrive();
  // MAINTAIN is new in 17, and part of what an owner has.
  move.ExpectSame(
      "SELECT concat_ws(' ', defaclrole::regrole, defaclnamespace::regnamespace,"
      " defaclobjtype, grantee::regrole, privilege_type, is_grantable) FROM"
      " pg_default_acl, aclexplode(defaclacl) WHERE privilege_type <> 'MAINTAIN'"
      " ORDER BY 1");
  EXPECT_THAT(move.OnTarget("SELECT relacl IS NULL FROM pg_class WHERE relname = 'before'"),
              ElementsAre("t"));
  EXPECT_THAT(move.OnTarget("SELECT proacl IS NULL FROM pg_proc WHERE proname = 'f'"),
              ElementsAre("t"));
}

TEST(CatalogTraps, Trap07_TheSchemaPublicIsTheSourcesNotTheTargets) {
  Move move;
  const std::string owner = move.Role();
  move.Plant({"ALTER SCHEMA public OWNER TO " + QuoteIdentifier(owner),
              "GRANT ALL ON SCHEMA public TO PUBLIC", "COMMENT ON SCHEMA public IS 'ours'"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', nspowner::regrole, nspacl, obj_description(oid))"
      " FROM pg_namespace WHERE nspname = 'public'");
}

TEST(CatalogTraps, Trap07_EverybodyMayCreateInPublicAfterAMoveFrom14) {
  Move move(Servers().OfMajor(14), Servers().target);
  move.Plant({"CREATE TABLE t (a int)"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT has_schema_privilege('public', 'public', 'CREATE')::text ||"
                            " has_schema_privilege('public', 'public', 'USAGE')"),
              ElementsAre("truetrue"));
}

TEST(CatalogTraps, Trap07_ASourceWithoutPublicGetsNone) {
  Move move;
  move.Plant({"DROP SCHEMA public"});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT nspname FROM pg_namespace WHERE nspname = 'public'"),
              IsEmpty());
}

TEST(CatalogTraps, Trap08_ATablespaceIsRefusedUnlessAccepted) {
  Move move;
  const std::string space = pg::testing::UniqueName("space");
  move.Plant({"SET allow_in_place_tablespaces TO on", "CREATE TABLESPACE " + space + " LOCATION ''",
              "CREATE TABLE t (a int PRIMARY KEY USING INDEX TABLESPACE " + space +
                  ") TABLESPACE " + space,
              "INSERT INTO t VALUES (1)"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("tablespace " + space), HasSubstr("SET TABLESPACE pg_default")));
  move.options.accept = {"tablespace " + space};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT a FROM public.t"), ElementsAre("1"));
  EXPECT_THAT(move.OnTarget("SELECT reltablespace FROM pg_class WHERE relname = 't'"),
              ElementsAre("0"));
  move.Plant({"DROP TABLE t", "DROP TABLESPACE " + space});
}

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

/// Writes an extension into a directory of the server's machine by the server's own hands.
void WriteExtension(pg::Connection& server, const std::string& directory) {
  const std::string control = "comment = 'config'\ndefault_version = '1'\nrelocatable = false\n";
  const std::string script =
      "CREATE TABLE @extschema@.a_child (id int PRIMARY KEY, parent int, ours boolean);\n"
      "CREATE TABLE @extschema@.z_parent (id int PRIMARY KEY, ours boolean);\n"
      "INSERT INTO @extschema@.z_parent VALUES (0, true);\n"
      "INSERT INTO @extschema@.a_child VALUES (0, 0, true);\n"
      "ALTER TABLE @extschema@.a_child ADD FOREIGN KEY (parent) REFERENCES @extschema@.z_parent;\n"
      "SELECT pg_catalog.pg_extension_config_dump('@extschema@.a_child', 'WHERE NOT ours');\n"
      "SELECT pg_catalog.pg_extension_config_dump('@extschema@.z_parent', 'WHERE NOT ours');\n";
  auto write = [&](const std::string& file, const std::string& text) {
    MustExec(server, {"COPY (SELECT string_to_table(" + QuoteLiteral(text) +
                      ", E'\\n')) TO PROGRAM 'mkdir -p " + directory + "/extension && cat > " +
                      directory + "/extension/" + file + "'"});
  };
  write("trap_config.control", control);
  write("trap_config--1.sql", script);
}

TEST(CatalogTraps, Trap10_ConfigurationRowsComeInOrderOfTheirKeysAndWithoutTheExtensionsOwn) {
  const pg::ConnectOptions server = Servers().OfMajor(18);
  const std::string directory = "/tmp/" + pg::testing::UniqueName("ext");
  pg::Connection admin = MustConnect(server);
  WriteExtension(admin, directory);
  MustExec(admin, {"ALTER SYSTEM SET extension_control_path = '$system:" + directory + "'",
                   "SELECT pg_reload_conf()"});
  {
    Move move(server, server);
    // A session that began right after the reload may not have seen it yet.
    while (move.OnSource("SELECT name FROM pg_available_extensions WHERE name = 'trap_config'")
               .empty()) {
    }
    move.Plant(
        {"CREATE EXTENSION trap_config",
         "INSERT INTO z_parent SELECT i, false FROM generate_series(1, 500) i",
         // The child is bigger, and first by name: both orders would be wrong.
         "INSERT INTO a_child SELECT i, 1 + i % 500, false FROM generate_series(1, 20000) i"});
    move.MustArrive();
    EXPECT_THAT(move.OnTarget("SELECT count(*) || ' ' || sum(parent) FROM public.a_child"),
                ElementsAre(move.OnSource("SELECT count(*) || ' ' || sum(parent)"
                                          " FROM public.a_child")[0]));
    move.ExpectSame("SELECT count(*) FROM public.z_parent");
    move.ExpectSame(
        "SELECT extconfig::regclass[]::text || extcondition::text FROM pg_extension"
        " WHERE extname = 'trap_config'");
  }
  MustExec(admin, {"ALTER SYSTEM RESET extension_control_path", "SELECT pg_reload_conf()",
                   "COPY (SELECT 1) TO PROGRAM 'rm -r " + directory + "'"});
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

TEST(CatalogTraps, Trap19_CollationsOfTheTenantArriveAndSortAlike) {
  Move move;
  move.Plant({"CREATE COLLATION book (provider = icu, locale = 'de-u-co-phonebk')",
              "CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level1',"
              " deterministic = false)",
              "CREATE TABLE t (a text COLLATE book, b text COLLATE same UNIQUE, c text COLLATE"
              " \"en-x-icu\")",
              "INSERT INTO t VALUES ('Ärger', 'x', 'x'), ('Afrika', 'Y', 'y'), ('Zoo', 'z', 'z')",
              "CREATE INDEX ON t (a)"});
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', collname, collprovider, collisdeterministic,"
      " coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'))"
      " FROM pg_collation c WHERE oid >= 16384 ORDER BY 1");
  move.ExpectSame("SELECT a FROM public.t ORDER BY a");
  move.ExpectSame("SELECT count(*) FROM public.t WHERE b = 'X'");
}

TEST(CatalogTraps, Trap19_ACollationThatTheTargetCannotMakeIsRefused) {
  Move move;
  move.Plant({"CREATE COLLATION ours FROM \"C\"", "CREATE TABLE t (a text COLLATE ours)",
              "UPDATE pg_collation SET collcollate = 'xx_YY.utf8', collctype = 'xx_YY.utf8'"
              " WHERE collname = 'ours'"});
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr("collation public.ours"), HasSubstr("install the locale")));
}

TEST(CatalogTraps, Trap19_ACollationWhoseVersionHasDriftedIsReported) {
  Move move;
  move.Plant({"CREATE COLLATION ours (provider = icu, locale = 'sv')",
              "CREATE TABLE t (a text COLLATE ours PRIMARY KEY)", "INSERT INTO t VALUES ('a')",
              "UPDATE pg_collation SET collversion = '1.1' WHERE collname = 'ours'"});
  EXPECT_THAT(move.MustArrive().warnings,
              Contains(AllOf(HasSubstr("collation public.ours"), HasSubstr("1.1"))));
  EXPECT_THAT(move.OnTarget("SELECT collversion = pg_collation_actual_version(oid) FROM"
                            " pg_collation WHERE collname = 'ours'"),
              ElementsAre("t"));
}

TEST(CatalogTraps, Trap20_BytesWithoutAnEncodingArriveAsTheyAre) {
  Move move(Servers().source, Servers().target, "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
  {
    pg::ConnectOptions raw = move.Source();
    pg::Connection inside = MustConnect(raw);
    MustExec(inside, {"SET client_encoding TO sql_ascii", "CREATE TABLE public.t (a text)",
                      "INSERT INTO public.t SELECT convert_from('\\xe4ff80c3'::bytea, 'SQL_ASCII')",
                      "CREATE INDEX ON public.t (a)"});
  }
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT encode(convert_to(a, 'SQL_ASCII'), 'hex') FROM public.t"),
              ElementsAre("e4ff80c3"));
}

TEST(CatalogTraps, Trap20_AnExistingDatabaseOfAnotherEncodingIsRefused) {
  Move move;
  move.options.admin.reset();
  move.PlantOnTarget({"CREATE DATABASE " + QuoteIdentifier(move.copy_name()) +
                      " TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"});
  EXPECT_THAT(move.MustFail().message,
              AllOf(HasSubstr("database encoding"), HasSubstr("LATIN1"), HasSubstr("UTF8")));
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

TEST(CatalogTraps, Trap79_ADatabaseOfThatNameIsNeitherTakenNorTouched) {
  Move move;
  move.Plant({"CREATE TABLE t (a int)"});
  move.PlantOnTarget({"CREATE DATABASE " + QuoteIdentifier(move.copy_name())});
  {
    pg::Connection precious = MustConnect(move.Copy());
    MustExec(precious, {"CREATE TABLE public.precious (a int)"});
  }
  const Error error = move.MustFail();
  EXPECT_EQ(error.reason, "DatabaseExists");
  EXPECT_THAT(error.message, HasSubstr(move.copy_name()));
  EXPECT_THAT(move.OnTarget("SELECT relname FROM pg_class WHERE relname IN ('t', 'precious')"),
              ElementsAre("precious"));
  EXPECT_THAT(move.OnTarget("SELECT nspname FROM pg_namespace WHERE nspname = 'cutover'"),
              IsEmpty());
}

TEST(CatalogTraps, Trap79_TheTargetsNameIsOnlyTakenByADatabaseThatIsKnownToBeOurs) {
  Move move;
  // As a run leaves it that died after CREATE DATABASE: under a name that nobody else uses.
  move.PlantOnTarget(
      {"CREATE DATABASE " + QuoteIdentifier("cutover_new_" + move.options.migration_uid)});
  move.Plant({"CREATE TABLE t (a int)"});
  move.MustArrive();
  EXPECT_THAT(
      move.OnTarget("SELECT datname FROM pg_database WHERE datname LIKE 'cutover_new_test-" +
                    move.copy_name() + "'"),
      IsEmpty());
}

}  // namespace
}  // namespace cutover::mover::testing
