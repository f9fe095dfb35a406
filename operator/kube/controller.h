// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/store.h"
#include "operator/kube/workqueue.h"

namespace cutover::kube {

/// What a reconcile that succeeded wants next: nothing until something changes, or another look
/// after a while. Waiting is not an error.
class Step {
 public:
  static Step Done() { return Step(std::nullopt, false); }
  static Step After(std::chrono::nanoseconds delay) { return Step(delay, false); }
  /// The server says that there is no such object. While the store of Controller::For has it all
  /// the same, one of the two is behind, and nobody can tell which: looked at again, with back-off,
  /// until they agree. A key that is dropped on the word of a stale server is never heard of again.
  static Step Gone() { return Step(std::nullopt, true); }

  const std::optional<std::chrono::nanoseconds>& delay() const { return delay_; }
  bool gone() const { return gone_; }

 private:
  Step(std::optional<std::chrono::nanoseconds> delay, bool gone) : delay_(delay), gone_(gone) {}
  std::optional<std::chrono::nanoseconds> delay_;
  bool gone_;
};

/// Brings the world one step closer to what the object named `key` asks for. Level-based: it is
/// told which object, never what happened to it, and must look. Called again after an error with
/// back-off; after a terminal one only when something changes; in doubt counts as an error, the
/// next call looks again. Must return soon after `stop`.
using Reconcile =
    std::function<Result<Step>(std::stop_token stop, Deadline deadline, const Key& key)>;

struct ControllerOptions {
  std::string name{};                           ///< In metrics and logs.
  int workers = 4;                              ///< Keys reconciled at the same time.
  std::chrono::seconds reconcile_timeout{120};  ///< The deadline that Reconcile gets.
  RateLimiter::Options limits{};
};

/// Runs a Reconcile for every key that its sources name: N workers, one key never twice at once.
class Controller {
 public:
  Controller(ControllerOptions options, Reconcile reconcile, const Clock& clock = RealClock(),
             Observer& observer = SilentObserver());

  /// Reconciles the objects of `store` themselves whenever one is added, changed or removed; a
  /// change only if `concerns` says so of the versions before and after. What was there when this
  /// process started comes after what changes. Implies WaitFor.
  template <class T>
  void For(Store<T>& store, std::function<bool(const T&, const T&)> concerns = {}) {
    store.AddHandler([this, &store, concerns = std::move(concerns)](
                         Change, const Key& key, const auto& before, const auto& after) {
      if (concerns && before && after && !concerns(*before, *after)) return;
      Enqueue(key, PriorityOf(store));
    });
    is_listed_.push_back([&store](const Key& key) { return store.Contains(key); });
    WaitFor(store);
  }

  /// Reconciles no key of which this process has written something that `store` has yet to hear.
  template <class T>
  void WaitFor(const Store<T>& store) {
    is_behind_.push_back([&store](const Key& key) { return store.IsBehind(key); });
  }

  /// Reconciles whatever `to_keys` makes of a change of another kind. It sees the version before
  /// and the version after (null where there is none): an object that moved from one owner to
  /// another concerns both.
  template <class T>
  void Watches(Store<T>& store, std::function<std::vector<Key>(const Key&, const T&)> to_keys) {
    store.AddHandler([this, &store, to_keys = std::move(to_keys)](
                         Change, const Key& key, const auto& before, const auto& after) {
      for (const auto& version : {before, after})
        if (version)
          for (const Key& affected : to_keys(key, *version)) Enqueue(affected, PriorityOf(store));
    });
  }

  /// From any thread, also before Run.
  void Enqueue(const Key& key, Priority priority = Priority::kChanged) {
    queue_.Add(key, priority);
  }
  void EnqueueAfter(const Key& key, std::chrono::nanoseconds delay) { queue_.AddAfter(key, delay); }

  /// Runs the workers until `stop`, then waits for the reconciles under way.
  void Run(std::stop_token stop);

  /// Reconciles the next key that is due, on this thread; false when there is none. For
  /// single-stepped runs on a virtual clock, instead of Run.
  bool ProcessNext(std::stop_token stop);

  WorkQueue& queue() { return queue_; }
  const std::string& name() const { return options_.name; }
  int workers() const { return options_.workers; }

 private:
  template <class T>
  static Priority PriorityOf(const Store<T>& store) {
    return store.HasSynced() ? Priority::kChanged : Priority::kExisting;
  }
  bool IsBehind(const Key& key) const;
  bool IsListed(const Key& key) const;
  void Process(std::stop_token stop, const Key& key);
  Result<Step> CallReconcile(std::stop_token stop, const Key& key, bool& panicked);
  void Schedule(const Key& key, const Result<Step>& outcome);

  const ControllerOptions options_;
  const Reconcile reconcile_;
  const Clock& clock_;
  Observer& observer_;
  WorkQueue queue_;
  std::vector<std::function<bool(const Key&)>> is_behind_;  // These two are
  std::vector<std::function<bool(const Key&)>> is_listed_;  // constant once Run has begun.
  std::atomic<int> active_{0};
};

}  // namespace cutover::kube
