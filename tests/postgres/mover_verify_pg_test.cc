// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::Servers;

/// Plants one corruption after the other into a proven copy, and mends it again. Triggers of the
/// tenant stay silent meanwhile, or they would do damage of their own.
struct Corruption {
  const char* reason;
  std::string plant;
  std::string mend;
  const char* object;  ///< What the report must name, alone.
  const char* kind;
  bool seen_by_counts;
};

std::vector<Corruption> OfRowsAndPositions() {
  return {
      {"one changed byte", "UPDATE public.people SET body = 'Long ' WHERE id = 1",
       "UPDATE public.people SET body = 'long ' WHERE id = 1", "public.people", "rows", false},
      {"a missing row",
       "DELETE FROM public.audit WHERE ctid = (SELECT min(ctid) FROM public.audit)",
       "INSERT INTO public.audit VALUES (2)", "public.audit", "rowCount", true},
      {"a row that is there twice", "INSERT INTO public.generated (a, id) VALUES (1, 1)",
       "DELETE FROM public.generated WHERE ctid = (SELECT max(ctid) FROM public.generated)",
       "public.generated", "rowCount", true},
      {"the empty string for NULL", "UPDATE public.\"values\" SET t = '' WHERE id = 107",
       "UPDATE public.\"values\" SET t = NULL WHERE id = 107", "public.values", "rows", false},
      {"values swapped between columns", "UPDATE public.child SET name = kind, kind = name",
       "UPDATE public.child SET name = kind, kind = name", "public.child", "rows", false},
      {"values swapped between rows",
       "UPDATE public.people SET email = CASE id WHEN 1 THEN 'p2@x'"
       " ELSE 'p1@x' END || '.' WHERE id IN (1, 2); UPDATE public.people SET email ="
       " rtrim(email, '.') WHERE id IN (1, 2)",
       "UPDATE public.people SET email = email || '.' WHERE id IN (1, 2);"
       " UPDATE public.people SET email = 'p' || id || '@x' WHERE id IN (1, 2)",
       "public.people", "rows", false},
      {"a sequence that was not called", "SELECT setval('public.unowned', 4711, true)",
       "SELECT setval('public.unowned', 4711, false)", "sequence public.unowned", "sequence", true},
      {"a sequence elsewhere", "SELECT setval('public.people_id_seq', 2999)",
       "SELECT setval('public.people_id_seq', 3000)", "sequence public.people_id_seq", "sequence",
       true},
      {"a large object's byte", "SELECT lo_put(424242, 1500000, '\\x01')",
       "SELECT lo_put(424242, 1500000, decode(repeat('00ff41', 1), 'hex'))", "large object 424242",
       "largeObject", false},
  };
}

std::vector<Corruption> OfStructure(const TrapTenant& tenant) {
  const std::string reader = pg::QuoteIdentifier(tenant.reader());
  const std::string owner = pg::QuoteIdentifier(tenant.tenant());
  return {
      {"another increment", "ALTER SEQUENCE public.unowned INCREMENT 2",
       "ALTER SEQUENCE public.unowned INCREMENT 1", "SEQUENCE public.unowned", "structure", false},
      {"a changed owner", "ALTER SEQUENCE public.downwards OWNER TO " + reader,
       "ALTER SEQUENCE public.downwards OWNER TO " + owner, "SEQUENCE public.downwards", "owner",
       false},
      {"a missing index", "DROP INDEX public.people_body",
       "CREATE INDEX people_body ON public.people (md5(body) DESC NULLS LAST) WITH (fillfactor = "
       "70);"
       "ALTER INDEX public.people_body OWNER TO " +
           owner,
       "INDEX public.people_body", "structure", false},
      {"a constraint that is not proven any more",
       "UPDATE pg_constraint SET convalidated = false WHERE conname = 'hen_egg'",
       "UPDATE pg_constraint SET convalidated = true WHERE conname = 'hen_egg'",
       "FK CONSTRAINT public.hen hen_egg", "structure", false},
      {"a trigger that fires", "ALTER TABLE public.twins ENABLE TRIGGER b_off",
       "ALTER TABLE public.twins DISABLE TRIGGER b_off", "TRIGGER public.twins b_off", "structure",
       false},
      {"a trigger that does not fire", "ALTER TABLE public.people DISABLE TRIGGER a_on",
       "ALTER TABLE public.people ENABLE TRIGGER a_on", "TRIGGER public.people a_on", "structure",
       false},
      {"a lost comment", "COMMENT ON TABLE public.people IS NULL",
       "COMMENT ON TABLE public.people IS 'people''s table'", "COMMENT public.TABLE people",
       "structure", false},
      {"a view that says something else",
       "CREATE OR REPLACE VIEW public.between AS SELECT * FROM public.mat_base WHERE reports > 2",
       "CREATE OR REPLACE VIEW public.between AS SELECT * FROM public.mat_base WHERE reports > 1",
       "VIEW public.between", "structure", false},
      {"a function of an extension", "ALTER FUNCTION public.unaccent(text) STABLE",
       "ALTER FUNCTION public.unaccent(text) IMMUTABLE", "function public.unaccent(text)",
       "extension", false},
      {"a setting of the database",
       "ALTER DATABASE " + pg::QuoteIdentifier(tenant.copy_name()) + " RESET search_path",
       "ALTER DATABASE " + pg::QuoteIdentifier(tenant.copy_name()) +
           " SET search_path TO \"$user\", public, \"Odd schema\"",
       "database setting search_path", "database", false},
  };
}

