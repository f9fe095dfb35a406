// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/chunks.h"

#include <gtest/gtest.h>

#include <set>

namespace cutover::mover {
namespace {

constexpr int kMajor = 15;
constexpr int64_t kBlock = 8192;

TablePlan Table(std::string name, int64_t blocks) {
  TablePlan table;
  table.schema = "public";
  table.name = std::move(name);
  table.blocks = blocks;
  table.bytes = blocks * kBlock;
  return table;
}

TEST(Chunks, TogetherTheyTakeEveryBlockOnceAndWhateverComesAfterTheLast) {
  const std::vector<TablePlan> tables = {Table("big", 100'003)};
  const auto groups = PlanChunks(tables, kMajor, 100 << 20);
  ASSERT_GT(groups.size(), 1u);
  int64_t next = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    ASSERT_EQ(groups[i].chunks.size(), 1u);
    const TableChunk& chunk = groups[i].chunks.front();
    EXPECT_EQ(chunk.number, static_cast<int>(i));
    EXPECT_EQ(chunk.range.from, next);
    if (i + 1 == groups.size()) {
      EXPECT_FALSE(chunk.range.to) << "the table may have grown since it was planned";
    } else {
      ASSERT_TRUE(chunk.range.to);
      EXPECT_GT(*chunk.range.to, next);
      next = *chunk.range.to;
    }
  }
}

TEST(Chunks, NoneIsMuchLargerThanItMayBe) {
  constexpr int64_t kWanted = 100 << 20;
  for (const ChunkGroup& group : PlanChunks({Table("big", 100'003)}, kMajor, kWanted))
    EXPECT_LE(group.bytes, kWanted);
}

TEST(Chunks, ATableWithFewBlocksAndMuchToastIsNotCutIntoMorePartsThanItHasBlocks) {
  TablePlan table = Table("wide", 3);
  table.bytes = int64_t{50} << 30;
  EXPECT_EQ(PlanChunks({table}, kMajor).size(), 3u);
}

TEST(Chunks, SmallTablesTravelTogetherAndBigOnesAlone) {
  std::vector<TablePlan> tables = {Table("big", 1000)};
  for (int i = 0; i < 100; ++i) tables.push_back(Table("small" + std::to_string(i), 2));
  const auto groups = PlanChunks(tables, kMajor);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].chunks.size(), 1u);
  EXPECT_EQ(groups[1].chunks.size(), kGroupTablesMax);
  EXPECT_EQ(groups[2].chunks.size(), 100 - kGroupTablesMax);
}

TEST(Chunks, WhatHoldsNoRowOrIsExcludedIsNotAskedFor) {
  std::vector<TablePlan> tables = {Table("empty", 0), Table("excluded", 10), Table("full", 1)};
  tables[1].excluded = true;
  const auto groups = PlanChunks(tables, kMajor);
  ASSERT_EQ(groups.size(), 1u);
  ASSERT_EQ(groups[0].chunks.size(), 1u);
  EXPECT_EQ(groups[0].chunks[0].table, 2u);
}

TEST(Chunks, AServerThatCannotReadARangeAloneIsAskedForWholeTables) {
  EXPECT_EQ(PlanChunks({Table("big", 1 << 20)}, 13).size(), 1u);
  EXPECT_GT(PlanChunks({Table("big", 1 << 20)}, 14).size(), 1u);
}

TEST(Chunks, OnlyAHeapIsCutByBlocks) {
  TablePlan columnar = Table("columnar", 1 << 20);
  columnar.heap = false;
  EXPECT_EQ(PlanChunks({columnar}, kMajor).size(), 1u);
  columnar.blocks = 0;
  EXPECT_EQ(PlanChunks({columnar}, kMajor).size(), 1u) << "whose size says nothing about its rows";
}

TEST(Chunks, AnExtensionsTableIsTakenAsItsConditionSays) {
  TablePlan table = Table("config", 1 << 20);
  table.condition = "WHERE custom OR id > 5";
  const auto groups = PlanChunks({table}, kMajor);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(ConditionOf(table, groups[0].chunks[0].range), table.condition);
}

TEST(Chunks, ARangeOfBlocksIsReadByItsTupleIds) {
  const TablePlan table = Table("t", 10);
  EXPECT_EQ(ConditionOf(table, {}), "");
  EXPECT_EQ(ConditionOf(table, {3, 7}), "WHERE ctid >= '(3,0)' AND ctid < '(7,0)'");
  EXPECT_EQ(ConditionOf(table, {7, std::nullopt}), "WHERE ctid >= '(7,0)'");
}

}  // namespace
}  // namespace cutover::mover
