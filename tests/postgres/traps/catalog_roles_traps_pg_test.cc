// SPDX-License-Identifier: Apache-2.0
// Traps 4–8 of docs/verification.md: roles, and what they may. Each case plants one, moves it, and
// looks at the target by SQL of its own.
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
using pg::testing::Servers;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

TEST(CatalogTraps, Trap04_MembershipsKeepWhoGrantedThemFrom16On) {
  Move move(Servers().OfMajor(17), Servers().OfMajor(18));
  // In the order of their names the grantor comes last.
  const std::string group = move.Role("", "a_group"), member = move.Role("", "b_member");
  const std::string boss = move.Role("", "c_boss"), owner = move.Role("", "d_owner");
  const std::string grant = "GRANT " + QuoteIdentifier(group) + " TO ";
  move.Plant(
      {"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(owner),
       grant + QuoteIdentifier(boss) + " WITH ADMIN OPTION, INHERIT FALSE",
       grant + QuoteIdentifier(member) + " WITH SET FALSE GRANTED BY " + QuoteIdentifier(boss),
       grant + QuoteIdentifier(member) + " WITH INHERIT FALSE",
       "GRANT SELECT ON t TO " + QuoteIdentifier(member) + ", " + QuoteIdentifier(boss)});
  move.MustArrive();
  const std::string memberships =
      "SELECT concat_ws(' ', member::regrole, CASE grantor WHEN 10 THEN 'admin' ELSE"
      " grantor::regrole::text END, admin_option, inherit_option, set_option)"
      " FROM pg_auth_members WHERE roleid = " +
      QuoteLiteral(group) + "::regrole ORDER BY 1";
  EXPECT_THAT(
      move.OnTarget(memberships),
      ElementsAre(member + " admin f f t", member + " " + boss + " f t f", boss + " admin t f t"));
  move.ExpectSame(memberships);
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

TEST(CatalogTraps, Trap04_AMembershipInASuperuserIsRefusedUnlessAccepted) {
  Move move;
  const std::string role = move.Role(), super = move.Role("SUPERUSER");
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
              "GRANT " + QuoteIdentifier(super) + " TO " + QuoteIdentifier(role)});
  move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(super) + " SUPERUSER"});
  const std::string membership = "membership of " + role + " in " + super;
  EXPECT_THAT(move.MustBeRefused(), HasSubstr(membership));
  move.options.accept = {membership};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr(membership)));
  EXPECT_THAT(move.OnTarget("SELECT FROM pg_auth_members WHERE member::regrole::text = " +
                            QuoteLiteral(role)),
              IsEmpty());
}

TEST(CatalogTraps, Trap04_AMembershipInAGroupThatIsMightyOnTheTargetIsRefusedUnlessAccepted) {
  Move move;
  const std::string role = move.Role(), group = move.Role(), super = move.Role();
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
              "GRANT " + QuoteIdentifier(group) + ", " + QuoteIdentifier(super) + " TO " +
                  QuoteIdentifier(role)});
  move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(super) + " SUPERUSER",
                      "CREATE ROLE " + QuoteIdentifier(group) + " IN ROLE pg_monitor"});
  const std::string in_group = "membership of " + role + " in " + group;
  const std::string in_super = "membership of " + role + " in " + super;
  EXPECT_THAT(move.MustBeRefused(), AllOf(HasSubstr(in_group), HasSubstr(in_super)));
  // That the group is another one does not make it one to be given.
  move.options.accept = {in_group, in_super, "role " + super};
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT FROM pg_auth_members WHERE member::regrole::text = " +
                            QuoteLiteral(role)),
              IsEmpty());
}

TEST(CatalogTraps, Trap04_AMembershipInARoleThatWasThereIsWithheldOnASharedServer) {
  const bool shared[] = {true, false};
  for (const bool withheld : shared) {
    Move move;
    const std::string role = move.Role(), group = move.Role();
    move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
                "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(role)});
    move.PlantOnTarget({"CREATE ROLE " + QuoteIdentifier(group)});
    const std::string membership = "membership of " + role + " in " + group;
    move.options.withhold_powers = withheld;
    if (withheld) {
      EXPECT_THAT(move.MustBeRefused(), HasSubstr(membership));
      move.options.accept = {membership};
    }
    move.MustArrive();
    EXPECT_THAT(move.OnTarget("SELECT pg_has_role(" + QuoteLiteral(role) + ", " +
                              QuoteLiteral(group) + ", 'MEMBER')"),
                ElementsAre(withheld ? "f" : "t"));
  }
}

