// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "mover/process/side.h"
#include "mover/verify/report.h"
#include "mover/verify/table_reader.h"

namespace cutover::mover {

struct LocalizeTerms {
  std::string encoding;  ///< As CopyTerms::encoding.
  /// A range of at most so many rows on either side is compared row by row.
  int64_t rows_compared_max = 100;
  /// Into how many ranges one that differs is divided.
  int fan_out = 32;
  int places_max = 10;      ///< Ranges that are reported of one table.
  int rows_named_max = 20;  ///< Rows that are named of one table.
  /// COPYs and queries of one table, both sides together. A table of 10^9 rows takes some 300 for
  /// each place in which it differs.
  int queries_max = 4000;
  /// Of a table without a key: it is looked at only up to so many rows, since all their hashes are
  /// held in memory.
  int64_t keyless_rows_max = 100'000;
};

/// Finds where the sides of a table differ, which they are known to do, and writes it into
/// `mismatch.places`.
///
/// By the primary key, or any unique key without NULLs: the table is divided at quantiles of the
/// key's own order (never between its least and greatest value), the ranges are hashed on both
/// sides, and those that differ are divided again, until they are small enough to compare rows
/// one by one. Keys of text are ordered by bytes, since collations may differ between servers. Of
/// a table without a key, rows that have no counterpart are named by where they stand.
///
/// Never fails: what keeps it from an answer (a stop, an error, a bound) is told in
/// `mismatch.note`. Uses a connection of its own on each side, under the sides' snapshots.
void Localize(std::stop_token stop, const Side& source, const Side& target, const TablePair& table,
              const RowsSeen& source_rows, const RowsSeen& target_rows, const LocalizeTerms& terms,
              Mismatch& mismatch);

}  // namespace cutover::mover
