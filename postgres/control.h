// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::pg {

/// The control row: one row in schema `cutover` of the database of each side of a move. It is what
/// makes a deposed leader harmless, since every effect is a transaction that locks this row and
/// compares epochs first, and it is the journal of the cutover.
///
///   side    from        to          who does it
///   source  open        fenced      the fence, with the change of the database's access
///           fenced      open        undo, with the access restored
///           fenced      journaled   the journal: from here no undo reopens the source
///           journaled   reopened    rollback, with the access restored …
///           fenced      reopened    … also where a failover has lost the journal
///           journaled   retired     completion; the source stays fenced until its retention ends
///           retired     dropping    the end of the retention, just before DROP DATABASE
///   target  preparing   copied      the copy is complete, not yet compared
///           copied      verified    positive proof of equality
///           copied      preparing   the copy is to be made again …
///           verified    preparing   … also after a cutover that was given up
///           verified    open        the tenant's access granted
///           open        fenced      rollback …
///           verified    fenced      … also before it opened, so that nobody can open it any more
///           fenced      open        … given up, before the source was opened: HoldState()
///           preparing, copied, verified, fenced → dropping     just before DROP DATABASE
///
/// `dropping` stands where one might expect `dropped`, because a dropped database records nothing;
/// `open` of the target has no way to `dropping`, so a database with users is never dropped.
enum class Side { kSource, kTarget };
enum class ControlState {
  kOpen,
  kFenced,
  kJournaled,
  kReopened,
  kRetired,
  kPreparing,
  kCopied,
  kVerified,
  kDropping,
};

std::string_view Name(Side side);
std::string_view Name(ControlState state);
bool MayMove(Side side, ControlState from, ControlState to);

/// On whose behalf an effect happens.
struct Claim {
  std::string migration_uid;
  int64_t epoch = 0;  ///< The lease's leaseTransitions.
  Side side = Side::kSource;
};

/// For a statement that cannot be part of a transaction, at the end of its WHERE: what a leader
/// that froze sends late does nothing once its successor has raised the row's epoch, $2.
inline constexpr char kUnderEpoch[] = " AND EXISTS (SELECT FROM cutover.control WHERE epoch = $2)";
/// `sql`, which ends in a WHERE and knows `$1`, under that epoch; as it is without one: not every
/// database has a control row.
Statement UnderEpoch(std::string sql, const std::string& first, std::optional<int64_t> epoch);

struct Control {
  std::string migration_uid;
  int64_t epoch = 0;
  Side side = Side::kSource;
  ControlState state = ControlState::kOpen;
  std::string changed_at;  ///< RFC 3339, by the database's clock: when `state` was reached.
};

/// The control row, or nothing when the database has none (or no schema `cutover` at all).
Result<std::optional<Control>> ReadControl(std::stop_token stop, Deadline deadline,
                                           Connection& connection);

/// Creates the schema and its tables where absent, closed to everybody else, and the row in its
/// first state (source: open, target: preparing); raises the epoch of a row that is there.
/// Terminal "Deposed" when the row's epoch is higher, "ForeignMigration" when another migration
/// holds the database, "ForeignSchema" when somebody else owns a schema of this name.
Result<Control> ClaimEpoch(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim);

/// Runs `effect` in a transaction that first locks the row and makes sure of the claim, as
/// ClaimEpoch() does, and commits if it succeeds. Terminal "NotClaimed" without a row. kInDoubt
/// when the COMMIT's answer was lost. The transaction gives up after seconds when it waits for a
/// lock, and the server ends it when its client falls silent, so that a leader that died inside it
/// does not hold up the next one.
using Effect = std::function<Status(Transaction& transaction, const Control& held)>;
Status WithEpoch(std::stop_token stop, Deadline deadline, Connection& connection,
                 const Claim& claim, const Effect& effect);

/// Inside WithEpoch(): the compare-and-set. Also succeeds when the state is `to` already, so that
/// it can be repeated; terminal "StateMismatch" when it is anything but `from`.
Status MoveState(std::stop_token stop, Deadline deadline, Transaction& transaction,
                 const Control& held, ControlState from, ControlState to);

/// WithEpoch() and MoveState() in one: a compare-and-set that stands for itself, such as the
/// journal (source, fenced → journaled).
Status CompareAndSetState(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, ControlState from, ControlState to);

/// The same claim against a row that has to be in `state`, which stays: from here on no older
/// leader moves it. Whoever opens one side first holds the other one's row, so that of two who want
/// the opposite one finds itself deposed. kRetry "StateMismatch" in any other state.
Status HoldState(std::stop_token stop, Deadline deadline, Connection& connection,
                 const Claim& claim, ControlState state);

/// Drops schema `cutover` after the check of the epoch. Done already when there is no row. Terminal
/// "StateMismatch" unless the tenant is let in: until then the record of his access is in it.
Status DropControl(std::stop_token stop, Deadline deadline, Connection& connection,
                   const Claim& claim);

// --- the ledger: what was there before we changed it ---------------------------------------------

struct LedgerEntry {
  std::string kind;
  std::string name;
  Json value;
};

/// Records `value` unless something is recorded under (kind, name); returns what is recorded. The
/// first record wins: a repeated effect must not record its own result as what was there before.
Result<Json> RecordOnce(std::stop_token stop, Deadline deadline, Transaction& transaction,
                        std::string_view kind, std::string_view name, const Json& value);
/// Forgets an entry, in the transaction that has restored what it says.
Status ForgetRecord(std::stop_token stop, Deadline deadline, Transaction& transaction,
                    std::string_view kind, std::string_view name);
Result<std::optional<Json>> ReadRecord(std::stop_token stop, Deadline deadline,
                                       Connection& connection, std::string_view kind,
                                       std::string_view name);
Result<std::vector<LedgerEntry>> ReadRecords(std::stop_token stop, Deadline deadline,
                                             Connection& connection, std::string_view kind);

}  // namespace cutover::pg
