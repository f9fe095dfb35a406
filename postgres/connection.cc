// SPDX-License-Identifier: Apache-2.0
#include "postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <utility>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "postgres/session.h"
#include "postgres/sqlstate.h"

namespace cutover::pg {
namespace {

using std::chrono::seconds;

constexpr int kOldestMajor = 13;
constexpr seconds kRollbackPatience{2};

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct FreeConninfo {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using ConninfoPtr = std::unique_ptr<PQconninfoOption, FreeConninfo>;

/// The text of libpq's `options` keyword: spaces and backslashes of values are escaped.
std::string StartupOptions(const ConnectOptions& options) {
  std::string text;
  auto add = [&text](std::string_view name, std::string_view value) {
    if (!text.empty()) text += ' ';
    text += "-c ";
    text += name;
    text += '=';
    for (char c : value) {
      if (c == ' ' || c == '\\') text += '\\';
      text += c;
    }
  };
  // What the caller's own `options` keyword says comes first: the last mention of a setting wins.
  for (const auto& [keyword, value] : options.keywords) {
    if (keyword == "options") text += value;
  }
  for (const auto& [name, value] : PinnedSettings()) add(name, value);
  for (const auto& [name, value] : options.settings) add(name, value);
  return text;
}

/// Keywords for libpq. Empty ones are left out, so that a service or PG* variables can fill them.
Pairs KeywordsFor(const ConnectOptions& options, std::string_view ca_path) {
  Pairs pairs;
  auto add = [&pairs](std::string_view keyword, std::string_view value) {
    if (!value.empty()) pairs.emplace_back(keyword, value);
  };
  add("host", options.host);
  if (options.port > 0) add("port", std::to_string(options.port));
  add("dbname", options.database);
  add("user", options.user);
  add("password", options.password);
  add("sslmode", options.ssl_mode);
  add("sslrootcert", ca_path.empty() ? std::string_view(options.ca_file) : ca_path);
  add("application_name", options.application_name);
  add("client_encoding", "UTF8");
  add("options", StartupOptions(options));
  // A dead peer must not hold a call until the kernel's two hours are over.
  add("keepalives_idle", "10");
  add("keepalives_interval", "5");
  add("keepalives_count", "3");
  add("tcp_user_timeout", "20000");
  for (const auto& [keyword, value] : options.keywords) {
    if (keyword != "options") add(keyword, value);
  }
  return pairs;
}

bool IsSqlstate(std::string_view text) {
  return text.size() == 5 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

/// libpq hands out no SQLSTATE for a failed connection, but writes it into a verbose message:
/// `… failed: FATAL:  28P01: password authentication failed for user "x"`, in any language.
ServerError ParseConnectFailure(std::string_view text) {
  ServerError said;
  for (size_t at = text.find(":  "); at != std::string_view::npos; at = text.find(":  ", at + 1)) {
    std::string_view candidate = text.substr(at + 3, 5);
    if (!IsSqlstate(candidate) || text.substr(at + 8, 2) != ": ") continue;
    said.sqlstate = candidate;
    std::string_view words = text.substr(at + 10);
    said.message = words.substr(0, words.find('\n'));
    return said;
  }
  said.message = text.substr(0, text.find('\n'));
  return said;
}

Error ConnectError(const ConnectOptions& options, const char* libpq_message,
                   const ServerError& said) {
  if (!said.sqlstate.empty()) return ErrorFrom(said, options.Describe());
  std::string_view text(libpq_message);
  bool is_tls = text.find("SSL") != text.npos || text.find("certificate") != text.npos;
  return Error{is_tls ? Disposition::kTerminal : Disposition::kRetry,
               is_tls ? "TlsFailed" : "ConnectionFailed", options.Describe() + ": " + said.message};
}

void LogNotice(void*, const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char* words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (words != nullptr) LogDebug("server notice", {{"severity", severity}, {"notice", words}});
}

/// Settings that no startup parameter can pin, because older servers do not know them or only a
/// superuser may set them; touched only where they differ.
constexpr const char* kPinTheRest =
    "SELECT current_user = session_user, count(set_config(name, value, false)) "
    "FROM (VALUES ('idle_session_timeout', '0'), ('transaction_timeout', '0'), "
    "('session_replication_role', 'origin')) AS pinned (name, value) "
    "WHERE current_setting(name, true) <> value";

/// Such a session speaks the simple protocol only, which knows no parameters.
bool IsReplication(const ConnectOptions& options) {
  return std::any_of(options.keywords.begin(), options.keywords.end(),
                     [](const auto& keyword) { return keyword.first == "replication"; });
}

Status PinSession(const std::stop_token& stop, Deadline deadline, Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, kPinTheRest));
  if (!rows[0].Bool(0))
    return TerminalError("SessionRoleChanged",
                         connection.options().Describe() +
                             ": a setting of the database or role makes the session act as another "
                             "role; remove it (ALTER DATABASE … RESET role)");
  return Ok();
}

}  // namespace

// --- options ------------------------------------------------------------------------------------

Result<ConnectOptions> ConnectOptions::Parse(const std::string& conninfo) {
  char* complaint = nullptr;
  ConninfoPtr parsed(PQconninfoParse(conninfo.c_str(), &complaint));
  PQfreemem(complaint);  // Not shown: it quotes the string, and the string holds a password.
  if (parsed == nullptr)
    return TerminalError("InvalidConnectionString",
                         "neither a postgresql:// URI nor a list of keyword=value pairs");
  static constexpr std::pair<std::string_view, std::string ConnectOptions::*> kFields[] = {
      {"host", &ConnectOptions::host},
      {"dbname", &ConnectOptions::database},
      {"user", &ConnectOptions::user},
      {"password", &ConnectOptions::password},
      {"sslmode", &ConnectOptions::ssl_mode},
      {"sslrootcert", &ConnectOptions::ca_file},
      {"application_name", &ConnectOptions::application_name},
  };
  ConnectOptions options;
  options.port = 0;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    std::string_view keyword(option->keyword);
    std::string_view value(option->val);
    const auto* field = std::find_if(std::begin(kFields), std::end(kFields),
                                     [&](const auto& entry) { return entry.first == keyword; });
    if (field != std::end(kFields)) {
      options.*(field->second) = value;
    } else if (keyword == "port") {
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.port);
      if (error != std::errc() || end != value.data() + value.size())
        return TerminalError("InvalidConnectionString", "the port must be one number");
    } else if (keyword != "client_encoding") {  // That one is pinned.
      options.keywords.emplace_back(keyword, value);
    }
  }
  if (options.host.find(',') != std::string::npos)
    return TerminalError("InvalidConnectionString", "name one host: a move needs the primary");
  return options;
}

