// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/bounds.h"

#include <gtest/gtest.h>

namespace cutover::migration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Bounds, APauseWaitsTwoSecondsForTransactionsAndNeverLongerThanTheSpecSays) {
  EXPECT_EQ(PauseBound(std::nullopt), seconds(2));
  EXPECT_EQ(PauseBound(60), seconds(2));
  EXPECT_EQ(PauseBound(3), seconds(2));
  EXPECT_EQ(PauseBound(2), seconds(2));
  EXPECT_EQ(PauseBound(1), seconds(1));
}

TEST(Bounds, AComparisonHasTenSecondsAndLeavesTwoOfThePauseToWhatFollowsIt) {
  EXPECT_EQ(CompareBudget(seconds(60)), seconds(10));
  EXPECT_EQ(CompareBudget(milliseconds(12'001)), seconds(10));
  EXPECT_EQ(CompareBudget(milliseconds(11'999)), milliseconds(9'999));
  EXPECT_EQ(CompareBudget(seconds(3)), seconds(1));
}

TEST(Bounds, AComparisonThatComesLateStillSaysWhatItHasLeftOut) {
  EXPECT_EQ(CompareBudget(seconds(2)), milliseconds(100));
  EXPECT_EQ(CompareBudget(milliseconds(0)), milliseconds(100));
}

}  // namespace
}  // namespace cutover::migration
