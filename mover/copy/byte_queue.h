// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <stop_token>
#include <utility>

#include "operator/base/mutex.h"

namespace cutover::mover {

/// Between the thread that reads from the source and the one that writes to the target: bounded by
/// bytes, so that memory does not grow with a slow target. One producer, one consumer. An Item
/// tells its size().
template <class Item>
class ByteQueue {
 public:
  explicit ByteQueue(size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Waits for room; one item always fits, however large it is, when the queue is empty. False
  /// when a stop was requested or the consumer has given up.
  bool Push(std::stop_token stop, Item item) {
    MutexLock lock(mutex_);
    const size_t size = item.size();
    const bool room = changed_.Wait(mutex_, stop, Deadline::Never(), [&] {
      return abandoned_ || items_.empty() || bytes_ + size <= bytes_max_;
    });
    if (!room || abandoned_) return false;
    bytes_ += size;
    items_.push_back(std::move(item));
    changed_.NotifyAll();
    return true;
  }

  /// The producer has no more.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    changed_.NotifyAll();
  }

  /// The consumer takes no more; a waiting producer returns false.
  void Abandon() {
    MutexLock lock(mutex_);
    abandoned_ = true;
    changed_.NotifyAll();
  }

  /// The next item; nothing when the queue is closed and empty, or a stop was requested.
  std::optional<Item> Pop(std::stop_token stop) {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, stop, Deadline::Never(), [&] { return closed_ || !items_.empty(); });
    if (items_.empty() || stop.stop_requested()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    bytes_ -= item.size();
    changed_.NotifyAll();
    return item;
  }

 private:
  const size_t bytes_max_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> items_ GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  bool abandoned_ GUARDED_BY(mutex_) = false;
};

}  // namespace cutover::mover
