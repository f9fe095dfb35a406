// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/line_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cutover::kube {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(std::initializer_list<std::string_view> pieces) {
  std::vector<std::string> lines;
  LineSplitter splitter(64, [&](std::string_view line) { lines.emplace_back(line); });
  for (std::string_view piece : pieces) EXPECT_TRUE(splitter.Feed(piece));
  return lines;
}

TEST(LineSplitter, GivesTheSameLinesForEverySplitIntoThreePieces) {
  const std::string text = "{\"a\":\"ä€\"}\n\n{\"b\":12}\r\n{\"c\":[]}\ntail";
  const std::vector<std::string> whole = Split({text});
  ASSERT_THAT(whole, ElementsAre("{\"a\":\"ä€\"}", "{\"b\":12}\r", "{\"c\":[]}"));
  std::string_view view = text;
  for (size_t first = 0; first <= view.size(); ++first)
    for (size_t second = first; second <= view.size(); ++second)
      ASSERT_EQ(
          Split({view.substr(0, first), view.substr(first, second - first), view.substr(second)}),
          whole)
          << "split at " << first << " and " << second;
}

TEST(LineSplitter, KeepsWhatFollowsTheLastNewline) {
  LineSplitter splitter(64, [](std::string_view) {});
  splitter.Feed("one\ntw");
  splitter.Feed("o");
  EXPECT_EQ(splitter.tail(), "two");
}

TEST(LineSplitter, TakesALineOfExactlyTheBoundAndRefusesALongerOneForGood) {
  int lines = 0;
  LineSplitter splitter(4, [&](std::string_view) { ++lines; });
  EXPECT_TRUE(splitter.Feed("1234\n"));
  EXPECT_EQ(lines, 1);
  EXPECT_FALSE(splitter.Feed("12345\n"));
  EXPECT_FALSE(splitter.Feed("1\n"));
  EXPECT_EQ(lines, 1);
}

TEST(LineSplitter, BoundsALineThatNeverEnds) {
  LineSplitter splitter(4, [](std::string_view) { FAIL(); });
  EXPECT_TRUE(splitter.Feed("123"));
  EXPECT_FALSE(splitter.Feed("45"));
}

}  // namespace
}  // namespace cutover::kube
