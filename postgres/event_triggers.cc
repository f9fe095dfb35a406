// SPDX-License-Identifier: Apache-2.0
#include "postgres/event_triggers.h"

namespace cutover::pg {

Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Connection& connection) {
  return connection.Exec(stop, deadline,
                         connection.major_version() >= 17
                             ? "SET event_triggers TO off"
                             : "SET session_replication_role TO replica");
}

Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Transaction& transaction) {
  const bool has_own_setting = transaction.connection().major_version() >= 17;
  TRY(transaction.Query(stop, deadline,
                        "SELECT set_config($1, $2, true) FROM pg_roles "
                        "WHERE rolname = current_user AND rolsuper",
                        {has_own_setting ? "event_triggers" : "session_replication_role",
                         has_own_setting ? "off" : "replica"}));
  return Ok();
}

}  // namespace cutover::pg
