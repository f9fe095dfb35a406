// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/observer.h"
#include "operator/kube/rate_limiter.h"
#include "operator/kube/resource.h"

namespace cutover::kube {

/// Which of the keys that wait goes first. What was there before this process started has waited
/// already (controller-runtime: -100), and nobody waits for what is only looked at again because
/// its time has come; somebody who changes an object is looking (controller-runtime: 0).
enum class Priority { kExisting, kTimed, kChanged };

/// Keys that wait for a worker: those of the higher priority first, among equals the one that came
/// first. So that nothing starves, every eighth is instead the one of a lower priority that has
/// waited longest. A key is handed out to one worker at a time: added while being worked on, it is
/// only marked and comes again after Done. Added twice while waiting, it comes once, by the higher
/// of its priorities. Thread-safe. Time is the injected clock's; only Get sleeps, in real time.
class WorkQueue {
 public:
  WorkQueue(std::string name, const Clock& clock = RealClock(),
            Observer& observer = SilentObserver())
      : WorkQueue(std::move(name), clock, observer, RateLimiter::Options{}) {}
  WorkQueue(std::string name, const Clock& clock, Observer& observer, RateLimiter::Options limits);

  void Add(const Key& key, Priority priority = Priority::kChanged);
  /// Adds the key once `delay` has passed. Of several delays of one key the earliest counts, and
  /// the highest priority.
  void AddAfter(const Key& key, std::chrono::nanoseconds delay,
                Priority priority = Priority::kTimed);
  /// AddAfter with the delay that the key's failures have earned, as kChanged.
  void AddRateLimited(const Key& key);
  /// Forgets the failures of a key: it succeeded.
  void Forget(const Key& key);

  /// The next key; blocks until there is one. Nothing when `stop` is requested or the queue is
  /// shut down. Every key got must be given back with Done.
  std::optional<Key> Get(std::stop_token stop);
  /// The same without blocking, for single-stepped runs on a virtual clock.
  std::optional<Key> TryGet();
  void Done(const Key& key);

  /// Hands out nothing more and drops what waits; work under way may still be Done.
  void ShutDown();

  size_t Depth() const;
  /// When the earliest delayed key is due, if any: where a virtual clock may jump to.
  std::optional<SteadyTime> NextDue() const;
  /// Seconds of work in all keys under way, and in the oldest of them.
  std::pair<Duration, Duration> UnfinishedWork() const;
  const std::string& name() const { return name_; }

 private:
  // Where a key stands in the queue: the lesser first.
  struct Place {
    Priority priority;
    uint64_t number;
    friend bool operator<(const Place& a, const Place& b) {
      return a.priority != b.priority ? a.priority > b.priority : a.number < b.number;
    }
  };

  void AddLocked(const Key& key, Priority priority) REQUIRES(mutex_);
  void AddAfterLocked(const Key& key, std::chrono::nanoseconds delay, Priority priority)
      REQUIRES(mutex_);
  void MoveDueLocked() REQUIRES(mutex_);
  std::optional<Key> TakeLocked() REQUIRES(mutex_);
  std::map<Place, Key>::iterator NextLocked() REQUIRES(mutex_);

  struct Dirty {
    SteadyTime since;
    Place place;
  };
  struct Due {
    SteadyTime at;
    Priority priority;
  };

  const std::string name_;
  const Clock& clock_;
  Observer& observer_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool shut_down_ GUARDED_BY(mutex_) = false;
  RateLimiter limiter_ GUARDED_BY(mutex_);
  std::map<Place, Key> queue_ GUARDED_BY(mutex_);
  uint64_t next_number_ GUARDED_BY(mutex_) = 0;
  uint64_t handed_out_ GUARDED_BY(mutex_) = 0;
  // In need of work. Their places are taken in the queue unless they are being worked on.
  std::unordered_map<Key, Dirty, KeyHash> dirty_ GUARDED_BY(mutex_);
  // Being worked on, and since when.
  std::unordered_map<Key, SteadyTime, KeyHash> processing_ GUARDED_BY(mutex_);
  std::set<std::pair<SteadyTime, Key>> delayed_ GUARDED_BY(mutex_);
  std::unordered_map<Key, Due, KeyHash> due_ GUARDED_BY(mutex_);
};

}  // namespace cutover::kube
