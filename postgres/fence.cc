// SPDX-License-Identifier: Apache-2.0
#include "postgres/fence.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "operator/base/check.h"
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookAgain{25};
constexpr int kArrivalLooksMax = 100;
// Who prepares a transaction commits it at once, when all is well: for one second.
constexpr int kPreparedLooksMax = 40;

// Where the ledger keeps what the fence changes.
constexpr std::string_view kRecordKind = "database";
constexpr std::string_view kRecordName = "access";

constexpr const char* kReadDatabase = R"(
  SELECT d.datname, me.rolname, me.rolsuper, o.rolsuper
    FROM pg_database d
         JOIN pg_roles o ON o.oid = d.datdba
         JOIN pg_roles me ON me.rolname = current_user
   WHERE d.datname = current_database())";

// A session takes this lock before it is checked against the access of the database, and holds it
// until it shows in pg_stat_activity: between them the two views leave no gap.
constexpr const char* kCountArriving = R"(
  SELECT count(*)
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'object' AND l.classid = 'pg_database'::regclass AND l.database = 0
     AND l.objid = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND l.mode = 'RowExclusiveLock' AND l.pid <> pg_backend_pid() AND a.datid IS NULL)";

// Besides those with CONNECT: a member of the owning role could take the fence down from another
// database.
constexpr const char* kRolesWithConnect = R"(
  SELECT r.rolname
    FROM pg_roles r JOIN pg_database d ON d.datname = current_database()
   WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> ALL ($1::text[])
     AND (has_database_privilege(r.oid, d.oid, 'CONNECT') OR pg_has_role(r.oid, d.datdba, 'MEMBER'))
   ORDER BY 1)";

constexpr const char* kReadPrepared =
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid";

// Whom only a superuser may end is left alone by others: asking would end nobody at all.
constexpr const char* kTerminate =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database()"
    " AND (EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)"
    " OR usesysid IN (SELECT oid FROM pg_roles WHERE NOT rolsuper)) AND ";

std::string Join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

std::string Describe(const std::vector<SessionGroup>& groups) {
  std::vector<std::string> items;
  for (const SessionGroup& group : groups)
    items.push_back(group.role + " (" +
                    (group.application.empty() ? group.kind : group.application) + ")");
  return Join(items);
}

tl::unexpected<Error> PreparedTransactionsError(const FenceState& state) {
  return TerminalError("PreparedTransactions",
                       "prepared transactions hold database " + QuoteIdentifier(state.database) +
                           ": " + Join(state.prepared_transactions) +
                           "; run COMMIT PREPARED or ROLLBACK PREPARED for each, connected to it");
}

tl::unexpected<Error> SessionsRemain(const FenceState& state) {
  return RetryError("SessionsRemain",
                    "sessions on database " + QuoteIdentifier(state.database) +
                        " have not ended: " + Describe(state.foreign_sessions) +
                        (state.admin_is_superuser
                             ? ""
                             : "; of superusers, only a superuser can end them: close them"));
}

std::vector<std::string> Ours(std::string_view admin, const FenceOptions& options) {
  std::vector<std::string> roles = options.allowed_roles;
  roles.emplace_back(admin);
  return roles;
}

/// The access that a fenced database has: the admin's as owner, and CONNECT for who has to stay.
DatabaseAccess FencedAccess(const FenceState& state, const std::vector<std::string>& staying) {
  DatabaseAccess access;
  access.owner = state.admin;
  access.connection_limit = state.admin_is_superuser ? 0 : state.access.connection_limit;
  for (const char* privilege : {"CONNECT", "CREATE", "TEMPORARY"})
    access.acl.push_back({state.admin, state.admin, privilege, false});
  for (const std::string& role : staying) {
    if (role != state.admin) access.acl.push_back({state.admin, role, "CONNECT", false});
  }
  std::sort(access.acl.begin(), access.acl.end());
  return access;
}

