// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/access.h"
#include "postgres/connection.h"
#include "postgres/control.h"
#include "postgres/sessions.h"

namespace cutover::pg {

/// The fence: nobody but the operator's roles can write to a database, enforced by the server.
///
/// Expected flow, over a connection to the tenant's own database as the admin role:
///   1. One transaction checks the epoch, records owner, ACL and connection limit in the ledger
///      (what they say of roles that stay left out: those are the move's, not the tenant's), makes
///      the admin role the owner (a tenant who owns his database could open it again from another
///      one), leaves CONNECT to the operator's roles only, sets CONNECTION LIMIT 0, and moves the
///      control row to `fenced`.
///   2. All other sessions are terminated: their clients see an error, what was not committed is
///      rolled back. New ones are refused already.
///   3. Proof by catalog, pg_stat_activity, pg_prepared_xacts and pg_locks.
/// Each step may be repeated, and the whole after a crash between any two.
///
/// Assumptions: the admin role is a superuser, or owns the database through membership. For one
/// that is no superuser the connection limit stays as it is, since it would lock us out too.
/// Caveats: a superuser cannot be fenced; a tenant who is one is refused ("SuperuserOwner"), and a
/// session of another superuser is terminated and, if it returns, named by the proof.
struct FenceState {
  std::string database;
  std::string admin;  ///< The role we are connected as.
  DatabaseAccess access;
  bool owner_is_superuser = false;
  bool admin_is_superuser = false;
  /// Everything that is connected and not ours, whatever kind of process it is.
  std::vector<SessionGroup> foreign_sessions;
  /// Sessions that have been let in but are not in pg_stat_activity yet.
  int arriving_sessions = 0;
  std::vector<std::string> prepared_transactions;  ///< Their global identifiers.
  /// Roles without superuser, other than ours, that the server would let in.
  std::vector<std::string> roles_with_connect;

  bool refuses_newcomers() const;
  /// Fenced but for sessions that are arriving, which may be about to be refused.
  bool OnlyArrivalsMissing() const;
  /// Nothing that could write exists, and nothing that could can come.
  bool fenced() const;
};

struct FenceOptions {
  /// Who stays, beside the role that we are connected as: StreamNames(). Roles called so keep
  /// CONNECT and their sessions, as far as they exist. CONNECTION LIMIT 0 keeps their WAL senders
  /// from nothing, as no server counts those (tried on 13, 15, 17 and 18), but any other session.
  /// Apply workers of subscriptions called so stay too, while those of all others have to go,
  /// whoever they act for.
  std::vector<std::string> allowed_roles;
  /// Also a journaled database, which somebody has opened since, is closed again; it stays
  /// journaled.
  bool keep_journal = false;
  /// What is prepared is rolled back instead of refusing the fence: whoever could commit it has
  /// been shut out by then. One that the admin role may not end is named by the proof.
  bool end_prepared = false;
};

/// Reads the state of the database that `connection` is connected to.
Result<FenceState> ObserveFence(std::stop_token stop, Deadline deadline, Connection& connection,
                                const FenceOptions& options = {});

/// Step 1. Control row: open → fenced; on a target also verified → fenced. Terminal
/// "SuperuserOwner", "PreparedTransactions" (with their names and the remedy), and what WithEpoch()
/// says. A database that is fenced already, but whose access somebody has changed since, is closed
/// again; one that is journaled, only where the options say so.
Status RecordAndClose(std::stop_token stop, Deadline deadline, Connection& connection,
                      const Claim& claim, const FenceOptions& options = {});

/// Step 2: terminates everything foreign until it is gone. kRetry "SessionsRemain" when some are
/// left at the deadline.
Status TerminateSessions(std::stop_token stop, Deadline deadline, Connection& connection,
                         const FenceOptions& options = {});

/// Step 3: success is positive proof. kRetry "NotFenced" with all that is missing; terminal
/// "PreparedTransactions".
Status ProveFenced(std::stop_token stop, Deadline deadline, Connection& connection,
                   const FenceOptions& options = {});

/// Steps 1 to 3.
Status Fence(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
             const FenceOptions& options = {});

/// What the database's access was before the fence, as recorded; what OpenDatabase() gives the
/// other side. Terminal "LedgerMissing" when no fence is up.
Result<DatabaseAccess> ReadAccessBeforeFence(std::stop_token stop, Deadline deadline,
                                             Connection& connection);

/// Restores owner, ACL and limit exactly as recorded (and CONNECT for the migration's streams while
/// their roles exist), forgets the record and moves the control row, in one transaction: fenced →
/// open (undo; on the target, a rollback that is given up), or journaled → reopened (rollback,
/// which the caller has to say by `to`; also fenced → reopened, since a failover to a standby that
/// was behind may have lost the journal). Does nothing when the row is in state `to` already.
/// Terminal "StateMismatch" when the journal forbids it, "LedgerMissing" without a record.
Status Unfence(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
               ControlState to);

}  // namespace cutover::pg
