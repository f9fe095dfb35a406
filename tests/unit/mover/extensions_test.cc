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

TEST(Alteration, LeavesTheSettingsOfAnotherVersionsSecurityDefiner) {
  ExtensionFunction wanted = kPlain, newer = kPlain;
  wanted.settings = {"search_path=public"};
  newer.marks[1] = "SECURITY DEFINER";
  EXPECT_EQ(Alteration(wanted, newer, false), "");
}

TEST(WithoutPowers, KeepsAllThatAFunctionDoesWithItsCallersRights) {
  const ExtensionFunction plain{
      "f()", "STABLE", {"SECURITY INVOKER", "NOT LEAKPROOF", "COST 1"}, {}};
  ExtensionFunction wanted{"f()", "IMMUTABLE", {"SECURITY DEFINER", "LEAKPROOF", "COST 7"}, {}};
  wanted.settings = {"search_path=public"};
  EXPECT_EQ(Alteration(WithoutPowers(wanted, plain), plain, true),
            " IMMUTABLE COST 7 SET search_path = 'public'");
  ExtensionFunction mighty = plain;
  mighty.marks[0] = "SECURITY DEFINER";
  mighty.settings = {"search_path=pg_catalog"};
  EXPECT_EQ(Alteration(WithoutPowers(wanted, mighty), mighty, true), " IMMUTABLE COST 7")
      << "its search_path decides what it calls";
  EXPECT_EQ(Alteration(WithoutPowers(plain, mighty), mighty, true), " SECURITY INVOKER RESET ALL");
  EXPECT_EQ(WithoutPowers(mighty, mighty), mighty);
}

}  // namespace
}  // namespace cutover::mover
