// SPDX-License-Identifier: Apache-2.0
#include "mover/process/signal_watch.h"

#include <stop_token>
#include <utility>

namespace cutover::mover {
namespace {

// How long the end may wait for the thread: a signal that never comes cannot wake it.
constexpr timespec kPoll{0, 100'000'000};

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

SignalWatch::SignalWatch(std::initializer_list<int> signals, std::function<void(int)> on_signal)
    : signals_(SetOf(signals)),
      on_signal_(std::move(on_signal)),
      thread_([this](std::stop_token ended) {
        while (!ended.stop_requested()) {
          const int signal = sigtimedwait(&signals_, nullptr, &kPoll);
          if (signal > 0) on_signal_(signal);
        }
      }) {}

void SignalWatch::Block(std::initializer_list<int> signals) {
  const sigset_t set = SetOf(signals);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace cutover::mover
