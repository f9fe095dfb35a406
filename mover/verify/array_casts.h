// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cutover::mover {

/// PostgreSQL writes a list of constants that is cast as a whole, `col IN ('a', 'b')` over a
/// varchar, in one way when it was typed in and in another once its own words were read back:
///
///   (ARRAY['a'::character varying, 'b'::character varying])::text[]
///   ARRAY[('a'::character varying)::text, ('b'::character varying)::text]
///
/// Both mean the same, and a restored database always has the second. Returns `sql` with every list
/// of the first form in the second, and nothing else changed: another constant, another cast or
/// another order still differs.
std::string SpellArrayCasts(std::string_view sql);

}  // namespace cutover::mover