TEST(CatalogTraps, Trap04_AMembershipOfANamesakeIsWithheldOnASharedServer) {
  const bool shared[] = {true, false};
  for (const bool withheld : shared) {
    Move move;
    const std::string readers = move.Role(), data = move.Role();
    const std::string client = move.Role("LOGIN PASSWORD 'known'");
    move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(data),
                "GRANT " + QuoteIdentifier(data) + " TO " + QuoteIdentifier(readers) + ", " +
                    QuoteIdentifier(client)});
    // Nobody logs in as the one; of the other the password is the same.
    const std::string verifier = move.OnSource(
        "SELECT rolpassword FROM pg_authid WHERE rolname = " + QuoteLiteral(client))[0];
    move.PlantOnTarget(
        {"CREATE ROLE " + QuoteIdentifier(readers),
         "CREATE ROLE " + QuoteIdentifier(client) + " LOGIN PASSWORD " + QuoteLiteral(verifier)});
    const std::string membership = "membership of " + readers + " in " + data;
    move.options.withhold_powers = withheld;
    if (withheld) {
      EXPECT_THAT(move.MustBeRefused(), AllOf(HasSubstr(membership), Not(HasSubstr(client))));
      move.options.accept = {membership};
    }
    const auto by_name = AllOf(HasSubstr("no password proves"), HasSubstr(readers));
    const std::vector<std::string> warnings = move.MustArrive().warnings;
    EXPECT_EQ(::testing::Matches(Contains(by_name))(warnings), withheld);
    const auto is_member = [&](const std::string& role) {
      return move.OnTarget("SELECT pg_has_role(" + QuoteLiteral(role) + ", " + QuoteLiteral(data) +
                           ", 'MEMBER')");
    };
    EXPECT_THAT(is_member(readers), ElementsAre(withheld ? "f" : "t"));
    EXPECT_THAT(is_member(client), ElementsAre("t"));
  }
}

TEST(CatalogTraps, Trap04_MembersOfAGroupThatIsOnlyGrantedSomethingAreNotForgotten) {
  Move move;
  const std::string readers = move.Role(), above = move.Role(), alice = move.Role("LOGIN");
  const std::string elsewhere = move.Role(), bob = move.Role("LOGIN");
  Move other(Servers().source);
  other.Plant({"CREATE TABLE t (a int)", "GRANT SELECT ON t TO " + QuoteIdentifier(elsewhere)});
  move.Plant(
      {"CREATE TABLE t (a int)",
       "GRANT SELECT ON t TO " + QuoteIdentifier(readers) + ", " + QuoteIdentifier(elsewhere),
       "GRANT " + QuoteIdentifier(readers) + " TO " + QuoteIdentifier(above),
       "GRANT " + QuoteIdentifier(above) + " TO " + QuoteIdentifier(alice),
       "GRANT " + QuoteIdentifier(elsewhere) + " TO " + QuoteIdentifier(bob)});
  const std::string remedy =
      "GRANT CONNECT ON DATABASE " + move.quoted() + " TO " + QuoteIdentifier(alice);
  const std::string refusal = move.MustBeRefused();
  EXPECT_THAT(refusal, AllOf(HasSubstr("members of " + readers), HasSubstr(remedy)));
  EXPECT_THAT(refusal, Not(AnyOf(HasSubstr(bob), HasSubstr(elsewhere))));
  move.Plant({remedy});
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT pg_has_role(" + QuoteLiteral(alice) + ", " +
                            QuoteLiteral(readers) + ", 'USAGE')"),
              ElementsAre("t"));
}

