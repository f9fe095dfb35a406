// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "operator/base/result.h"
#include "postgres/connection.h"

namespace cutover::mover {

/// How long a lock on a table of the source may be waited for, unless somebody says otherwise.
inline constexpr int kLockSecondsMax = 60;

/// The same for pg_dump, which undoes its session's own lock_timeout.
std::string LockWaitFlag(int seconds_max);

/// What it means for people that a lock on the source was not granted in time: reason
/// "SourceTableLocked", naming the table and the session that holds the lock, or that waits for it
/// in front of us. (A change of a table that waits for our snapshot's holder makes all our other
/// sessions wait for it in turn, which would never end.) Any error that does not speak of such a
/// lock comes back as it is. Asks over a connection of its own.
Error ExplainLock(std::stop_token stop, const pg::ConnectOptions& source, Error error);

}  // namespace cutover::mover
