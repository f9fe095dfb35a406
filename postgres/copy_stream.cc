// SPDX-License-Identifier: Apache-2.0
#include "postgres/copy_stream.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "operator/base/check.h"
#include "postgres/session.h"

namespace cutover::pg {
namespace {

int64_t RowsOf(PGresult* result) {
  int64_t rows = 0;
  std::string_view text(PQcmdTuples(result));
  std::from_chars(text.data(), text.data() + text.size(), rows);
  return rows;
}

}  // namespace

// --- out ----------------------------------------------------------------------------------------

Result<CopyOut> CopyOut::Start(std::stop_token stop, Deadline deadline, Connection& connection,
                               const std::string& copy_statement) {
  TRY(connection.session_->StartCopy(stop, deadline, copy_statement, PGRES_COPY_OUT));
  return CopyOut(&connection);
}

CopyOut::CopyOut(CopyOut&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      row_(std::exchange(other.row_, nullptr)),
      rows_(other.rows_) {}

CopyOut::~CopyOut() {
  FreeRow();
  if (connection_ != nullptr) connection_->session_->CancelAndClose();
}

void CopyOut::FreeRow() {
  if (row_ != nullptr) PQfreemem(std::exchange(row_, nullptr));
}

Result<std::optional<std::string_view>> CopyOut::NextRow(std::stop_token stop, Deadline deadline) {
  FreeRow();
  if (connection_ == nullptr) return std::optional<std::string_view>();
  Connection::Session& session = *connection_->session_;
  while (true) {
    int length = PQgetCopyData(session.pg, &row_, /*async=*/1);
    if (length > 0) return std::optional(std::string_view(row_, static_cast<size_t>(length)));
    if (length < 0) {
      TRY(Finish(stop, deadline));
      return std::optional<std::string_view>();
    }
    Status waited = session.Wait(stop, deadline, POLLIN);
    if (waited && PQconsumeInput(session.pg) == 0) waited = tl::unexpected(session.LocalError());
    if (!waited) {
      connection_ = nullptr;
      session.CancelAndClose();
      return tl::unexpected(std::move(waited).error());
    }
  }
}

Result<int64_t> CopyOut::ReadRows(std::stop_token stop, Deadline deadline, size_t bytes_min,
                                  std::string& buffer) {
  const size_t enough = buffer.size() + bytes_min;
  int64_t appended = 0;
  while (buffer.size() < enough) {
    TRY_ASSIGN(std::optional<std::string_view> row, NextRow(stop, deadline));
    if (!row) break;
    buffer.append(*row);
    ++appended;
  }
  return appended;
}

/// Takes the server's last words: only they prove that the data was complete.
Status CopyOut::Finish(std::stop_token stop, Deadline deadline) {
  Connection::Session& session = *std::exchange(connection_, nullptr)->session_;
  std::optional<Error> failure;
  bool complete = false;
  while (true) {
    auto result = session.NextResult(stop, deadline);
    if (!result) {
      session.CancelAndClose();
      return tl::unexpected(std::move(result).error());
    }
    if (*result == nullptr) break;
    if (PQresultStatus(result->get()) == PGRES_COMMAND_OK) {
      rows_ = RowsOf(result->get());
      complete = true;
    } else if (!failure) {
      failure = session.ErrorOf(result->get());
    }
  }
  if (failure) return tl::unexpected(std::move(*failure));
  if (!complete) return tl::unexpected(session.LocalError());
  return Ok();
}

// --- in -----------------------------------------------------------------------------------------

Result<CopyIn> CopyIn::Start(std::stop_token stop, Deadline deadline, Connection& connection,
                             const std::string& copy_statement) {
  const bool commits_by_itself = !connection.in_transaction();
  TRY(connection.session_->StartCopy(stop, deadline, copy_statement, PGRES_COPY_IN));
  return CopyIn(&connection, commits_by_itself);
}

CopyIn::CopyIn(CopyIn&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      commits_by_itself_(other.commits_by_itself_),
      pending_(std::move(other.pending_)) {}

// Closing without CopyDone makes the server fail the COPY, whatever it had read.
CopyIn::~CopyIn() {
  if (connection_ != nullptr) connection_->session_->CancelAndClose();
}

Status CopyIn::Write(std::stop_token stop, Deadline deadline, std::string_view bytes) {
  CHECK(connection_ != nullptr);
  if (pending_.empty() && bytes.size() >= kMessageBytes) return Send(stop, deadline, bytes);
  pending_.append(bytes);
  if (pending_.size() < kMessageBytes) return Ok();
  TRY(Send(stop, deadline, pending_));
  pending_.clear();
  return Ok();
}

/// Sends in messages of bounded size and drains each: in non-blocking mode libpq would otherwise
/// keep all that the server has not taken yet.
Status CopyIn::Send(std::stop_token stop, Deadline deadline, std::string_view bytes) {
  Connection::Session& session = *connection_->session_;
  while (!bytes.empty()) {
    std::string_view message = bytes.substr(0, kMessageBytes);
    Status sent = session.CheckGoOn(stop, deadline);
    if (sent && PQputCopyData(session.pg, message.data(), static_cast<int>(message.size())) != 1)
      sent = tl::unexpected(session.LocalError());
    if (sent) sent = session.Flush(stop, deadline);
    if (!sent) {
      connection_ = nullptr;
      session.CancelAndClose();
      return sent;
    }
    bytes.remove_prefix(message.size());
  }
  return Ok();
}

Result<int64_t> CopyIn::Finish(std::stop_token stop, Deadline deadline) {
  CHECK(connection_ != nullptr);
  TRY(Send(stop, deadline, std::exchange(pending_, {})));
  Connection::Session& session = *std::exchange(connection_, nullptr)->session_;
  // Outside of a transaction the COPY commits by itself, so an answer that is lost is in doubt.
  auto unanswered = [&](Error error) {
    if (commits_by_itself_) error.disposition = Disposition::kInDoubt;
    session.CancelAndClose();
    return tl::unexpected(std::move(error));
  };
  if (PQputCopyEnd(session.pg, nullptr) != 1) return unanswered(session.LocalError());
  Status flushed = session.Flush(stop, deadline);
  int64_t rows = -1;
  std::optional<Error> failure;
  while (flushed) {
    auto result = session.NextResult(stop, deadline);
    if (!result) flushed = tl::unexpected(std::move(result).error());
    if (!flushed || *result == nullptr) break;
    if (PQresultStatus(result->get()) == PGRES_COMMAND_OK)
      rows = RowsOf(result->get());
    else if (!failure)
      failure = session.ErrorOf(result->get());
  }
  if (!flushed) return unanswered(std::move(flushed).error());
  if (failure && !session.Usable()) return unanswered(std::move(*failure));
  if (failure) return tl::unexpected(std::move(*failure));
  if (rows < 0) return unanswered(session.LocalError());
  return rows;
}

}  // namespace cutover::pg
