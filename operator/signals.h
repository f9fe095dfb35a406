// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <thread>

namespace cutover {

/// Turns the first SIGTERM or SIGINT into a stop request; the second leaves the process at once,
/// with 128 + its number. Make it first thing in main: only threads started later, which inherit
/// the blocked signals, leave them to it. Ignores SIGPIPE: a peer that went away is an error code.
class SignalStop {
 public:
  SignalStop();

  std::stop_token token() const { return stop_.get_token(); }

 private:
  void Wait(std::stop_token end);

  std::stop_source stop_;
  std::jthread thread_;  // Last: ends before the rest goes.
};

}  // namespace cutover
