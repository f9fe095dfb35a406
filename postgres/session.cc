// SPDX-License-Identifier: Apache-2.0
#include "postgres/session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <limits>
#include <thread>
#include <utility>

#include "operator/base/check.h"
#include "postgres/sqlstate.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;

/// How long a cancelled statement may take to end before its connection is closed under it.
constexpr milliseconds kCancelGrace{2000};

std::string FirstLine(const char* text) {
  std::string_view view(text == nullptr ? "" : text);
  view = view.substr(0, view.find('\n'));
  return std::string(view);
}

std::string Field(const PGresult* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value == nullptr ? std::string() : FirstLine(value);
}

/// libpq's cancel blocks for as long as the network makes it, so it gets a thread of its own that
/// may outlive us; it owns all that it touches.
void RequestCancel(PGconn* pg, milliseconds patience) {
  std::shared_ptr<PGcancel> cancel(PQgetCancel(pg), PQfreeCancel);
  if (cancel == nullptr) return;
  std::promise<void> promise;
  std::future<void> done = promise.get_future();
  std::thread([cancel, promise = std::move(promise)]() mutable {
    std::array<char, 256> unused{};
    PQcancel(cancel.get(), unused.data(), unused.size());
    promise.set_value();
  }).detach();
  done.wait_for(patience);
}

bool IsFailure(ExecStatusType status) {
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE ||
         status == PGRES_NONFATAL_ERROR;
}

bool OpensCopy(ExecStatusType status) {
  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

}  // namespace

Connection::Session::Session() : wake_descriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(wake_descriptor >= 0);
}

Connection::Session::~Session() {
  Close();
  close(wake_descriptor);
}

void Connection::Session::Close() {
  if (pg != nullptr) PQfinish(std::exchange(pg, nullptr));
}

void Connection::Session::CancelAndClose() {
  if (Usable() && PQtransactionStatus(pg) == PQTRANS_ACTIVE) {
    Deadline grace = Deadline::After(kCancelGrace);
    RequestCancel(pg, grace.Remaining());
    // Reading on until the server is done makes sure that its locks are gone when we return. A COPY
    // that still streams is not worth reading: closing ends it as well.
    while (!grace.Expired() && PQisBusy(pg) != 0) {
      if (!Wait({}, grace, POLLIN) || PQconsumeInput(pg) == 0) break;
    }
  }
  Close();
}

Status Connection::Session::CheckGoOn(const std::stop_token& stop, Deadline deadline) const {
  if (stop.stop_requested()) return RetryError("Stopped", "stopped before the server had answered");
  if (deadline.Expired())
    return RetryError("DeadlineExceeded",
                      options.Describe() + " did not answer within the time allowed");
  return Ok();
}

Status Connection::Session::Wait(const std::stop_token& stop, Deadline deadline, short events) {
  std::stop_callback wake(stop, [this] {
    uint64_t one = 1;
    // A full counter wakes as well, so a failed write loses nothing.
    [[maybe_unused]] ssize_t ignored = write(wake_descriptor, &one, sizeof one);
  });
  while (true) {
    TRY(CheckGoOn(stop, deadline));
    std::array<pollfd, 2> descriptors{pollfd{PQsocket(pg), events, 0},
                                      pollfd{wake_descriptor, POLLIN, 0}};
    auto timeout = std::min<int64_t>(deadline.Remaining().count() + 1, 3'600'000);
    int ready = poll(descriptors.data(), descriptors.size(), static_cast<int>(timeout));
    if (ready < 0 && errno != EINTR)
      return RetryError("ConnectionLost", std::string("poll: ") + std::strerror(errno));
    if (ready <= 0) continue;
    if (descriptors[1].revents != 0) {
      uint64_t count = 0;
      [[maybe_unused]] ssize_t ignored = read(wake_descriptor, &count, sizeof count);
    }
    if (descriptors[0].revents != 0) return Ok();
  }
}

Status Connection::Session::Flush(const std::stop_token& stop, Deadline deadline) {
  while (true) {
    int left = PQflush(pg);
    if (left == 0) return Ok();
    if (left < 0) return tl::unexpected(LocalError());
    TRY(Wait(stop, deadline, POLLIN | POLLOUT));
    if (PQconsumeInput(pg) == 0) return tl::unexpected(LocalError());
  }
}

Result<Connection::Session::ResultPtr> Connection::Session::NextResult(const std::stop_token& stop,
                                                                       Deadline deadline) {
  while (PQisBusy(pg) != 0) {
    TRY(Wait(stop, deadline, POLLIN));
    // On failure PQgetResult() has the reason and no longer blocks.
    if (PQconsumeInput(pg) == 0) break;
  }
  return ResultPtr(PQgetResult(pg));
}

Status Connection::Session::Begin(const std::stop_token& stop, Deadline deadline) {
  last_sqlstate.clear();
  if (!Usable())
    return RetryError("ConnectionLost",
                      "the connection to " + options.Describe() + " is closed; open another one");
  return CheckGoOn(stop, deadline);
}

