// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/role_names.h"

#include <gtest/gtest.h>

#include <string>

#include "mover/plan/sql_tokens.h"

namespace cutover::mover {
namespace {

const RoleNames kNames = {{"bob", "robert"}, {"Odd \"one\"", "plain"}, {"alice", "al;ice"}};

struct Renaming {
  const char* reason;
  std::string sql;
  std::string expected;
};

TEST(RoleNames, StatementsNameRolesByTheirNewNames) {
  const Renaming cases[] = {
      {"an owner", "ALTER TABLE public.bob OWNER TO bob;\n",
       "ALTER TABLE public.bob OWNER TO \"robert\";\n"},
      {"a quoted owner", "ALTER SCHEMA \"bob\" OWNER TO \"Odd \"\"one\"\"\";",
       "ALTER SCHEMA \"bob\" OWNER TO \"plain\";"},
      {"a role that keeps its name comes out in quotes",
       "ALTER FUNCTION public.f(timestamp with time zone, \"TO\" text) OWNER TO carol;",
       "ALTER FUNCTION public.f(timestamp with time zone, \"TO\" text) OWNER TO \"carol\";"},
      {"grants to several, with and without options",
       "GRANT SELECT(bob),UPDATE ON TABLE s.bob TO bob;\nGRANT ALL ON TABLE s.t TO alice WITH "
       "GRANT "
       "OPTION;\nREVOKE ALL ON TABLE s.t FROM PUBLIC;\nREVOKE ALL ON TABLE s.t FROM bob;",
       "GRANT SELECT(bob),UPDATE ON TABLE s.bob TO \"robert\";\nGRANT ALL ON TABLE s.t TO "
       "\"al;ice\" WITH GRANT OPTION;\nREVOKE ALL ON TABLE s.t FROM PUBLIC;\nREVOKE ALL ON TABLE "
       "s.t FROM \"robert\";"},
      {"a grant by somebody else",
       "SET SESSION AUTHORIZATION bob;\nGRANT SELECT ON TABLE t TO alice;\nRESET SESSION "
       "AUTHORIZATION;",
       "SET SESSION AUTHORIZATION \"robert\";\nGRANT SELECT ON TABLE t TO \"al;ice\";\nRESET "
       "SESSION AUTHORIZATION;"},
      {"GRANTED BY", "GRANT bob TO alice WITH ADMIN OPTION GRANTED BY bob;",
       "GRANT bob TO \"al;ice\" WITH ADMIN OPTION GRANTED BY \"robert\";"},
      {"objects named like keywords and roles", "GRANT ALL ON TABLE \"TO\".\"FROM\" TO bob;",
       "GRANT ALL ON TABLE \"TO\".\"FROM\" TO \"robert\";"},
      {"default privileges",
       "ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA bob GRANT SELECT ON TABLES TO alice;\n"
       "ALTER DEFAULT PRIVILEGES FOR ROLE bob REVOKE ALL ON FUNCTIONS FROM PUBLIC;",
       "ALTER DEFAULT PRIVILEGES FOR ROLE \"robert\" IN SCHEMA bob GRANT SELECT ON TABLES TO "
       "\"al;ice\";\nALTER DEFAULT PRIVILEGES FOR ROLE \"robert\" REVOKE ALL ON FUNCTIONS FROM "
       "PUBLIC;"},
      {"a policy; its expression is the author's",
       "CREATE POLICY bob ON public.t AS RESTRICTIVE FOR SELECT TO bob, alice, PUBLIC USING "
       "((owner "
       "= 'bob'::name)) WITH CHECK ((bob > 1));",
       "CREATE POLICY bob ON public.t AS RESTRICTIVE FOR SELECT TO \"robert\", \"al;ice\", PUBLIC "
       "USING ((owner = 'bob'::name)) WITH CHECK ((bob > 1));"},
      {"a policy without roles", "CREATE POLICY p ON public.t USING (bob);",
       "CREATE POLICY p ON public.t USING (bob);"},
      {"user mappings",
       "CREATE USER MAPPING FOR bob SERVER bob OPTIONS (\n    \"user\" 'bob'\n);\nCREATE USER "
       "MAPPING FOR PUBLIC SERVER s;",
       "CREATE USER MAPPING FOR \"robert\" SERVER bob OPTIONS (\n    \"user\" 'bob'\n);\nCREATE "
       "USER MAPPING FOR PUBLIC SERVER s;"},
      {"a schema's authorization", "CREATE SCHEMA bob AUTHORIZATION bob;",
       "CREATE SCHEMA bob AUTHORIZATION \"robert\";"},
  };
  for (const Renaming& test : cases)
    EXPECT_EQ(RenameRoles(kNames, test.sql), test.expected) << test.reason;
}

TEST(RoleNames, TextsThatAreNoStatementsAreLeftAlone) {
  const std::string texts[] = {
      "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT 1; GRANT x TO bob; $_$;",
      "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS 'BEGIN; ALTER TABLE t OWNER TO bob;';",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2 AS bob; END;",
      "COMMENT ON TABLE t IS 'x''; ALTER TABLE t OWNER TO bob;';",
      "COMMENT ON TABLE t IS E'x\\'; ALTER TABLE t OWNER TO bob;';",
      "CREATE VIEW v AS SELECT 'TO bob' AS \"TO bob\", bob FROM bob; -- OWNER TO bob\n",
      "/* GRANT x TO bob; /* nested; */ ALTER TABLE t OWNER TO bob; */ SELECT 1;",
      "CREATE RULE r AS ON INSERT TO bob DO ALSO (SELECT 1; SELECT 2);",
      "CREATE TABLE bob (bob text DEFAULT $a$ $b$; GRANT x TO bob; $a$);",
      "SELECT pg_catalog.setval('bob', 1, false);",
      "SET search_path = bob;",
      "",
      "'open; GRANT",
  };
  for (const std::string& text : texts) EXPECT_EQ(RenameRoles(kNames, text), text);
}

TEST(RoleNames, TwoNamesMayChangePlaces) {
  const RoleNames swapped = {{"a", "b"}, {"b", "a"}};
  EXPECT_EQ(RenameRoles(swapped, "REVOKE ALL ON TABLE t FROM a;\nGRANT ALL ON TABLE t TO b;"),
            "REVOKE ALL ON TABLE t FROM \"b\";\nGRANT ALL ON TABLE t TO \"a\";");
}

TEST(RoleNames, EntriesCarryTheNewOwnerAndName) {
  RestoreScript script;
  RestoreItem mapping;
  mapping.type = "USER MAPPING";
  mapping.name = "USER MAPPING bob SERVER bob";
  mapping.owner = "alice";
  script.items.push_back(mapping);
  RenameRoles(kNames, script);
  EXPECT_EQ(script.items[0].name, "USER MAPPING robert SERVER bob");
  EXPECT_EQ(script.items[0].owner, "al;ice");
}

TEST(RoleNames, WhatIsReadApartFromTheDumpIsRenamedAsWell) {
  pg::RoleSet roles;
  roles.roles.resize(1);
  roles.roles[0].name = "bob";
  roles.roles[0].settings = {{"bob", "work_mem", "1MB"}};
  roles.memberships = {{"alice", "bob"}};
  RenameRoles(kNames, roles);
  EXPECT_EQ(roles.roles[0].name, "robert");
  EXPECT_EQ(roles.roles[0].settings[0].role, "robert");
  EXPECT_EQ(roles.memberships[0].group, "al;ice");
  EXPECT_EQ(roles.memberships[0].member, "robert");
  pg::DatabaseProperties properties;
  properties.access = {
      "bob", -1, {{"bob", "", "CONNECT", false}, {"bob", "alice", "CREATE", true}}};
  properties.settings = {{"", "work_mem", "1MB"}, {"bob", "work_mem", "2MB"}};
  RenameRoles(kNames, properties);
  EXPECT_EQ(properties.access.owner, "robert");
  EXPECT_EQ(properties.access.acl[1], (pg::AclItem{"robert", "al;ice", "CREATE", true}));
  EXPECT_EQ(properties.settings[0].role, "");
  EXPECT_EQ(properties.settings[1].role, "robert");
  LargeObjects objects;
  objects[1].owner = "bob";
  objects[1].grants = {{"", "", "SELECT", false}, {"", "bob", "UPDATE", true}};
  RenameRoles(kNames, objects);
  EXPECT_EQ(objects[1].owner, "robert");
  EXPECT_EQ(objects[1].grants[1].grantee, "robert");
}

TEST(SqlTokens, StatementsEndAtSemicolonsOutsideOfEverything) {
  const std::string sql = "A ';' \";\" $$;$$ (;) E'\\';' /* ; */ x$1; B $1 U&'\\0061;' ; C";
  const auto tokens = TokenizeSql(sql);
  const auto statements = SplitStatements(sql, tokens);
  ASSERT_EQ(statements.size(), 3u);
  EXPECT_EQ(tokens[statements[1].begin].Text(sql), "B");
  EXPECT_EQ(tokens[statements[2].begin].Text(sql), "C");
}

}  // namespace
}  // namespace cutover::mover
