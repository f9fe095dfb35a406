// SPDX-License-Identifier: Apache-2.0
#include "mover/process/parallel.h"

#include <algorithm>
#include <vector>

#include "mover/process/task_graph.h"

namespace cutover::mover {

Status RunInParallel(std::stop_token stop, int lanes_max, size_t task_count,
                     const LaneFactory& make_lane) {
  const size_t lane_count =
      std::min<size_t>(static_cast<size_t>(std::max(lanes_max, 1)), task_count);
  std::vector<Lane> lanes(lane_count);
  TaskGraph graph;
  for (size_t task = 0; task < task_count; ++task)
    graph.Add(Weight::kHeavy, 0, [&, task](std::stop_token lane_stop, size_t lane) -> Status {
      if (!lanes[lane]) {
        TRY_ASSIGN(lanes[lane], make_lane(lane_stop));
      }
      return lanes[lane](lane_stop, task);
    });
  TRY(graph.Run(stop, {static_cast<int>(lane_count), 0}));
  if (!stop.stop_requested()) return Ok();
  return RetryError("Stopped", "the work was stopped before its end; run it again");
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