Status RecordAndCloseNow(std::stop_token stop, Deadline deadline, Connection& connection,
                         const Claim& claim, const FenceOptions& options) {
  return WithEpoch(
      stop, deadline, connection, claim,
      [&](Transaction& transaction, const Control& held) -> Status {
        TRY_ASSIGN(FenceState state, ObserveFence(stop, deadline, connection, options));
        // Once fenced, and on a target that never opened, the owner is the admin role.
        if (held.state == ControlState::kOpen && state.owner_is_superuser)
          return TerminalError("SuperuserOwner",
                               "database " + QuoteIdentifier(state.database) +
                                   " belongs to a superuser, whom no fence stops; give it to the "
                                   "tenant's own role (ALTER DATABASE … OWNER TO …)");
        if (!state.prepared_transactions.empty() && !options.end_prepared)
          return PreparedTransactionsError(state);
        TRY(RecordOnce(stop, deadline, transaction, kRecordKind, kRecordName,
                       ToJson(WithoutRoles(state.access, options.allowed_roles))));
        TRY_ASSIGN(std::vector<std::string> staying,
                   ExistingRoles(stop, deadline, transaction, options.allowed_roles));
        TRY(ApplyAccess(stop, deadline, transaction, state.database, FencedAccess(state, staying)));
        if (held.state == ControlState::kJournaled && options.keep_journal) return Ok();
        // A target that is closed still: from here nobody opens it, however late he comes.
        ControlState from =
            held.state == ControlState::kVerified ? ControlState::kVerified : ControlState::kOpen;
        return MoveState(stop, deadline, transaction, held, from, ControlState::kFenced);
      });
}

// In no transaction, and so under no epoch but the one that closed the database a moment ago.
Status EndPrepared(const std::stop_token& stop, Deadline deadline, Connection& connection) {
  TRY_ASSIGN(const Rows prepared, connection.Query(stop, deadline, kReadPrepared));
  for (Row row : prepared) {
    Status ended =
        connection.Exec(stop, deadline, "ROLLBACK PREPARED " + QuoteLiteral(row.Text(0)));
    // 42704: somebody else has ended it. 42501: it is not ours to end, which the proof says.
    const std::string state = ended ? "" : connection.last_sqlstate();
    if (!ended && state != "42704" && state != "42501") return ended;
  }
  return Ok();
}

}  // namespace

bool FenceState::refuses_newcomers() const {
  return access.owner == admin && roles_with_connect.empty() &&
         (access.connection_limit == 0 || !admin_is_superuser);
}

bool FenceState::OnlyArrivalsMissing() const {
  return refuses_newcomers() && foreign_sessions.empty() && prepared_transactions.empty() &&
         arriving_sessions > 0;
}

bool FenceState::fenced() const {
  return refuses_newcomers() && foreign_sessions.empty() && arriving_sessions == 0 &&
         prepared_transactions.empty();
}

Result<FenceState> ObserveFence(std::stop_token stop, Deadline deadline, Connection& connection,
                                const FenceOptions& options) {
  const std::string& name = connection.options().database;
  const std::vector<std::string> ours = Ours(connection.options().user, options);
  // Arriving sessions before all sessions: one that shows up between the two looks is then in the
  // second. Prepared transactions last, since a session that is gone by now may have left one.
  TRY_ASSIGN(const std::vector<Rows> seen, connection.QueryEach(stop, deadline,
                                                                {{kReadDatabase, {}},
                                                                 AccessStatement(name),
                                                                 {kRolesWithConnect, {ours}},
                                                                 {kCountArriving, {}},
                                                                 SessionsStatement(name, ours),
                                                                 {kReadPrepared, {}}}));
  const Rows& database = seen[0];
  if (database.empty())
    return TerminalError("DatabaseNotFound", "database " + QuoteIdentifier(name) + " is gone");
  FenceState state;
  state.database = database[0].Text(0);
  state.admin = database[0].Text(1);
  state.admin_is_superuser = database[0].Bool(2);
  state.owner_is_superuser = database[0].Bool(3);
  TRY_ASSIGN(state.access, AccessFrom(seen[1], name));
  for (Row row : seen[2]) state.roles_with_connect.push_back(row.Text(0));
  state.arriving_sessions = static_cast<int>(seen[3][0].Int(0));
  state.foreign_sessions = SessionsFrom(seen[4]);
  for (Row row : seen[5]) state.prepared_transactions.push_back(row.Text(0));
  return state;
}

Status RecordAndClose(std::stop_token stop, Deadline deadline, Connection& connection,
                      const Claim& claim, const FenceOptions& options) {
  Status closed = RecordAndCloseNow(stop, deadline, connection, claim, options);
  for (int look = 1; look < kPreparedLooksMax; ++look) {
    if (closed || closed.error().reason != "PreparedTransactions") break;
    if (stop.stop_requested() || deadline.Remaining() < 2 * kLookAgain) break;
    std::this_thread::sleep_for(kLookAgain);
    closed = RecordAndCloseNow(stop, deadline, connection, claim, options);
  }
  return closed;
}