// The server's to give, since 15.
TEST(CatalogTraps, Trap05_APrivilegeOnAParameterIsRefusedWithTheExactGrantUnlessAccepted) {
  Move move;
  const std::string role = move.Role("LOGIN"), elsewhere = move.Role();
  const std::string quoted = QuoteIdentifier(role);
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + quoted,
              "GRANT SET ON PARAMETER log_min_messages, work_mem TO " + quoted,
              "GRANT SET ON PARAMETER log_statement TO " + QuoteIdentifier(elsewhere)});
  const std::string privilege = "privilege SET on parameter log_min_messages of role " + role;
  const std::string refusal = move.MustBeRefused();
  EXPECT_THAT(refusal, AllOf(HasSubstr(privilege),
                             HasSubstr("GRANT SET ON PARAMETER log_min_messages TO " + quoted)));
  EXPECT_THAT(refusal, Not(HasSubstr("work_mem"))) << "everybody may set it";
  EXPECT_THAT(refusal, Not(HasSubstr("log_statement"))) << "he has nothing to do with the database";
  move.options.accept = {privilege};
  EXPECT_THAT(move.MustArrive().warnings, Contains(HasSubstr(privilege)));
}

TEST(CatalogTraps, Trap05_APrivilegeOnAParameterThatIsThereIsNoObstacle) {
  Move move;
  const std::string quoted = QuoteIdentifier(move.Role());
  const std::string grant = "GRANT ALTER SYSTEM ON PARAMETER log_min_messages TO " + quoted;
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + quoted, grant});
  move.PlantOnTarget({"CREATE ROLE " + quoted, grant});
  move.MustArrive();
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

TEST(CatalogTraps, Trap05_ARoleThatIsOnTheTargetAlreadyIsRefusedWithoutItsMembershipsAndSettings) {
  Move move;
  const std::string role = move.Role(), group = move.Role(), brought = move.Role();
  const std::string grant = "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(role);
  const std::string set = "ALTER ROLE " + QuoteIdentifier(role) + " SET lock_timeout = '5s'";
  move.Plant({"CREATE TABLE t (a int)", "GRANT SELECT ON t TO " + QuoteIdentifier(brought),
              "ALTER TABLE t OWNER TO " + QuoteIdentifier(role), grant, set,
              "GRANT " + QuoteIdentifier(brought) + " TO " + QuoteIdentifier(role)});
  move.PlantOnTarget(
      {"CREATE ROLE " + QuoteIdentifier(role), "CREATE ROLE " + QuoteIdentifier(group)});
  const std::string in_group = "membership of " + role + " in " + group;
  EXPECT_THAT(move.MustBeRefused(),
              AllOf(HasSubstr(in_group), HasSubstr("setting lock_timeout of role " + role),
                    HasSubstr(grant), HasSubstr(set), Not(HasSubstr(brought))));
  move.PlantOnTarget({grant, set});
  move.MustArrive();
  // The group that the move itself has brought is no other tenant's.
  EXPECT_THAT(move.OnTarget("SELECT pg_has_role(" + QuoteLiteral(role) + ", " +
                            QuoteLiteral(brought) + ", 'USAGE')"),
              ElementsAre("t"));
}

TEST(CatalogTraps, Trap05_ALostMembershipOrSettingOfARoleIsFound) {
  Move move;
  const std::string role = move.Role(), group = move.Role();
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
              "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(role),
              "ALTER ROLE " + QuoteIdentifier(role) + " SET lock_timeout = '5s'"});
  move.MustArrive();
  move.PlantOnTarget({"REVOKE " + QuoteIdentifier(group) + " FROM " + QuoteIdentifier(role),
                      "ALTER ROLE " + QuoteIdentifier(role) + " SET lock_timeout = '6s'"});
  VerifyOptions verify;
  verify.source = move.Source();
  verify.target = move.Copy();
  const Report report = MustVerify(verify);
  ASSERT_EQ(report.mismatch_count, 2) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "membership of " + role + " in " + group);
  EXPECT_EQ(report.mismatches[1].table, "setting lock_timeout of role " + role);
  verify.accept = {"role " + role};
  EXPECT_TRUE(MustVerify(verify).equal());
}