const std::vector<std::pair<std::string_view, std::string_view>>& PinnedSettings() {
  // `role` is here because the owner of a database may set it, and our session would act as him.
  static const std::vector<std::pair<std::string_view, std::string_view>> pinned = {
      {"role", "none"},
      {"search_path", ""},
      {"DateStyle", "ISO,YMD"},
      {"IntervalStyle", "postgres"},
      {"TimeZone", "UTC"},
      {"extra_float_digits", "3"},
      {"bytea_output", "hex"},
      {"xmlbinary", "base64"},
      {"xmloption", "content"},
      {"array_nulls", "on"},
      {"lc_monetary", "C"},
      {"lc_numeric", "C"},
      {"lc_time", "C"},
      {"standard_conforming_strings", "on"},
      {"quote_all_identifiers", "off"},
      {"transform_null_equals", "off"},
      {"row_security", "off"},
      {"constraint_exclusion", "partition"},
      {"statement_timeout", "0"},
      {"lock_timeout", "0"},
      {"idle_in_transaction_session_timeout", "0"},
      {"default_transaction_read_only", "off"},
      {"default_transaction_isolation", "read committed"},
      {"default_transaction_deferrable", "off"},
      {"default_tablespace", ""},
      {"temp_tablespaces", ""},
      {"default_table_access_method", "heap"},
      {"synchronous_commit", "on"},
      {"client_min_messages", "warning"},
      // The server notices a client whose node has died as soon as we notice a dead server, and
      // does not hold its locks for the kernel's two hours. Not tcp_user_timeout: it would also end
      // a session whose client does not read for a while, as a copy that is throttled.
      {"tcp_keepalives_idle", "10"},
      {"tcp_keepalives_interval", "5"},
      {"tcp_keepalives_count", "3"},
      {"jit", "off"},
  };
  return pinned;
}

