// SPDX-License-Identifier: Apache-2.0
#include "postgres/control.h"

#include <algorithm>
#include <array>
#include <utility>

#include "operator/base/check.h"
#include "postgres/event_triggers.h"
#include "postgres/idle_transaction.h"

namespace cutover::pg {
namespace {

struct Move {
  Side side;
  ControlState from;
  ControlState to;
};

using enum ControlState;

constexpr std::array kMoves = {
    Move{Side::kSource, kOpen, kFenced},       Move{Side::kSource, kFenced, kOpen},
    Move{Side::kSource, kFenced, kJournaled},  Move{Side::kSource, kJournaled, kReopened},
    Move{Side::kSource, kJournaled, kRetired}, Move{Side::kSource, kRetired, kDropping},
    Move{Side::kTarget, kPreparing, kCopied},  Move{Side::kTarget, kCopied, kVerified},
    Move{Side::kTarget, kCopied, kPreparing},  Move{Side::kTarget, kVerified, kPreparing},
    Move{Side::kTarget, kVerified, kOpen},     Move{Side::kTarget, kOpen, kFenced},
    Move{Side::kTarget, kVerified, kFenced},   Move{Side::kTarget, kPreparing, kDropping},
    Move{Side::kTarget, kCopied, kDropping},   Move{Side::kTarget, kVerified, kDropping},
    Move{Side::kTarget, kFenced, kDropping},   Move{Side::kTarget, kFenced, kOpen},
    Move{Side::kSource, kFenced, kReopened},
};

constexpr std::array<std::pair<ControlState, std::string_view>, 9> kStateNames = {{
    {kOpen, "open"},
    {kFenced, "fenced"},
    {kJournaled, "journaled"},
    {kReopened, "reopened"},
    {kRetired, "retired"},
    {kPreparing, "preparing"},
    {kCopied, "copied"},
    {kVerified, "verified"},
    {kDropping, "dropping"},
}};

constexpr const char* kCreateSchema = R"(
  CREATE SCHEMA IF NOT EXISTS cutover;
  REVOKE ALL ON SCHEMA cutover FROM PUBLIC;
  CREATE TABLE IF NOT EXISTS cutover.control (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    migration_uid text NOT NULL,
    epoch bigint NOT NULL,
    side text NOT NULL CHECK (side IN ('source', 'target')),
    state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE TABLE IF NOT EXISTS cutover.ledger (
    kind text NOT NULL,
    name text NOT NULL,
    value jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, name));
  REVOKE ALL ON cutover.control, cutover.ledger FROM PUBLIC)";

// A tenant may own a schema of this name, and rules or triggers in it would run as us.
constexpr const char* kFindSchema = R"(
  SELECT n.nspowner = me.oid OR o.rolsuper, c.oid IS NOT NULL,
         c.oid IS NULL OR c.relkind = 'r' AND (c.relowner = me.oid OR co.rolsuper)
    FROM pg_namespace n
         JOIN pg_roles me ON me.rolname = current_user
         JOIN pg_roles o ON o.oid = n.nspowner
         LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'control'
         LEFT JOIN pg_roles co ON co.oid = c.relowner
   WHERE n.nspname = 'cutover')";

constexpr const char* kReadRow = R"(
  SELECT migration_uid, epoch, side, state,
         to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    FROM cutover.control)";

// Any key would do, as long as all leaders use the same one in a database.
constexpr const char* kSerializeClaims = "SELECT pg_advisory_xact_lock(4853715209)";

// A leader that died inside its transaction must not hold the row against the next one.
constexpr std::array<std::string_view, 2> kBounds = {"lock_timeout = '5s'", kEndIfSilent};

std::optional<ControlState> StateNamed(std::string_view name) {
  for (const auto& [state, state_name] : kStateNames) {
    if (state_name == name) return state;
  }
  return std::nullopt;
}

/// Whether the control table is there, and ours.
template <class Session>
Result<bool> FindSchema(const std::stop_token& stop, Deadline deadline, Session& session) {
  TRY_ASSIGN(Rows rows, session.Query(stop, deadline, kFindSchema));
  if (rows.empty()) return false;
  if (!rows[0].Bool(0) || !rows[0].Bool(2))
    return TerminalError("ForeignSchema",
                         "a schema named cutover belongs to another role; rename or drop it");
  return rows[0].Bool(1);
}

