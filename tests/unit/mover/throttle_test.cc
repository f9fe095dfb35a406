// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/throttle.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stop_token>
#include <thread>

namespace cutover::mover {
namespace {

/// Time that moves only when it is told to.
class ManualClock : public Clock {
 public:
  SteadyTime SteadyNow() const override {
    ++asked_;
    return SteadyTime(std::chrono::milliseconds(now_));
  }
  WallTime WallNow() const override { return WallTime(); }
  void Advance(int milliseconds) { now_ += milliseconds; }
  /// Returns once it was asked for the time that often from now on.
  void WaitUntilAsked(int times) const {
    for (const int enough = asked_ + times; asked_ < enough;)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

 private:
  mutable std::atomic<int> asked_ = 0;
  std::atomic<int64_t> now_ = 1000;
};

TEST(Throttle, WithoutARateNobodyWaits) {
  Throttle throttle;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(throttle.Take({}, int64_t{1} << 40));
  EXPECT_LT(throttle.seconds_waited(), 1);
}

/// Takes `bytes` in a thread of its own; returns when that one waits.
std::future<bool> TakeAndWait(Throttle& throttle, const ManualClock& clock, int64_t bytes) {
  auto reader =
      std::async(std::launch::async, [&throttle, bytes] { return throttle.Take({}, bytes); });
  clock.WaitUntilAsked(3);  // When it came, when it began to wait, and while it waits.
  EXPECT_EQ(reader.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  return reader;
}

TEST(Throttle, AReaderPaysForWhatItReadBeforeItMayGoOn) {
  ManualClock clock;
  Throttle throttle(clock);
  throttle.SetRate(1000);
  auto reader = TakeAndWait(throttle, clock, 2000);
  clock.Advance(1999);
  clock.WaitUntilAsked(2);  // Once may have been before.
  EXPECT_EQ(reader.wait_for(std::chrono::milliseconds(400)), std::future_status::timeout)
      << "2000 bytes at 1000 a second take two seconds";
  clock.Advance(2);
  EXPECT_TRUE(reader.get());
  EXPECT_NEAR(throttle.seconds_waited(), 2, 0.1);
}

TEST(Throttle, NoMoreThanASecondIsSavedUp) {
  ManualClock clock;
  Throttle throttle(clock);
  throttle.SetRate(1000);
  clock.Advance(60'000);
  EXPECT_TRUE(throttle.Take({}, 1000));
  auto reader = TakeAndWait(throttle, clock, 500);
  clock.Advance(500);
  EXPECT_TRUE(reader.get());
}

TEST(Throttle, ARaisedRateIsFeltAtOnce) {
  ManualClock clock;
  Throttle throttle(clock);
  throttle.SetRate(1);
  auto reader = std::async(std::launch::async, [&] { return throttle.Take({}, 1'000'000); });
  EXPECT_EQ(reader.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  throttle.SetRate(0);
  EXPECT_TRUE(reader.get());
}

TEST(Throttle, HeldReadersSayWhyAndGoOnWhenResumed) {
  Throttle throttle;
  throttle.Hold("the disk is busy");
  EXPECT_EQ(throttle.held_for(), "the disk is busy");
  auto reader = std::async(std::launch::async, [&] { return throttle.Take({}, 1); });
  EXPECT_EQ(reader.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  throttle.Resume();
  EXPECT_TRUE(reader.get());
  EXPECT_EQ(throttle.held_for(), std::nullopt);
}

TEST(Throttle, AStopWakesAReader) {
  Throttle throttle;
  throttle.Hold("for ever");
  std::stop_source stop;
  auto reader = std::async(std::launch::async, [&] { return throttle.Take(stop.get_token(), 1); });
  stop.request_stop();
  EXPECT_FALSE(reader.get());
}

}  // namespace
}  // namespace cutover::mover
