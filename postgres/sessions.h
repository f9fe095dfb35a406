// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// Sessions of one role with one application name.
struct SessionGroup {
  std::string role;
  std::string application;
  std::string kind;  ///< "client backend", "walsender", "logical replication worker", …
  int count = 0;
};

/// Sessions on `database`, those of `roles_left_out` not counted: the proof that nobody is left on
/// the source and somebody has arrived on the target. An apply worker acts for whoever made its
/// subscription, so it is left out by its subscription's name, not by its role: a stream's role and
/// subscription are called the same. Needs pg_read_all_stats to see them all.
Result<std::vector<SessionGroup>> ReadSessions(std::stop_token stop, Deadline deadline,
                                               Connection& connection, std::string_view database,
                                               const std::vector<std::string>& roles_left_out);

/// What ReadSessions() asks and makes of the answer, for whoever asks it beside others.
Statement SessionsStatement(std::string_view database,
                            const std::vector<std::string>& roles_left_out);
std::vector<SessionGroup> SessionsFrom(const Rows& rows);

/// The condition by which ReadSessions() and the fence choose from pg_stat_activity: `parameter`
/// ("$2") is the array of the names that are left out.
std::string ForeignSessions(std::string_view parameter);

/// Of ReadSessions(): all of kind "client backend".
int CountClients(const std::vector<SessionGroup>& groups);

}  // namespace cutover::pg
