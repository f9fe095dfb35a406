// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
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
#include "postgres/replication.h"

/// What the files of this folder have in common. Included by postgres/ only.
namespace cutover::pg {

/// Of pg_class `c` and pg_namespace `n`: tables that hold rows of the tenant's themselves and whose
/// changes are in the WAL. Of an extension's own tables only those whose rows are the user's.
extern const std::string_view kStreamedTables;
/// Of pg_class `c`: updates and deletes can be published (trap 53). A deferrable primary key does
/// not count, nor does an identity index that is gone.
extern const std::string_view kHasIdentity;
/// Of pg_class `c`: its rows are told apart by generated columns, which no stream carries, and so
/// cannot be updated or deleted (trap 53): the apply finds none, or the publisher refuses.
/// `major`: the newer one of both sides'.
std::string IdentityIsGenerated(int major);

/// Creates cutover.heartbeat and cutover.marker where absent.
Status EnsureStreamTables(const std::stop_token& stop, Deadline deadline, Transaction& transaction);

/// Makes sure of the claim, and raises the row's epoch to it: for what follows outside of any
/// transaction. Its COMMIT also puts everything that was committed before on disk.
Status RaiseEpoch(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const Claim& claim);

/// Ends statements of `transaction` at the server a little before `deadline`, so that the
/// connection outlives the wait and can say what was waited for.
Status EndStatementsBefore(const std::stop_token& stop, Deadline deadline,
                           Transaction& transaction);
/// Whether a statement failed by that.
bool WasEndedInTime(const Error& error);

/// `access`, and CONNECT for those roles of the migration's streams that exist.
Result<DatabaseAccess> WithStreamRoles(const std::stop_token& stop, Deadline deadline,
                                       Transaction& transaction, DatabaseAccess access,
                                       std::string_view migration_uid);
/// `access` without what it says of `roles`.
DatabaseAccess WithoutRoles(DatabaseAccess access, const std::vector<std::string>& roles);
/// Those of `roles` that exist.
Result<std::vector<std::string>> ExistingRoles(const std::stop_token& stop, Deadline deadline,
                                               Transaction& transaction,
                                               const std::vector<std::string>& roles);

/// The role that a stream logs in by, in the publisher's database, as EnsureReplicationRole() and a
/// probe make it: made, or given `password`, with all that may be refused to the operator's role.
/// `transaction` is kept out of the logs by the caller (KeepOutOfLogs).
Status MakeStreamRole(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                      const std::string& name, const std::string& password,
                      const std::string& comment);

/// pg_create_logical_replication_slot(), as EnsureSlot() says; terminal "Deposed" when the control
/// row is not of `under_epoch`.
Status MakeSlot(const std::stop_token& stop, Deadline deadline, Connection& connection,
                const std::string& name, std::optional<int64_t> under_epoch = {});
/// Ends the slot's WAL sender and drops it, if it is there and the control row is not another
/// epoch's than `under_epoch`.
Status RemoveSlot(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const std::string& name, std::optional<int64_t> under_epoch = {});

/// What the subscriber's server hands to libpq. Holds a password: never log it.
std::string SubscriberConnInfo(const PublisherAddress& publisher, const std::string& role,
                               const std::string& password);
/// The error of a statement in which the subscriber's server dials the publisher: kRetry
/// "PublisherUnreachable" with that server's words, if that is what went wrong.
tl::unexpected<Error> DialError(const Connection& connection, const PublisherAddress& publisher,
                                Error error);

/// Forgets what FindRogueWrites() has found: with a new slot the copy is a new one.
Status ForgetRogueWrites(const std::stop_token& stop, Deadline deadline, Connection& connection,
                         const Claim& claim);

/// "a, b, c and 7 more": as many as one can read.
std::string Some(const std::vector<std::string>& items);

/// For the moment between two looks at something that is about to end.
inline constexpr std::chrono::milliseconds kLookAgainAfter{5};

}  // namespace cutover::pg
