// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/row_reader.h"

namespace cutover::mover {

Result<RowReader> RowReader::Start(std::stop_token stop, pg::Connection& connection, RowSet rows) {
  bool wide_follow = false;
  if (rows.slice_wide_rows) {
    TRY_ASSIGN(wide_follow, HoldsWideRows(stop, connection, rows.table, rows.condition));
  }
  const std::string statement = wide_follow ? CopyNarrowStatement(rows.table, rows.condition)
                                            : CopyOutStatement(rows.table, rows.condition);
  TRY_ASSIGN(pg::CopyOut narrow,
             pg::CopyOut::Start(stop, Deadline::Never(), connection,
                                statement + CopyOptions(rows.format, rows.encoding, false)));
  return RowReader(connection, std::move(rows), wide_follow, std::move(narrow));
}

Result<std::optional<std::string_view>> RowReader::Next(std::stop_token stop) {
  if (narrow_ended_) return NextWide(stop);
  TRY_ASSIGN(std::optional<std::string_view> bytes, NextNarrow(stop));
  if (bytes) return bytes;
  narrow_ended_ = true;
  if (narrow_.rows() != seen_.rows)
    return RetryError("CopyMiscounted", "the server counted " + std::to_string(narrow_.rows()) +
                                            " rows and sent " + std::to_string(seen_.rows) +
                                            "; run it again");
  return NextWide(stop);
}

Result<std::optional<std::string_view>> RowReader::NextNarrow(std::stop_token stop) {
  TRY_ASSIGN(std::optional<std::string_view> message, narrow_.NextRow(stop, Deadline::Never()));
  if (!message) return message;
  std::optional<std::string_view> row = message;
  if (rows_.format == RowFormat::kBinary) row = frame_.RowIn(*message);
  if (row) {
    hasher_->Add(*row, seen_);
  } else if (wide_follow_ && message->ends_with(BinaryFrame::kTrailer)) {
    message->remove_suffix(BinaryFrame::kTrailer.size());
  }
  return message;
}

Result<std::optional<std::string_view>> RowReader::NextWide(std::stop_token stop) {
  if (!wide_follow_) return std::optional<std::string_view>();
  if (!wide_) {
    TRY_ASSIGN(WideRows started, WideRows::Start(stop, connection_, rows_.table, rows_.condition,
                                                 rows_.format, rows_.encoding));
    wide_.emplace(std::move(started));
  }
  TRY_ASSIGN(std::optional<WideRows::Piece> piece, wide_->Next(stop));
  if (piece) {
    hasher_->Append(piece->bytes, seen_);
    if (piece->row_ended) hasher_->EndRow(seen_);
    return std::optional(piece->bytes);
  }
  wide_follow_ = false;
  if (rows_.format == RowFormat::kText) return std::optional<std::string_view>();
  return std::optional(BinaryFrame::kTrailer);
}

}  // namespace cutover::mover