std::vector<std::pair<std::string, std::string>> EnvironmentFor(const ConnectOptions& options,
                                                                std::string_view ca_path) {
  Pairs environment;
  ConninfoPtr known(PQconndefaults());
  for (const auto& [keyword, value] : KeywordsFor(options, ca_path)) {
    for (const PQconninfoOption* option = known.get();
         option != nullptr && option->keyword != nullptr; ++option) {
      if (keyword == option->keyword && option->envvar != nullptr)
        environment.emplace_back(option->envvar, value);
    }
  }
  return environment;
}

// --- connection ---------------------------------------------------------------------------------

Connection::Connection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

namespace {

/// Hands libpq its keywords; the connection then wants polling.
PGconn* StartConnecting(const ConnectOptions& options, std::string_view ca_path) {
  Pairs pairs = KeywordsFor(options, ca_path);
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : pairs) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0);
}

/// What the service file or the environment filled in, so that Describe() and EnvironmentFor() of
/// an open connection speak of the server it is connected to.
void FillFromConnection(const PGconn* pg, ConnectOptions* options) {
  auto fill = [](std::string* field, const char* value) {
    if (field->empty() && value != nullptr) *field = value;
  };
  fill(&options->host, PQhost(pg));
  fill(&options->database, PQdb(pg));
  fill(&options->user, PQuser(pg));
  fill(&options->password, PQpass(pg));
  std::string_view port(PQport(pg) == nullptr ? "" : PQport(pg));
  if (options->port == 0) std::from_chars(port.data(), port.data() + port.size(), options->port);
}

constexpr std::string_view kEventTriggers = "event_triggers";  // See event_triggers.h.
constexpr std::string_view kUnknownParameter = "42704";
constexpr std::string_view kPermissionDenied = "42501";

/// Who was refused to start a session without event triggers, so that it is not asked at each
/// connection: a refusal is a line in that server's log, and a connection more. Asked again after a
/// while, since the server may be upgraded, and the right be granted.
class Refusals {
 public:
  bool AreFresh(const ConnectOptions& options) {
    MutexLock lock(mutex_);
    auto found = refused_at_.find(Key(options));
    return found != refused_at_.end() &&
           std::chrono::steady_clock::now() - found->second < kAskedAgainAfter;
  }
  void Add(const ConnectOptions& options) {
    MutexLock lock(mutex_);
    refused_at_[Key(options)] = std::chrono::steady_clock::now();
  }

 private:
  static constexpr std::chrono::minutes kAskedAgainAfter{10};

  /// The server, as it is addressed, and the user.
  static std::string Key(const ConnectOptions& options) {
    std::string key = options.user + "@" + options.host + ":" + std::to_string(options.port);
    for (const auto& [keyword, value] : options.keywords)
      if (keyword == "service" || keyword == "hostaddr") key += " " + keyword + "=" + value;
    return key;
  }

  Mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> refused_at_ GUARDED_BY(mutex_);
};

Refusals& RefusalsOfThisProcess() {
  static Refusals refusals;
  return refusals;
}

bool RefusesEventTriggers(const ServerError& said) {
  return (said.sqlstate == kUnknownParameter || said.sqlstate == kPermissionDenied) &&
         said.message.find(kEventTriggers) != std::string::npos;
}

}  // namespace

