// SPDX-License-Identifier: Apache-2.0
#include "postgres/event_triggers.h"

namespace cutover::pg {

Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Connection& connection) {
  const bool has_own_setting = connection.major_version() >= 17;
  const char* allowed =
      connection.major_version() >= 15 ? "has_parameter_privilege($1, 'SET')" : "rolsuper";
  TRY(connection.Query(
      stop, deadline,
      std::string(
          "SELECT set_config($1, $2, false) FROM pg_roles WHERE rolname = current_user AND ") +
          allowed,
      {has_own_setting ? "event_triggers" : "session_replication_role",
       has_own_setting ? "off" : "replica"}));
  return Ok();
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
