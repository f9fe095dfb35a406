// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libpq-fe.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/ca_file.h"
#include "postgres/connection.h"
#include "postgres/sqlstate.h"

namespace cutover::pg {

/// What Connection hides: libpq's connection and the waiting on it. Included by the .cc files of
/// this folder only.
struct Connection::Session {
  struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

  Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// Connects as `options` and `ca` say; `refusal` is what the server has said where it refuses.
  Status Connect(const std::stop_token& stop, Deadline deadline, ServerError* refusal);
  /// Before a statement: an error when the connection is closed already, or it is time to end.
  Status Begin(const std::stop_token& stop, Deadline deadline);
  /// Waits until the socket has one of poll's `events`; the error says why it did not come.
  Status Wait(const std::stop_token& stop, Deadline deadline, short events);
  /// Sends all that libpq holds, reading meanwhile so that neither side can block the other.
  Status Flush(const std::stop_token& stop, Deadline deadline);
  /// The next result of the running statement; nullptr after the last one.
  Result<ResultPtr> NextResult(const std::stop_token& stop, Deadline deadline);
  /// Sends by `send` and takes all results: the last one, or the first error. An interrupted
  /// statement is cancelled and the connection closed.
  Result<ResultPtr> Run(const std::stop_token& stop, Deadline deadline, LostMeans lost,
                        const std::function<int(PGconn*)>& send);
  /// `count` statements in one go, each a query of its own; `send` is asked for one after the
  /// other. All results, or the first error. Interrupted as Run() is.
  Result<std::vector<ResultPtr>> RunEach(const std::stop_token& stop, Deadline deadline,
                                         size_t count,
                                         const std::function<int(PGconn*, size_t)>& send);
  /// The result of the statement that is next in the pipeline.
  Result<ResultPtr> NextOfPipeline(const std::stop_token& stop, Deadline deadline);
  /// Like Run, for `COPY`: stops at the result that opens the stream, which must be `expected`.
  Status StartCopy(const std::stop_token& stop, Deadline deadline, const std::string& statement,
                   ExecStatusType expected);

  /// "Stopped" or "DeadlineExceeded", when it is time for it.
  Status CheckGoOn(const std::stop_token& stop, Deadline deadline) const;
  bool Usable() const { return pg != nullptr && PQstatus(pg) == CONNECTION_OK; }
  bool InTransaction() const { return Usable() && PQtransactionStatus(pg) != PQTRANS_IDLE; }

  /// The Error of a failed result; remembers its SQLSTATE.
  Error ErrorOf(const PGresult* result);
  /// The Error when libpq itself failed (a send on a dead connection).
  Error LocalError();

  /// Asks the server to stop the statement, gives it a moment to end, and closes.
  void CancelAndClose();
  void Close();

  PGconn* pg = nullptr;
  ConnectOptions options;
  std::optional<CaFile> ca;
  std::string last_sqlstate;
  int wake_descriptor = -1;  ///< An eventfd, by which a stop token ends a poll().
};

}  // namespace cutover::pg
