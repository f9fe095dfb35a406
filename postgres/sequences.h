// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// The position of a sequence. Both fields matter: (1, not called) yields 1 next, (1, called) 2.
struct SequencePosition {
  std::string schema;
  std::string name;
  int64_t last_value = 0;
  bool is_called = false;

  auto operator<=>(const SequencePosition&) const = default;
};

/// All sequences of the database, those that no column owns included (Odoo numbers its invoices by
/// such), sorted; without temporary ones and those of schema `cutover`.
Result<std::vector<SequencePosition>> ReadSequences(std::stop_token stop, Deadline deadline,
                                                    Connection& connection);

/// Sets the positions, in one statement. setval() takes effect at once, COMMIT or not.
Status SetSequences(std::stop_token stop, Deadline deadline, Transaction& transaction,
                    const std::vector<SequencePosition>& positions);

/// The same for a database whose structure is not the one that the positions were read in: sets
/// those that are there, each to the nearest that its own bounds allow, and returns the names of
/// the others.
Result<std::vector<std::string>> SetSequencesThatExist(
    std::stop_token stop, Deadline deadline, Transaction& transaction,
    const std::vector<SequencePosition>& positions);

/// What rows tell of the sequences that numbered them.
struct RowsAhead {
  /// Where those must go on that have yet to give out a number which a row has; sorted.
  std::vector<SequencePosition> positions;
  std::vector<std::string>
      unread;  ///< Columns that could not be looked through in time, or at all.
};

/// Of the sequences that number a column of whole numbers (owned by it, its identity's, or in its
/// default), each in its own direction, so that none goes back. Not one that starts over (CYCLE).
/// A row does not count behind which the sequence, or the column's type, has no number left: it was
/// numbered by hand. Takes `budget` at most,
/// and 5 s for a column. Read-only, and of tables alone (ReadSide): the tenant's functions in its
/// indexes would run as the operator.
Result<RowsAhead> FindRowsAhead(std::stop_token stop, Deadline deadline, Connection& connection,
                                std::chrono::milliseconds budget);

/// Pure: a sentence for each difference; empty means equal.
std::vector<std::string> CompareSequences(const std::vector<SequencePosition>& source,
                                          const std::vector<SequencePosition>& target);

}  // namespace cutover::pg
