// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/structure.h"

#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

RestoreItem Item(const char* type, const char* name, const char* owner, const char* sql) {
  RestoreItem item;
  item.type = type;
  item.name = name;
  item.schema = "public";
  item.owner = owner;
  item.sql = sql;
  return item;
}

RestoreScript Source() {
  RestoreScript script;
  script.items = {
      Item("TABLE", "t", "tenant",
           "CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO tenant;\n"),
      Item("INDEX", "i", "tenant", "CREATE INDEX i ON public.t USING btree (a);\n"),
      Item("ACL", "TABLE t", "tenant", "GRANT SELECT ON t TO a;\nGRANT ALL ON t TO b;\n"),
  };
  return script;
}

Report Compare(const RestoreScript& target) {
  Report report;
  CompareStructure(Source(), target, report);
  return report;
}

TEST(Structure, TheSameIsEqualWhateverTheOrderOfObjectsAndGrants) {
  RestoreScript target = Source();
  std::swap(target.items[0], target.items[2]);
  target.items[0].sql = "GRANT ALL ON t TO b;\nGRANT SELECT ON t TO a;\n\n";
  target.items[1].sql += "\nSET default_table_access_method = heap;\n\n";
  EXPECT_TRUE(Compare(target).equal());
}

TEST(Structure, ALostIndexIsNamed) {
  RestoreScript target = Source();
  target.items.erase(target.items.begin() + 1);
  Report report = Compare(target);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0], (Mismatch{"INDEX public.i", "structure", "present", "absent"}));
}

TEST(Structure, AnObjectTooManyIsNamed) {
  RestoreScript target = Source();
  target.items.push_back(Item("VIEW", "v", "x", "CREATE VIEW v;\n"));
  Report report = Compare(target);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0], (Mismatch{"VIEW public.v", "structure", "absent", "present"}));
}

TEST(Structure, ALostGrantIsNamed) {
  RestoreScript target = Source();
  target.items[2].sql = "GRANT ALL ON t TO b;\n";
  Report report = Compare(target);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0].table, "ACL public.TABLE t");
  EXPECT_EQ(report.mismatches[0].kind, "grants");
}

TEST(Structure, AChangedOwnerIsNamedOnce) {
  RestoreScript target = Source();
  target.items[0].owner = "admin";
  target.items[0].sql = "CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO admin;\n";
  Report report = Compare(target);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0], (Mismatch{"TABLE public.t", "owner", "tenant", "admin"}));
}

TEST(Structure, ExtensionsAreComparedElsewhere) {
  RestoreScript target = Source();
  target.items.push_back(Item("EXTENSION", "pg_trgm", "", "CREATE EXTENSION pg_trgm;\n"));
  target.items.push_back(Item("COMMENT", "EXTENSION pg_trgm", "", "COMMENT …;\n"));
  EXPECT_TRUE(Compare(target).equal());
}

}  // namespace
}  // namespace cutover::mover
