// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "operator/base/mutex.h"

namespace cutover::mover {

/// Between the thread that reads from the source and the one that writes to the target: bounded by
/// bytes, so that memory does not grow with a slow target. One producer, one consumer.
class ByteQueue {
 public:
  explicit ByteQueue(size_t bytes_max) : bytes_max_(bytes_max) {}

  /// Waits for room; one buffer always fits, however large it is, when the queue is empty. False
  /// when a stop was requested or the consumer has given up.
  bool Push(std::stop_token stop, std::string buffer) {
    MutexLock lock(mutex_);
    const size_t size = buffer.size();
    const bool room = changed_.Wait(mutex_, stop, Deadline::Never(), [&] {
      return abandoned_ || buffers_.empty() || bytes_ + size <= bytes_max_;
    });
    if (!room || abandoned_) return false;
    bytes_ += size;
    buffers_.push_back(std::move(buffer));
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

  /// The next buffer; nothing when the queue is closed and empty, or a stop was requested.
  std::optional<std::string> Pop(std::stop_token stop) {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, stop, Deadline::Never(), [&] { return closed_ || !buffers_.empty(); });
    if (buffers_.empty() || stop.stop_requested()) return std::nullopt;
    std::string buffer = std::move(buffers_.front());
    buffers_.pop_front();
    bytes_ -= buffer.size();
    changed_.NotifyAll();
    return buffer;
  }

 private:
  const size_t bytes_max_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> buffers_ GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  bool abandoned_ GUARDED_BY(mutex_) = false;
};

}  // namespace cutover::mover
