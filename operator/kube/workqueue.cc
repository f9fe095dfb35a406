// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/workqueue.h"

#include <algorithm>
#include <limits>

#include "operator/base/check.h"

namespace cutover::kube {
namespace {

// Each so many-eth key that is handed out is one of a lower priority, if any waits.
constexpr uint64_t kTurnOfOthers = 8;

}  // namespace

WorkQueue::WorkQueue(std::string name, const Clock& clock, Observer& observer,
                     RateLimiter::Options limits)
    : name_(std::move(name)), clock_(clock), observer_(observer), limiter_(clock, limits) {}

void WorkQueue::Add(const Key& key, Priority priority) {
  MutexLock lock(mutex_);
  AddLocked(key, priority);
}

void WorkQueue::AddAfter(const Key& key, std::chrono::nanoseconds delay, Priority priority) {
  MutexLock lock(mutex_);
  AddAfterLocked(key, delay, priority);
}

void WorkQueue::AddRateLimited(const Key& key) {
  MutexLock lock(mutex_);
  observer_.OnQueueRetry(name_);
  AddAfterLocked(key, limiter_.When(key), Priority::kChanged);
}

void WorkQueue::Forget(const Key& key) {
  MutexLock lock(mutex_);
  limiter_.Forget(key);
}

void WorkQueue::AddLocked(const Key& key, Priority priority) {
  if (shut_down_) return;
  Dirty fresh{clock_.SteadyNow(), {priority, next_number_++}};
  auto [known, inserted] = dirty_.try_emplace(key, fresh);
  bool raised = !inserted && known->second.place.priority < priority;
  if (raised) {
    queue_.erase(known->second.place);
    known->second.place = fresh.place;
  }
  if (inserted) observer_.OnQueueAdd(name_);
  if ((!inserted && !raised) || processing_.contains(key)) return;  // Done will queue it.
  queue_.emplace(known->second.place, key);
  observer_.OnQueueDepth(name_, queue_.size());
  changed_.NotifyOne();
}

void WorkQueue::AddAfterLocked(const Key& key, std::chrono::nanoseconds delay, Priority priority) {
  if (shut_down_) return;
  if (delay.count() <= 0) return AddLocked(key, priority);
  SteadyTime at = clock_.SteadyNow() + delay;
  auto [known, inserted] = due_.try_emplace(key, Due{at, priority});
  if (!inserted) {
    Due& due = known->second;
    due.priority = std::max(due.priority, priority);
    if (due.at <= at) return;
    delayed_.erase({due.at, key});
    due.at = at;
  }
  delayed_.insert({at, key});
  changed_.NotifyOne();  // A sleeping Get may have to wake earlier now.
}

void WorkQueue::MoveDueLocked() {
  while (!delayed_.empty() && delayed_.begin()->first <= clock_.SteadyNow()) {
    Key key = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    auto due = due_.find(key);
    const Priority priority = due->second.priority;
    due_.erase(due);
    AddLocked(key, priority);
  }
}

std::map<WorkQueue::Place, Key>::iterator WorkQueue::NextLocked() {
  const auto first = queue_.begin();
  if (++handed_out_ % kTurnOfOthers != 0) return first;
  auto longest = queue_.end();
  const auto next_class = [&](Priority priority) {
    return queue_.upper_bound({priority, std::numeric_limits<uint64_t>::max()});
  };
  for (auto at = next_class(first->first.priority); at != queue_.end();
       at = next_class(at->first.priority))
    if (longest == queue_.end() || at->first.number < longest->first.number) longest = at;
  return longest == queue_.end() ? first : longest;
}

std::optional<Key> WorkQueue::TakeLocked() {
  if (queue_.empty() || shut_down_) return std::nullopt;
  const auto next = NextLocked();
  Key key = std::move(next->second);
  queue_.erase(next);
  SteadyTime now = clock_.SteadyNow();
  auto added = dirty_.find(key);
  CHECK(added != dirty_.end());
  observer_.OnQueueLatency(name_, now - added->second.since);
  observer_.OnQueueDepth(name_, queue_.size());
  dirty_.erase(added);
  processing_.emplace(key, now);
  return key;
}

std::optional<Key> WorkQueue::Get(std::stop_token stop) {
  MutexLock lock(mutex_);
  while (!shut_down_ && !stop.stop_requested()) {
    MoveDueLocked();
    if (std::optional<Key> key = TakeLocked()) return key;
    std::optional<SteadyTime> wake;
    if (!delayed_.empty()) wake = delayed_.begin()->first;
    Deadline deadline = wake ? Deadline::After(*wake - clock_.SteadyNow()) : Deadline::Never();
    changed_.Wait(mutex_, stop, deadline, [&] {
      bool earlier = !delayed_.empty() && (!wake || delayed_.begin()->first < *wake);
      return shut_down_ || !queue_.empty() || earlier;
    });
  }
  return std::nullopt;
}

std::optional<Key> WorkQueue::TryGet() {
  MutexLock lock(mutex_);
  MoveDueLocked();
  return TakeLocked();
}

void WorkQueue::Done(const Key& key) {
  MutexLock lock(mutex_);
  auto started = processing_.find(key);
  CHECK(started != processing_.end());
  observer_.OnWorkDuration(name_, clock_.SteadyNow() - started->second);
  processing_.erase(started);
  auto again = dirty_.find(key);
  if (shut_down_ || again == dirty_.end()) return;
  queue_.emplace(again->second.place, key);
  observer_.OnQueueDepth(name_, queue_.size());
  changed_.NotifyOne();
}

void WorkQueue::ShutDown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  queue_.clear();
  dirty_.clear();
  delayed_.clear();
  due_.clear();
  observer_.OnQueueDepth(name_, 0);
  changed_.NotifyAll();
}

size_t WorkQueue::Depth() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

std::optional<SteadyTime> WorkQueue::NextDue() const {
  MutexLock lock(mutex_);
  if (delayed_.empty()) return std::nullopt;
  return delayed_.begin()->first;
}

std::pair<Duration, Duration> WorkQueue::UnfinishedWork() const {
  MutexLock lock(mutex_);
  Duration total{0}, longest{0};
  for (const auto& [key, started] : processing_) {
    Duration running = clock_.SteadyNow() - started;
    total += running;
    longest = std::max(longest, running);
  }
  return {total, longest};
}

}  // namespace cutover::kube