Status Connection::Session::Connect(const std::stop_token& stop, Deadline deadline,
                                    ServerError* refusal) {
  TRY(CheckGoOn(stop, deadline));
  pg = StartConnecting(options, ca ? ca->path() : "");
  CHECK(pg != nullptr);
  PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(pg, LogNotice, nullptr);
  PostgresPollingStatusType state =
      PQstatus(pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) {
      *refusal = ParseConnectFailure(PQerrorMessage(pg));
      return tl::unexpected(ConnectError(options, PQerrorMessage(pg), *refusal));
    }
    Status waited = Wait(stop, deadline, state == PGRES_POLLING_READING ? POLLIN : POLLOUT);
    if (!waited && waited.error().reason == "DeadlineExceeded")
      return RetryError("ConnectionFailed",
                        options.Describe() + ": no connection within the time allowed");
    TRY(waited);
    state = PQconnectPoll(pg);
  }
  return Ok();
}

Result<Connection> Connection::Open(std::stop_token stop, Deadline deadline,
                                    const ConnectOptions& options) {
  auto session = std::make_unique<Session>();
  session->options = options;
  if (!options.ca_pem.empty()) {
    TRY_ASSIGN(session->ca, CaFile::Of(options.ca_pem));
  }
  // Options of a connection say what its user was allowed, who may be another one.
  auto& settings = session->options.settings;
  std::erase_if(settings,
                [](const auto& s) { return s.first == kEventTriggers && s.second == "off"; });
  const bool said = std::any_of(settings.begin(), settings.end(),
                                [](const auto& s) { return s.first == kEventTriggers; });
  const bool silent = !said && !RefusalsOfThisProcess().AreFresh(options);
  if (silent) settings.emplace_back(kEventTriggers, "off");
  ServerError refusal;
  Status connected = session->Connect(stop, deadline, &refusal);
  if (!connected && silent && RefusesEventTriggers(refusal)) {
    RefusalsOfThisProcess().Add(options);
    settings.pop_back();
    session->Close();
    connected = session->Connect(stop, deadline, &refusal);
  }
  TRY(connected);
  FillFromConnection(session->pg, &session->options);
  PQsetErrorVerbosity(session->pg, PQERRORS_DEFAULT);
  CHECK(PQsetnonblocking(session->pg, 1) == 0);
  Connection connection(std::move(session));
  if (connection.major_version() < kOldestMajor)
    return TerminalError("UnsupportedServer", connection.options().Describe() +
                                                  ": PostgreSQL is older than " +
                                                  std::to_string(kOldestMajor));
  TRY(PinSession(stop, deadline, connection));
  return connection;
}

namespace {

/// libpq's 1 for success, like all that Session::Run() sends by.
int SendQuery(PGconn* pg, const std::string& sql, const Params& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const Param& param : params) values.push_back(param.c_str());
  return PQsendQueryParams(pg, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                           nullptr, nullptr, 0);
}

}  // namespace

Result<Rows> Connection::Query(std::stop_token stop, Deadline deadline, const std::string& sql,
                               const Params& params) {
  const bool simple = params.empty() && IsReplication(session_->options);
  TRY_ASSIGN(auto result, session_->Run(stop, deadline, LostMeans::kRetry, [&](PGconn* pg) {
    return simple ? PQsendQuery(pg, sql.c_str()) : SendQuery(pg, sql, params);
  }));
  return Rows(result.release());
}

Result<std::vector<Rows>> Connection::QueryEach(std::stop_token stop, Deadline deadline,
                                                const std::vector<Statement>& statements) {
  TRY_ASSIGN(auto results,
             session_->RunEach(stop, deadline, statements.size(), [&](PGconn* pg, size_t at) {
               return SendQuery(pg, statements[at].sql, statements[at].params);
             }));
  std::vector<Rows> each;
  each.reserve(results.size());
  for (auto& result : results) each.push_back(Rows(result.release()));
  return each;
}

Status Connection::Exec(std::stop_token stop, Deadline deadline, const std::string& sql) {
  LostMeans lost = in_transaction() ? LostMeans::kRetry : LostMeans::kInDoubt;
  TRY(session_->Run(stop, deadline, lost,
                    [&](PGconn* pg) { return PQsendQuery(pg, sql.c_str()); }));
  return Ok();
}

