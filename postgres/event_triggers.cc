// SPDX-License-Identifier: Apache-2.0
#include "postgres/event_triggers.h"

namespace cutover::pg {

Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Connection& connection) {
  return connection.Exec(stop, deadline,
                         connection.major_version() >= 17
                             ? "SET event_triggers TO off"
                             : "SET session_replication_role TO replica");
}

}  // namespace cutover::pg
