// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"

struct pg_conn;    // libpq's PGconn
struct pg_result;  // libpq's PGresult

namespace cutover::pg {

/// Where to connect, as whom. Holds a password: never log one, log Describe().
struct ConnectOptions {
  std::string host;
  int port = 5432;
  std::string database;
  std::string user;
  std::string password;
  std::string ssl_mode;  ///< As libpq names them; empty is libpq's own default.
  std::string ca_pem;    ///< Certificates themselves; wins over ca_file.
  std::string ca_file;   ///< A path.
  std::string application_name = "cutover";
  /// Further libpq keywords ("sslcert", "replication", …), verbatim.
  std::vector<std::pair<std::string, std::string>> keywords;
  /// Further server settings, on top of (and stronger than) PinnedSettings().
  std::vector<std::pair<std::string, std::string>> settings;

  /// From a URI, a conninfo string, or "service=NAME"; what it leaves out comes from PG* variables.
  /// Terminal "InvalidConnectionString"; the message never repeats the string.
  static Result<ConnectOptions> Parse(const std::string& conninfo);

  ConnectOptions WithDatabase(std::string_view name) const;
  /// "user@host:port/database": all that may be shown.
  std::string Describe() const;
};

/// The settings that every session starts with, whatever database or role say. They are startup
/// parameters, so they hold from the first statement and survive RESET ALL.
const std::vector<std::pair<std::string_view, std::string_view>>& PinnedSettings();

/// The same options for a libpq program (pg_dump) as PG* environment variables, pinned settings in
/// PGOPTIONS; a password must never be an argument. `ca_path`: CaFile::path(), when there is a PEM.
std::vector<std::pair<std::string, std::string>> EnvironmentFor(const ConnectOptions& options,
                                                                std::string_view ca_path = "");

/// "name" quoted, with its quotes doubled: always quoted, so that no keyword surprises.
std::string QuoteIdentifier(std::string_view name);
/// "schema"."name".
std::string QuoteQualified(std::string_view schema, std::string_view name);
/// A string literal that means the same under any standard_conforming_strings.
std::string QuoteLiteral(std::string_view text);

/// A parameter of a statement ($1, …), in text form. std::nullopt is NULL.
class Param {
 public:
  Param(std::nullopt_t) {}
  Param(const char* text) : text_(text) {}
  Param(std::string text) : text_(std::move(text)) {}
  Param(std::string_view text) : text_(text) {}
  Param(std::optional<std::string> text) : text_(std::move(text)) {}
  Param(bool value) : text_(value ? "true" : "false") {}
  Param(int value) : text_(std::to_string(value)) {}
  Param(unsigned value) : text_(std::to_string(value)) {}
  Param(long value) : text_(std::to_string(value)) {}
  Param(unsigned long value) : text_(std::to_string(value)) {}
  Param(long long value) : text_(std::to_string(value)) {}
  /// An array; say `$1::text[]` in the statement.
  Param(const std::vector<std::string>& items);

  const char* c_str() const { return text_ ? text_->c_str() : nullptr; }

 private:
  std::optional<std::string> text_;
};
using Params = std::vector<Param>;

/// What Connection::QueryEach() asks.
struct Statement {
  std::string sql;
  Params params;
};

/// One row of Rows; valid as long as those.
class Row {
 public:
  bool IsNull(int column) const;
  /// The value's text, or nothing for NULL. The view lives as long as the Rows.
  std::optional<std::string_view> Get(int column) const;
  /// The value, with NULL as the empty string, 0 or false.
  std::string Text(int column) const;
  int64_t Int(int column) const;
  double Double(int column) const;
  bool Bool(int column) const;
  /// A one-dimensional text array ("{a,NULL,\"b c\"}"); NULL items become empty strings.
  std::vector<std::string> TextArray(int column) const;

 private:
  friend class Rows;
  Row(pg_result* result, int row) : result_(result), row_(row) {}
  pg_result* result_;
  int row_;
};

/// The result of one statement. Movable, not copyable; readable from any one thread.
class Rows {
 public:
  int size() const;
  bool empty() const { return size() == 0; }
  Row operator[](int row) const { return Row(result_.get(), row); }
  /// Rows that an INSERT, UPDATE, DELETE or COPY touched.
  int64_t affected() const;
  /// "COMMIT", "ROLLBACK", "INSERT 0 1": what the server says it did.
  std::string command_tag() const;

  class Iterator {
   public:
    Row operator*() const { return (*rows_)[row_]; }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    friend class Rows;
    Iterator(const Rows* rows, int row) : rows_(rows), row_(row) {}
    const Rows* rows_;
    int row_;
  };
  Iterator begin() const { return Iterator(this, 0); }
  Iterator end() const { return Iterator(this, size()); }

