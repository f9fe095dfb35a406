// SPDX-License-Identifier: Apache-2.0
//
// A copy that is not what was copied: found by the hashes of the ledger, whatever has become of the
// source since.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mover/clone.h"
#include "tests/postgres/mover/tenant.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kRows = 20000;

/// A table of several chunks, whose keys grow with its blocks, and damage that comes between the
/// copy and its proof.
class CopiedChunks : public ::testing::Test {
 protected:
  CopiedChunks() {
    move_.Plant({"CREATE TABLE big (id bigint PRIMARY KEY, body text)",
                 "INSERT INTO big SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, " +
                     std::to_string(kRows) + ") i",
                 "CREATE TABLE small (id int PRIMARY KEY, body text)",
                 "INSERT INTO small SELECT i, 'x' FROM generate_series(1, 10) i"});
    move_.options.chunk_bytes = 1 << 20;
  }

  Mismatch MustDiffer(const std::string& table) {
    Reporter silent(Reporter::Output::kSilent);
    auto report = CloneDatabase({}, Programs(), move_.options, silent);
    EXPECT_TRUE(report) << report.error().message;
    if (!report) return {};
    for (const Mismatch& mismatch : report->mismatches)
      if (mismatch.table == table) return mismatch;
    ADD_FAILURE() << Describe(*report);
    return {};
  }

  void DamageAfterTheCopy(const std::vector<std::string>& on_target,
                          const std::vector<std::string>& on_source = {}) {
    move_.options.on_copied = [this, on_target, on_source] {
      pg::Connection copy = MustConnect(move_.Copy());
      MustExec(copy, on_target);
      // The tables are locked against TRUNCATE and the like, not against being written to.
      pg::Connection source = MustConnect(move_.Source());
      MustExec(source, on_source);
    };
  }

  Move move_;
};

TEST_F(CopiedChunks, AreNamedWithTheirKeysWhenTheyAreNotWhatWasCopied) {
  DamageAfterTheCopy({"DELETE FROM public.big WHERE id = 7"});
  const Mismatch mismatch = MustDiffer("public.big");
  ASSERT_FALSE(mismatch.places.empty());
  const Place& chunk = mismatch.places[0];
  EXPECT_THAT(chunk.chunk, AllOf(HasSubstr("copied chunk 1 of "), HasSubstr("(blocks 0-"),
                                 HasSubstr("of the source)")));
  EXPECT_THAT(chunk.key_range, HasSubstr("(id) from (1) to ("));
  EXPECT_EQ(chunk.source_rows, chunk.target_rows + 1);
  EXPECT_THAT(mismatch.places,
              Contains(Field(&Place::rows,
                             ElementsAre(RowDifference{"(id)=(7)", "only on the source", {}}))));
  EXPECT_THAT(mismatch.note, HasSubstr("the source still holds what was copied"));
}

TEST_F(CopiedChunks, ARowThatWasRewrittenIsMissingInItsChunkAndIsNoneOfTheCopys) {
  DamageAfterTheCopy({"UPDATE public.big SET body = body || '.' WHERE id = 19999"});
  const Mismatch mismatch = MustDiffer("public.big");
  ASSERT_GE(mismatch.places.size(), 2u);
  EXPECT_THAT(mismatch.places[0].key_range, HasSubstr("to (20000)"));
  EXPECT_EQ(mismatch.places[0].source_rows, mismatch.places[0].target_rows + 1);
  EXPECT_EQ(mismatch.places[1],
            (Place{"rows that the copy did not bring", "(id) from (19999) to (19999)", 0, 1, {}}));
}

TEST_F(CopiedChunks, AreFoundAlthoughTheSourceHasChangedInTheSameWay) {
  const std::string same = "DELETE FROM public.big WHERE id = 7";
  DamageAfterTheCopy({same}, {same});
  const Mismatch mismatch = MustDiffer("public.big");
  ASSERT_FALSE(mismatch.places.empty()) << "read now, both sides are equal";
  EXPECT_THAT(mismatch.places[0].chunk, HasSubstr("copied chunk 1 of "));
  EXPECT_THAT(mismatch.note, HasSubstr("the source has changed since it was copied"));
}

TEST_F(CopiedChunks, OfATableThatWasCopiedWholeItIsSaidWhetherTheSourceStillHoldsIt) {
  DamageAfterTheCopy({"UPDATE public.small SET body = 'y' WHERE id = 3"});
  const Mismatch mismatch = MustDiffer("public.small");
  EXPECT_THAT(mismatch.places,
              ElementsAre(Field(&Place::rows,
                                ElementsAre(RowDifference{"(id)=(3)", "differs", {"body"}}))));
  EXPECT_THAT(mismatch.note, AllOf(HasSubstr("the source still holds what was copied"),
                                   Not(HasSubstr("as it is now"))));
}

}  // namespace
}  // namespace cutover::mover::testing
