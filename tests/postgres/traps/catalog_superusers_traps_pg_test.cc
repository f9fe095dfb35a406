// SPDX-License-Identifier: Apache-2.0
// Trap 83 of docs/verification.md, the other way round: the source has a superuser too many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::QuoteIdentifier;
using pg::QuoteLiteral;
using pg::testing::Servers;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// What whoever is the superuser of a server of his own may prepare for the day when his database
/// is moved to a shared one. Harmless things are between.
void PlantPowers(Move& move, const std::string& role) {
  move.Plant({"CREATE TABLE mine (a int)",
              "ALTER TABLE mine OWNER TO " + role,
              "CREATE TABLE theirs (a int)",
              "CREATE VIEW passwords AS SELECT rolname, rolpassword FROM pg_authid",
              "GRANT SELECT ON passwords TO " + role,
              "CREATE FUNCTION mighty() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
              "CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS 'SELECT 1'",
              "CREATE FUNCTION raw(text) RETURNS int LANGUAGE internal AS 'textlen'",
              "ALTER FUNCTION raw(text) OWNER TO " + role,
              "CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
              "CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION told()",
              "CREATE EXTENSION dblink",
              "GRANT EXECUTE ON FUNCTION dblink_connect(text) TO " + role,
              "GRANT EXECUTE ON FUNCTION dblink_connect_u(text) TO " + role,
              "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO " + role,
              "CREATE TYPE small AS (a int)",
              "CREATE CAST (small AS text) WITH INOUT",
              "CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION",
              "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO " + role,
              "CREATE EXTENSION file_fdw",
              "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
              "CREATE FOREIGN TABLE program (line text) SERVER files OPTIONS (program 'id')",
              "ALTER FOREIGN TABLE program OWNER TO " + role,
              "CREATE EXTENSION postgres_fdw",
              "CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw",
              "CREATE USER MAPPING FOR " + role +
                  " SERVER here OPTIONS (user 'postgres', password_required 'false')",
              "CREATE PUBLICATION told_of FOR ALL TABLES"});
}

TEST(CatalogTraps, Trap83_WhatSuperusersOfAServerOfTheirOwnMadeIsRefusedOnASharedOne) {
  Move move;
  const std::string name = move.Role(), role = QuoteIdentifier(name);
  PlantPowers(move, role);
  move.options.withhold_powers = true;
  move.options.distrust_superusers = true;
  const std::vector<std::string> may_stay = {
      "EVENT TRIGGER tell", "DEFAULT ACL DEFAULT PRIVILEGES FOR TABLES",
      "ACL pg_catalog.FUNCTION pg_read_file(text)", "FOREIGN TABLE public.program",
      "USER MAPPING " + name + " SERVER here"};
  const std::string refused = move.MustBeRefused();
  for (const std::string& object : may_stay) EXPECT_THAT(refused, HasSubstr(object + ": "));
  EXPECT_THAT(refused,
              AllOf(HasSubstr("objects of superuser "), HasSubstr("function public.mighty()"),
                    HasSubstr("table public.theirs"), HasSubstr("view public.passwords"),
                    HasSubstr("FUNCTION public.raw(text): only a superuser"),
                    HasSubstr("CAST (bytea AS jsonb): only a superuser"),
                    HasSubstr("grants on function public.dblink_connect_u(text)"),
                    Not(HasSubstr("dblink_connect(text)")), Not(HasSubstr("plain()")),
                    Not(HasSubstr("public.mine")), Not(HasSubstr("public.small")),
                    Not(HasSubstr("told_of"))));
  move.Plant({"ALTER TABLE theirs OWNER TO " + role, "ALTER VIEW passwords OWNER TO " + role,
              "ALTER FUNCTION mighty() OWNER TO " + role, "DROP FUNCTION raw(text)",
              "REVOKE EXECUTE ON FUNCTION dblink_connect_u(text) FROM " + role,
              "DROP CAST (bytea AS jsonb)"});
  move.options.accept = may_stay;
  move.MustArrive();
  EXPECT_THAT(move.OnTarget("SELECT evtname FROM pg_event_trigger UNION ALL SELECT relname FROM"
                            " pg_class WHERE relkind = 'f' UNION ALL SELECT usename FROM"
                            " pg_user_mappings"),
              IsEmpty());
  EXPECT_THAT(move.OnTarget("SELECT has_function_privilege(" + QuoteLiteral(name) +
                            ", 'pg_read_file(text)', 'EXECUTE') || ' ' || has_table_privilege(" +
                            QuoteLiteral(name) + ", 'pg_authid', 'SELECT')"),
              ElementsAre("false false"));
}

TEST(CatalogTraps, Trap83_WhatTheAdminsOfASharedServerMadeComesAlong) {
  Move move;
  PlantPowers(move, QuoteIdentifier(move.Role()));
  move.options.withhold_powers = true;
  move.MustArrive();
  move.ExpectSame("SELECT relname || relowner::regrole FROM pg_class WHERE relname = 'passwords'");
  move.ExpectSame("SELECT evtname FROM pg_event_trigger");
}

}  // namespace
}  // namespace cutover::mover::testing