 private:
  friend class Connection;
  struct Clear {
    void operator()(pg_result* result) const;
  };
  explicit Rows(pg_result* result) : result_(result) {}
  std::unique_ptr<pg_result, Clear> result_;
};

/// One session of a PostgreSQL server. It and all that it spawned is one world, used by one thread
/// at a time.
///
/// Every call ends when the stop token asks for it or the deadline passes: the statement is then
/// cancelled at the server and the connection is closed, because a cancel request that arrives late
/// would hit the next statement. Such a call fails with reason "Stopped" or "DeadlineExceeded".
/// Names are resolved by libpq in a blocking way, bounded by the resolver's own timeouts.
///
/// Errors come from the table in sqlstate.cc. A connection that is lost is kRetry in Query, which
/// is for reads and for statements inside a Transaction, and kInDoubt in Exec outside of one.
class Connection {
 public:
  /// Connects, pins the session's settings, and makes sure that the session acts as the user that
  /// connected (a database or role may carry a `role` setting). Reasons: those of the SQLSTATE
  /// table, "ConnectionFailed" when no server answered, "TlsFailed", "UnsupportedServer".
  static Result<Connection> Open(std::stop_token stop, Deadline deadline,
                                 const ConnectOptions& options);

  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// One statement with parameters; NULL and values come back as text.
  Result<Rows> Query(std::stop_token stop, Deadline deadline, const std::string& sql,
                     const Params& params = {});
  /// Exactly one row, or a terminal error "UnexpectedResult".
  Result<Rows> QueryOne(std::stop_token stop, Deadline deadline, const std::string& sql,
                        const Params& params = {});
  /// The statements in their order and in one round trip (libpq, Pipeline Mode), each as if Query()
  /// had asked it: outside of a transaction each is one of its own, and sees what others have done
  /// since the one before. Their rows, or the error of the first that failed; those behind it have
  /// run nevertheless, except in a transaction, which is then to be rolled back. Not for
  /// replication sessions.
  Result<std::vector<Rows>> QueryEach(std::stop_token stop, Deadline deadline,
                                      const std::vector<Statement>& statements);
  /// One or several statements without parameters; their rows are thrown away.
  Status Exec(std::stop_token stop, Deadline deadline, const std::string& sql);

  /// False after the connection was lost, stopped or timed out; open another one then.
  bool usable() const;
  bool in_transaction() const;
  int server_version() const;  ///< 150020 is 15.20.
  int major_version() const { return server_version() / 10000; }
  int backend_pid() const;
  const ConnectOptions& options() const;
  /// SQLSTATE of the last call that failed; empty when the server said none.
  const std::string& last_sqlstate() const;

 private:
  friend class CopyIn;
  friend class CopyOut;
  friend class Transaction;
  struct Session;
  enum class LostMeans { kRetry, kInDoubt };

  explicit Connection(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

/// A transaction that is rolled back unless Commit() says otherwise. The connection must outlive
/// it and be used only through it (or beside it, in the same thread).
class Transaction {
 public:
  enum class Isolation { kReadCommitted, kRepeatableRead, kSerializable };
  struct Options {
    Isolation isolation = Isolation::kReadCommitted;
    bool read_only = false;
    /// Settings of this transaction alone, as SET LOCAL takes them ("lock_timeout = '5s'").
    std::vector<std::string_view> settings = {};
  };

  static Result<Transaction> Begin(std::stop_token stop, Deadline deadline, Connection& connection,
                                   Options options);
  static Result<Transaction> Begin(std::stop_token stop, Deadline deadline,
                                   Connection& connection) {
    return Begin(std::move(stop), deadline, connection, Options{});
  }
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  /// Rolls back if still open; if that cannot be done at once, the connection is closed instead,
  /// which has the same effect.
  ~Transaction();

  Result<Rows> Query(std::stop_token stop, Deadline deadline, const std::string& sql,
                     const Params& params = {});
  Result<Rows> QueryOne(std::stop_token stop, Deadline deadline, const std::string& sql,
                        const Params& params = {});
  Result<std::vector<Rows>> QueryEach(std::stop_token stop, Deadline deadline,
                                      const std::vector<Statement>& statements);
  Status Exec(std::stop_token stop, Deadline deadline, const std::string& sql);

  /// Success only when the server said COMMIT. kInDoubt with reason "TransactionInDoubt" when the
  /// answer did not arrive: look what is there, never repeat blindly. Once COMMIT is sent, the stop
  /// token no longer matters, only the deadline.
  Status Commit(std::stop_token stop, Deadline deadline);
  Status Rollback(std::stop_token stop, Deadline deadline);

  Connection& connection() { return *connection_; }

 private:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  Connection* connection_;  ///< nullptr once it has ended or was moved from.
};

}  // namespace cutover::pg
