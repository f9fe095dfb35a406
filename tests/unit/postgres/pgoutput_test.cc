// SPDX-License-Identifier: Apache-2.0
#include "postgres/pgoutput.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace cutover::pg {
namespace {

using Kind = PgoutputMessage::Kind;
using ValueKind = PgoutputValue::Kind;

std::string Number(uint64_t number, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    text += static_cast<char>(number >> shift & 0xFF);
  return text;
}
std::string Text(const std::string& value) { return "t" + Number(value.size(), 4) + value; }

TEST(Pgoutput, ATransactionIsFramedByWhereItsCommitBeginsAndEnds) {
  const std::string begin = "B" + Number(0x1016B3748, 8) + Number(7, 8) + Number(9, 4);
  auto message = ParsePgoutput(begin);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, Kind::kBegin);
  EXPECT_EQ(FormatLsn(message->lsn), "1/16B3748");
  const std::string commit =
      "C" + Number(0, 1) + Number(0x16B3748, 8) + Number(0x16B3778, 8) + Number(7, 8);
  message = ParsePgoutput(commit);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, Kind::kCommit);
  EXPECT_EQ(FormatLsn(message->lsn), "0/16B3778");
}

TEST(Pgoutput, ARelationNamesItsColumnsInOrder) {
  const std::string bytes = "R" + Number(16384, 4) + std::string("Odd schema\0table\0d", 18) +
                            Number(2, 2) + Number(1, 1) + std::string("id\0", 3) + Number(23, 4) +
                            Number(~0u, 4) + Number(0, 1) + std::string("the body\0", 9) +
                            Number(25, 4) + Number(~0u, 4);
  auto message = ParsePgoutput(bytes);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->relation.oid, 16384u);
  EXPECT_EQ(message->relation.schema, "Odd schema");
  EXPECT_EQ(message->relation.name, "table");
  EXPECT_EQ(message->relation.columns, (std::vector<std::string>{"id", "the body"}));
}

TEST(Pgoutput, AnUpdateHasItsOldKeyAndItsNewRow) {
  const std::string bytes = "U" + Number(16384, 4) + "K" + Number(2, 2) + Text("1") + "n" + "N" +
                            Number(3, 2) + Text("2") + "u" + Text("");
  auto message = ParsePgoutput(bytes);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(message->kind, Kind::kUpdate);
  EXPECT_EQ(message->relations, std::vector<uint32_t>{16384});
  ASSERT_TRUE(message->has_old_row);
  ASSERT_EQ(message->old_row.size(), 2u);
  EXPECT_EQ(message->old_row[0].text, "1");
  EXPECT_EQ(message->old_row[1].kind, ValueKind::kNull);
  ASSERT_EQ(message->new_row.size(), 3u);
  EXPECT_EQ(message->new_row[0].text, "2");
  EXPECT_EQ(message->new_row[1].kind, ValueKind::kUnchanged);
  EXPECT_EQ(message->new_row[2].kind, ValueKind::kText);
  EXPECT_EQ(message->new_row[2].text, "");
}

TEST(Pgoutput, ATruncateNamesAllItsTables) {
  auto message = ParsePgoutput("T" + Number(2, 4) + Number(3, 1) + Number(7, 4) + Number(8, 4));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->relations, (std::vector<uint32_t>{7, 8}));
}

TEST(Pgoutput, WhatIsNotAboutRowsIsPassedOver) {
  auto message = ParsePgoutput("Y" + Number(1, 4));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, Kind::kOther);
}

TEST(Pgoutput, OfACutRowTheValuesInFrontAreReadAndTheOthersAreNotTakenForNulls) {
  const std::string whole =
      "I" + Number(7, 4) + "N" + Number(3, 2) + Text("key") + Text("a long value") + Text("end");
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    if (size > 0 && part.size() >= 5) {
      auto cut = ParsePgoutput(part, /*cut=*/true);
      ASSERT_TRUE(cut) << size;
      for (const PgoutputValue& value : cut->new_row) EXPECT_NE(value.kind, ValueKind::kNull);
    }
    if (size > 0) {
      EXPECT_FALSE(ParsePgoutput(part) && ParsePgoutput(part)->new_row.size() == 3) << size;
    }
  }
  auto cut = ParsePgoutput(std::string_view(whole).substr(0, 20), /*cut=*/true);
  ASSERT_TRUE(cut);
  ASSERT_EQ(cut->new_row.size(), 3u);
  EXPECT_EQ(cut->new_row[0].text, "key");
  EXPECT_EQ(cut->new_row[1].kind, ValueKind::kCut);
  EXPECT_EQ(cut->new_row[2].kind, ValueKind::kCut);
}

TEST(Pgoutput, AMessageThatEndsInItsMiddleOrHasAnUnknownValueIsRefused) {
  EXPECT_FALSE(ParsePgoutput("B\x01"));
  EXPECT_FALSE(ParsePgoutput("T" + Number(1000000000, 4) + Number(0, 1) + Number(7, 4)));
  EXPECT_FALSE(ParsePgoutput("I" + Number(7, 4) + "N" + Number(1, 2) + "x"));
  EXPECT_FALSE(ParsePgoutput("I" + Number(7, 4) + "X"));
  EXPECT_FALSE(ParsePgoutput("I" + Number(7, 4) + "N" + Number(1, 2) + Text("a").substr(0, 3)));
}

TEST(Lsn, IsReadAsTheNumberThatItWrites) {
  for (const auto& [text, value] : {std::pair("0/0", uint64_t{0}),
                                    {"0/16B3748", 0x16B3748},
                                    {"1/16B3748", 0x1016B3748},
                                    {"a/b", 0xA0000000B},
                                    {"0000000A/0000000B", 0xA0000000B},
                                    {"FFFFFFFF/FFFFFFFF", ~uint64_t{0}}}) {
    auto lsn = ParseLsn(text);
    ASSERT_TRUE(lsn) << lsn.error().message;
    EXPECT_EQ(*lsn, value) << text;
    EXPECT_EQ(*ParseLsn(FormatLsn(value)), value) << text;
  }
}

// Taken for 0, it would be the beginning of the log: what was kept already would be read again, and
// what has changed since counted as compared.
TEST(Lsn, IsRefusedWhenTheTextIsAnythingElse) {
  for (const char* text :
       {"", "/", "0", "0/", "/0", "16B3748", "garbage", "0/G", "0/1 ", " 0/1", "0/1/2", "0x0/1",
        "-1/0", "+1/0", "0/-1", "100000000/0", "0/100000000", "000000001/0", "1\n/2"}) {
    auto lsn = ParseLsn(text);
    ASSERT_FALSE(lsn) << text;
    EXPECT_EQ(lsn.error().reason, "ProtocolViolation") << text;
  }
  EXPECT_FALSE(ParseLsn(std::string_view("1/2\0", 4)));
}

}  // namespace
}  // namespace cutover::pg
