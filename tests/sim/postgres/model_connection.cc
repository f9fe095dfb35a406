// SPDX-License-Identifier: Apache-2.0
//
// pg::Connection and pg::Transaction over a ModelServer. A program that has these among its own
// objects leaves those of postgres/connection.cc in their archive and runs everything else of
// postgres/ as it is: fence, control row, access, roles.
#include <libpq-fe.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "postgres/connection.h"
#include "postgres/idle_transaction.h"
#include "postgres/sqlstate.h"
#include "tests/sim/postgres/model_server.h"

namespace cutover::pg {
namespace {

using sim::Cell;
using sim::Table;

// What PQcmdTuples() shall say of a result that has no rows. libpq lets nobody set that, so it is
// the name of a column.
constexpr std::string_view kAffected = "affected ";

// libpq's own result, so that Row and Rows read it as they read a server's.
PGresult* ResultOf(const Table& table, int64_t affected) {
  PGresult* result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
  CHECK(result != nullptr);
  if (affected > 0) {
    std::string name = std::string(kAffected) + std::to_string(affected);
    PGresAttDesc column{};
    column.name = name.data();
    CHECK(table.empty() && PQsetResultAttrs(result, 1, &column) == 1);
    return result;
  }
  if (table.empty()) return result;
  std::vector<PGresAttDesc> columns(table.front().size());
  static char no_name[] = "";
  for (PGresAttDesc& column : columns) column.name = no_name;
  CHECK(PQsetResultAttrs(result, static_cast<int>(columns.size()), columns.data()) == 1);
  for (size_t row = 0; row < table.size(); ++row) {
    for (size_t column = 0; column < columns.size(); ++column) {
      const Cell& cell = table[row][column];
      std::string text = cell.value_or("");
      CHECK(PQsetvalue(result, static_cast<int>(row), static_cast<int>(column),
                       cell ? text.data() : nullptr,
                       cell ? static_cast<int>(text.size()) : -1) == 1);
    }
    // A SELECT without columns still has rows.
    if (columns.empty()) continue;
  }
  return result;
}

}  // namespace

struct Connection::Session {
  sim::ModelServer* server = nullptr;
  int pid = 0;
  ConnectOptions options;
  std::string last_sqlstate;

  ~Session() { Close(); }
  void Close() {
    if (pid != 0) server->End(pid);
    pid = 0;
  }
  sim::Backend* Live() { return pid == 0 ? nullptr : server->Find(pid); }

  Error Lost(LostMeans means) {
    pid = 0;
    return Error{means == LostMeans::kInDoubt ? Disposition::kInDoubt : Disposition::kRetry,
                 "ConnectionLost",
                 options.Describe() + ": server closed the connection unexpectedly"};
  }

  tl::expected<Table, Error> Run(const std::string& sql, const std::vector<Cell>& params,
                                 LostMeans means) {
    last_sqlstate.clear();
    sim::Backend* backend = Live();
    // Found dead before anything was sent.
    if (backend == nullptr) return tl::make_unexpected(Lost(LostMeans::kRetry));
    if (backend->failed) return Refused(*backend, FailedBefore());
    auto table = Evaluate(sql, params);
    if (Live() == nullptr) return tl::make_unexpected(Lost(means));
    // Outside of a transaction a statement's locks go with it.
    if (!Live()->in_transaction) server->Rollback(*Live());
    if (table) return *table;
    return Refused(*Live(), table.error());
  }

