// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "mover/contract/progress.h"
#include "mover/process/side.h"
#include "mover/verify/report.h"
#include "mover/verify/table_reader.h"

namespace cutover::mover {

/// What the copy's ledger says of a table that differs.
struct CopiedChunks {
  /// The chunks that are not on the target as they were copied, with the keys that they hold there,
  /// and the rows that no chunk has brought. Empty for a table that was copied as one chunk, of
  /// which that says nothing new.
  std::vector<Place> places;
  /// Of the chunks that differ (or the whole table), how many the source does not hold any more as
  /// they were copied. Where that is none, what the source says now is what was copied.
  size_t changed_on_source = 0;
};

/// Compares each chunk of `table` with the hash that its rows had when they were copied. The target
/// knows a chunk's rows by the transaction that brought them (xmin), the source by its blocks.
/// `chunks` are those of the table, as ReadChunks() gives them. At most `places_max` places.
Result<CopiedChunks> CompareCopiedChunks(std::stop_token stop, const Side& source,
                                         const Side& target, const TablePair& table,
                                         const std::vector<Chunk>& chunks,
                                         const std::string& encoding, size_t places_max);

}  // namespace cutover::mover
