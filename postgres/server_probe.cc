// SPDX-License-Identifier: Apache-2.0
#include "postgres/server_probe.h"

#include <utility>

namespace cutover::pg {
namespace {

constexpr const char* kProbe = R"(
  SELECT current_setting('server_version'),
         (SELECT system_identifier FROM pg_control_system()),
         pg_is_in_recovery(),)";
// The last column: slots are kept whole up to the larger one of the two settings, in MiB; -1 lifts
// the bound, and below version 13 there is none.
constexpr const char* kProbeRest = R"(,
         current_setting('wal_level'),
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
         current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer,
         (SELECT count(*) FROM pg_replication_slots),
         current_setting('max_replication_slots')::integer,
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'),
         current_setting('max_wal_senders')::integer,
         current_setting('max_logical_replication_workers')::integer,
         (SELECT count(*) FROM pg_stat_activity
           WHERE backend_type LIKE 'logical replication % worker'
              OR backend_type = 'logical replication worker'),
         (SELECT CASE WHEN min(setting::bigint) < 0 THEN -1
                      ELSE coalesce(max(setting::bigint) << 20, -1) END
            FROM pg_settings WHERE name IN ('max_slot_wal_keep_size', 'wal_keep_size')))";

constexpr const char* kPrivileges = R"(
  SELECT r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
         pg_has_role('pg_read_all_data', 'USAGE'), pg_has_role('pg_signal_backend', 'USAGE'),
         pg_has_role('pg_read_all_stats', 'USAGE'),
         has_table_privilege('pg_authid', 'SELECT'), r.rolname
    FROM pg_roles r WHERE r.rolname = current_user)";

void ListMissing(Row row, int major, ServerFacts* facts) {
  facts->admin_is_superuser = row.Bool(0);
  if (facts->admin_is_superuser) return;
  const std::string role = QuoteIdentifier(row.Text(8));
  auto need = [&](bool present, std::string privilege, std::string remedy) {
    if (!present) facts->missing_privileges.push_back({std::move(privilege), std::move(remedy)});
  };
  need(row.Bool(1), "CREATEROLE", "ALTER ROLE " + role + " CREATEROLE");
  need(row.Bool(2), "CREATEDB", "ALTER ROLE " + role + " CREATEDB");
  need(row.Bool(3), "REPLICATION", "ALTER ROLE " + role + " REPLICATION");
  // The role arrived in 14; before it nothing short of a superuser reads all.
  need(major >= 14 && row.Bool(4), "pg_read_all_data",
       major >= 14 ? "GRANT pg_read_all_data TO " + role : "ALTER ROLE " + role + " SUPERUSER");
  need(row.Bool(5), "pg_signal_backend", "GRANT pg_signal_backend TO " + role);
  need(row.Bool(6), "pg_read_all_stats", "GRANT pg_read_all_stats TO " + role);
  need(row.Bool(7), "SELECT on pg_authid", "GRANT SELECT ON pg_catalog.pg_authid TO " + role);
}

void ListReplicationObstacles(ServerFacts* facts) {
  auto note = [&](bool stands, std::string sentence) {
    if (stands) facts->replication_obstacles.push_back(std::move(sentence));
  };
  note(facts->wal_level != "logical",
       "wal_level is " + facts->wal_level + "; set it to logical and restart the server");
  note(facts->in_recovery, "the server is a standby; name its primary as the endpoint");
  note(facts->slots_used >= facts->slots_max,
       "all " + std::to_string(facts->slots_max) +
           " replication slots are taken; raise max_replication_slots");
  note(facts->wal_senders_used >= facts->wal_senders_max,
       "all " + std::to_string(facts->wal_senders_max) +
           " WAL senders are taken; raise max_wal_senders");
  note(facts->replication_workers_max == 0, "max_logical_replication_workers is 0; raise it");
  note(facts->replication_workers_max > 0 &&
           facts->replication_workers_used >= facts->replication_workers_max,
       "all " + std::to_string(facts->replication_workers_max) +
           " logical replication workers are busy; raise max_logical_replication_workers");
}

}  // namespace

Result<ServerFacts> ProbeServer(std::stop_token stop, Deadline deadline, Connection& connection) {
  ServerFacts facts;
  facts.version_number = connection.server_version();
  TRY_ASSIGN(Rows probe, connection.QueryOne(stop, deadline,
                                             std::string(kProbe) + kTimelineOfLog + kProbeRest));
  Row row = probe[0];
  // "15.20 (Debian 15.20-0+deb12u1)"
  facts.version = row.Text(0).substr(0, row.Text(0).find(' '));
  facts.system_identifier = row.Text(1);
  facts.in_recovery = row.Bool(2);
  facts.timeline = static_cast<int>(row.Int(3));
  facts.wal_level = row.Text(4);
  facts.connections_used = static_cast<int>(row.Int(5));
  facts.connections_max = static_cast<int>(row.Int(6));
  facts.slots_used = static_cast<int>(row.Int(7));
  facts.slots_max = static_cast<int>(row.Int(8));
  facts.wal_senders_used = static_cast<int>(row.Int(9));
  facts.wal_senders_max = static_cast<int>(row.Int(10));
  facts.replication_workers_max = static_cast<int>(row.Int(11));
  facts.replication_workers_used = static_cast<int>(row.Int(12));
  facts.slot_wal_bytes_max = row.Int(13);
  TRY_ASSIGN(Rows tenants, connection.Query(stop, deadline, R"(
      SELECT datname FROM pg_database
       WHERE NOT datistemplate AND datallowconn AND datname <> 'postgres'
         AND datname !~ '^cutover_new_'
       ORDER BY datname COLLATE "C")"));
  for (Row tenant : tenants) facts.tenants.push_back(tenant.Text(0));
  std::string privileges = kPrivileges;
  if (connection.major_version() < 14) {
    const std::string unknown = "pg_has_role('pg_read_all_data', 'USAGE')";
    privileges.replace(privileges.find(unknown), unknown.size(), "false");
  }
  TRY_ASSIGN(Rows privilege_rows, connection.QueryOne(stop, deadline, privileges));
  ListMissing(privilege_rows[0], connection.major_version(), &facts);
  ListReplicationObstacles(&facts);
  return facts;
}

Result<int64_t> ReadServerSize(std::stop_token stop, Deadline deadline, Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline, R"(
      SELECT coalesce(sum(pg_database_size(oid)), 0) FROM pg_database
       WHERE has_database_privilege(oid, 'CONNECT')
          OR pg_has_role('pg_read_all_stats', 'USAGE'))"));
  return rows[0].Int(0);
}

Result<std::string> ReadSystemIdentifier(std::stop_token stop, Deadline deadline,
                                         Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline,
                                            "SELECT system_identifier FROM pg_control_system()"));
  return rows[0].Text(0);
}

}  // namespace cutover::pg
