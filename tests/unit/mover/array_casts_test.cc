// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/array_casts.h"

#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

TEST(ArrayCasts, AListThatWasTypedInReadsAsOneThatWasRestored) {
  EXPECT_EQ(SpellArrayCasts("WHERE ((s)::text = ANY ((ARRAY['a'::character varying, "
                            "'it''s, [b]'::character varying])::text[]))"),
            "WHERE ((s)::text = ANY (ARRAY[('a'::character varying)::text, "
            "('it''s, [b]'::character varying)::text]))");
}

TEST(ArrayCasts, WhatIsSpelledAlreadyStaysAsItIs) {
  for (const char* text : {"", "ARRAY[('a'::character varying)::text]", "(ARRAY[a, b])::text[]",
                           "(ARRAY[1, 2])", "(ARRAY['a'::character varying])",
                           "(ARRAY['a'::character varying])::text", "(ARRAY['a", "'(ARRAY[' || x"})
    EXPECT_EQ(SpellArrayCasts(text), text);
}

TEST(ArrayCasts, AnotherConstantCastOrOrderStillDiffers) {
  const std::string list = SpellArrayCasts("(ARRAY['a'::bpchar, 'b'::bpchar])::text[]");
  for (const char* other :
       {"(ARRAY['a'::bpchar, 'c'::bpchar])::text[]", "(ARRAY['b'::bpchar, 'a'::bpchar])::text[]",
        "(ARRAY['a'::bpchar, 'b'::bpchar])::name[]", "(ARRAY['a'::name, 'b'::bpchar])::text[]",
        "(ARRAY['a'::bpchar])::text[]"})
    EXPECT_NE(SpellArrayCasts(other), list) << other;
}

}  // namespace
}  // namespace cutover::mover