 private:
  tl::expected<Table, ServerError> Evaluate(const std::string& sql,
                                            const std::vector<Cell>& params) {
    sim::Backend& backend = *Live();
    try {
      backend.statement = sql;
      backend.affected = 0;
      backend.late = false;
      return RunStatement(*server, backend, sql, params);
    } catch (const sim::Late&) {
      CHECK(!backend.in_transaction && !backend.late);
      backend.affected = 0;
      backend.late = true;
      return RunStatement(*server, backend, sql, params);
    }
  }
  static ServerError FailedBefore() {
    ServerError error;
    error.sqlstate = "25P02";
    error.message =
        "current transaction is aborted, commands ignored until end of transaction block";
    return error;
  }
  tl::unexpected<Error> Refused(sim::Backend& backend, const ServerError& error) {
    backend.failed = backend.in_transaction;
    last_sqlstate = error.sqlstate;
    return tl::make_unexpected(ErrorFrom(error));
  }
};

Connection::Connection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::Open(std::stop_token, Deadline, const ConnectOptions& options) {
  sim::ModelServer* server = sim::ModelNetwork::Find(options.host, options.port);
  if (server == nullptr)
    return RetryError("ConnectionFailed", options.Describe() + ": connection refused");
  auto backend =
      server->Connect(options.user, options.password, options.database, options.application_name);
  if (!backend) return tl::make_unexpected(ErrorFrom(backend.error(), options.Describe()));
  auto session = std::make_unique<Session>();
  session->server = server;
  session->pid = (*backend)->pid;
  session->options = options;
  return Connection(std::move(session));
}

Result<Rows> Connection::Query(std::stop_token, Deadline, const std::string& sql,
                               const Params& params) {
  std::vector<Cell> cells;
  cells.reserve(params.size());
  for (const Param& param : params)
    cells.push_back(param.c_str() == nullptr ? Cell() : Cell(param.c_str()));
  auto table = session_->Run(sql, cells, LostMeans::kRetry);
  if (!table) return tl::make_unexpected(table.error());
  return Rows(ResultOf(*table, session_->Live()->affected));
}

Result<std::vector<Rows>> Connection::QueryEach(std::stop_token stop, Deadline deadline,
                                                const std::vector<Statement>& statements) {
  std::vector<Rows> each;
  std::optional<Error> failure;
  for (const Statement& statement : statements) {
    Result<Rows> rows = Query(stop, deadline, statement.sql, statement.params);
    if (!rows && !failure) failure = rows.error();
    if (rows) each.push_back(std::move(*rows));
  }
  if (failure) return tl::make_unexpected(std::move(*failure));
  return each;
}

Status Connection::Exec(std::stop_token, Deadline, const std::string& sql) {
  auto done = session_->Run(sql, {}, in_transaction() ? LostMeans::kRetry : LostMeans::kInDoubt);
  if (!done) return tl::make_unexpected(done.error());
  return Ok();
}

bool Connection::usable() const { return session_ != nullptr && session_->Live() != nullptr; }
bool Connection::in_transaction() const { return usable() && session_->Live()->in_transaction; }
int Connection::server_version() const { return session_->server->version_number(); }
int Connection::backend_pid() const { return session_->pid; }
const ConnectOptions& Connection::options() const { return session_->options; }
const std::string& Connection::last_sqlstate() const { return session_->last_sqlstate; }

Result<Transaction> Transaction::Begin(std::stop_token, Deadline, Connection& connection,
                                       Options options) {
  CHECK(!connection.in_transaction());
  sim::Backend* backend = connection.session_->Live();
  if (backend == nullptr)
    return tl::make_unexpected(connection.session_->Lost(Connection::LostMeans::kRetry));
  connection.session_->server->Begin(*backend);
  backend->bounded = std::find(options.settings.begin(), options.settings.end(), kEndIfSilent) !=
                     options.settings.end();
  return Transaction(&connection);
}

Transaction::~Transaction() {
  if (connection_ == nullptr) return;
  [[maybe_unused]] Status rolled_back = Rollback({}, Deadline::Never());
}

Status Transaction::Exec(std::stop_token stop, Deadline deadline, const std::string& sql) {
  CHECK(connection_ != nullptr);
  return connection_->Exec(std::move(stop), deadline, sql);
}

Status Transaction::Commit(std::stop_token, Deadline) {
  CHECK(connection_ != nullptr);
  auto in_doubt = [](Connection::Session& session) -> Status {
    session.pid = 0;
    return InDoubtError("TransactionInDoubt",
                        "the connection was lost in COMMIT; what is there must be looked at");
  };
  Connection::Session& session = *std::exchange(connection_, nullptr)->session_;
  if (session.pid == 0)
    return RetryError("ConnectionLost", "the connection was lost before COMMIT; nothing happened");
  sim::Backend* backend = session.Live();
  // It has ended since the last statement, and the client does not know before it has sent COMMIT.
  if (backend == nullptr) return in_doubt(session);
  if (backend->failed) {
    session.server->Rollback(*backend);
    return TerminalError("TransactionAborted",
                         "the server rolled back, because a statement had failed before COMMIT");
  }
  if (session.server->Commit(*backend)) return Ok();
  return in_doubt(session);
}

Status Transaction::Rollback(std::stop_token, Deadline) {
  CHECK(connection_ != nullptr);
  Connection::Session& session = *std::exchange(connection_, nullptr)->session_;
  sim::Backend* backend = session.Live();
  if (backend != nullptr && backend->in_transaction) session.server->Rollback(*backend);
  return Ok();
}

}  // namespace cutover::pg

// In libpq's place for this program: see ResultOf().
extern "C" char* PQcmdTuples(PGresult* result) {
  static char none[] = "";
  if (PQnfields(result) != 1) return none;
  char* name = PQfname(result, 0);
  using cutover::pg::kAffected;
  return std::string_view(name).starts_with(kAffected) ? name + kAffected.size() : none;
}
