// SPDX-License-Identifier: Apache-2.0
// What of a structure that differs counts, and how it is said.
#include "postgres/structure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Structure Given() {
  return {{"1259/1",
           {"table public.t", {{"relation", "a"}, {"column", "b"}, {"file", "c"}, {"stamp", "d"}}}},
          {"1255/2", {"function public.f(integer)", {{"function", "e"}}}}};
}

TEST(Structures, OfTheSameDatabaseAreTheSameAlsoThroughTheLedger) {
  EXPECT_EQ(StructureOf(ToJson(Given())), Given());
  EXPECT_THAT(CompareStructures(Given(), StructureOf(ToJson(Given()))), IsEmpty());
}

TEST(Structures, WhatIsNewGoneOrAlteredIsNamed) {
  Structure now = Given();
  now["1259/3"] = {"sequence public.s", {{"relation", "x"}}};
  now.erase("1255/2");
  now["1259/1"].parts["column"] = "other";
  now["1259/1"].parts["trigger"] = "one more";
  EXPECT_THAT(CompareStructures(Given(), now),
              ElementsAre("table public.t was altered (column, trigger)",
                          "sequence public.s is new", "function public.f(integer) is gone"));
}

TEST(Structures, ATableThatWasDroppedAndMadeAgainIsAnotherOne) {
  Structure now = Given();
  now["1259/9"] = now["1259/1"];
  now.erase("1259/1");
  EXPECT_THAT(CompareStructures(Given(), now),
              ElementsAre("table public.t is new", "table public.t is gone"));
}

TEST(Structures, RowsCountAsRewrittenOnlyWhereFileAndColumnsAreOthers) {
  Structure now = Given();
  now["1259/1"].parts["file"] = "VACUUM FULL, TRUNCATE";
  EXPECT_THAT(CompareStructures(Given(), now), IsEmpty());
  now["1259/1"].parts["stamp"] = "ALTER COLUMN … TYPE";
  EXPECT_THAT(CompareStructures(Given(), now),
              ElementsAre("table public.t was altered (rows rewritten)"));
  now["1259/1"].parts["file"] = "c";
  EXPECT_THAT(CompareStructures(Given(), now), IsEmpty()) << "a privilege on a column";
}

TEST(Structures, OfManyChangesAFewAreNamed) {
  EXPECT_EQ(DescribeChanges({"a", "b", "c", "d", "e"}), "a, b, c, d, e");
  EXPECT_EQ(DescribeChanges({"a", "b", "c", "d", "e", "f", "g"}), "a, b, c, d, e and 2 more");
  EXPECT_EQ(DescribeChanges({}), "");
}

}  // namespace
}  // namespace cutover::pg
