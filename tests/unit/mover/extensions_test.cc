// SPDX-License-Identifier: Apache-2.0
#include "mover/schema/extensions.h"

#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

const ExtensionFunction kPlain{"f()", "STABLE", {"PARALLEL SAFE", "COST 1"}, {}};

TEST(Alteration, SaysOnlyWhatIsOtherwise) {
  ExtensionFunction wanted = kPlain;
  EXPECT_EQ(Alteration(wanted, kPlain, true), "");
  wanted.marks[1] = "COST 7";
  EXPECT_EQ(Alteration(wanted, kPlain, true), " COST 7");
  wanted.volatility = "IMMUTABLE";
  wanted.settings = {"search_path=public, \"a=b\"", "work_mem=5MB"};
  EXPECT_EQ(Alteration(wanted, kPlain, true),
            " IMMUTABLE COST 7 SET search_path = 'public', 'a=b' SET work_mem = '5MB'");
  EXPECT_EQ(Alteration(kPlain, wanted, true), " STABLE COST 1 RESET ALL");
}

TEST(Alteration, LeavesToAnotherVersionWhatItMarksOtherwise) {
  ExtensionFunction wanted = kPlain, newer = kPlain;
  wanted.settings = {"search_path=public"};
  newer.marks = {"PARALLEL UNSAFE", "COST 100"};
  EXPECT_EQ(Alteration(wanted, newer, false), " SET search_path = 'public'");
  newer.settings = {"search_path=pg_catalog"};
  EXPECT_EQ(Alteration(wanted, newer, false), "");
  newer.volatility = "VOLATILE";
  EXPECT_EQ(Alteration(wanted, newer, false), " STABLE") << "Odoo's unaccent, for one";
}

}  // namespace
}  // namespace cutover::mover
