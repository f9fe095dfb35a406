// SPDX-License-Identifier: Apache-2.0
#include "mover/process/parallel.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

class Crew {
 public:
  Crew(std::stop_token outside, size_t task_count)
      : task_count_(task_count), forward_(outside, [this] { stop_.request_stop(); }) {}

  void Work(const LaneFactory& make_lane) {
    const std::stop_token stop = stop_.get_token();
    Result<Lane> lane = make_lane(stop);
    if (!lane) return Fail(std::move(lane).error());
    while (!stop.stop_requested()) {
      const size_t task = next_.fetch_add(1);
      if (task >= task_count_) return;
      Status done = (*lane)(stop, task);
      if (!done) return Fail(std::move(done).error());
    }
  }

  /// After all threads have ended.
  Status Outcome(std::stop_token outside) {
    MutexLock lock(mutex_);
    if (first_error_) return tl::make_unexpected(std::move(*first_error_));
    if (outside.stop_requested())
      return RetryError("Stopped", "the work was stopped before its end; run it again");
    return Ok();
  }

 private:
  void Fail(Error error) {
    {
      MutexLock lock(mutex_);
      // What the others report after the stop is a consequence, not a cause.
      if (!first_error_) first_error_ = std::move(error);
    }
    stop_.request_stop();
  }

  const size_t task_count_;
  std::atomic<size_t> next_{0};
  std::stop_source stop_;
  Mutex mutex_;
  std::optional<Error> first_error_ GUARDED_BY(mutex_);
  std::stop_callback<std::function<void()>> forward_;  // Last: it may fire while being made.
};

}  // namespace

Status RunInParallel(std::stop_token stop, int lanes_max, size_t task_count,
                     const LaneFactory& make_lane) {
  Crew crew(stop, task_count);
  const size_t lanes = std::min<size_t>(static_cast<size_t>(std::max(lanes_max, 1)), task_count);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < lanes; ++i)
      threads.emplace_back([&crew, &make_lane] { crew.Work(make_lane); });
  }
  return crew.Outcome(stop);
}

Status RunBoth(std::stop_token stop, const std::function<Status(std::stop_token)>& first,
               const std::function<Status(std::stop_token)>& second) {
  std::stop_source either;
  std::stop_callback forward(stop, [&either] { either.request_stop(); });
  auto run = [&either](const std::function<Status(std::stop_token)>& work) {
    Status done = work(either.get_token());
    if (!done) either.request_stop();
    return done;
  };
  auto [left, right] = Together([&] { return run(first); }, [&] { return run(second); });
  // "Stopped" is what the other one says, to which nothing happened.
  if (!left && (right || left.error().reason != "Stopped")) return left;
  return right;
}

}  // namespace cutover::mover
