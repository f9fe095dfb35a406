// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/not_null_clauses.h"

#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

struct Case {
  const char* reason;
  const char* before;
  const char* after;
};

TEST(NotNullClauses, BecomeStatementsThatEveryMajorKnows) {
  const Case cases[] = {
      {"before another column",
       "\nCREATE TABLE s.child (\n    NOT NULL id,\n    more text\n)\nINHERITS (s.base);\n\n"
       "ALTER TABLE s.child OWNER TO o;\n\n",
       "\nCREATE TABLE s.child (\n    more text\n)\nINHERITS (s.base);\n\n"
       "ALTER TABLE s.child OWNER TO o;\n\nALTER TABLE ONLY s.child ALTER COLUMN id SET NOT NULL;\n"
       "\n"},
      {"the last element, and the only one",
       "\nCREATE TABLE c (\n    a int,\n    NOT NULL \"odd, \"\"name\"\n)\nINHERITS (b);\n",
       "\nCREATE TABLE c (\n    a int\n)\nINHERITS (b);\n\n"
       "ALTER TABLE ONLY c ALTER COLUMN \"odd, \"\"name\" SET NOT NULL;\n\n"},
      {"no other element",
       "CREATE UNLOGGED TABLE c (\n    NOT NULL a,\n    NOT NULL b\n)\nINHERITS (b);\n",
       "CREATE UNLOGGED TABLE c (\n)\nINHERITS (b);\n\n"
       "ALTER TABLE ONLY c ALTER COLUMN a SET NOT NULL;\n"
       "ALTER TABLE ONLY c ALTER COLUMN b SET NOT NULL;\n\n"},
      {"a name with a parenthesis, and types with commas",
       "CREATE TABLE \"a (b\" (\n    n numeric(3,2) DEFAULT round(1.5, 0),\n    NOT NULL id\n);\n",
       "CREATE TABLE \"a (b\" (\n    n numeric(3,2) DEFAULT round(1.5, 0)\n);\n\n"
       "ALTER TABLE ONLY \"a (b\" ALTER COLUMN id SET NOT NULL;\n\n"},
  };
  for (const Case& test : cases)
    EXPECT_EQ(WithoutNotNullClauses(test.before), test.after) << test.reason;
}

TEST(NotNullClauses, EverythingElseStays) {
  const Case cases[] = {
      {"a column's own", "CREATE TABLE c (\n    a int NOT NULL,\n    b int\n);\n", nullptr},
      {"one with more to say", "CREATE TABLE c (\n    NOT NULL a NO INHERIT\n);\n", nullptr},
      {"one with a name", "CREATE TABLE c (\n    CONSTRAINT x NOT NULL a\n);\n", nullptr},
      {"the text of a default", "CREATE TABLE c (\n    a text DEFAULT 'x,\n    NOT NULL b'\n);\n",
       nullptr},
      {"a function's body", "CREATE FUNCTION f() AS $$\n    NOT NULL a\n$$;\n", nullptr},
  };
  for (const Case& test : cases)
    EXPECT_EQ(WithoutNotNullClauses(test.before), test.before) << test.reason;
}

}  // namespace
}  // namespace cutover::mover
