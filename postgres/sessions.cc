// SPDX-License-Identifier: Apache-2.0
#include "postgres/sessions.h"

namespace cutover::pg {

std::string ForeignSessions(std::string_view parameter) {
  // Parallel workers of a query count with their leader; autovacuum writes nothing that a copy
  // would miss. The kind of an apply worker has got other names over the versions.
  const std::string names(parameter);
  return R"(pid <> pg_backend_pid() AND backend_type NOT IN ('autovacuum worker', 'parallel worker')
      AND CASE WHEN backend_type LIKE 'logical replication %worker'
          THEN pid NOT IN (SELECT s.pid FROM pg_stat_subscription s
                            WHERE s.pid IS NOT NULL AND s.subname = ANY ()" +
         names + R"(::text[]))
          ELSE coalesce(usename, '') <> ALL ()" +
         names + "::text[]) END";
}

Statement SessionsStatement(std::string_view database,
                            const std::vector<std::string>& roles_left_out) {
  return {R"(
      SELECT coalesce(usename, ''), application_name, backend_type, count(*)
        FROM pg_stat_activity
       WHERE datname = $1 AND )" +
              ForeignSessions("$2") + " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
          {database, roles_left_out}};
}

Result<std::vector<SessionGroup>> ReadSessions(std::stop_token stop, Deadline deadline,
                                               Connection& connection, std::string_view database,
                                               const std::vector<std::string>& roles_left_out) {
  const Statement statement = SessionsStatement(database, roles_left_out);
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, statement.sql, statement.params));
  return SessionsFrom(rows);
}

std::vector<SessionGroup> SessionsFrom(const Rows& rows) {
  std::vector<SessionGroup> groups;
  for (Row row : rows)
    groups.push_back({row.Text(0), row.Text(1), row.Text(2), static_cast<int>(row.Int(3))});
  return groups;
}

int CountClients(const std::vector<SessionGroup>& groups) {
  int count = 0;
  for (const SessionGroup& group : groups) {
    if (group.kind == "client backend") count += group.count;
  }
  return count;
}

}  // namespace cutover::pg
