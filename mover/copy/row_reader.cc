// SPDX-License-Identifier: Apache-2.0
#include "mover/copy/row_reader.h"

#include <algorithm>
#include <utility>

namespace cutover::mover {
namespace {

// Signature, flags, and the length of an extension that no version has used.
constexpr size_t kBinaryHeaderBytes = 11 + 4 + 4;
// A number of fields that no row can have.
constexpr std::string_view kBinaryTrailer = "\xff\xff";

}  // namespace

Result<RowReader> RowReader::Start(std::stop_token stop, pg::Connection& connection,
                                   const std::string& copy_statement, RowFormat format) {
  TRY_ASSIGN(pg::CopyOut rows,
             pg::CopyOut::Start(stop, Deadline::Never(), connection, copy_statement));
  return RowReader(std::move(rows), format);
}

Result<std::optional<std::string_view>> RowReader::Next(std::stop_token stop) {
  TRY_ASSIGN(std::optional<std::string_view> message, rows_.NextRow(stop, Deadline::Never()));
  if (message) {
    if (std::optional<std::string_view> row = RowIn(*message)) hasher_->Add(*row, seen_);
    return message;
  }
  if (rows_.rows() == seen_.rows) return message;
  return RetryError("CopyMiscounted", "the server counted " + std::to_string(rows_.rows()) +
                                          " rows and sent " + std::to_string(seen_.rows) +
                                          "; run it again");
}

std::optional<std::string_view> RowReader::RowIn(std::string_view message) {
  if (format_ == RowFormat::kText) return message;
  // The server sends the header together with what follows it.
  if (!std::exchange(began_, true))
    message.remove_prefix(std::min(message.size(), kBinaryHeaderBytes));
  if (message.empty() || message == kBinaryTrailer) return std::nullopt;
  return message;
}

}  // namespace cutover::mover
