// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/copy/digest.h"
#include "mover/plan/chunks.h"
#include "mover/plan/tables.h"
#include "mover/process/reporter.h"
#include "mover/process/side.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// A table that is on both sides: its rows as each side stores them. Both plans name the same
/// columns in the same order, and the same format.
struct TablePair {
  const TablePlan& source;
  const TablePlan& target;
};

/// Tables that are on both sides. In columns and not in pairs, because each side's are planned by
/// themselves, and a database can have so many that a second copy of them would count.
struct TablePairs {
  std::vector<TablePlan> source;
  std::vector<TablePlan> target;  ///< As many, in the same order.

  size_t size() const { return source.size(); }
  TablePair operator[](size_t table) const { return {source[table], target[table]}; }
};

/// What a table holds on both sides.
struct TableContents {
  RowsSeen source;
  RowsSeen target;

  bool equal() const { return source == target; }
};

/// Some rows of a big table on one side, read by one COPY.
struct ReadPart {
  size_t table = 0;  ///< Index into the pairs.
  bool of_source = false;
  std::string statement;  ///< That reads it. The same of the same blocks, read in the same way.
};

struct ReadTerms {
  int jobs = 2;  ///< Connections a side.
  /// What one COPY of a big table reads. Small enough that no lane is left alone with a big table
  /// at the end, large enough that starting it costs nothing.
  int64_t chunk_bytes = int64_t{64} << 20;
  std::string encoding;      ///< As CopyTerms::encoding.
  bool counts_only = false;  ///< Rows are counted by the server and not read.
  /// What the source is known to hold, by TablePlan::Qualified(): not read again.
  const std::map<std::string, RowsSeen>* known_source = nullptr;
  /// What a part is known to hold: not read again. Null: nothing is known.
  std::function<std::optional<RowsSeen>(const ReadPart&)> find_part;
  /// Told, one call at a time, what was read of a part. Null: nobody wants to know.
  std::function<void(const ReadPart&, const RowsSeen&)> on_part;
  /// Told, one call at a time, when both sides of a table were read. Index into the pairs.
  std::function<void(size_t table, const TableContents&)> on_table;
};

/// What was read, beside what was known.
struct PartsRead {
  int64_t read = 0;
  int64_t known = 0;  ///< By find_part.
};

/// Reads all tables of both sides at the same time, under the sides' snapshots, and calls
/// `terms.on_table` for each. Each side's heap is laid out in its own way, so each is split on its
/// own, by blocks, and the parts' digests are added up; small tables go many to a task; a heap
/// without a block holds nothing and is not asked.
Result<PartsRead> ReadTables(std::stop_token stop, Side& source, Side& target,
                             const TablePairs& tables, const ReadTerms& terms, Reporter& reporter);

}  // namespace cutover::mover
