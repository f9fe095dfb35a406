// SPDX-License-Identifier: Apache-2.0
#include "operator/signals.h"

#include <pthread.h>
#include <signal.h>

#include <cstdlib>

#include "operator/base/log.h"

namespace cutover {
namespace {

// How long the end of main may wait for the thread: a signal that never comes cannot wake it.
constexpr timespec kPoll{0, 100'000'000};

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

SignalStop::SignalStop() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([this](std::stop_token end) { Wait(end); });
}

void SignalStop::Wait(std::stop_token end) {
  const sigset_t set = StopSignals();
  while (!end.stop_requested()) {
    const int received = sigtimedwait(&set, nullptr, &kPoll);
    if (received < 0) continue;
    if (stop_.stop_requested()) std::_Exit(128 + received);
    LogInfo("stopping; the same signal again exits at once", {{"signal", received}});
    stop_.request_stop();
  }
}

}  // namespace cutover
