// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "operator/base/result.h"

namespace cutover::mover {

/// What keeps a task busy. Heavy work is copying and sorting: as many at once as the user allows,
/// since each costs a core and a share of memory. Light work is small DDL, which mostly waits for
/// the disk: before PostgreSQL 17 each new index is flushed by the one who makes it (the wait event
/// is DataFileImmediateSync), so a dozen at once take little longer than one.
enum class Weight { kHeavy, kLight };

/// Work in pieces that wait for each other. Built by one thread, run once.
class TaskGraph {
 public:
  using Id = size_t;
  /// Runs in the thread of lane `lane`, which no other task uses meanwhile: what belongs to one
  /// thread (a connection) can be kept by lane.
  using Task = std::function<Status(std::stop_token, size_t lane)>;

  struct Lanes {
    int heavy_max = 1;  ///< Lanes for tasks of either weight.
    int light_max = 0;  ///< Further lanes, for light tasks only.
    size_t count() const { return static_cast<size_t>(heavy_max + light_max); }
  };

  /// `after`: the tasks that must have succeeded before. Of several ready ones, those of a lower
  /// `turn` are begun first, and of those the ones that were added first.
  Id Add(Weight weight, int turn, Task task, const std::vector<Id>& after = {});

  /// Does all tasks. The first error requests the others to stop and is returned when all have; a
  /// stop requested from outside ends in an error with reason "Stopped".
  Status Run(std::stop_token stop, const Lanes& lanes);

 private:
  struct Node {
    Weight weight;
    int turn;
    Task task;
    size_t waits_for;  ///< How many tasks must succeed before.
    std::vector<Id> before;
  };
  class Crew;

  std::vector<Node> nodes_;
};

}  // namespace cutover::mover
