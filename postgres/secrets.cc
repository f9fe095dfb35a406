// SPDX-License-Identifier: Apache-2.0
#include "postgres/secrets.h"

#include <libpq-fe.h>

#include <memory>

#include "operator/base/check.h"

namespace cutover::pg {

Status KeepOutOfLogs(std::stop_token stop, Deadline deadline, Transaction& transaction) {
  // From 15 on somebody may have allowed them to a role that is no superuser.
  const char* allowed = transaction.connection().major_version() >= 15
                            ? "has_parameter_privilege(name, 'SET')"
                            : "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";
  TRY(transaction.Query(stop, deadline, std::string(R"(
      SELECT set_config(name, value, true)
        FROM (VALUES ('log_statement', 'none'), ('log_min_error_statement', 'panic'),
                     ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
                     ('pg_stat_statements.track_utility', 'off')) AS quiet (name, value)
       WHERE )") + allowed));
  return Ok();
}

std::string ScramVerifier(const std::string& password) {
  // libpq wants a connection for the words of an error only, so one that never was will do: what is
  // no conninfo string yields one without any attempt to connect.
  std::unique_ptr<PGconn, void (*)(PGconn*)> nowhere(PQconnectStart("nowhere"), PQfinish);
  CHECK(nowhere != nullptr);
  std::unique_ptr<char, void (*)(void*)> verifier(
      PQencryptPasswordConn(nowhere.get(), password.c_str(), "", "scram-sha-256"), PQfreemem);
  CHECK(verifier != nullptr);  // It fails for want of memory or entropy only.
  return verifier.get();
}

}  // namespace cutover::pg
