// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// Rows of both sides of a move, found by their keys and told apart by the hashes of their texts.
/// For CompareChanged(), the sample of the way back and FindRowsAhead() alone.

/// A table by schema and name.
using TableName = std::pair<std::string, std::string>;
/// schema.table, for a message.
std::string Display(const TableName& table);

/// How to find a table's rows and what to read of each.
struct KeyedTable {
  int64_t bytes = 0;             ///< On the side that was asked.
  std::vector<std::string> key;  ///< The key's columns; empty: it has none.
  /// How each is found in the key's index, `t` being the row and `k` the key that is looked for.
  std::vector<std::string> conditions;
  /// What each is read as; of fewer columns than the key has, the index cannot be used.
  std::vector<std::string> types;
  std::string row;  ///< "ROW(t.a, t.b)"

  /// An expression for the hash of a row's text, `t` being the row. Generated columns are left out,
  /// as no stream carries them.
  std::string Hash() const;
  /// "(id)=(42)"
  std::string DescribeKey(const std::vector<std::string>& values) const;
};
/// The key is that by which a stream tells rows apart: the replica identity, or of identity FULL
/// the first unique key. Without those of `tables` that are not there.
Result<std::map<TableName, KeyedTable>> ReadKeyedTables(std::stop_token stop, Deadline deadline,
                                                        Connection& side,
                                                        const std::vector<TableName>& tables);

/// Yields the number of each key that has a row, from 1, and what `columns` say of that row `t`.
/// Its parameters are KeyColumns().
std::string SelectByKeys(const TableName& name, const KeyedTable& table,
                         const std::string& columns);
/// Keys, each the JSON text of an array of the key columns' texts, by column. Terminal "KeyChanged"
/// when the table's key has another number of columns.
Result<std::vector<std::vector<std::string>>> KeyColumns(const std::vector<std::string>& keys,
                                                         size_t width);

/// One side, as it is to be read: a thousand rows are looked for by their keys, whatever the
/// planner thinks of the table, which may have no statistics yet. The session comes back as it was.
/// Used by one thread at a time, as its connection is.
class ReadSide {
 public:
  explicit ReadSide(Connection& connection) : connection_(connection) {}
  ~ReadSide();
  ReadSide(const ReadSide&) = delete;
  ReadSide& operator=(const ReadSide&) = delete;

  /// Before the first question, and before others than these are asked in the same session. What
  /// is read are tables only (kTablesOnly).
  Status Prepare(std::stop_token stop, Deadline deadline);
  /// In a read-only transaction. A statement that takes longer than `statement_max` fails with
  /// "Cancelled" and leaves the session usable.
  Result<Rows> Ask(std::stop_token stop, Deadline deadline, std::chrono::milliseconds statement_max,
                   const std::string& sql, const Params& params);
  bool usable() const { return connection_.usable(); }

 private:
  Connection& connection_;
};

/// What both sides say about one question.
struct BothAnswers {
  Result<Rows> source;
  Result<Rows> target;
};
/// Asks both at once. Blocks until both have answered.
BothAnswers AskBoth(std::stop_token stop, Deadline deadline,
                    std::chrono::milliseconds statement_max, ReadSide& source, ReadSide& target,
                    const std::string& sql, const Params& params);

}  // namespace cutover::pg
