// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// A privilege that the admin role lacks, and the statement that gives it.
struct MissingPrivilege {
  std::string privilege;
  std::string remedy;
};

/// A server as its DatabaseServer resource reports it.
struct ServerFacts {
  int version_number = 0;  ///< 150020
  std::string version;     ///< "15.20"
  std::string system_identifier;
  int timeline = 0;
  bool in_recovery = false;
  std::string wal_level;
  std::vector<std::string> tenants;  ///< Databases that are neither templates nor `postgres`.
  int connections_used = 0;
  int connections_max = 0;  ///< Without those reserved for superusers.
  bool admin_is_superuser = false;
  std::vector<MissingPrivilege> missing_privileges;

  int slots_used = 0;
  int slots_max = 0;
  int wal_senders_used = 0;
  int wal_senders_max = 0;
  int replication_workers_used = 0;
  int replication_workers_max = 0;
  int64_t slot_wal_bytes_max = -1;  ///< WAL that the server keeps for a slot; -1: no bound.
  /// A sentence for each thing that stands in the way of logical replication; empty means ready.
  std::vector<std::string> replication_obstacles;
};

/// An expression: which timeline the server's log is on, another one after each promotion. On a
/// primary that is asked of the WAL file that it writes to: pg_control_checkpoint() would show the
/// old one until the first checkpoint after a promotion.
inline constexpr char kTimelineOfLog[] = R"(
  CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer END)";

/// One look at a server, over a connection to any of its databases.
Result<ServerFacts> ProbeServer(std::stop_token stop, Deadline deadline, Connection& connection);

/// The size in bytes of all databases that we may look at. The server looks at each of their files,
/// of which hundreds of tenants have millions: this may take minutes, and is no part of a probe.
Result<int64_t> ReadServerSize(std::stop_token stop, Deadline deadline, Connection& connection);

/// What tells this cluster from every other, also from one that has taken over its name:
/// pg_controldata has it as "Database system identifier". A standby shares its primary's.
Result<std::string> ReadSystemIdentifier(std::stop_token stop, Deadline deadline,
                                         Connection& connection);

}  // namespace cutover::pg
