// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/virtual_clock.h"

#include <ctime>
#include <utility>

namespace cutover::sim {
namespace {

thread_local VirtualClock* thread_clock = nullptr;

}  // namespace

ThreadTime::ThreadTime(VirtualClock& clock) : outer_(std::exchange(thread_clock, &clock)) {}
ThreadTime::~ThreadTime() { thread_clock = outer_; }

}  // namespace cutover::sim

// In place of libstdc++'s: the linker takes the program's own definition.
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  if (cutover::sim::thread_clock != nullptr) return cutover::sim::thread_clock->SteadyNow();
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return time_point(seconds(now.tv_sec) + nanoseconds(now.tv_nsec));
}

// In place of libc's: what std::this_thread::sleep_for() calls.
extern "C" int nanosleep(const timespec* duration, timespec* remaining) {
  if (cutover::sim::thread_clock == nullptr)
    return clock_nanosleep(CLOCK_MONOTONIC, 0, duration, remaining) == 0 ? 0 : -1;
  cutover::sim::thread_clock->Advance(std::chrono::seconds(duration->tv_sec) +
                                      std::chrono::nanoseconds(duration->tv_nsec));
  return 0;
}
