// SPDX-License-Identifier: Apache-2.0
#include "operator/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "operator/base/deadline.h"
#include "operator/base/mutex.h"

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
          SleepUntil(signals.token(), Deadline::After(std::chrono::seconds(10)));
          _exit(signals.token().stop_requested() ? 0 : 1);
        },
        testing::ExitedWithCode(0), "stopping");
}

TEST_F(SignalStopDeathTest, TheSecondSignalLeavesAtOnce) {
  EXPECT_EXIT(
      {
        const SignalStop signals;
        kill(getpid(), SIGTERM);
        SleepUntil(signals.token(), Deadline::After(std::chrono::seconds(10)));
        kill(getpid(), SIGTERM);
        SleepUntil({}, Deadline::After(std::chrono::seconds(10)));
        _exit(1);
      },
      testing::ExitedWithCode(128 + SIGTERM), "stopping");
}

TEST_F(SignalStopDeathTest, EndsWithoutASignal) {
  const auto start = std::chrono::steady_clock::now();
  { const SignalStop signals; }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace cutover
