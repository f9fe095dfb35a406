// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "operator/base/deadline.h"

// Clang's thread-safety analysis; nothing for g++. libstdc++'s own mutex carries no annotations.
#if defined(__clang__)
#define CUTOVER_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define CUTOVER_THREAD_ATTRIBUTE(x)
#endif
#define GUARDED_BY(x) CUTOVER_THREAD_ATTRIBUTE(guarded_by(x))
#define REQUIRES(...) CUTOVER_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))

namespace cutover {

class CUTOVER_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void Lock() CUTOVER_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void Unlock() CUTOVER_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a Mutex for a scope. Never hold one across I/O.
class CUTOVER_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) CUTOVER_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() CUTOVER_THREAD_ATTRIBUTE(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition that also wakes for a stop request, so that no thread has to be poked by hand.
class CondVar {
 public:
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

  /// Waits until `ready()` holds, the deadline passes or a stop is requested; returns `ready()`.
  /// The mutex must be held by the caller and is held again on return.
  template <class Ready>
  bool Wait(Mutex& mutex, std::stop_token stop, Deadline deadline, Ready ready)
      CUTOVER_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    bool result;
    if (deadline.IsNever())
      result = condition_.wait(lock, stop, ready);
    else
      result = condition_.wait_until(lock, stop, deadline.point(), ready);
    lock.release();
    return result;
  }

 private:
  std::condition_variable_any condition_;
};

/// Sleeps until the deadline or a stop request. True when the deadline was reached.
inline bool SleepUntil(std::stop_token stop, Deadline deadline) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock<std::mutex> lock(mutex);
  condition.wait_until(lock, stop, deadline.point(), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace cutover