std::vector<Corruption> OfAccess(const TrapTenant& tenant) {
  const std::string reader = pg::QuoteIdentifier(tenant.reader());
  const std::string owner = pg::QuoteIdentifier(tenant.tenant());
  const std::string defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA public ";
  return {
      {"a lost grant on a column", "REVOKE SELECT (name) ON public.people FROM " + reader,
       "GRANT SELECT (name) ON public.people TO " + reader, "ACL public.COLUMN people.name",
       "grants", false},
      {"a lost grant on a table", "REVOKE SELECT ON public.\"values\" FROM " + reader,
       "SET ROLE " + owner + "; GRANT SELECT ON public.\"values\" TO " + reader +
           " WITH GRANT OPTION; RESET ROLE",
       "ACL public.TABLE \"values\"", "grants", false},
      {"a lost grant on a schema", "REVOKE USAGE ON SCHEMA \"Odd schema\" FROM " + reader,
       "GRANT USAGE ON SCHEMA \"Odd schema\" TO " + reader, "ACL SCHEMA \"Odd schema\"", "grants",
       false},
      {"a function for everybody", "GRANT EXECUTE ON FUNCTION public.set_path() TO PUBLIC",
       "REVOKE EXECUTE ON FUNCTION public.set_path() FROM PUBLIC", "ACL public.FUNCTION set_path()",
       "grants", false},
      {"lost default privileges", defaults + "REVOKE SELECT ON TABLES FROM " + reader,
       defaults + "GRANT SELECT ON TABLES TO " + reader,
       "DEFAULT ACL public.DEFAULT PRIVILEGES FOR TABLES", "grants", false},
      {"a large object's owner", "ALTER LARGE OBJECT 424243 OWNER TO " + reader,
       "ALTER LARGE OBJECT 424243 OWNER TO " + owner, "large object 424243", "largeObject", false},
      {"a lost grant on a large object", "REVOKE SELECT ON LARGE OBJECT 424242 FROM " + reader,
       "GRANT SELECT ON LARGE OBJECT 424242 TO " + reader, "large object 424242", "largeObject",
       false},
      {"the database's access",
       "GRANT TEMPORARY ON DATABASE " + pg::QuoteIdentifier(tenant.copy_name()) + " TO PUBLIC",
       "REVOKE TEMPORARY ON DATABASE " + pg::QuoteIdentifier(tenant.copy_name()) + " FROM PUBLIC",
       "database grants", "database", false},
  };
}

/// A proven copy into which one corruption after the other is planted. Each must be found, alone.
class PlantedCorruption : public ::testing::Test {
 protected:
  PlantedCorruption() : tenant_(Servers().target) {}

  void ExpectEachIsFound(const std::vector<Corruption>& corruptions) {
    ASSERT_TRUE(MustClone(tenant_.CloneAll()).equal());
    pg::Connection copy = MustConnect(tenant_.Copy());
    pg::testing::MustExec(copy, {"SET session_replication_role TO replica",
                                 "SET event_triggers TO off", "SET search_path TO public"});
    for (const Corruption& corruption : corruptions) {
      pg::testing::MustExec(copy, {corruption.plant});
      Report report = MustVerify(tenant_.VerifyAll());
      ASSERT_EQ(report.mismatch_count, 1) << corruption.reason << ":\n" << Describe(report);
      EXPECT_EQ(report.mismatches[0].table, corruption.object) << corruption.reason;
      EXPECT_EQ(report.mismatches[0].kind, corruption.kind) << corruption.reason;
      VerifyOptions counts = tenant_.VerifyAll();
      counts.level = VerificationLevel::kCounts;
      EXPECT_EQ(MustVerify(counts).equal(), !corruption.seen_by_counts) << corruption.reason;
      pg::testing::MustExec(copy, {corruption.mend});
    }
    Report mended = MustVerify(tenant_.VerifyAll());
    EXPECT_TRUE(mended.equal()) << Describe(mended);
  }

  TrapTenant tenant_;
};

TEST_F(PlantedCorruption, OfRowsAndPositionsIsFoundAndNamed) {
  ExpectEachIsFound(OfRowsAndPositions());
}

TEST_F(PlantedCorruption, OfStructureIsFoundAndNamed) { ExpectEachIsFound(OfStructure(tenant_)); }

TEST_F(PlantedCorruption, OfAccessIsFoundAndNamed) { ExpectEachIsFound(OfAccess(tenant_)); }

TEST(Verify, NamesTablesThatAreMissingOrTooMany) {
  TrapTenant tenant(Servers().target);
  ASSERT_TRUE(MustClone(tenant.CloneAll()).equal());
  pg::Connection copy = MustConnect(tenant.Copy());
  pg::testing::MustExec(copy, {"SET event_triggers TO off", "DROP TABLE public.no_columns",
                               "CREATE TABLE public.stranger (a int)"});
  VerifyOptions counts = tenant.VerifyAll();
  counts.level = VerificationLevel::kCounts;
  Report report = MustVerify(counts);
  ASSERT_EQ(report.mismatch_count, 2) << Describe(report);
  EXPECT_EQ(report.mismatches[0], (Mismatch{"public.no_columns", "missing", "a table", "none"}));
  EXPECT_EQ(report.mismatches[1], (Mismatch{"public.stranger", "unexpected", "none", "a table"}));
}

TEST(Verify, ASideThatCannotBeReachedProvesNothing) {
  TrapTenant tenant(Servers().target);
  VerifyOptions options = tenant.VerifyAll();  // The copy was never made.
  Reporter silent(Reporter::Output::kSilent);
  auto report = VerifyDatabases({}, Programs(), options, std::nullopt, silent);
  EXPECT_FALSE(report);
}

}  // namespace
}  // namespace cutover::mover::testing
