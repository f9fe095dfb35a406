// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/profiles/common.h"

#include <utility>

#include "postgres/sessions.h"
#include "reconcilers/migration/checks/http_check.h"
#include "reconcilers/migration/checks/sql_check.h"

namespace cutover::migration {
namespace {

// Names with a lower OID are PostgreSQL's own, in every database (FirstNormalObjectId).
constexpr char kBuiltInColumns[] =
    "SELECT a.attname FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind = 'r' AND a.attnum > 0 "
    "AND NOT a.attisdropped AND a.atttypid < 16384";

Result<std::vector<pg::SessionGroup>> SessionsIn(std::stop_token stop, Deadline deadline,
                                                 const Fact<pg::ConnectOptions>& admin,
                                                 const std::string& database) {
  if (!admin.known()) return tl::make_unexpected(admin.error());
  TRY_ASSIGN(pg::Connection connection, pg::Connection::Open(stop, deadline, *admin));
  return pg::ReadSessions(stop, deadline, connection, database, {admin->user});
}

bool IsOurOwn(const pg::SessionGroup& group) { return group.application.starts_with("cutover"); }

}  // namespace

Result<pg::Transaction> BeginReading(std::stop_token stop, Deadline deadline,
                                     pg::Connection& connection) {
  TRY_ASSIGN(pg::Transaction transaction,
             pg::Transaction::Begin(stop, deadline, connection,
                                    {pg::Transaction::Isolation::kReadCommitted, true}));
  TRY(transaction.Exec(stop, deadline, "SET LOCAL lock_timeout = '3s'"));
  return transaction;
}

Result<std::set<std::string>> LockPlainTable(std::stop_token stop, Deadline deadline,
                                             pg::Transaction& transaction, std::string_view name) {
  std::string table = pg::QuoteQualified("public", name);
  auto read = [&]() -> Result<std::set<std::string>> {
    TRY_ASSIGN(pg::Rows rows, transaction.Query(stop, deadline, kBuiltInColumns, {table}));
    std::set<std::string> columns;
    for (pg::Row row : rows) columns.insert(row.Text(0));
    return columns;
  };
  TRY_ASSIGN(std::set<std::string> columns, read());
  if (columns.empty()) return columns;
  TRY(transaction.Exec(stop, deadline, "LOCK TABLE ONLY " + table + " IN ACCESS SHARE MODE"));
  return read();  // Another relation may have taken the name before the lock.
}

Status CompareFigures(const Json& baseline, const Json& found) {
  std::string differences;
  for (const auto& [name, expected] : baseline.Members()) {
    const Json& came = found[name];
    if (came == expected) continue;
    if (!differences.empty()) differences += "; ";
    differences += name + " is " + (came.IsNull() ? "missing" : Excerpt(came.Dump())) +
                   " and was " + Excerpt(expected.Dump()) + " on the source";
  }
  if (differences.empty()) return Ok();
  return RetryError("FiguresDiffer", differences);
}

Result<std::string> SourceIsIdle(std::stop_token stop, Deadline deadline,
                                 const CheckContext& context) {
  auto groups = SessionsIn(stop, deadline, context.source_admin, context.database);
  if (!groups && groups.error().disposition == Disposition::kRetry)
    return "the source could not be asked, its fence keeps everybody out: " +
           groups.error().message;
  if (!groups) return tl::make_unexpected(groups.error());
  if (pg::CountClients(*groups) == 0) return "no session on the source";
  std::string who;
  for (const pg::SessionGroup& group : *groups) {
    if (group.kind != "client backend") continue;
    if (!who.empty()) who += ", ";
    who += group.role + " (" + Excerpt(group.application, 40) + ") " + std::to_string(group.count);
  }
  return RetryError("SourceInUse", "the source database still has sessions: " + who +
                                       "; find what is not in the placement's wiring");
}

Result<std::string> TargetIsInUse(std::stop_token stop, Deadline deadline,
                                  const CheckContext& context) {
  TRY_ASSIGN(auto groups, SessionsIn(stop, deadline, context.target_admin, context.database));
  int count = 0;
  for (const pg::SessionGroup& group : groups)
    if (group.role == context.owner && !IsOurOwn(group)) count += group.count;
  if (count > 0) return std::to_string(count) + " sessions on the target";
  return RetryError("TargetNotInUse", "role " + context.owner +
                                          " has no session in the target database: the workload "
                                          "does not use it");
}

Result<pg::Connection> ConnectAsTenant(std::stop_token stop, Deadline deadline,
                                       const CheckContext& context) {
  if (!context.tenant.known()) return tl::make_unexpected(context.tenant.error());
  return ConnectForCheck(stop, deadline, *context.tenant);
}

}  // namespace cutover::migration
