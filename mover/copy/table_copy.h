// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "mover/contract/progress.h"
#include "mover/copy/digest.h"
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
  /// Told of bytes and rows that have gone to the target. Called from the copying thread.
  std::function<void(int64_t bytes, int64_t rows)> on_progress;
};

/// Copies one table: empties it on the target, fills it and writes the ledger, in one transaction,
/// so that a repetition after any failure starts from nothing. Rows are relayed unparsed and hashed
/// while they pass. A second thread reads ahead, so both servers work at once; at most 8 MiB and
/// one row wait in between.
///
/// `source` must be in a transaction under the run's snapshot. With an error either connection may
/// be unusable. Success means that the target committed exactly the rows that were hashed.
Result<RowsSeen> CopyTable(std::stop_token stop, pg::Connection& source, pg::Connection& target,
                           const TablePlan& table, const CopyTerms& terms);

/// Reads a table and hashes its rows, in the same way as CopyTable did.
Result<RowsSeen> HashTable(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                           const CopyTerms& terms);

}  // namespace cutover::mover
