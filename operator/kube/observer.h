// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

namespace cutover::kube {

using Duration = std::chrono::nanoseconds;

/// What the runtime tells about itself, so that whoever measures need not be known here. Every
/// function may be called from any thread and must not block. All do nothing by default.
class Observer {
 public:
  virtual ~Observer() = default;

  /// One HTTP request; `code` is 0 when there was no answer. A watch is reported when it ends, with
  /// method "WATCH".
  virtual void OnRequest(int code, std::string_view method, std::string_view host, Duration) {
    (void)code, (void)method, (void)host;
  }

  virtual void OnWatchRestart(std::string_view resource) { (void)resource; }
  virtual void OnRelist(std::string_view resource) { (void)resource; }

  virtual void OnQueueAdd(std::string_view queue) { (void)queue; }
  virtual void OnQueueDepth(std::string_view queue, size_t depth) { (void)queue, (void)depth; }
  virtual void OnQueueRetry(std::string_view queue) { (void)queue; }
  virtual void OnQueueLatency(std::string_view queue, Duration waited) {
    (void)queue, (void)waited;
  }
  virtual void OnWorkDuration(std::string_view queue, Duration worked) {
    (void)queue, (void)worked;
  }

  /// `result` is one of success, error, terminal, requeue_after, panic.
  virtual void OnReconcile(std::string_view controller, std::string_view result, Duration took) {
    (void)controller, (void)result, (void)took;
  }
  virtual void OnActiveWorkers(std::string_view controller, int active) {
    (void)controller, (void)active;
  }

  virtual void OnLeader(std::string_view lease, bool leading) { (void)lease, (void)leading; }
  virtual void OnEventDropped() {}
};

/// An Observer that nobody listens to.
Observer& SilentObserver();

}  // namespace cutover::kube
