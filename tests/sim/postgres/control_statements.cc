// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "postgres/idle_transaction.h"
#include "tests/sim/postgres/statement.h"

namespace cutover::sim {
namespace {

Outcome Nothing(const Statement&) { return Table(); }

tl::unexpected<pg::ServerError> LockTimeout() {
  return Fail("55P03", "canceling statement due to lock timeout");
}

// --- control row and ledger ---------------------------------------------------------------------

Outcome FindSchema(const Statement& statement) {
  if (!statement.here().has_schema) return Table();
  return Table{{"t", "t", "t"}};
}

Outcome CreateSchema(const Statement& statement) {
  return statement.Change([name = statement.backend.database](ServerState& state) {
    if (DatabaseState* database = state.Edit(name)) database->has_schema = true;
  });
}

Outcome DropSchema(const Statement& statement) {
  return statement.Change([name = statement.backend.database](ServerState& state) {
    DatabaseState* database = state.Edit(name);
    if (database == nullptr) return;
    database->has_schema = false;
    database->control.reset();
    database->ledger.clear();
    database->results.clear();
    database->has_stream_tables = false;
    database->heartbeats.clear();
    database->markers.clear();
  });
}

Outcome SerializeClaims(const Statement& statement) {
  if (!statement.server.Lock(statement.backend, "claims/" + statement.backend.database))
    return LockTimeout();
  return Table{{""}};
}

bool LockRow(const Statement& statement) {
  return statement.server.Lock(statement.backend, "control/" + statement.backend.database);
}

Outcome ReadRow(const Statement& statement) {
  if (!statement.here().has_schema)
    return Fail("42P01", "relation \"cutover.control\" does not exist");
  if (statement.sql.find("FOR UPDATE") != std::string::npos && !LockRow(statement))
    return LockTimeout();
  const auto& row = statement.here().control;
  if (!row) return Table();
  return Table{{row->migration_uid, Number(row->epoch), row->side, row->state,
                FormatMicroTime(row->changed_at)}};
}

Outcome InsertRow(const Statement& statement) {
  if (!LockRow(statement)) return LockTimeout();
  ControlRow row{statement.Text(0), std::stoll(statement.Text(1)), statement.Text(2),
                 statement.Text(3), statement.server.WallNow()};
  if (statement.here().control) return Table();
  return statement.Change([name = statement.backend.database, row](ServerState& state) {
    DatabaseState* database = state.Edit(name);
    if (database != nullptr && !database->control) database->control = row;
  });
}

Outcome ChangeRow(const Statement& statement, const std::function<void(ControlRow&)>& change) {
  if (!LockRow(statement)) return LockTimeout();
  return statement.Change([name = statement.backend.database, change](ServerState& state) {
    DatabaseState* database = state.Edit(name);
    if (database != nullptr && database->control) change(*database->control);
  });
}

Outcome SetEpoch(const Statement& statement) {
  return ChangeRow(statement,
                   [epoch = std::stoll(statement.Text(0))](ControlRow& row) { row.epoch = epoch; });
}

Outcome SetState(const Statement& statement) {
  return ChangeRow(statement,
                   [to = statement.Text(0), now = statement.server.WallNow()](ControlRow& row) {
                     row.state = to;
                     row.changed_at = now;
                   });
}

Outcome InsertRecord(const Statement& statement) {
  return statement.Change([name = statement.backend.database, kind = statement.Text(0),
                           record = statement.Text(1),
                           value = statement.Text(2)](ServerState& state) {
    if (DatabaseState* database = state.Edit(name))
      database->ledger.try_emplace({kind, record}, value);
  });
}

Outcome DeleteRecord(const Statement& statement) {
  return statement.Change([name = statement.backend.database, kind = statement.Text(0),
                           record = statement.Text(1)](ServerState& state) {
    if (DatabaseState* database = state.Edit(name)) database->ledger.erase({kind, record});
  });
}

Outcome ReadRecord(const Statement& statement) {
  auto found = statement.here().ledger.find({statement.Text(0), statement.Text(1)});
  return found == statement.here().ledger.end() ? Table() : Table{{found->second}};
}

Outcome ReadRecords(const Statement& statement) {
  Table table;
  for (const auto& [key, value] : statement.here().ledger)
    if (key.first == statement.Text(0)) table.push_back({key.second, value});
  return table;
}

// --- the mover's tables -------------------------------------------------------------------------

Outcome HasTable(const Statement& statement) {
  return Table{{Flag(statement.here().has_schema && statement.Text(0) != "cutover.progress")}};
}

Outcome ReadResult(const Statement& statement) {
  auto found =
      statement.here().results.find({statement.Text(0), statement.Text(1), statement.Text(2)});
  return found == statement.here().results.end() ? Table() : Table{{found->second}};
}

// --- the fence ----------------------------------------------------------------------------------

Outcome ReadFencedDatabase(const Statement& statement) {
  const auto& roles = statement.seen().roles;
  const std::string& owner = statement.here().access.owner;
  return Table{{statement.backend.database, statement.backend.user,
                Flag(roles.at(statement.backend.user).superuser), Flag(roles.at(owner).superuser)}};
}

Outcome ReadAccess(const Statement& statement) {
  const DatabaseState* database = statement.seen().Find(statement.Text(0));
  if (database == nullptr) return Table();
  const pg::DatabaseAccess& access = database->access;
  Table table;
  for (const pg::AclItem& item : access.acl)
    table.push_back({access.owner, Number(access.connection_limit), item.grantor, item.grantee,
                     item.privilege, Flag(item.grantable)});
  if (table.empty())
    table.push_back({access.owner, Number(access.connection_limit), {}, {}, {}, {}});
  return table;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Outcome RolesWithConnect(const Statement& statement) {
  const ServerState& state = statement.seen();
  std::vector<std::string> left_out = statement.List(0), names;
  for (const auto& [name, role] : state.roles)
    if (role.login && !role.superuser && !Contains(left_out, name) &&
        (state.MayConnect(name, statement.backend.database) ||
         state.ActsAs(name, statement.here().access.owner)))
      names.push_back(name);
  return Column(names);
}

Outcome NobodyArrives(const Statement&) { return Table{{"0"}}; }

Outcome ReadSessions(const Statement& statement) {
  std::vector<std::string> left_out = statement.List(1);
  std::map<std::pair<std::string, std::string>, int> groups;
  for (const auto& [pid, backend] : statement.server.backends())
    if (backend.database == statement.Text(0) && pid != statement.backend.pid &&
        !Contains(left_out, backend.user))
      ++groups[{backend.user, backend.application}];
  Table table;
  for (const auto& [group, count] : groups)
    table.push_back({group.first, group.second, "client backend", Number(count)});
  return table;
}

Outcome Terminate(const Statement& statement) {
  std::vector<std::string> left_out = statement.List(0);
  std::vector<int> pids;
  for (const auto& [pid, backend] : statement.server.backends())
    if (backend.database == statement.backend.database && pid != statement.backend.pid &&
        !Contains(left_out, backend.user))
      pids.push_back(pid);
  for (int pid : pids) statement.server.End(pid);
  return Table{{Number(static_cast<int64_t>(pids.size()))}};
}

// Whoever drops a database holds a lock by its name; the next one ends that session first.
std::string DroppingLock(const Statement& statement) {
  return "session/dropping/" + statement.Text(0);
}

Outcome EndOtherDropping(const Statement& statement) {
  auto holder = statement.server.HolderOf(DroppingLock(statement));
  if (!holder || *holder == statement.backend.pid) return Table();
  statement.server.End(*holder);
  return Table{{"t"}};
}

Outcome LockDropping(const Statement& statement) {
  if (!statement.server.Lock(statement.backend, DroppingLock(statement))) return LockTimeout();
  return Table{{""}};
}

Outcome ReadPrepared(const Statement& statement) {
  const auto& prepared = statement.here().prepared_transactions;
  return Column({prepared.begin(), prepared.end()});
}

Outcome EndPrepared(const Statement& statement) {
  return statement.ChangeHere([gid = Tokens(statement.sql)[2]](DatabaseState& database) {
    database.prepared_transactions.erase(gid);
  });
}

Outcome SilenceMax(const Statement& statement) {
  const bool ends = statement.backend.in_transaction && statement.backend.bounded;
  return Table{{ends ? Tokens(pg::kEndIfSilent).back() : "0"}};
}

}  // namespace

const std::vector<Known>& ControlStatements() {
  static const std::vector<Known> statements = {
      {"WHERE n.nspname = 'cutover'", FindSchema},
      {"CREATE SCHEMA IF NOT EXISTS cutover", CreateSchema},
      {"DROP SCHEMA cutover CASCADE", DropSchema},
      {"pg_advisory_xact_lock", SerializeClaims},
      {"INSERT INTO cutover.control", InsertRow},
      {"UPDATE cutover.control SET epoch", SetEpoch},
      {"UPDATE cutover.control SET state", SetState},
      {"FROM cutover.control", ReadRow},
      {"INSERT INTO cutover.ledger", InsertRecord},
      {"DELETE FROM cutover.ledger", DeleteRecord},
      {"SELECT value FROM cutover.ledger", ReadRecord},
      {"SELECT name, value FROM cutover.ledger", ReadRecords},
      {"SELECT pg_catalog.to_regclass($1) IS NOT NULL", HasTable},
      {"SELECT result FROM cutover.result", ReadResult},
      {"JOIN pg_roles me ON me.rolname = current_user\n   WHERE d.datname = current_database()",
       ReadFencedDatabase},
      {"LEFT JOIN LATERAL aclexplode", ReadAccess},
      {"WHERE r.rolcanlogin AND NOT r.rolsuper", RolesWithConnect},
      {"l.mode = 'RowExclusiveLock'", NobodyArrives},
      {"SELECT coalesce(usename, ''), application_name", ReadSessions},
      {"SELECT pg_terminate_backend(pid) FROM pg_locks", EndOtherDropping},
      {"SELECT pg_advisory_lock(", LockDropping},
      {"pg_terminate_backend", Terminate},
      {"SELECT gid FROM pg_prepared_xacts", ReadPrepared},
      {"ROLLBACK PREPARED ", EndPrepared},
      {"set_config($1, $2", Nothing},
      {"SELECT set_config(name, value, true)", Nothing},
      {"SHOW idle_in_transaction_session_timeout", SilenceMax},
      {"SET LOCAL lock_timeout", Nothing},
      {"SET LOCAL statement_timeout", Nothing},
      {"SET enable_seqscan", Nothing},
      {"SET statement_timeout = ", Nothing},
  };
  return statements;
}

}  // namespace cutover::sim
