// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mover/copy/table_copy.h"
#include "mover/copy/throttle.h"
#include "mover/plan/chunks.h"
#include "mover/process/side.h"
#include "mover/verify/report.h"
#include "operator/base/check.h"
#include "operator/base/result.h"
#include "tests/postgres/traps/move.h"

namespace cutover::mover::testing {

/// The value, or a failed and aborted test.
template <typename T>
T Must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().reason << ": " << result.error().message;
  CHECK(result);
  return std::move(*result);
}
void Must(const Status& status);

inline constexpr int kStampedTables = 6;
/// Tables t_1, t_2, … whose rows all say 'before'. Each is of more than a megabyte, so that each is
/// copied, and committed, by itself.
void PlantStamped(Move& move);
/// In one transaction: whoever sees both words has mixed two instants.
void Stamp(Move& move, const std::string& word);
/// SQL: which words the tables say, and in how many rows.
std::string StampsOf();

/// SQL: committed chunks, with the file that holds each table: TRUNCATE makes a new one.
extern const char kCommitted[];

/// A clone that is under way, and slow, so that the case can do something meanwhile.
class Running {
 public:
  explicit Running(Move& move);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Returns when some of the rows are committed; no more are read then until GoOn().
  void UntilSomeRowsArrived();
  void GoOn();
  bool ended() const { return ended_; }

  Result<Report> End();
  Result<Report> Stop();

 private:
  Move& move_;
  Throttle throttle_;
  std::stop_source stop_;
  std::atomic<bool> ended_ = false;
  std::optional<Result<Report>> result_;
  std::jthread thread_;
};

inline constexpr int64_t kSmallChunkBytes = 128 << 10;

/// Table public.t of the source, planned in chunks as soon as this is made, into a database that
/// holds just that table.
class ChunkedCopy {
 public:
  ChunkedCopy(Move& move, const std::string& ddl, int64_t chunk_bytes = kSmallChunkBytes);

  /// Copies the last chunk first, as the order must not matter.
  RowsSeen Copy(Side& source);
  RowsSeen HashWhole(Side& source);

  const TablePlan& table() const { return tables_.at(0); }
  const std::vector<ChunkGroup>& groups() const { return groups_; }

 private:
  CopyTerms Terms(const Side& source) const;

  Move& move_;
  std::vector<TablePlan> tables_;
  std::vector<ChunkGroup> groups_;
};

}  // namespace cutover::mover::testing
