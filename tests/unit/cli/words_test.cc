// SPDX-License-Identifier: Apache-2.0
#include "cli/view/words.h"

#include <gtest/gtest.h>

#include "cli/cluster.h"
#include "cli/view/page.h"
#include "cli/yaml.h"

namespace cutover::cli {
namespace {

using std::chrono::seconds;

TEST(Words, BytesHaveAboutThreeDigits) {
  EXPECT_EQ(FormatBytes(-1), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(9'960'000), "10.0 MB");
  EXPECT_EQ(FormatBytes(596'000'000), "596 MB");
  EXPECT_EQ(FormatBytes(999'999'999), "1.0 GB");
}

TEST(Words, PercentIsHundredOnlyWhenAllIsDone) {
  EXPECT_EQ(Percent(0, 0), 0);
  EXPECT_EQ(Percent(999'999, 1'000'000), 99);
  EXPECT_EQ(Percent(1'000'000, 1'000'000), 100);
  EXPECT_EQ(Percent(-5, 10), 0);
}

TEST(Words, SpansGoFromSecondsToDays) {
  EXPECT_EQ(FormatSpan(seconds(-3)), "0s");
  EXPECT_EQ(FormatSpan(seconds(65)), "1m05s");
  EXPECT_EQ(FormatSpan(seconds(2 * 86400 + 3 * 3600)), "2d03h");
}

TEST(Words, BarsAreAsLongAsTheyAreWide) {
  EXPECT_EQ(FormatBar(50, 10, false), "#####-----");
  EXPECT_EQ(FormatBar(120, 4, true), "████");
}

TEST(Words, ATableIsAsWideAsItsWidestCell) {
  Table table({"A", "LONG"});
  table.Row({"längste", "x"});
  table.Row({"b", ""});
  EXPECT_EQ(table.Text(), "A         LONG\nlängste   x\nb\n");
}

TEST(NearNames, FindsWhatWasMistypedAndNothingFarOff) {
  EXPECT_EQ(NearNames("acme-to-dedicatd", {"acme-to-dedicated", "umbrella"}),
            std::vector<std::string>{"acme-to-dedicated"});
  EXPECT_TRUE(NearNames("acme", {"umbrella"}).empty());
}

TEST(Yaml, TextsThatReadAsSomethingElseAreQuoted) {
  const Json document = Json::Object({{"text", "yes"},
                                      {"number", "0123"},
                                      {"time", "2026-11-21T03:04:05Z"},
                                      {"plain", "pg-shared"},
                                      {"true", true},
                                      {"none", Json()},
                                      {"empty", Json::Object()},
                                      {"list", Json::Array({Json(1), Json("a: b")})}});
  EXPECT_EQ(ToYaml(document),
            "text: \"yes\"\nnumber: \"0123\"\ntime: \"2026-11-21T03:04:05Z\"\nplain: pg-shared\n"
            "\"true\": true\nnone: null\nempty: {}\nlist:\n  - 1\n  - \"a: b\"\n");
}

}  // namespace
}  // namespace cutover::cli
