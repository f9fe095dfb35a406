// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "operator/base/result.h"
#include "postgres/pooler.h"

namespace cutover::pg::testing {

/// A client as drivers are that prepare statements by the protocol and keep them. Waits for ever:
/// ctest's bound is its own. Errors: kRetry "PoolerError" in the words of whoever refused.
class PreparedSession {
 public:
  struct Call {
    std::string statement;  ///< Its name.
    std::vector<std::string> values;
  };

  static Result<PreparedSession> Open(const PoolerLogin& login, const std::string& database);

  /// `types` are numbers in pg_type, of the server that answers now; empty: whatever it finds.
  Status Prepare(const std::string& name, const std::string& sql,
                 const std::vector<Oid>& types = {});
  /// All sent before the first is answered, with one Sync: without a BEGIN among them they are one
  /// transaction.
  Status Execute(const std::vector<Call>& calls);

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> pg_;
};

}  // namespace cutover::pg::testing
