// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <functional>
#include <initializer_list>
#include <thread>

namespace cutover::mover {

/// Calls `on_signal` with the number of each of `signals` that comes, in a thread of its own, as
/// long as it lives. They must be blocked in every thread before the first other thread begins
/// (Block()), since it takes them by waiting for them.
class SignalWatch {
 public:
  SignalWatch(std::initializer_list<int> signals, std::function<void(int)> on_signal);

  static void Block(std::initializer_list<int> signals);

 private:
  const sigset_t signals_;
  const std::function<void(int)> on_signal_;
  std::jthread thread_;  // Last: it uses the above.
};

}  // namespace cutover::mover
