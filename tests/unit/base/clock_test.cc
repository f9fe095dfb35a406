// SPDX-License-Identifier: Apache-2.0
#include "operator/base/clock.h"

#include <gtest/gtest.h>

namespace cutover {
namespace {

TEST(Clock, TimesSurviveFormattingAndParsing) {
  auto time = ParseTime("2026-11-21T03:04:05Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(FormatTime(*time), "2026-11-21T03:04:05Z");
  auto micro = ParseTime("2026-11-21T03:04:05.123456Z");
  ASSERT_TRUE(micro);
  EXPECT_EQ(FormatMicroTime(*micro), "2026-11-21T03:04:05.123456Z");
  for (const char* text : {"2028-02-29T23:59:59.000001Z", "1969-12-31T23:59:59.999999Z",
                           "1970-01-01T00:00:00.000000Z", "2261-12-31T12:00:00.500000Z"})
    EXPECT_EQ(FormatMicroTime(*ParseTime(text)), text);
}

TEST(Clock, OffsetsAreAppliedToUtc) {
  EXPECT_EQ(ParseTime("2026-11-21T04:04:05+01:00"), ParseTime("2026-11-21T03:04:05Z"));
  EXPECT_EQ(ParseTime("2026-11-20T22:34:05-04:30"), ParseTime("2026-11-21T03:04:05Z"));
}

TEST(Clock, WhatIsNoTimeIsRefused) {
  for (const char* text :
       {"", "2026-11-21", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z",
        "2026-11-21T03:04:05", "2026-11-21T03:04:05Zx", "2026-11-21T03:04:05.Z"})
    EXPECT_FALSE(ParseTime(text)) << text;
}

TEST(Clock, DurationsReadLikeKubectlAges) {
  EXPECT_EQ(FormatDuration(std::chrono::seconds(9)), "9s");
  EXPECT_EQ(FormatDuration(std::chrono::seconds(245)), "4m05s");
  EXPECT_EQ(FormatDuration(std::chrono::seconds(11520)), "3h12m");
}

// Found by fuzzing: the year 1026 overflowed the nanoseconds, and was some other time.
TEST(Time, WhatNanosecondsCannotHoldIsRefused) {
  EXPECT_TRUE(ParseTime("1678-01-01T00:00:00Z"));
  EXPECT_TRUE(ParseTime("2261-12-31T23:59:59.999999999Z"));
  for (const char* text : {"1026-11-21T20:00:00Z", "1677-12-31T23:59:59Z", "2262-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z"})
    EXPECT_FALSE(ParseTime(text)) << text;
}

}  // namespace
}  // namespace cutover
