// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "mover/copy/binary_copy.h"
#include "mover/copy/digest.h"
#include "mover/copy/wide_rows.h"
#include "mover/plan/tables.h"
#include "operator/base/result.h"
#include "postgres/copy_stream.h"

namespace cutover::mover {

/// What is read by one RowReader.
struct RowSet {
  const TablePlan& table;
  std::string condition;  ///< "WHERE …", or empty for all rows.
  RowFormat format = RowFormat::kText;
  std::string encoding;  ///< Of the text format.
  /// Looks for wide rows, which are then read in slices: memory is bounded whatever the table
  /// holds. Otherwise it is by the largest row.
  bool slice_wide_rows = true;
};

/// Reads rows as COPY sends them and hashes them. The frame of the binary format is handed on but
/// is no part of the digest. A row counts, and is hashed, the same whether it came as a whole or in
/// slices. One thread at a time.
class RowReader {
 public:
  /// `rows.table` and `connection` must outlive it.
  static Result<RowReader> Start(std::stop_token stop, pg::Connection& connection, RowSet rows);

  /// The next bytes of the stream, cut anywhere. Valid until the next call. Nothing at the end,
  /// which the server has then confirmed, with as many rows as were seen.
  Result<std::optional<std::string_view>> Next(std::stop_token stop);

  /// Bytes count as they pass, rows and digest when they are complete.
  const RowsSeen& seen() const { return seen_; }

 private:
  RowReader(pg::Connection& connection, RowSet rows, bool wide_follow, pg::CopyOut narrow)
      : connection_(connection),
        rows_(std::move(rows)),
        wide_follow_(wide_follow),
        narrow_(std::move(narrow)),
        hasher_(std::make_unique<RowHasher>()) {}

  Result<std::optional<std::string_view>> NextNarrow(std::stop_token stop);
  Result<std::optional<std::string_view>> NextWide(std::stop_token stop);

  pg::Connection& connection_;
  RowSet rows_;
  bool wide_follow_;  ///< After the narrow ones, before the trailer.
  bool narrow_ended_ = false;
  pg::CopyOut narrow_;
  std::optional<WideRows> wide_;
  BinaryFrame frame_;
  std::unique_ptr<RowHasher> hasher_;
  RowsSeen seen_;
};

}  // namespace cutover::mover
