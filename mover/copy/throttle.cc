// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/throttle.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cutover::mover {
namespace {

using Seconds = std::chrono::duration<double>;

/// A reader looks again at least so often: somebody may have changed the rate meanwhile.
constexpr auto kLook = std::chrono::milliseconds(200);

}  // namespace

Throttle::Throttle(const Clock& clock) : clock_(clock), refilled_at_(clock.SteadyNow()) {}

void Throttle::SetRate(int64_t bytes_per_second_max) {
  MutexLock lock(mutex_);
  Refill();
  bytes_per_second_max_ = std::max<int64_t>(bytes_per_second_max, 0);
  // What was owed under another rate is forgiven, or a raise would not be felt for long.
  bytes_left_ = std::max(bytes_left_, 0.0);
  changed_.NotifyAll();
}

int64_t Throttle::rate() const {
  MutexLock lock(mutex_);
  return bytes_per_second_max_;
}

void Throttle::Hold(std::string reason) {
  MutexLock lock(mutex_);
  held_for_ = std::move(reason);
}

void Throttle::Resume() {
  MutexLock lock(mutex_);
  held_for_.reset();
  changed_.NotifyAll();
}

std::optional<std::string> Throttle::held_for() const {
  MutexLock lock(mutex_);
  return held_for_;
}

void Throttle::Refill() {
  const SteadyTime now = clock_.SteadyNow();
  const double rate = static_cast<double>(bytes_per_second_max_);
  bytes_left_ = std::min(bytes_left_ + rate * Seconds(now - refilled_at_).count(), rate);
  refilled_at_ = now;
}

bool Throttle::Take(std::stop_token stop, int64_t bytes) {
  MutexLock lock(mutex_);
  Refill();
  if (bytes_per_second_max_ > 0) bytes_left_ -= static_cast<double>(bytes);
  auto may_go_on = [this] {
    return !held_for_ && (bytes_per_second_max_ == 0 || bytes_left_ >= 0);
  };
  const SteadyTime began = clock_.SteadyNow();
  while (!may_go_on() && !stop.stop_requested()) {
    changed_.Wait(mutex_, stop, Deadline::After(kLook), may_go_on);
    Refill();
  }
  seconds_waited_ += Seconds(clock_.SteadyNow() - began).count();
  return !stop.stop_requested();
}

double Throttle::seconds_waited() const {
  MutexLock lock(mutex_);
  return seconds_waited_;
}

}  // namespace cutover::mover
