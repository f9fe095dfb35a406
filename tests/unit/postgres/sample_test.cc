// SPDX-License-Identifier: Apache-2.0
#include "postgres/sample.h"

#include <gtest/gtest.h>

namespace cutover::pg {
namespace {

using Row = std::optional<RowState>;

Suspect Seen(Row source, Row target) {
  Suspect suspect;
  suspect.table = {"public", "orders"};
  suspect.key = R"(["42"])";
  suspect.words = "public.orders (id)=(42)";
  suspect.source = std::move(source);
  suspect.target = std::move(target);
  suspect.position = "0/16B3748";
  return suspect;
}

const Row kOld = RowState{"a", "(0,1)/700"}, kNew = RowState{"b", "(0,2)/701"};
// The same text, written again: the hash alone would take it for a row at rest.
const Row kOldAgain = RowState{"a", "(0,3)/702"};

TEST(SecondLook, ProvesADifferenceOnlyOfRowsThatNobodyHasWrittenSince) {
  struct Case {
    const char* reason;
    Row first_source, first_target, source, target;
    SecondLook look;
  };
  for (const Case& each : std::initializer_list<Case>{
           {"it has arrived", kOld, kNew, kNew, kNew, SecondLook::kEqual},
           {"it has arrived, each side with its own version", kOld, kNew, kOldAgain, kOld,
            SecondLook::kEqual},
           {"gone on both", kOld, {}, {}, {}, SecondLook::kEqual},
           {"as it was on both", kOld, kNew, kOld, kNew, SecondLook::kDiffers},
           {"missing and still missing", {}, kNew, {}, kNew, SecondLook::kDiffers},
           {"deleted, and still there", kOld, {}, kOld, {}, SecondLook::kDiffers},
           {"the target's was written", kOld, kNew, kOld, kOldAgain, SecondLook::kEqual},
           {"the target's text is back, in between it was another", kNew, kOld, kNew, kOldAgain,
            SecondLook::kWritten},
           {"the source's was written", kOld, kNew, kOldAgain, kNew, SecondLook::kWritten},
           {"the source's came late", {}, kNew, kOld, kNew, SecondLook::kWritten},
           {"the target's went", kOld, kNew, kOld, {}, SecondLook::kWritten},
       })
    EXPECT_EQ(LookTwice(Seen(each.first_source, each.first_target), each.source, each.target),
              each.look)
        << each.reason;
}

TEST(Sample, ComesBackFromTheLedgerAsItWas) {
  Sample sample;
  sample.taken_at = ParseTime("2026-11-22T06:07:08.123456Z");
  sample.rows = 1234;
  sample.last_table = {"public", "odd \"name"};
  sample.suspects = {Seen(kOld, {}), Seen({}, kNew)};
  sample.suspects[1].proven = true;
  sample.not_compared = {{"public", "log"}, {"public", "odd \"name"}};
  const Sample again = SampleOf(ToJson(sample));
  EXPECT_EQ(ToJson(again), ToJson(sample));
  EXPECT_EQ(again.taken_at, sample.taken_at);
  EXPECT_EQ(again.undecided(), 1);
  EXPECT_EQ(again.differences(), 1);
  EXPECT_EQ(again.suspects[0].target, std::nullopt);
  EXPECT_EQ(again.suspects[1].target, kNew);
}

TEST(Sample, NamesAFewOfTheRowsThatDifferAndCountsTheRest) {
  Sample sample;
  EXPECT_EQ(sample.DescribeDifferences(), "");
  sample.suspects = {Seen(kOld, kNew)};
  EXPECT_EQ(sample.DescribeDifferences(), "") << "not proven";
  sample.suspects[0].proven = true;
  EXPECT_EQ(sample.DescribeDifferences(), "public.orders (id)=(42) differs");
  sample.suspects.assign(7, sample.suspects[0]);
  EXPECT_TRUE(sample.DescribeDifferences().ends_with(" and 2 more"));
}

}  // namespace
}  // namespace cutover::pg