template <class Session>
Result<std::optional<Control>> ReadRow(const std::stop_token& stop, Deadline deadline,
                                       Session& session, std::string_view suffix) {
  TRY_ASSIGN(Rows rows, session.Query(stop, deadline, kReadRow + std::string(suffix)));
  if (rows.empty()) return std::optional<Control>();
  Control control;
  control.migration_uid = rows[0].Text(0);
  control.epoch = rows[0].Int(1);
  control.side = rows[0].Text(2) == Name(Side::kSource) ? Side::kSource : Side::kTarget;
  std::optional<ControlState> state = StateNamed(rows[0].Text(3));
  if (!state)
    return TerminalError("UnknownState", "the control row is in state '" + rows[0].Text(3) +
                                             "', which a newer version must have written");
  control.state = *state;
  control.changed_at = rows[0].Text(4);
  return std::optional(std::move(control));
}

/// The claim against the locked row: refused, or the row with its epoch raised to the claim's.
Result<Control> CheckClaim(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                           Control held, const Claim& claim) {
  if (held.migration_uid != claim.migration_uid)
    return TerminalError("ForeignMigration",
                         "migration " + held.migration_uid + " holds this database");
  if (held.side != claim.side)
    return TerminalError("ForeignMigration",
                         "this database is the " + std::string(Name(held.side)) +
                             " of the migration, not its " + std::string(Name(claim.side)));
  if (held.epoch > claim.epoch)
    return TerminalError("Deposed", "a newer leader (epoch " + std::to_string(held.epoch) +
                                        ", this one's is " + std::to_string(claim.epoch) +
                                        ") has taken over");
  if (held.epoch < claim.epoch) {
    TRY(transaction.Query(stop, deadline, "UPDATE cutover.control SET epoch = $1",
                          {static_cast<long long>(claim.epoch)}));
    held.epoch = claim.epoch;
  }
  return held;
}

// A deposed leader's fence may have come between our last look and now.
Status CheckLetIn(const Control& held) {
  if (held.state == kOpen || held.state == kReopened) return Ok();
  return TerminalError("StateMismatch", "the " + std::string(Name(held.side)) + " database is " +
                                            std::string(Name(held.state)) +
                                            ", so what is recorded in it is still needed");
}

Result<Transaction> BeginBounded(const std::stop_token& stop, Deadline deadline,
                                 Connection& connection) {
  Transaction::Options options;
  options.settings.assign(kBounds.begin(), kBounds.end());
  return Transaction::Begin(stop, deadline, connection, std::move(options));
}

}  // namespace

std::string_view Name(Side side) { return side == Side::kSource ? "source" : "target"; }

std::string_view Name(ControlState state) {
  for (const auto& [named, name] : kStateNames) {
    if (named == state) return name;
  }
  CHECK(false);
}

bool MayMove(Side side, ControlState from, ControlState to) {
  return std::any_of(kMoves.begin(), kMoves.end(), [&](const Move& move) {
    return move.side == side && move.from == from && move.to == to;
  });
}

Statement UnderEpoch(std::string sql, const std::string& first, std::optional<int64_t> epoch) {
  if (!epoch) return {std::move(sql), {first}};
  return {std::move(sql) + kUnderEpoch, {first, *epoch}};
}

Result<std::optional<Control>> ReadControl(std::stop_token stop, Deadline deadline,
                                           Connection& connection) {
  TRY_ASSIGN(bool found, FindSchema(stop, deadline, connection));
  if (!found) return std::optional<Control>();
  return ReadRow(stop, deadline, connection, "");
}

