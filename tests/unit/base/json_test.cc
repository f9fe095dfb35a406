// SPDX-License-Identifier: Apache-2.0
#include "operator/base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace cutover {
namespace {

TEST(Json, WhatIsDumpedParsesBackEqual) {
  Json object = Json::Object({{"name", "a \"quoted\" \n name"},
                              {"count", 3},
                              {"big", INT64_MAX},
                              {"ratio", 0.5},
                              {"on", true},
                              {"none", nullptr},
                              {"list", Json::Array({1, "two", Json::Object({{"k", "v"}})})}});
  auto back = Json::Parse(object.Dump());
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, object);
  EXPECT_EQ((*back)["big"].AsInt(), INT64_MAX);
}

TEST(Json, ReadingWhatIsAbsentIsNullAndNotAFailure) {
  Json object = Json::Object({{"a", Json::Object({{"b", 1}})}});
  EXPECT_TRUE(object["x"]["y"]["z"].IsNull());
  EXPECT_EQ(object.At({"a", "b"}).AsInt(), 1);
  EXPECT_EQ(object.At({"a", "b", "c"}).AsString("none"), "none");
}

TEST(Json, EqualityIgnoresMemberOrderButNotItemOrder) {
  EXPECT_EQ(*Json::Parse(R"({"a":1,"b":2})"), *Json::Parse(R"({"b":2,"a":1})"));
  EXPECT_FALSE(*Json::Parse("[1,2]") == *Json::Parse("[2,1]"));
  EXPECT_FALSE(*Json::Parse(R"({"a":1})") == *Json::Parse(R"({"a":1,"b":null})"));
}

TEST(Json, AFractionNeverBecomesAnInteger) {
  EXPECT_EQ((*Json::Parse("1.9")).AsInt(-1), -1);
  EXPECT_EQ((*Json::Parse("2.0")).AsInt(-1), 2);
}

TEST(Json, BrokenTextIsRefusedWithItsPlace) {
  for (const char* text : {"", "{", R"({"a":})", "[1,]", "\"\xff\"", "{} x"}) {
    auto parsed = Json::Parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "InvalidJson");
    EXPECT_EQ(parsed.error().disposition, Disposition::kTerminal);
  }
}

TEST(Json, WhatIsNotUtf8IsRefusedWhereverItStands) {
  for (size_t before = 0; before < 17; ++before) {
    const std::string text = "\"" + std::string(before, 'a') + "\xff\"";
    EXPECT_FALSE(Json::Parse(text)) << before;
    const std::string good = "\"" + std::string(before, 'a') + "\u00e9\"";
    EXPECT_EQ(Json::Parse(good)->AsString(), std::string(before, 'a') + "\u00e9");
  }
}

TEST(Json, ANulEndsNoText) {
  using std::string_view_literals::operator""sv;
  for (std::string_view text : {"{}\0"sv, "{}\0{}"sv, "\0"sv, "[1\0]"sv, "\"a\0b\""sv})
    EXPECT_FALSE(Json::Parse(text)) << text.size();
}

TEST(Json, NestingBeyondTheBoundIsRefusedAndDoesNotOverflowTheStack) {
  EXPECT_FALSE(Json::Parse(std::string(100'000, '[')));
  EXPECT_TRUE(Json::Parse(std::string(150, '[') + std::string(150, ']')));
}

TEST(Json, SetReplacesInPlaceAndRemoveForgets) {
  Json object = Json::Object({{"a", 1}, {"b", 2}});
  object.Set("a", 3).Set("c", 4);
  EXPECT_EQ(object.Dump(), R"({"a":3,"b":2,"c":4})");
  object.Remove("b");
  EXPECT_EQ(object.Dump(), R"({"a":3,"c":4})");
}

// Found by fuzzing: RapidJSON's conversion of the first one shifts by an undefined amount.
TEST(Json, NumbersAreReadWhateverTheirForm) {
  struct Row {
    const char* text;
    double value;
  };
  for (const Row& row : {Row{"0e300", 0}, Row{"-0.0e-5", 0}, Row{"1e-400", 0}, Row{"1.5e3", 1500},
                         Row{"9223372036854775808", 9223372036854775808.0}}) {
    auto parsed = Json::Parse(row.text);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error().message;
    EXPECT_FALSE(parsed->IsInt()) << row.text;
    EXPECT_EQ(parsed->AsDouble(), row.value) << row.text;
  }
  EXPECT_EQ(Json::Parse("-9223372036854775808")->AsInt(), INT64_MIN);
  EXPECT_EQ(Json::Parse("9223372036854775807")->AsInt(), INT64_MAX);
  EXPECT_EQ(Json::Parse("-0")->AsInt(7), 0);
  for (const char* none : {"1e999", "01", "1.", "+1", ".5", "1e", "0x1", "-", "inf", "nan"})
    EXPECT_FALSE(Json::Parse(none)) << none;
}

TEST(Json, OfMembersOfTheSameNameTheLastCountsInThePlaceOfTheFirst) {
  Result<Json> parsed = Json::Parse(R"({"a":1,"b":{"c":[]},"a":2,"b":{"c":[3,{}]},"d":4,"a":5})");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->Dump(), R"({"a":5,"b":{"c":[3,{}]},"d":4})");
}

TEST(Json, WhatFollowsAnEscapeIsReadAsItStands) {
  auto read =
      Json::Parse(R"({"a\u0041\n\"b":-2.5e1,"\ud83d\ude00":"x\ty","c":[10,"\\",20],"d":7})");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, Json::Object({{"aA\n\"b", -25.0},
                                 {"\xF0\x9F\x98\x80", "x\ty"},
                                 {"c", Json::Array({10, "\\", 20})},
                                 {"d", 7}}));
  EXPECT_EQ(*Json::Parse(read->Dump()), *read);
}

TEST(Json, SoItIsWhereAnObjectHasThousandsOfMembers) {
  std::string text = "{";
  for (int i = 0; i < 5000; ++i) text += "\"member-" + std::to_string(i) + "\": 1, ";
  const Json object = *Json::Parse(text + R"("member-0": 2, "member-4999": 3, "last": 4})");
  ASSERT_EQ(object.Members().size(), 5001u);
  EXPECT_EQ(object.Members().front(), Json::Member("member-0", 2));
  EXPECT_EQ(object.Members()[4998], Json::Member("member-4998", 1));
  EXPECT_EQ(object.Members()[4999], Json::Member("member-4999", 3));
  EXPECT_EQ(object.Members().back(), Json::Member("last", 4));
}

}  // namespace
}  // namespace cutover
