// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "mover/copy/digest.h"
#include "mover/plan/tables.h"
#include "operator/base/result.h"
#include "postgres/copy_stream.h"

namespace cutover::mover {

/// Reads a COPY and hashes its rows. What the binary format puts around the rows (PostgreSQL's
/// documentation of COPY, "Binary Format": a signature before the first, a trailer after the last)
/// is handed on but is no part of the digest. One thread at a time.
class RowReader {
 public:
  static Result<RowReader> Start(std::stop_token stop, pg::Connection& connection,
                                 const std::string& copy_statement, RowFormat format);

  /// The next bytes of the stream: a row, with its frame where there is one. Valid until the next
  /// call. Nothing at the end, which the server has then confirmed, with as many rows as were seen.
  Result<std::optional<std::string_view>> Next(std::stop_token stop);

  const RowsSeen& seen() const { return seen_; }

 private:
  RowReader(pg::CopyOut rows, RowFormat format)
      : rows_(std::move(rows)), format_(format), hasher_(std::make_unique<RowHasher>()) {}

  /// The row in a message, without frame; nothing when there is none in it.
  std::optional<std::string_view> RowIn(std::string_view message);

  pg::CopyOut rows_;
  RowFormat format_;
  std::unique_ptr<RowHasher> hasher_;
  bool began_ = false;
  RowsSeen seen_;
};

}  // namespace cutover::mover
