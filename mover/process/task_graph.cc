// SPDX-License-Identifier: Apache-2.0
#include "mover/process/task_graph.h"

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "operator/base/check.h"
#include "operator/base/mutex.h"

namespace cutover::mover {

/// The threads of one run, and what is ready for them.
class TaskGraph::Crew {
 public:
  Crew(std::stop_token outside, std::vector<Node> nodes)
      : nodes_(std::move(nodes)),
        left_(nodes_.size()),
        forward_(outside, [this] { stop_.request_stop(); }) {
    MutexLock lock(mutex_);
    for (Id id = 0; id < nodes_.size(); ++id) MakeReady(id);
  }

  void Work(size_t lane, bool light_only) {
    const std::stop_token stop = stop_.get_token();
    while (std::optional<Id> id = Take(stop, light_only)) {
      Status done = nodes_[*id].task(stop, lane);
      if (!done) return Fail(std::move(done).error());
      Finish(*id);
    }
  }

  /// After all threads have ended.
  Status Outcome() {
    MutexLock lock(mutex_);
    if (first_error_) return tl::make_unexpected(std::move(*first_error_));
    if (left_ > 0)
      return RetryError("Stopped", "the work was stopped before its end; run it again");
    return Ok();
  }

 private:
  using Ready = std::set<std::pair<int, Id>>;  ///< By turn, then by age.

  void MakeReady(Id id) REQUIRES(mutex_) {
    const Node& node = nodes_[id];
    if (node.waits_for > 0) return;
    (node.weight == Weight::kHeavy ? heavy_ : light_).emplace(node.turn, id);
  }

  /// The next task for a lane; nothing when there will be none.
  std::optional<Id> Take(std::stop_token stop, bool light_only) {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, stop, Deadline::Never(), [&] {
      return left_ == 0 || !light_.empty() || (!light_only && !heavy_.empty());
    });
    if (left_ == 0 || stop.stop_requested()) return std::nullopt;
    Ready& ready = light_only || heavy_.empty() ? light_ : heavy_;
    const Id id = ready.begin()->second;
    ready.erase(ready.begin());
    return id;
  }

  void Finish(Id id) {
    MutexLock lock(mutex_);
    --left_;
    for (Id next : nodes_[id].before) {
      --nodes_[next].waits_for;
      MakeReady(next);
    }
    changed_.NotifyAll();
  }

  void Fail(Error error) {
    {
      MutexLock lock(mutex_);
      // What the others report after the stop is a consequence, not a cause.
      if (!first_error_) first_error_ = std::move(error);
    }
    stop_.request_stop();
  }

  std::vector<Node> nodes_;  ///< `waits_for` is guarded by mutex_, all else is constant.
  std::stop_source stop_;
  Mutex mutex_;
  CondVar changed_;
  Ready heavy_ GUARDED_BY(mutex_);
  Ready light_ GUARDED_BY(mutex_);
  size_t left_ GUARDED_BY(mutex_);
  std::optional<Error> first_error_ GUARDED_BY(mutex_);
  std::stop_callback<std::function<void()>> forward_;  // Last: it may fire while being made.
};

TaskGraph::Id TaskGraph::Add(Weight weight, int turn, Task task, const std::vector<Id>& after) {
  const Id id = nodes_.size();
  nodes_.push_back(Node{weight, turn, std::move(task), after.size(), {}});
  for (Id earlier : after) {
    CHECK(earlier < id);  // So there can be no circle.
    nodes_[earlier].before.push_back(id);
  }
  return id;
}

Status TaskGraph::Run(std::stop_token stop, const Lanes& lanes) {
  Crew crew(stop, std::exchange(nodes_, {}));
  {
    std::vector<std::jthread> threads;
    for (size_t lane = 0; lane < lanes.count(); ++lane)
      threads.emplace_back([&crew, lane, light_only = static_cast<int>(lane) >= lanes.heavy_max] {
        crew.Work(lane, light_only);
      });
  }
  return crew.Outcome();
}

}  // namespace cutover::mover
