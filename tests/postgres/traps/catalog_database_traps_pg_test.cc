// SPDX-License-Identifier: Apache-2.0
// Traps 1–3, 19, 20 and 79 of docs/verification.md: the database itself, its settings, and what it
// sorts by. Each case plants one, moves it, and looks at the target by SQL of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::Servers;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

TEST(CatalogTraps, Trap03_ASettingOfARoleThatWillNotBeThereIsRefusedByName) {
  Move move;
  const std::string super = move.Role("SUPERUSER");
  const std::string setting = "database setting work_mem of role " + super;
  move.Plant({"ALTER ROLE " + QuoteIdentifier(super) + " IN DATABASE " + move.quoted() +
              " SET work_mem TO '7MB'"});
  EXPECT_THAT(move.MustBeRefused(), AllOf(HasSubstr(setting), HasSubstr("--map-role " + super)));
  move.options.accept = {setting};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr(setting)));
}

TEST(CatalogTraps, Trap03_AcceptingWhatIsNotInTheWayIsOnlyAWarningWhereUsersWait) {
  Move move;
  move.options.accept = {"database setting no_such"};
  move.options.preflight_passed = true;
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr("nothing of that name")));
}

TEST(CatalogTraps, Trap03_AcceptingWhatIsNotInTheWayIsAnError) {
  Move move;
  move.options.accept = {"database setting no_such"};
  EXPECT_THAT(move.MustBeRefused("NothingToAccept"), HasSubstr("database setting no_such"));
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
