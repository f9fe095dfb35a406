// SPDX-License-Identifier: Apache-2.0
#include "operator/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "operator/base/deadline.h"
#include "operator/base/mutex.h"
#include "tests/least_time.h"

namespace cutover {
namespace {

// Every test in a process of its own: signals are the process's.
class SignalStopDeathTest : public testing::Test {
 protected:
  SignalStopDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(SignalStopDeathTest, TheFirstSignalAsksToStop) {
  for (int signal_number : {SIGTERM, SIGINT})
    EXPECT_EXIT(
        {
          const SignalStop signals;
          kill(getpid(), signal_number);
          SleepUntil(signals.token(), Deadline::After(std::chrono::seconds(60)));
          _exit(signals.token().stop_requested() ? 0 : 1);
        },
        testing::ExitedWithCode(0), "stopping");
}

TEST_F(SignalStopDeathTest, TheSecondSignalLeavesAtOnce) {
  EXPECT_EXIT(
      {
        const SignalStop signals;
        kill(getpid(), SIGTERM);
        SleepUntil(signals.token(), Deadline::After(std::chrono::seconds(60)));
        kill(getpid(), SIGTERM);
        SleepUntil({}, Deadline::After(std::chrono::seconds(60)));
        _exit(1);
      },
      testing::ExitedWithCode(128 + SIGTERM), "stopping");
}

TEST_F(SignalStopDeathTest, EndsWithoutASignal) {
  constexpr std::chrono::milliseconds kAtOnce{2000};
  const auto live = [] { return TimeOf([] { const SignalStop signals; }); };
  EXPECT_LT(LeastTime(kAtOnce, live), kAtOnce);
}

}  // namespace
}  // namespace cutover
