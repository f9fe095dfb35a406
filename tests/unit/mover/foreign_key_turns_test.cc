// SPDX-License-Identifier: Apache-2.0
#include "mover/process/foreign_key_turns.h"

#include <gtest/gtest.h>

#include <thread>

namespace cutover::mover {
namespace {

ForeignKeyPlan Key(uint32_t table, uint32_t referenced) {
  ForeignKeyPlan key;
  key.table_oid = table;
  key.referenced_oid = referenced;
  return key;
}

TEST(ForeignKeyTurns, TheTableThatMostReferToComesFirst) {
  const std::vector<ForeignKeyPlan> keys = {Key(1, 9), Key(2, 8), Key(3, 8)};
  ForeignKeyTurns turns(keys);
  EXPECT_EQ(turns.Next({}), 1u);
}

TEST(ForeignKeyTurns, ASecondLaneTakesAKeyThatSharesNoTable) {
  const std::vector<ForeignKeyPlan> keys = {Key(1, 9), Key(2, 9), Key(9, 3), Key(4, 5)};
  ForeignKeyTurns turns(keys);
  EXPECT_EQ(turns.Next({}), 0u);
  EXPECT_EQ(turns.Next({}), 3u) << "the others have table 9 in common with the first";
}

TEST(ForeignKeyTurns, TwoTablesThatReferToEachOtherAreNeverAlteredAtOnce) {
  const std::vector<ForeignKeyPlan> keys = {Key(1, 2), Key(2, 1)};
  ForeignKeyTurns turns(keys);
  ASSERT_EQ(turns.Next({}), 0u);
  std::atomic<bool> freed = false;
  std::optional<size_t> second;
  std::thread lane([&] {
    second = turns.Next({});
    EXPECT_TRUE(freed);
  });
  freed = true;
  turns.Done(0);
  lane.join();
  EXPECT_EQ(second, 1u);
}

TEST(ForeignKeyTurns, AKeyToItsOwnTableFreesIt) {
  const std::vector<ForeignKeyPlan> keys = {Key(1, 1), Key(2, 1)};
  ForeignKeyTurns turns(keys);
  const std::optional<size_t> first = turns.Next({});
  ASSERT_TRUE(first);
  turns.Done(*first);
  EXPECT_TRUE(turns.Next({}));
}

TEST(ForeignKeyTurns, EachKeyIsGivenOnceAndThenNone) {
  std::vector<ForeignKeyPlan> keys;
  for (uint32_t i = 0; i < 50; ++i) keys.push_back(Key(i % 7, i % 5));
  ForeignKeyTurns turns(keys);
  Mutex mutex;
  std::multiset<size_t> given;
  auto lane = [&] {
    while (std::optional<size_t> key = turns.Next({})) {
      MutexLock lock(mutex);
      given.insert(*key);
      turns.Done(*key);
    }
  };
  std::thread first(lane), second(lane);
  first.join();
  second.join();
  ASSERT_EQ(given.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(given.count(i), 1u);
}

TEST(ForeignKeyTurns, AStopEndsTheWait) {
  const std::vector<ForeignKeyPlan> keys = {Key(1, 2), Key(2, 1)};
  ForeignKeyTurns turns(keys);
  ASSERT_TRUE(turns.Next({}));
  std::stop_source stop;
  std::thread lane([&] { EXPECT_EQ(turns.Next(stop.get_token()), std::nullopt); });
  stop.request_stop();
  lane.join();
}

}  // namespace
}  // namespace cutover::mover