Result<Connection::Session::ResultPtr> Connection::Session::Run(
    const std::stop_token& stop, Deadline deadline, LostMeans lost,
    const std::function<int(PGconn*)>& send) {
  TRY(Begin(stop, deadline));
  const bool may_have_happened = lost == LostMeans::kInDoubt;
  auto unanswered = [&](Error error) {
    if (may_have_happened) error.disposition = Disposition::kInDoubt;
    return tl::unexpected(std::move(error));
  };
  if (send(pg) == 0) return tl::unexpected(LocalError());
  if (Status sent = Flush(stop, deadline); !sent) {
    CancelAndClose();
    return unanswered(std::move(sent).error());
  }
  ResultPtr last;
  std::optional<Error> failure;
  while (true) {
    Result<ResultPtr> next = NextResult(stop, deadline);
    if (!next) {
      CancelAndClose();
      return unanswered(std::move(next).error());
    }
    if (*next == nullptr) break;
    ExecStatusType status = PQresultStatus(next->get());
    if (OpensCopy(status)) {
      CancelAndClose();
      return TerminalError("InvalidStatement", "COPY needs CopyIn or CopyOut");
    }
    if (IsFailure(status) && !failure) failure = ErrorOf(next->get());
    last = std::move(*next);
  }
  if (failure && !Usable()) return unanswered(std::move(*failure));
  if (failure) return tl::unexpected(std::move(*failure));
  if (last == nullptr) return unanswered(LocalError());
  return last;
}

// A synchronization point behind each makes it a transaction of its own, and what fails harms none
// of those behind it.
Result<std::vector<Connection::Session::ResultPtr>> Connection::Session::RunEach(
    const std::stop_token& stop, Deadline deadline, size_t count,
    const std::function<int(PGconn*, size_t)>& send) {
  TRY(Begin(stop, deadline));
  bool sent = PQenterPipelineMode(pg) == 1;
  for (size_t at = 0; sent && at < count; ++at) sent = send(pg, at) == 1 && PQpipelineSync(pg) == 1;
  if (!sent) {
    Error error = LocalError();
    Close();
    return tl::unexpected(std::move(error));
  }
  std::vector<ResultPtr> results;
  std::optional<Error> failure;
  Status taken = Flush(stop, deadline);
  for (size_t at = 0; taken && at < count; ++at) {
    Result<ResultPtr> result = NextOfPipeline(stop, deadline);
    if (!result)
      taken = tl::unexpected(std::move(result).error());
    else if (!IsFailure(PQresultStatus(result->get())))
      results.push_back(std::move(*result));
    else if (!failure)
      failure = ErrorOf(result->get());
  }
  if (!taken) {
    CancelAndClose();
    return tl::unexpected(std::move(taken).error());
  }
  CHECK(PQexitPipelineMode(pg) == 1);
  if (failure) return tl::unexpected(std::move(*failure));
  return results;
}

// A statement's result, the nullptr that ends it, and its synchronization point.
Result<Connection::Session::ResultPtr> Connection::Session::NextOfPipeline(
    const std::stop_token& stop, Deadline deadline) {
  ResultPtr answer;
  while (true) {
    TRY_ASSIGN(ResultPtr next, NextResult(stop, deadline));
    if (PQresultStatus(next.get()) == PGRES_PIPELINE_SYNC && answer != nullptr) return answer;
    if (next != nullptr) {
      answer = std::move(next);
    } else if (!Usable()) {
      const bool said = answer != nullptr && IsFailure(PQresultStatus(answer.get()));
      return tl::unexpected(said ? ErrorOf(answer.get()) : LocalError());
    }
  }
}

Status Connection::Session::StartCopy(const std::stop_token& stop, Deadline deadline,
                                      const std::string& statement, ExecStatusType expected) {
  TRY(Begin(stop, deadline));
  if (PQsendQuery(pg, statement.c_str()) == 0) return tl::unexpected(LocalError());
  Status sent = Flush(stop, deadline);
  Result<ResultPtr> opened = sent ? NextResult(stop, deadline) : tl::unexpected(sent.error());
  if (!opened) {
    CancelAndClose();
    return tl::unexpected(std::move(opened).error());
  }
  if (*opened != nullptr && PQresultStatus(opened->get()) == expected) return Ok();
  Error error = *opened != nullptr && IsFailure(PQresultStatus(opened->get()))
                    ? ErrorOf(opened->get())
                    : Error{Disposition::kTerminal, "InvalidStatement", "not a COPY statement"};
  // The server is left ready for the next statement, unless it streams the other way.
  while (*opened != nullptr) {
    if (OpensCopy(PQresultStatus(opened->get()))) {
      CancelAndClose();
      break;
    }
    opened = NextResult(stop, deadline);
    if (!opened) {
      CancelAndClose();
      break;
    }
  }
  return tl::unexpected(std::move(error));
}

Error Connection::Session::ErrorOf(const PGresult* result) {
  ServerError said;
  said.sqlstate = Field(result, PG_DIAG_SQLSTATE);
  said.message = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  said.hint = Field(result, PG_DIAG_MESSAGE_HINT);
  said.schema = Field(result, PG_DIAG_SCHEMA_NAME);
  said.table = Field(result, PG_DIAG_TABLE_NAME);
  said.column = Field(result, PG_DIAG_COLUMN_NAME);
  said.constraint = Field(result, PG_DIAG_CONSTRAINT_NAME);
  last_sqlstate = said.sqlstate;
  // Without a SQLSTATE it was libpq that spoke, because the server is gone.
  if (said.sqlstate.empty())
    return Error{Disposition::kRetry, "ConnectionLost",
                 options.Describe() + ": " + FirstLine(PQresultErrorMessage(result))};
  return ErrorFrom(said);
}

Error Connection::Session::LocalError() {
  return Error{Disposition::kRetry, "ConnectionLost",
               options.Describe() + ": " + FirstLine(pg == nullptr ? "" : PQerrorMessage(pg))};
}

}  // namespace cutover::pg
