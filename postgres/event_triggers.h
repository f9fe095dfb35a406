// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

// From PostgreSQL 17 on, Connection::Open() starts sessions with event_triggers = off, where it is
// allowed to: triggers on login fire before our first statement, with our admin's rights, and one
// that fails lets nobody in. options() of such a connection say so, and with them the programs that
// connect by them (pg_dump). A session that is not allowed to is one like any of the tenant's.

/// From now on the tenant's event triggers do not fire for what this session does: they would write
/// into the tenant's tables for our DDL in schema cutover, or refuse it. Before PostgreSQL 17 the
/// only way is the replica role, which also silences ordinary triggers and foreign keys, and which
/// triggers that were set to fire ALWAYS ignore; so use it for sessions that only do DDL.
/// Does nothing where we are neither a superuser nor allowed by GRANT SET ON PARAMETER: such an
/// admin cannot bring event triggers along either (see mover/plan/obstacles.h).
Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Connection& connection);

/// The same for the rest of `transaction` alone, and only where we are a superuser: for
/// transactions in which nothing else happens that the replica role would change.
Status SilenceEventTriggers(std::stop_token stop, Deadline deadline, Transaction& transaction);

}  // namespace cutover::pg