Status TerminateSessions(std::stop_token stop, Deadline deadline, Connection& connection,
                         const FenceOptions& options) {
  std::optional<FenceState> before;
  // Time that is up in the middle of a look says nothing; who was there in the one before does.
  const auto failed = [&before](Error error) -> Status {
    if (before && error.reason == "DeadlineExceeded") return SessionsRemain(*before);
    return tl::make_unexpected(std::move(error));
  };
  while (true) {
    Result<FenceState> state = ObserveFence(stop, deadline, connection, options);
    if (!state) return failed(std::move(state).error());
    if (state->foreign_sessions.empty() && state->arriving_sessions == 0) return Ok();
    if (deadline.Remaining() < 2 * kLookAgain) return SessionsRemain(*state);
    before = std::move(*state);
    auto ended = connection.Query(stop, deadline, kTerminate + ForeignSessions("$1"),
                                  {Ours(before->admin, options)});
    if (!ended) return failed(std::move(ended).error());
    std::this_thread::sleep_for(kLookAgain);
  }
}

Status ProveFenced(std::stop_token stop, Deadline deadline, Connection& connection,
                   const FenceOptions& options) {
  TRY_ASSIGN(FenceState state, ObserveFence(stop, deadline, connection, options));
  // Whoever is about to be refused arrives as well, and programs that lost their sessions knock all
  // the time. One look at a moment without arrivals is the proof.
  for (int look = 1; look < kArrivalLooksMax && state.OnlyArrivalsMissing(); ++look) {
    std::this_thread::sleep_for(kLookAgain);
    TRY_ASSIGN(state, ObserveFence(stop, deadline, connection, options));
  }
  if (state.fenced()) return Ok();
  if (!state.prepared_transactions.empty()) return PreparedTransactionsError(state);
  std::vector<std::string> missing;
  if (state.access.owner != state.admin)
    missing.push_back("its owner is " + QuoteIdentifier(state.access.owner));
  if (!state.roles_with_connect.empty())
    missing.push_back("these roles may connect: " + Join(state.roles_with_connect));
  if (state.admin_is_superuser && state.access.connection_limit != 0)
    missing.push_back("its connection limit is not 0");
  if (!state.foreign_sessions.empty())
    missing.push_back("connected are: " + Describe(state.foreign_sessions));
  if (state.arriving_sessions > 0) missing.push_back("a session is being let in");
  return RetryError("NotFenced", "database " + QuoteIdentifier(state.database) +
                                     " is not fenced: " + Join(missing));
}

Status Fence(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
             const FenceOptions& options) {
  TRY(RecordAndClose(stop, deadline, connection, claim, options));
  TRY(TerminateSessions(stop, deadline, connection, options));
  if (options.end_prepared) TRY(EndPrepared(stop, deadline, connection));
  return ProveFenced(stop, deadline, connection, options);
}

Result<DatabaseAccess> ReadAccessBeforeFence(std::stop_token stop, Deadline deadline,
                                             Connection& connection) {
  TRY_ASSIGN(std::optional<Json> record,
             ReadRecord(stop, deadline, connection, kRecordKind, kRecordName));
  if (!record)
    return TerminalError("LedgerMissing",
                         "nothing is recorded of the access that the database had");
  return DatabaseAccessFrom(*record);
}

Status Unfence(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
               ControlState to) {
  CHECK(to == ControlState::kOpen || to == ControlState::kReopened);
  return WithEpoch(
      stop, deadline, connection, claim,
      [&](Transaction& transaction, const Control& held) -> Status {
        if (held.state == to) return Ok();
        // The state decides first: after the journal, undo must not even begin.
        const bool lost_journal = held.state == ControlState::kFenced;
        const ControlState from = to == ControlState::kOpen || lost_journal
                                      ? ControlState::kFenced
                                      : ControlState::kJournaled;
        TRY(MoveState(stop, deadline, transaction, held, from, to));
        TRY_ASSIGN(DatabaseAccess before, ReadAccessBeforeFence(stop, deadline, connection));
        TRY_ASSIGN(DatabaseAccess access, WithStreamRoles(stop, deadline, transaction,
                                                          std::move(before), claim.migration_uid));
        TRY_ASSIGN(Rows name, transaction.QueryOne(stop, deadline, "SELECT current_database()"));
        TRY(ApplyAccess(stop, deadline, transaction, name[0].Text(0), access));
        return ForgetRecord(stop, deadline, transaction, kRecordKind, kRecordName);
      });
}

}  // namespace cutover::pg
