// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mover/contract/job_spec.h"
#include "tests/postgres/mover/slow_move.h"

namespace cutover::mover::testing {

/// Users of a database who never stop: inserts, updates and deletes in all tables of a
/// FollowedMove, from a connection of their own, until the end of this object. A transaction in ten
/// is rolled back. Aborts the test when a statement fails.
class Writer {
 public:
  explicit Writer(const pg::ConnectOptions& source);
  ~Writer();

  int64_t committed() const { return committed_; }
  /// Waits until so many more transactions are committed.
  void AwaitMore(int64_t transactions) const;

 private:
  void Write(std::stop_token stop, const pg::ConnectOptions& source);

  std::atomic<int64_t> committed_ = 0;
  std::jthread thread_;
};

/// A move whose source is written to all the time and followed by a subscription: a SlowMove from
/// 14 to 17 with more tables: one without a key, one with quoted names and awkward types, a small
/// one. Everything is published under the stream's name. Slots and subscription are gone at the
/// end.
class FollowedMove {
 public:
  FollowedMove();
  ~FollowedMove();

  SlowMove& move() { return *move_; }
  const std::string& stream() const { return stream_; }  ///< Of slot, publication, subscription.
  pg::ConnectOptions Source() const { return move_->Source(); }
  pg::ConnectOptions Copy() const { return move_->Copy(); }

  /// The Job's order, with the slot, at so many MiB a second (0: as fast as it goes).
  JobSpec Spec(int mebibytes_per_second);
  std::vector<std::string> JobArguments(const JobSpec& spec) const;

  /// The forward subscription, as the operator makes it: nothing is copied, no slot created.
  void Subscribe();
  /// Writes a row on the source and waits until the stream has brought it: all before it is there.
  void AwaitCaughtUp();
  /// Every table of both sides, row by row, by nothing of ours.
  void ExpectSameRows();

  /// Names of the move's slots on the source, with the place where each begins.
  std::vector<std::string> Slots() const;

 private:
  void DropSubscription();

  std::unique_ptr<SlowMove> move_;
  std::string stream_;
  JobSpec spec_;
  int markers_ = 0;
};

}  // namespace cutover::mover::testing
