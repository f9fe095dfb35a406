// SPDX-License-Identifier: Apache-2.0
#include "mover/process/task_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

using ::testing::ElementsAre;

/// Notes the order in which tasks ran.
class Journal {
 public:
  TaskGraph::Task Note(std::string name) {
    return [this, name](std::stop_token, size_t) {
      MutexLock lock(mutex_);
      names_.push_back(name);
      return Ok();
    };
  }
  std::vector<std::string> names() {
    MutexLock lock(mutex_);
    return names_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> names_;
};

TEST(TaskGraph, ATaskRunsAfterAllThatItWaitsFor) {
  Journal journal;
  TaskGraph graph;
  const auto a = graph.Add(Weight::kHeavy, 9, journal.Note("a"));
  const auto b = graph.Add(Weight::kLight, 9, journal.Note("b"), {a});
  graph.Add(Weight::kHeavy, 0, journal.Note("c"), {a, b});
  EXPECT_TRUE(graph.Run({}, {3, 3}));
  EXPECT_THAT(journal.names(), ElementsAre("a", "b", "c"));
}

TEST(TaskGraph, OfReadyTasksTheOneWhoseTurnItIsRunsFirst) {
  Journal journal;
  TaskGraph graph;
  graph.Add(Weight::kHeavy, 2, journal.Note("last"));
  graph.Add(Weight::kHeavy, 1, journal.Note("first"));
  graph.Add(Weight::kHeavy, 1, journal.Note("second"));
  EXPECT_TRUE(graph.Run({}, {1, 0}));
  EXPECT_THAT(journal.names(), ElementsAre("first", "second", "last"));
}

TEST(TaskGraph, LightLanesDoNoHeavyWork) {
  TaskGraph graph;
  std::atomic<int> at_once = 0, most = 0;
  for (int i = 0; i < 20; ++i)
    graph.Add(Weight::kHeavy, 0, [&](std::stop_token, size_t lane) -> Status {
      EXPECT_LT(lane, 2u);
      most = std::max(most.load(), ++at_once);
      std::this_thread::yield();
      --at_once;
      return Ok();
    });
  EXPECT_TRUE(graph.Run({}, {2, 6}));
  EXPECT_LE(most, 2);
}

TEST(TaskGraph, OneLaneIsUsedByOneTaskAtATime) {
  TaskGraph graph;
  std::vector<std::atomic<int>> users(4);
  for (int i = 0; i < 200; ++i)
    graph.Add(Weight::kLight, 0, [&](std::stop_token, size_t lane) -> Status {
      EXPECT_EQ(++users[lane], 1);
      std::this_thread::yield();
      --users[lane];
      return Ok();
    });
  EXPECT_TRUE(graph.Run({}, {2, 2}));
}

TEST(TaskGraph, TheFirstErrorStopsTheRestAndIsTheOneReturned) {
  TaskGraph graph;
  bool reached = false;
  const auto bad = graph.Add(Weight::kHeavy, 0, [](std::stop_token, size_t) -> Status {
    return TerminalError("Broken", "the first thing that went wrong");
  });
  graph.Add(Weight::kHeavy, 0,
            [&](std::stop_token, size_t) -> Status {
              reached = true;
              return Ok();
            },
            {bad});
  graph.Add(Weight::kLight, 0, [](std::stop_token stop, size_t) -> Status {
    while (!stop.stop_requested()) std::this_thread::yield();
    return RetryError("Stopped", "a consequence");
  });
  Status done = graph.Run({}, {1, 1});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, "Broken");
  EXPECT_FALSE(reached);
}

TEST(TaskGraph, AStopFromOutsideEndsItEvenWhenNothingIsReady) {
  TaskGraph graph;
  std::stop_source outside;
  const auto first = graph.Add(Weight::kHeavy, 0, [&](std::stop_token stop, size_t) -> Status {
    outside.request_stop();
    EXPECT_TRUE(stop.stop_requested());
    return Ok();
  });
  graph.Add(Weight::kHeavy, 0,
            [](std::stop_token, size_t) -> Status {
              ADD_FAILURE() << "begun after the stop";
              return Ok();
            },
            {first});
  Status done = graph.Run(outside.get_token(), {2, 2});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason, "Stopped");
}

TEST(TaskGraph, NothingToDoIsDone) {
  TaskGraph graph;
  EXPECT_TRUE(graph.Run({}, {2, 2}));
}

}  // namespace
}  // namespace cutover::mover
