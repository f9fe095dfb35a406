// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "mover/copy/binary_copy.h"
#include "mover/plan/tables.h"
#include "operator/base/result.h"
#include "postgres/copy_stream.h"

namespace cutover::mover {

/// Rows of more bytes than this are wide. libpq hands out a COPY's row as a whole, from a buffer
/// that it doubles until the row fits, and as a copy: an ordinary row costs up to three times its
/// size, of each of a job's two readers.
inline constexpr int64_t kWideRowBytes = 4 << 20;

/// Whether any of the rows that `condition` takes ("WHERE …", or empty for all) is wide. Costs one
/// reading of the heap, without TOAST, and of most tables nothing: TablePlan::row_bytes_sql.
Result<bool> HoldsWideRows(std::stop_token stop, pg::Connection& connection, const TablePlan& table,
                           std::string_view condition);

/// The COPY of the rows that are not wide.
std::string CopyNarrowStatement(const TablePlan& table, std::string_view condition);

/// Reads the wide rows of a table and writes them down byte by byte as COPY would, without ever
/// holding one: the server sends the value of each column, as its type sends it, in slices. No
/// header, no trailer. One thread at a time.
class WideRows {
 public:
  /// Lasts as long as the connection is used by nobody else. Switches off parallel workers in the
  /// session, which would send slices out of order.
  static Result<WideRows> Start(std::stop_token stop, pg::Connection& connection,
                                const TablePlan& table, std::string_view condition,
                                RowFormat format, std::string_view encoding);

  struct Piece {
    std::string_view bytes;  ///< Valid until the next call; about a megabyte at most.
    bool row_ended = false;
  };
  /// Nothing at the end, which the server has then confirmed. "CopyMiscounted" when what came does
  /// not make up whole rows.
  Result<std::optional<Piece>> Next(std::stop_token stop);

 private:
  WideRows(pg::CopyOut slices, RowFormat format, int fields)
      : slices_(std::move(slices)), format_(format), fields_(fields) {}

  /// One message: number of the field, its size in all (nothing for NULL), and a slice of it.
  struct Slice {
    int field = 0;
    std::optional<int64_t> field_bytes;
    std::string_view bytes;
  };
  static std::optional<Slice> Parse(std::string_view row);
  /// False when the slice is not the one that must come next.
  bool Append(const Slice& slice);
  void BeginField(const std::optional<int64_t>& bytes);

  pg::CopyOut slices_;
  RowFormat format_;
  int fields_;
  BinaryFrame frame_;
  int field_ = 0;           ///< That is being read, from 1; 0 between rows.
  int64_t bytes_left_ = 0;  ///< Of the field.
  int64_t slices_seen_ = 0;
  std::string piece_;
};

}  // namespace cutover::mover