TEST(CatalogTraps, Trap05_ALostMembershipIsFoundWhateverElseBecameOfTheRole) {
  Move move;
  const std::string role = move.Role("", "a"), group = move.Role("", "b");
  const std::string boss = move.Role("", "c"), gone = move.Role("", "d");
  const std::string q_role = QuoteIdentifier(role), q_group = QuoteIdentifier(group);
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + q_role,
              "GRANT " + q_group + ", pg_monitor TO " + q_role,
              "GRANT " + q_role + " TO " + QuoteIdentifier(boss) + " WITH ADMIN OPTION",
              "GRANT " + q_role + " TO " + QuoteIdentifier(gone)});
  const std::string monitor = "membership of " + role + " in pg_monitor";
  move.options.accept = {monitor};
  move.MustArrive();
  VerifyOptions verify;
  verify.source = move.Source();
  verify.target = move.Copy();
  verify.accept = {monitor};
  EXPECT_TRUE(MustVerify(verify).equal());
  move.PlantOnTarget({"ALTER ROLE " + q_role + " LOGIN CREATEDB",
                      "REVOKE " + q_group + " FROM " + q_role,
                      "REVOKE ADMIN OPTION FOR " + q_role + " FROM " + QuoteIdentifier(boss),
                      "DROP ROLE " + QuoteIdentifier(gone)});
  const Report report = MustVerify(verify);
  ASSERT_EQ(report.mismatch_count, 3) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "membership of " + role + " in " + group);
  EXPECT_EQ(report.mismatches[1].table, "membership of " + boss + " in " + role);
  EXPECT_EQ(report.mismatches[2].table, "role " + gone);
  verify.accept.clear();
  EXPECT_EQ(MustVerify(verify).mismatch_count, 4) << "and what was accepted before";
}

TEST(CatalogTraps, Trap05_ACloneItselfFindsAMembershipThatGotLost) {
  Move move;
  const std::string role = move.Role(), group = move.Role(), late = move.Role();
  const std::string grant = "GRANT " + QuoteIdentifier(late) + " TO " + QuoteIdentifier(role);
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(role),
              "GRANT " + QuoteIdentifier(group) + " TO " + QuoteIdentifier(role)});
  move.options.on_copied = [&] {
    // What the source's roles were given since is none of what was copied.
    move.Plant({grant});
    move.PlantOnTarget({"ALTER ROLE " + QuoteIdentifier(role) + " CREATEDB",
                        "REVOKE " + QuoteIdentifier(group) + " FROM " + QuoteIdentifier(role)});
  };
  const Report report = MustClone(move.options);
  ASSERT_EQ(report.mismatch_count, 1) << Describe(report);
  EXPECT_EQ(report.mismatches[0].table, "membership of " + role + " in " + group);
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

TEST(CatalogTraps, Trap06_DefaultPrivilegesOfAnInterruptedMoveDoNotStopTheNextRun) {
  // Those on large objects are new in 18.
  Move move(Servers().OfMajor(18), Servers().OfMajor(18));
  const std::string owner = move.Role(), reader = move.Role();
  const std::string for_owner = "ALTER DEFAULT PRIVILEGES FOR ROLE " + QuoteIdentifier(owner);
  move.Plant({"CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO " + QuoteIdentifier(owner)});
  for (const char* kind : {"TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS", "LARGE OBJECTS"})
    move.Plant({for_owner + " GRANT ALL ON " + kind + " TO " + QuoteIdentifier(reader),
                for_owner + " REVOKE ALL ON " + kind + " FROM " + QuoteIdentifier(owner)});
  move.options.confirm = [](std::stop_token) -> Status { return RetryError("Interrupted", ""); };
  EXPECT_EQ(move.MustFail().reason, "Interrupted");
  move.options.confirm = nullptr;
  move.MustArrive();
  move.ExpectSame(
      "SELECT concat_ws(' ', defaclrole::regrole, defaclobjtype, defaclacl) FROM pg_default_acl"
      " ORDER BY 1");
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

}  // namespace
}  // namespace cutover::mover::testing
