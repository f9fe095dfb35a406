// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// Reads a `COPY … TO STDOUT`. Memory is bounded by the largest row plus the caller's buffer. The
/// connection must outlive the stream and is used by nobody else meanwhile; one thread at a time.
/// Destroyed before its end, the COPY is cancelled and the connection closed.
class CopyOut {
 public:
  static Result<CopyOut> Start(std::stop_token stop, Deadline deadline, Connection& connection,
                               const std::string& copy_statement);
  CopyOut(CopyOut&& other) noexcept;
  CopyOut& operator=(CopyOut&&) = delete;
  ~CopyOut();

  /// The next row as the server sent it (text format: with its newline), valid until the next call;
  /// nothing at the end, which the server has then confirmed.
  Result<std::optional<std::string_view>> NextRow(std::stop_token stop, Deadline deadline);

  /// Appends whole rows to `buffer` until it has grown to `bytes_min` or the data ends. Returns the
  /// number of rows appended; 0 means the end, confirmed by the server.
  Result<int64_t> ReadRows(std::stop_token stop, Deadline deadline, size_t bytes_min,
                           std::string& buffer);

  /// Rows as counted by the server; only after the end.
  int64_t rows() const { return rows_; }

 private:
  explicit CopyOut(Connection* connection) : connection_(connection) {}
  Status Finish(std::stop_token stop, Deadline deadline);
  void FreeRow();

  Connection* connection_;  ///< nullptr once ended or moved from.
  char* row_ = nullptr;
  int64_t rows_ = 0;
};

/// Writes a `COPY … FROM STDIN` in large messages. Same rules of use as CopyOut. Destroyed before
/// Finish(), the COPY fails at the server, so nothing of it stays.
class CopyIn {
 public:
  static constexpr size_t kMessageBytes = 256 * 1024;

  static Result<CopyIn> Start(std::stop_token stop, Deadline deadline, Connection& connection,
                              const std::string& copy_statement);
  CopyIn(CopyIn&& other) noexcept;
  CopyIn& operator=(CopyIn&&) = delete;
  ~CopyIn();

  /// Any bytes of the stream; rows may be cut anywhere. Blocks while the server is slower. An error
  /// of the server in the data may show here or only in Finish().
  Status Write(std::stop_token stop, Deadline deadline, std::string_view bytes);

  /// Ends the stream and returns the number of rows that the server took. A lost answer is
  /// kInDoubt, unless the COPY runs inside a transaction.
  Result<int64_t> Finish(std::stop_token stop, Deadline deadline);

 private:
  CopyIn(Connection* connection, bool commits_by_itself)
      : connection_(connection), commits_by_itself_(commits_by_itself) {}
  Status Send(std::stop_token stop, Deadline deadline, std::string_view bytes);

  Connection* connection_;  ///< nullptr once ended or moved from.
  bool commits_by_itself_;
  std::string pending_;
};

}  // namespace cutover::pg
