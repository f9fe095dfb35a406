// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mover/contract/progress.h"
#include "mover/copy/digest.h"
#include "mover/copy/throttle.h"
#include "mover/plan/chunks.h"
#include "mover/plan/tables.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// What every COPY of a run has in common.
struct CopyTerms {
  /// The source database's encoding. Both sides speak it, so that nothing is converted: bytes that
  /// are not valid in it (SQL_ASCII databases have them) stay what they are.
  std::string encoding;
  std::string migration_uid;
  int attempt = 1;
  /// Told of bytes and rows that have passed. Called from the copying thread.
  std::function<void(int64_t bytes, int64_t rows)> on_progress;
  /// Asked before more is read from the source. Null: never.
  Throttle* throttle = nullptr;
  bool slice_wide_rows = true;  ///< As RowSet has it.

  /// Binary where it means the same on both sides. Its texts would be converted to UTF-8 on the
  /// way, so only where that is what they are.
  RowFormat FormatOf(const TablePlan& table) const {
    return table.binary && encoding == "UTF8" ? RowFormat::kBinary : RowFormat::kText;
  }
};

/// How the ledger writes a chunk down, and what it says of one.
Chunk LedgerEntry(const TablePlan& table, const TableChunk& chunk, const RowsSeen& seen);
RowsSeen SeenOf(const Chunk& entry);

/// Copies the chunks of `group` (of `tables`) and writes the ledger, in one transaction of the
/// target: what is not in the ledger is not there. Rows are relayed unparsed and hashed while they
/// pass. A second thread reads ahead, so that both servers work at once; at most 8 MiB and one row
/// wait in between; of a wide row (wide_rows.h), a slice.
///
/// A big table that is copied whole is truncated first, in the same transaction, which lets it be
/// loaded frozen. All others must hold none of the chunk's rows, as is so for what is not in the
/// ledger; of an extension's table the tenant's rows are deleted first.
///
/// `source` must be in a transaction under the run's snapshot. With an error either connection may
/// be unusable. Success means that the target committed exactly the rows that were hashed; an error
/// of disposition kInDoubt, that only the ledger can tell. One element a chunk.
Result<std::vector<RowsSeen>> CopyGroup(std::stop_token stop, pg::Connection& source,
                                        pg::Connection& target,
                                        const std::vector<TablePlan>& tables,
                                        const ChunkGroup& group, const CopyTerms& terms);

/// Reads the rows of a table that `condition` takes ("WHERE …", or empty for all) and hashes them
/// as CopyGroup does. The format must be the same for all that is to be compared.
Result<RowsSeen> HashRows(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                          std::string_view condition, const CopyTerms& terms);

}  // namespace cutover::mover