Result<Control> ClaimEpoch(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim) {
  TRY_ASSIGN(Transaction transaction, BeginBounded(stop, deadline, connection));
  TRY(transaction.Query(stop, deadline, kSerializeClaims));
  TRY_ASSIGN(bool found, FindSchema(stop, deadline, transaction));
  if (!found) {
    TRY(SilenceEventTriggers(stop, deadline, transaction));
    TRY(transaction.Exec(stop, deadline, kCreateSchema));
    // A tenant may have made one at that very moment: what is there is ours, or not written to.
    TRY_ASSIGN(found, FindSchema(stop, deadline, transaction));
    if (!found) return RetryError("ForeignSchema", "schema cutover was dropped as it was made");
  }
  ControlState first = claim.side == Side::kSource ? kOpen : kPreparing;
  TRY(transaction.Query(
      stop, deadline,
      "INSERT INTO cutover.control (migration_uid, epoch, side, state) "
      "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      {claim.migration_uid, static_cast<long long>(claim.epoch), Name(claim.side), Name(first)}));
  TRY_ASSIGN(std::optional<Control> row, ReadRow(stop, deadline, transaction, " FOR UPDATE"));
  CHECK(row.has_value());
  TRY_ASSIGN(Control held, CheckClaim(stop, deadline, transaction, std::move(*row), claim));
  TRY(transaction.Commit(stop, deadline));
  return held;
}

Status WithEpoch(std::stop_token stop, Deadline deadline, Connection& connection,
                 const Claim& claim, const Effect& effect) {
  TRY_ASSIGN(Transaction transaction, BeginBounded(stop, deadline, connection));
  TRY_ASSIGN(bool found, FindSchema(stop, deadline, transaction));
  std::optional<Control> row;
  if (found) {
    TRY_ASSIGN(row, ReadRow(stop, deadline, transaction, " FOR UPDATE"));
  }
  if (!row)
    return TerminalError("NotClaimed",
                         connection.options().Describe() + ": no migration has claimed it");
  TRY_ASSIGN(Control held, CheckClaim(stop, deadline, transaction, std::move(*row), claim));
  TRY(effect(transaction, held));
  return transaction.Commit(stop, deadline);
}

Status MoveState(std::stop_token stop, Deadline deadline, Transaction& transaction,
                 const Control& held, ControlState from, ControlState to) {
  CHECK(MayMove(held.side, from, to));
  if (held.state == to) return Ok();
  if (held.state != from)
    return TerminalError("StateMismatch", "the " + std::string(Name(held.side)) + " database is " +
                                              std::string(Name(held.state)) +
                                              ", so it cannot go from " + std::string(Name(from)) +
                                              " to " + std::string(Name(to)));
  TRY(transaction.Query(stop, deadline,
                        "UPDATE cutover.control SET state = $1, changed_at = clock_timestamp()",
                        {Name(to)}));
  return Ok();
}

Status CompareAndSetState(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, ControlState from, ControlState to) {
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control& held) {
                     return MoveState(stop, deadline, transaction, held, from, to);
                   });
}

Status HoldState(std::stop_token stop, Deadline deadline, Connection& connection,
                 const Claim& claim, ControlState state) {
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction&, const Control& held) -> Status {
        if (held.state == state) return Ok();
        return RetryError("StateMismatch", "the " + std::string(Name(held.side)) + " database is " +
                                               std::string(Name(held.state)) + " and no longer " +
                                               std::string(Name(state)));
      });
}

Status DropControl(std::stop_token stop, Deadline deadline, Connection& connection,
                   const Claim& claim) {
  TRY_ASSIGN(std::optional<Control> control, ReadControl(stop, deadline, connection));
  if (!control) return Ok();
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control& held) -> Status {
                     TRY(CheckLetIn(held));
                     TRY(SilenceEventTriggers(stop, deadline, transaction));
                     return transaction.Exec(stop, deadline, "DROP SCHEMA cutover CASCADE");
                   });
}

// --- ledger -------------------------------------------------------------------------------------

Result<Json> RecordOnce(std::stop_token stop, Deadline deadline, Transaction& transaction,
                        std::string_view kind, std::string_view name, const Json& value) {
  TRY(transaction.Query(stop, deadline,
                        "INSERT INTO cutover.ledger (kind, name, value) VALUES ($1, $2, $3) "
                        "ON CONFLICT DO NOTHING",
                        {kind, name, value.Dump()}));
  TRY_ASSIGN(Rows rows,
             transaction.QueryOne(stop, deadline,
                                  "SELECT value FROM cutover.ledger WHERE kind = $1 AND name = $2",
                                  {kind, name}));
  return Json::Parse(rows[0].Text(0));
}

Status ForgetRecord(std::stop_token stop, Deadline deadline, Transaction& transaction,
                    std::string_view kind, std::string_view name) {
  TRY(transaction.Query(stop, deadline, "DELETE FROM cutover.ledger WHERE kind = $1 AND name = $2",
                        {kind, name}));
  return Ok();
}

Result<std::optional<Json>> ReadRecord(std::stop_token stop, Deadline deadline,
                                       Connection& connection, std::string_view kind,
                                       std::string_view name) {
  TRY_ASSIGN(std::vector<LedgerEntry> entries, ReadRecords(stop, deadline, connection, kind));
  for (LedgerEntry& entry : entries) {
    if (entry.name == name) return std::optional(std::move(entry.value));
  }
  return std::optional<Json>();
}

Result<std::vector<LedgerEntry>> ReadRecords(std::stop_token stop, Deadline deadline,
                                             Connection& connection, std::string_view kind) {
  std::vector<LedgerEntry> entries;
  TRY_ASSIGN(bool found, FindSchema(stop, deadline, connection));
  if (!found) return entries;
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                         "SELECT name, value FROM cutover.ledger WHERE kind = $1 "
                                         "ORDER BY name COLLATE \"C\"",
                                         {kind}));
  for (Row row : rows) {
    TRY_ASSIGN(Json value, Json::Parse(row.Text(1)));
    entries.push_back({std::string(kind), row.Text(0), std::move(value)});
  }
  return entries;
}

}  // namespace cutover::pg
