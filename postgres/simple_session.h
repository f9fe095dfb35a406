// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/pooler.h"

namespace cutover::pg {

/// A session with PgBouncer, which Connection cannot have: the admin console knows the simple query
/// protocol only, and PgBouncer refuses clients that bring settings in their `options`. Included by
/// the .cc files of this folder only. Used by one thread at a time.
class SimpleSession {
 public:
  /// Column name → value; NULL is absent. PgBouncer's versions differ in columns and their order.
  using Row = std::map<std::string, std::string>;
  using Rows = std::vector<Row>;

  /// `database` is an entry of the pooler, or "pgbouncer" for the console. kRetry
  /// "PoolerUnreachable" when nobody, or PgBouncer for reasons of its own, did not let us in;
  /// terminal "PoolerRefused" when it is the login that is wrong; "Stopped".
  static Result<SimpleSession> Open(const std::stop_token& stop, Deadline deadline,
                                    const PoolerLogin& login, const std::string& database);

  /// The rows of one statement. kRetry "PoolerUnreachable" when the session ended or the answer did
  /// not come; what PgBouncer said when it refused: kRetry "PoolerError" with its words.
  Result<Rows> Query(const std::stop_token& stop, Deadline deadline, const std::string& statement);

  /// Query() in two parts, for a statement whose answer may never come. Answered() returns nothing
  /// as long as it has not, and does not wait for it.
  Status Send(const std::string& statement);
  Result<std::optional<Rows>> Answered();

  /// Sleeps until something arrives, at most for `patience`.
  void AwaitInput(std::chrono::milliseconds patience) const;

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  explicit SimpleSession(std::string describe) : describe_(std::move(describe)) {}
  Result<std::optional<Rows>> TakeAnswer();
  Error Lost() const;

  std::string describe_;
  std::unique_ptr<PGconn, Finish> pg_;
  // What has arrived so far of the answer to the statement that runs.
  std::optional<Rows> rows_;
  std::string refusal_;
};

}  // namespace cutover::pg
