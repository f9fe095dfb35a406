// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/workqueue.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/kube/fake_clock.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Key kA{"ns", "a"};
const Key kB{"ns", "b"};

class WorkQueueTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  WorkQueue queue_{"test", clock_};
};

TEST_F(WorkQueueTest, AKeyAddedTwiceComesOnce) {
  queue_.Add(kA);
  queue_.Add(kA);
  EXPECT_EQ(queue_.TryGet(), kA);
  queue_.Done(kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, AKeyAddedWhileBeingWorkedOnComesAgainOnlyAfterDone) {
  queue_.Add(kA);
  ASSERT_EQ(queue_.TryGet(), kA);
  queue_.Add(kA);
  queue_.Add(kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
  queue_.Done(kA);
  EXPECT_EQ(queue_.TryGet(), kA);
  queue_.Done(kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, KeysComeInTheOrderTheyWereAdded) {
  queue_.Add(kB);
  queue_.Add(kA);
  EXPECT_EQ(queue_.TryGet(), kB);
  EXPECT_EQ(queue_.TryGet(), kA);
}

TEST_F(WorkQueueTest, WhatChangesGoesBeforeWhatWasThereAlready) {
  const Key c{"ns", "c"};
  queue_.Add(kA, Priority::kExisting);
  queue_.Add(kB, Priority::kExisting);
  queue_.Add(c, Priority::kChanged);
  EXPECT_EQ(queue_.TryGet(), c);
  EXPECT_EQ(queue_.TryGet(), kA);
  EXPECT_EQ(queue_.TryGet(), kB);
}

TEST_F(WorkQueueTest, AKeyAddedTwiceComesOnceByTheHigherOfItsPriorities) {
  queue_.Add(kA, Priority::kExisting);
  queue_.Add(kB, Priority::kExisting);
  queue_.Add(kB, Priority::kChanged);
  queue_.Add(kB, Priority::kExisting);
  EXPECT_EQ(queue_.Depth(), 2u);
  EXPECT_EQ(queue_.TryGet(), kB);
  EXPECT_EQ(queue_.TryGet(), kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, TheHigherPriorityCountsAlsoForAKeyThatIsBeingWorkedOn) {
  queue_.Add(kA);
  ASSERT_EQ(queue_.TryGet(), kA);
  queue_.Add(kA, Priority::kExisting);
  queue_.Add(kB, Priority::kExisting);
  queue_.Add(kA, Priority::kChanged);
  queue_.Done(kA);
  EXPECT_EQ(queue_.TryGet(), kA);
  EXPECT_EQ(queue_.TryGet(), kB);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, ADelayedKeyComesWhenItsTimeHasComeAndNotBefore) {
  queue_.AddAfter(kA, seconds(10));
  clock_.Advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(queue_.TryGet(), kA);
}

TEST_F(WorkQueueTest, OfTwoDelaysOfOneKeyTheEarlierCountsAndItComesOnce) {
  queue_.AddAfter(kA, seconds(10));
  queue_.AddAfter(kA, seconds(2));
  queue_.AddAfter(kA, seconds(5));
  clock_.Advance(seconds(2));
  EXPECT_EQ(queue_.TryGet(), kA);
  queue_.Done(kA);
  clock_.Advance(seconds(20));
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, WhatChangesGoesBeforeWhatIsDueToBeLookedAtAgain) {
  const Key c{"ns", "c"}, d{"ns", "d"};
  queue_.Add(c, Priority::kExisting);
  queue_.AddAfter(kA, seconds(10));
  queue_.AddAfter(d, seconds(10));
  clock_.Advance(seconds(10));
  EXPECT_EQ(queue_.TryGet(), kA);  // The other one stands in the queue by now.
  queue_.Add(kB);
  EXPECT_EQ(queue_.TryGet(), kB);
  EXPECT_EQ(queue_.TryGet(), d);
  EXPECT_EQ(queue_.TryGet(), c);
}

TEST_F(WorkQueueTest, WhatChangesWhileItIsDueComesOnceAndFirst) {
  queue_.AddAfter(kA, seconds(1));
  queue_.AddAfter(kB, seconds(1));
  clock_.Advance(seconds(2));
  queue_.Add(kB);
  EXPECT_EQ(queue_.TryGet(), kB);
  EXPECT_EQ(queue_.TryGet(), kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, AFailuresNextTryIsNotPutBehindWhatChanges) {
  queue_.AddAfter(kA, milliseconds(5));
  queue_.AddRateLimited(kA);
  clock_.Advance(seconds(1));
  queue_.AddAfter(kB, seconds(0), Priority::kTimed);
  EXPECT_EQ(queue_.TryGet(), kA);
  EXPECT_EQ(queue_.TryGet(), kB);
}

TEST_F(WorkQueueTest, WhateverElseChangesEachWaitingKeyGetsItsTurn) {
  queue_.Add(kA, Priority::kExisting);
  queue_.AddAfter(kB, milliseconds(1));
  clock_.Advance(seconds(1));
  std::vector<int> turns;
  for (int turn = 1; turn <= 24; ++turn) {
    for (int i = 0; i < 2; ++i) queue_.Add({"busy", std::to_string(2 * turn + i)});
    const std::optional<Key> key = queue_.TryGet();
    ASSERT_TRUE(key);
    if (key->ns == "ns") turns.push_back(turn);
    queue_.Done(*key);
  }
  EXPECT_EQ(turns, std::vector<int>({8, 16}));
}

TEST_F(WorkQueueTest, FailuresOfAKeyDoubleItsDelayUpToTheCapUntilForgotten) {
  RateLimiter::Options options;
  options.bucket_size = 1e6;
  RateLimiter limiter(clock_, options);
  EXPECT_EQ(limiter.When(kA), milliseconds(5));
  EXPECT_EQ(limiter.When(kA), milliseconds(10));
  EXPECT_EQ(limiter.When(kA), milliseconds(20));
  EXPECT_EQ(limiter.When(kB), milliseconds(5)) << "one key's failures are not another's";
  for (int i = 0; i < 100; ++i) limiter.When(kA);
  EXPECT_EQ(limiter.When(kA), seconds(1000));
  EXPECT_EQ(limiter.Failures(kA), 104);
  limiter.Forget(kA);
  EXPECT_EQ(limiter.When(kA), milliseconds(5));
}

TEST_F(WorkQueueTest, ManyFailingKeysTogetherAreHeldToTheBucketsRate) {
  RateLimiter limiter(clock_);  // 10 a second after a burst of 100.
  auto key = [](int i) { return Key{"ns", std::to_string(i)}; };
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.When(key(i)), milliseconds(5));
  EXPECT_EQ(limiter.When(key(100)), milliseconds(100));
  EXPECT_EQ(limiter.When(key(101)), milliseconds(200));
  clock_.Advance(seconds(1));
  EXPECT_EQ(limiter.When(key(102)), milliseconds(5));
}

TEST_F(WorkQueueTest, GetSleepsUntilSomebodyAdds) {
  WorkQueue queue("real");
  std::jthread adder([&] { queue.AddAfter(kA, milliseconds(20)); });
  EXPECT_EQ(queue.Get({}), kA);
}

TEST_F(WorkQueueTest, GetWakesForAKeyThatIsDueEarlierThanTheOneItSleepsFor) {
  WorkQueue queue("real");
  queue.AddAfter(kB, std::chrono::hours(1));
  std::jthread adder([&] { queue.AddAfter(kA, milliseconds(20)); });
  EXPECT_EQ(queue.Get({}), kA);
}

TEST_F(WorkQueueTest, GetEndsWithTheStopAndWithTheShutDown) {
  WorkQueue queue("real");
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(queue.Get(stop.get_token()), std::nullopt);
  std::jthread closer([&] { queue.ShutDown(); });
  EXPECT_EQ(queue.Get({}), std::nullopt);
  queue.Add(kA);
  EXPECT_EQ(queue.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, WorkMayBeDoneAfterTheShutDown) {
  queue_.Add(kA);
  ASSERT_EQ(queue_.TryGet(), kA);
  queue_.Add(kA);
  queue_.ShutDown();
  queue_.Done(kA);
  EXPECT_EQ(queue_.TryGet(), std::nullopt);
}

TEST_F(WorkQueueTest, TellsHowLongUnfinishedWorkHasRun) {
  queue_.Add(kA);
  queue_.Add(kB);
  queue_.TryGet();
  clock_.Advance(seconds(3));
  queue_.TryGet();
  clock_.Advance(seconds(1));
  auto [total, longest] = queue_.UnfinishedWork();
  EXPECT_EQ(total, seconds(5));
  EXPECT_EQ(longest, seconds(4));
}

}  // namespace
}  // namespace cutover::kube
