// SPDX-License-Identifier: Apache-2.0
#include "postgres/simple_session.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;

/// How often a wait looks at its stop token.
constexpr milliseconds kGlance{20};

std::string FirstLine(const char* text) {
  std::string_view view(text == nullptr ? "" : text);
  return std::string(view.substr(0, view.find('\n')));
}

/// Only while it is about the login itself is there no point in trying again: PgBouncer also
/// refuses because it is full, shutting down, or its server is away. Words, since its versions
/// disagree about the SQLSTATE of them all.
bool IsRefusalOfLogin(std::string_view words) {
  static constexpr std::array<std::string_view, 6> kWords = {
      "authentication failed",    "no such user",         "no such database",
      "no authentication method", "not allowed to login", "client_tls_sslmode"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return words.find(word) != words.npos; });
}

bool Arrived(int socket, short events, milliseconds patience) {
  pollfd descriptor{socket, events, 0};
  return poll(&descriptor, 1, static_cast<int>(patience.count())) > 0;
}

SimpleSession::Rows ReadRows(const PGresult* result) {
  SimpleSession::Rows rows(static_cast<size_t>(PQntuples(result)));
  for (int row = 0; row < PQntuples(result); ++row)
    for (int column = 0; column < PQnfields(result); ++column)
      if (PQgetisnull(result, row, column) == 0)
        rows[row].emplace(PQfname(result, column), PQgetvalue(result, row, column));
  return rows;
}

}  // namespace

Result<SimpleSession> SimpleSession::Open(const std::stop_token& stop, Deadline deadline,
                                          const PoolerLogin& login, const std::string& database) {
  SimpleSession session(login.Describe());
  const std::string port = std::to_string(login.port);
  const std::array<const char*, 12> keywords = {"host",
                                                "port",
                                                "dbname",
                                                "user",
                                                "password",
                                                "application_name",
                                                "keepalives_idle",
                                                "keepalives_interval",
                                                "keepalives_count",
                                                "tcp_user_timeout",
                                                "client_encoding",
                                                nullptr};
  const std::array<const char*, 12> values = {login.host.c_str(),
                                              port.c_str(),
                                              database.c_str(),
                                              login.user.c_str(),
                                              login.password.c_str(),
                                              "cutover",
                                              "10",
                                              "5",
                                              "3",
                                              "20000",
                                              "UTF8",
                                              nullptr};
  session.pg_.reset(PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0));
  PGconn* pg = session.pg_.get();
  // Its notices are for people at a terminal.
  PQsetNoticeProcessor(
      pg, [](void*, const char*) {}, nullptr);
  PostgresPollingStatusType state =
      PQstatus(pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) {
      const std::string words = FirstLine(PQerrorMessage(pg));
      if (IsRefusalOfLogin(words))
        return TerminalError("PoolerRefused",
                             session.describe_ + " does not let " + login.user + " in: " + words);
      return RetryError("PoolerUnreachable", session.describe_ + ": " + words);
    }
    if (stop.stop_requested()) return RetryError("Stopped", "stopped before a pooler had answered");
    if (deadline.Expired()) return tl::unexpected(session.Lost());
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (Arrived(PQsocket(pg), events, std::min(kGlance, deadline.Remaining())))
      state = PQconnectPoll(pg);
  }
  return session;
}

Status SimpleSession::Send(const std::string& statement) {
  if (PQsendQuery(pg_.get(), statement.c_str()) == 0 || PQflush(pg_.get()) < 0)
    return tl::unexpected(Lost());
  return Ok();
}

Result<std::optional<SimpleSession::Rows>> SimpleSession::Answered() {
  PGconn* pg = pg_.get();
  if (PQconsumeInput(pg) == 0) return tl::unexpected(Lost());
  while (PQisBusy(pg) == 0) {
    PGresult* result = PQgetResult(pg);
    if (result == nullptr) return TakeAnswer();
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) rows_ = ReadRows(result);
    if (status == PGRES_COMMAND_OK) rows_.emplace();
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE)
      refusal_ = FirstLine(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    PQclear(result);
  }
  return std::optional<Rows>();
}

Result<std::optional<SimpleSession::Rows>> SimpleSession::TakeAnswer() {
  std::optional<Rows> rows = std::exchange(rows_, std::nullopt);
  const std::string refusal = std::exchange(refusal_, "");
  if (PQstatus(pg_.get()) != CONNECTION_OK) return tl::unexpected(Lost());
  if (!refusal.empty()) return RetryError("PoolerError", describe_ + ": " + refusal);
  if (!rows) return tl::unexpected(Lost());
  return rows;
}

void SimpleSession::AwaitInput(milliseconds patience) const {
  Arrived(PQsocket(pg_.get()), POLLIN, patience);
}

Result<SimpleSession::Rows> SimpleSession::Query(const std::stop_token& stop, Deadline deadline,
                                                 const std::string& statement) {
  TRY(Send(statement));
  while (true) {
    TRY_ASSIGN(std::optional<Rows> rows, Answered());
    if (rows) return std::move(*rows);
    if (stop.stop_requested()) return RetryError("Stopped", "stopped before a pooler had answered");
    if (deadline.Expired()) return tl::unexpected(Lost());
    AwaitInput(std::min(kGlance, deadline.Remaining() + milliseconds(1)));
  }
}

Error SimpleSession::Lost() const {
  const std::string words = FirstLine(PQerrorMessage(pg_.get()));
  return Error{Disposition::kRetry, "PoolerUnreachable",
               describe_ + (words.empty() ? " does not answer" : ": " + words)};
}

}  // namespace cutover::pg
