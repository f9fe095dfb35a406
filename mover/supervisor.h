// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "mover/job.h"
#include "mover/process/child.h"
#include "mover/process/source_snapshot.h"
#include "operator/base/result.h"

namespace cutover::mover {

/// By this environment variable a worker knows the snapshot that its supervisor holds for it, and
/// that it is a worker.
inline constexpr char kSnapshotVariable[] = "CUTOVER_SNAPSHOT";
/// What a worker prints, as a line of its own, when it has read the source's last row.
inline constexpr char kCopiedLine[] = "copied";

/// By this one it knows where the slot begins whose snapshot that is, if it is one's.
inline constexpr char kSlotBeginVariable[] = "CUTOVER_SLOT_BEGIN";

/// Copies by a process of its own, under a snapshot of the source that stays if it is killed. A
/// worker that is killed (by the kernel, for want of memory; by a bug) costs the chunks that it was
/// at: the next one finds the snapshot still held and the ledger's plan half done. The snapshot is
/// let go when the worker says that it has read the last row; one that dies later is followed by
/// one that starts over under a new snapshot, with a new slot where there is one. Slots stay only
/// when a worker has ended with kExitProven.
///
/// `worker` is run with these variables set, at most kWorkersMax times; it inherits our standard
/// error. Returns the outcome of the first that ended by itself, as its standard output and exit
/// code say. Reason "WorkersKilled" when none did.
inline constexpr int kWorkersMax = 5;
Result<Outcome> SuperviseCopy(std::stop_token stop, SourceSnapshot& snapshot,
                              const ChildCommand& worker);

/// This very program with the very arguments that it was started with.
Result<ChildCommand> ThisProgram();

}  // namespace cutover::mover
