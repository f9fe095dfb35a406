// SPDX-License-Identifier: Apache-2.0
#include "mover/verify/state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace cutover::mover {
namespace {

const VerifyState::Pair kPair{"system 1 database 5 shop", "system 2 database 7 shop"};

RowsSeen Contents(std::string_view row) {
  RowsSeen seen;
  RowHasher().Add(row, seen);
  return seen;
}

class VerifyStateTest : public ::testing::Test {
 protected:
  VerifyStateTest() {
    std::string name = "/tmp/cutover-state-XXXXXX";
    const int descriptor = mkstemp(name.data());
    if (descriptor < 0) std::abort();
    close(descriptor);
    path_ = name;
  }
  ~VerifyStateTest() override { unlink(path_.c_str()); }

  std::string Text() const {
    std::ifstream file(path_);
    return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }
  void Append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }

  /// A file with two tables in it.
  void Write() {
    auto state = VerifyState::Open(path_, kPair);
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_TRUE(state->Add("\"public\".\"a\"", {Contents("1"), "s1", "t1"}));
    ASSERT_TRUE(state->Add("\"public\".\"b\"", {Contents("2"), "s2", "t2"}));
  }
  std::string ReasonOfOpening(const VerifyState::Pair& pair) {
    auto state = VerifyState::Open(path_, pair);
    return state ? "" : state.error().reason;
  }

  std::string path_;
};

TEST_F(VerifyStateTest, WhatWasProvenIsFoundByTheNextRun) {
  Write();
  auto state = VerifyState::Open(path_, kPair);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->size(), 2u);
  EXPECT_EQ(state->Find("\"public\".\"a\"", "s1", "t1"), Contents("1"));
  EXPECT_FALSE(state->Find("\"public\".\"c\"", "s1", "t1"));
}

TEST_F(VerifyStateTest, ATableThatChangedOnEitherSideIsNotProvenAnyMore) {
  Write();
  auto state = VerifyState::Open(path_, kPair);
  ASSERT_TRUE(state);
  EXPECT_FALSE(state->Find("\"public\".\"a\"", "s1 and more", "t1"));
  EXPECT_FALSE(state->Find("\"public\".\"a\"", "s1", ""));
}

TEST_F(VerifyStateTest, APartIsFoundByTheVeryStatementOnTheSideThatHasNotChanged) {
  const VerifyState::Part part{"\"public\".\"a\"", true, "s1", "COPY blocks 0-9"};
  {
    auto state = VerifyState::Open(path_, kPair);
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_TRUE(state->AddPart(part, Contents("1")));
    ASSERT_TRUE(state->AddPart({part.table, true, "", part.statement}, Contents("2")));
  }
  auto state = VerifyState::Open(path_, kPair);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->FindPart(part), Contents("1"));
  EXPECT_EQ(state->size(), 0u) << "a part proves no table";
  const VerifyState::Part others[] = {
      {"\"public\".\"b\"", true, part.fingerprint, part.statement},
      {part.table, false, part.fingerprint, part.statement},
      {part.table, true, "s2", part.statement},
      {part.table, true, "", part.statement},
      {part.table, true, part.fingerprint, "COPY blocks 0-10"},
  };
  for (const VerifyState::Part& other : others)
    EXPECT_FALSE(state->FindPart(other)) << other.table << other.fingerprint << other.statement;
}

TEST_F(VerifyStateTest, AFileOfAnEarlierFormatIsRefused) {
  Append(R"({"cutoverVerify":1,"source":"system 1 database 5 shop",)"
         R"("target":"system 2 database 7 shop"})"
         "\n");
  EXPECT_EQ(ReasonOfOpening(kPair), "StateDamaged");
}

TEST_F(VerifyStateTest, ATornLastLineIsDroppedAndTheFileGoesOn) {
  Write();
  const std::string whole = Text();
  Append(R"({"table":"\"public\".\"c\"","rows":1,"by)");
  {
    auto state = VerifyState::Open(path_, kPair);
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->size(), 2u);
    ASSERT_TRUE(state->Add("\"public\".\"d\"", {Contents("4"), "s4", "t4"}));
  }
  EXPECT_EQ(Text().substr(0, whole.size()), whole);
  auto state = VerifyState::Open(path_, kPair);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->size(), 3u);
}

TEST_F(VerifyStateTest, ATornFirstLineIsAFreshFile) {
  Append(R"({"cutoverVerify":1,"sour)");
  EXPECT_EQ(ReasonOfOpening(kPair), "");
  EXPECT_EQ(ReasonOfOpening(kPair), "");
}

TEST_F(VerifyStateTest, AnotherPairIsRefused) {
  Write();
  EXPECT_EQ(ReasonOfOpening({kPair.target, kPair.source}), "StateOfAnotherPair");
}

TEST_F(VerifyStateTest, AnyOtherFileIsRefusedAndLeftAlone) {
  Append("shopping list\nmilk\n");
  EXPECT_EQ(ReasonOfOpening(kPair), "StateDamaged");
  EXPECT_EQ(Text(), "shopping list\nmilk\n");
}

TEST_F(VerifyStateTest, ADamagedLineInTheMiddleIsRefused) {
  Write();
  Append("{\"table\":1}\n");
  EXPECT_EQ(ReasonOfOpening(kPair), "StateDamaged");
}

TEST_F(VerifyStateTest, TwoProcessesCannotShareAFile) {
  auto first = VerifyState::Open(path_, kPair);
  ASSERT_TRUE(first);
  EXPECT_EQ(ReasonOfOpening(kPair), "StateBusy");
}

}  // namespace
}  // namespace cutover::mover