bool Connection::usable() const { return session_ != nullptr && session_->Usable(); }
bool Connection::in_transaction() const { return usable() && session_->InTransaction(); }
int Connection::server_version() const { return PQserverVersion(session_->pg); }
int Connection::backend_pid() const { return PQbackendPID(session_->pg); }
const ConnectOptions& Connection::options() const { return session_->options; }
const std::string& Connection::last_sqlstate() const { return session_->last_sqlstate; }

// --- transaction --------------------------------------------------------------------------------

Result<Transaction> Transaction::Begin(std::stop_token stop, Deadline deadline,
                                       Connection& connection, Options options) {
  CHECK(!connection.in_transaction());
  std::string sql = "BEGIN ISOLATION LEVEL ";
  switch (options.isolation) {
    case Isolation::kReadCommitted:
      sql += "READ COMMITTED";
      break;
    case Isolation::kRepeatableRead:
      sql += "REPEATABLE READ";
      break;
    case Isolation::kSerializable:
      sql += "SERIALIZABLE";
      break;
  }
  sql += options.read_only ? " READ ONLY" : " READ WRITE";
  for (std::string_view setting : options.settings) sql += "; SET LOCAL " + std::string(setting);
  Transaction transaction(&connection);
  TRY(transaction.Exec(std::move(stop), deadline, sql));
  return transaction;
}

Transaction::~Transaction() {
  if (connection_ == nullptr) return;
  // Ignored because closing, which follows a failure, rolls back as well.
  [[maybe_unused]] Status rolled_back = Rollback({}, Deadline::After(kRollbackPatience));
}

Status Transaction::Exec(std::stop_token stop, Deadline deadline, const std::string& sql) {
  CHECK(connection_ != nullptr);
  TRY(connection_->session_->Run(stop, deadline, Connection::LostMeans::kRetry,
                                 [&](PGconn* pg) { return PQsendQuery(pg, sql.c_str()); }));
  return Ok();
}

Status Transaction::Commit(std::stop_token stop, Deadline deadline) {
  CHECK(connection_ != nullptr);
  Connection::Session& session = *connection_->session_;
  // Nothing was sent: the destructor rolls back, and the caller knows that nothing happened.
  TRY(session.CheckGoOn(stop, deadline));
  connection_ = nullptr;
  if (!session.InTransaction())
    return RetryError("ConnectionLost", "the connection was lost before COMMIT; nothing happened");
  auto answer = session.Run({}, deadline, Connection::LostMeans::kInDoubt,
                            [](PGconn* pg) { return PQsendQuery(pg, "COMMIT"); });
  if (!answer && answer.error().disposition == Disposition::kInDoubt)
    return InDoubtError("TransactionInDoubt",
                        "the connection was lost in COMMIT; what is there must be looked at: " +
                            answer.error().message);
  TRY(answer);
  // A transaction that had failed before answers COMMIT with success and the tag ROLLBACK.
  if (std::string_view(PQcmdStatus(answer->get())) != "COMMIT")
    return TerminalError("TransactionAborted",
                         "the server rolled back, because a statement had failed before COMMIT");
  return Ok();
}

Status Transaction::Rollback(std::stop_token stop, Deadline deadline) {
  CHECK(connection_ != nullptr);
  Connection::Session& session = *std::exchange(connection_, nullptr)->session_;
  if (!session.InTransaction()) return Ok();
  // A statement still streams (an abandoned COPY): only closing ends it in bounded time.
  if (PQtransactionStatus(session.pg) == PQTRANS_ACTIVE) {
    session.CancelAndClose();
    return Ok();
  }
  auto answer = session.Run(stop, deadline, Connection::LostMeans::kRetry,
                            [](PGconn* pg) { return PQsendQuery(pg, "ROLLBACK"); });
  if (!answer) session.Close();
  return Ok();
}

}  // namespace cutover::pg
