// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/copy_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cutover::mover {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr std::string_view kScript =
    "SET x TO 1;\n"
    "COPY public.orders (id, note) FROM stdin;\n1\ta\n2\tCOPY public.x (a) FROM stdin;\n\\.\n\n"
    "COPY \"odd schema\".\"na\"\"me\" (id) FROM stdin;\n\\.\n"
    "COPY public.last (id) FROM stdin;\n\\\\.\n\\.\n";

std::map<std::string, int64_t> Count(size_t piece_bytes) {
  CopyRowCounter counter;
  for (size_t at = 0; at < kScript.size(); at += piece_bytes)
    counter.Take(kScript.substr(at, piece_bytes));
  return counter.rows();
}

TEST(CopyRowCounter, CountsRowsByTableAndIsNotFooledByTheirContents) {
  EXPECT_THAT(Count(kScript.size()), ElementsAre(Pair("\"odd schema\".\"na\"\"me\"", 0),
                                                 Pair("public.last", 1), Pair("public.orders", 2)));
}

TEST(CopyRowCounter, PiecesMayBeCutAnywhere) {
  for (size_t bytes : {1, 2, 3, 7}) EXPECT_EQ(Count(bytes), Count(kScript.size())) << bytes;
}

TEST(CopyRowCounter, ARowOfAnyLengthIsOneRow) {
  CopyRowCounter counter;
  counter.Take("COPY t (a) FROM stdin;\n");
  for (int i = 0; i < 1000; ++i) counter.Take(std::string(10'000, 'x'));
  counter.Take("\n\\.\n");
  EXPECT_THAT(counter.rows(), ElementsAre(Pair("t", 1)));
}

}  // namespace
}  // namespace cutover::mover
