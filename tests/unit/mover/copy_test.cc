// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "mover/copy/byte_queue.h"
#include "mover/copy/digest.h"
#include "mover/process/parallel.h"
#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

RowsSeen Seen(const std::vector<std::string>& rows) {
  RowHasher hasher;
  RowsSeen seen;
  for (const std::string& row : rows) hasher.Add(row, seen);
  return seen;
}

TEST(Digest, DoesNotDependOnTheOrderOfRows) {
  EXPECT_EQ(Seen({"a\n", "b\n", "c\n"}), Seen({"c\n", "a\n", "b\n"}));
}

TEST(Digest, SeesEveryKindOfDamage) {
  const RowsSeen whole = Seen({"1\tx\n", "2\ty\n"});
  EXPECT_NE(whole.digest, Seen({"1\tx\n", "2\tz\n"}).digest) << "one changed byte";
  EXPECT_NE(whole.digest, Seen({"1\tx\n"}).digest) << "a missing row";
  EXPECT_NE(whole.digest, Seen({"1\ty\n", "2\tx\n"}).digest) << "values swapped between rows";
  EXPECT_NE(whole.digest, Seen({"x\t1\n", "2\ty\n"}).digest) << "values swapped between columns";
  EXPECT_NE(Seen({"\\N\n"}).digest, Seen({"\n"}).digest) << "NULL and the empty string";
}

TEST(Digest, CountsARowThatIsThereTwice) {
  EXPECT_NE(Seen({"a\n", "a\n"}).digest, Seen({}).digest) << "an exclusive or would be zero";
  EXPECT_NE(Seen({"a\n", "a\n", "b\n"}).digest, Seen({"b\n", "b\n", "a\n"}).digest);
}

TEST(Digest, IsTheSumOfItsParts) {
  RowsSeen sum = Seen({"a\n"});
  sum.Add(Seen({"b\n", "c\n"}));
  EXPECT_EQ(sum, Seen({"a\n", "b\n", "c\n"}));
}

TEST(Digest, CarriesFromWordToWord) {
  Digest digest;
  digest.Add(std::array<uint64_t, 4>{~uint64_t{0}, ~uint64_t{0}, 0, 0});
  digest.Add(std::array<uint64_t, 4>{1, 0, 0, 0});
  EXPECT_EQ(digest.Hex(), std::string(31, '0') + "1" + std::string(32, '0'));
}

TEST(Digest, ComesBackFromItsText) {
  const Digest digest = Seen({"a\n", "b\n"}).digest;
  EXPECT_EQ(Digest::FromHex(digest.Hex()), digest);
  EXPECT_EQ(Digest::FromHex(digest.Hex().substr(1)), std::nullopt) << "a digit is missing";
  EXPECT_EQ(Digest::FromHex("g" + digest.Hex().substr(1)), std::nullopt) << "no digit";
}

TEST(RowsSeen, RemembersTheLargestRowButDoesNotCompareIt) {
  RowsSeen seen = Seen({"a\n", "bbbb\n"});
  EXPECT_EQ(seen.row_bytes_max, 5);
  RowsSeen from_ledger = seen;
  from_ledger.row_bytes_max = 0;
  EXPECT_EQ(seen, from_ledger);
}

TEST(ByteQueue, HandsOnWhatItGotAndThenEnds) {
  ByteQueue<std::string> queue(10);
  EXPECT_TRUE(queue.Push({}, "abc"));
  EXPECT_TRUE(queue.Push({}, "def"));
  queue.Close();
  EXPECT_EQ(queue.Pop({}), "abc");
  EXPECT_EQ(queue.Pop({}), "def");
  EXPECT_EQ(queue.Pop({}), std::nullopt);
}

TEST(ByteQueue, TakesOneBufferHoweverLarge) {
  ByteQueue<std::string> queue(10);
  EXPECT_TRUE(queue.Push({}, std::string(1000, 'x')));
  std::stop_source stop;
  std::jthread later([&] { stop.request_stop(); });
  EXPECT_FALSE(queue.Push(stop.get_token(), "y")) << "the second must wait for room";
}

TEST(ByteQueue, AConsumerThatGivesUpReleasesTheProducer) {
  ByteQueue<std::string> queue(1);
  EXPECT_TRUE(queue.Push({}, "x"));
  std::jthread consumer([&] { queue.Abandon(); });
  EXPECT_FALSE(queue.Push({}, "y"));
}

LaneFactory Doing(std::function<Status(std::stop_token, size_t)> work) {
  return [work](std::stop_token) -> Result<Lane> { return Lane(work); };
}

TEST(Parallel, DoesEveryTaskOnce) {
  Mutex mutex;
  std::vector<int> done(100);
  Status status = RunInParallel({}, 4, done.size(), Doing([&](std::stop_token, size_t task) {
                                  MutexLock lock(mutex);
                                  ++done[task];
                                  return Ok();
                                }));
  EXPECT_TRUE(status);
  EXPECT_EQ(done, std::vector<int>(100, 1));
}

TEST(Parallel, TheFirstErrorStopsTheOthersAndIsTheOneReturned) {
  std::atomic<bool> failed = false;
  Status status = RunInParallel({}, 2, 2, Doing([&](std::stop_token stop, size_t task) -> Status {
                                  if (task == 0) {
                                    failed = true;
                                    return TerminalError("First", "the cause");
                                  }
                                  Mutex mutex;
                                  CondVar never;
                                  MutexLock lock(mutex);
                                  never.Wait(mutex, stop, Deadline::Never(), [] { return false; });
                                  return RetryError("Stopped", "a consequence");
                                }));
  ASSERT_FALSE(status);
  EXPECT_TRUE(failed);
  EXPECT_EQ(status.error().reason, "First");
}

TEST(Parallel, AStopFromOutsideIsNoSuccess) {
  std::stop_source stop;
  stop.request_stop();
  Status status =
      RunInParallel(stop.get_token(), 2, 5, Doing([](std::stop_token, size_t) { return Ok(); }));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "Stopped");
}

TEST(Parallel, ALaneThatCannotBeMadeIsAnError) {
  Status status = RunInParallel({}, 2, 5, [](std::stop_token) -> Result<Lane> {
    return RetryError("ConnectionFailed", "no server");
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "ConnectionFailed");
}

}  // namespace
}  // namespace cutover::mover
