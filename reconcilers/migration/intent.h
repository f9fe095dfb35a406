// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace cutover::migration {

/// Everything a migration may do to the world. Each is idempotent, each can be cut short anywhere
/// and repeated; what it does to a database is one transaction that checks the epoch first.
enum class Intent {
  kAddFinalizer,
  kRemoveFinalizer,

  // While users work.
  kCreateBackupJob,
  kClaimSource,   ///< Control row in the source database: none → open.
  kRecordLedger,  ///< What replicas, routes and wiring were, before any of it is changed.
  kEnsureMaintenancePage,
  kPrepareTarget,  ///< Roles, and the database, closed from its creation.

  // Online, while users work.
  kPublishSource,       ///< Replica identities, publication, the fingerprint of the structure.
  kStartForwardStream,  ///< The target subscribes to the slot that the copy began at.
  kLayWayBack,          ///< Reverse publication and slot on the target, subscription on the source.
  kRehearseWayBack,     ///< The source dials the target once more, as it will after the switch.
  kRefreshViews,        ///< Materialized views on the target, as they were on the source.
  kWatchStream,         ///< A heartbeat on the source; rogue writes on the target looked for.
  /// copied or verified → preparing, after a cutover that was undone; its records are forgotten.
  kPrepareAgain,

  // While the doors are closed.
  kFlipRoutes,  ///< Routes to the maintenance page.
  kStopWorkloads,
  kFenceSource,   ///< open → fenced; sessions ended.
  kPausePoolers,  ///< Instead of the three above, with switch Pooler.
  kDrainForward,  ///< The marker, written after the fence and seen on the target.
  kCreateCopyJob,
  kFinalizeTarget,  ///< Sequences equal, profile's figures recorded; preparing → copied.
  kMarkVerified,    ///< copied → verified, on the mover's positive proof.
  kJournal,         ///< fenced → journaled: the point of no return.
  kOpenTarget,      ///< verified → open: owner, ACL and limit as the source had them.
  kApplyWiring,
  kPlaceOnTarget,  ///< status.serverName of the placement.
  kStartWorkloads,
  kResumePoolers,  ///< Once what they lead to is proven.
  kRestoreRoutes,
  kStopForwardStream,   ///< The target's subscription stands still …
  kStartReverseStream,  ///< … before the source's begins: nothing goes in a circle.

  // Afterwards.
  kCloseSourceAgain,    ///< Whatever has opened it; its journal, if it still has one, stays.
  kWatchReverseStream,  ///< A heartbeat on the target, whose structure is looked at.
  kReaddressWayBack,    ///< The source dials the target where that is by now; nothing is lost.
  kGiveUpWayBack,       ///< Drops its slot on the target: it keeps too much of others' disk.
  kTakeSample,          ///< The same, and rows of both sides compared.
  kSettleSample,        ///< The same, and rows that differed looked at again.
  kStartCheckJobs,      ///< Those that are due; Jobs of runs before the last go.
  kDropForwardSubscriber,
  kDropForwardPublisher,  ///< Also puts the source's replica identities back.
  kDropReverseSubscriber,
  kDropReversePublisher,  ///< Also puts the target's replica identities back.
  kDeleteMaintenancePage,
  kDeleteJobs,
  kRetireSource,  ///< journaled → retired; stays fenced.
  kCleanTarget,   ///< Drops our schema there.
  kDropSource,    ///< Only retired, past its retention, with the tenant proven elsewhere.
  kDeleteLedger,

  // The way back.
  kUnfenceSource,     ///< fenced → open. Refused once journaled.
  kDropTarget,        ///< Only a database that carries this migration's control row.
  kTakePasswordBack,  ///< The tenant's role on the source gets the one that it has on the target.
  kFenceTarget,       ///< open or verified → fenced.
  kDrainReverse,  ///< The marker, written after that fence and seen on the source; the structure.
  kReopenTarget,  ///< fenced → open, when going back would lose something after all.
  kReopenSource,  ///< journaled, or fenced → reopened; after a drain with the target's sequences.
  kRestoreWiring,
  kPlaceOnSource,
  kOutdateRequests,  ///< New versions of all objects: what a former leader asked for is too late.
  kCleanSource,      ///< Drops our schema there.
};
std::string_view Name(Intent intent);

}  // namespace cutover::migration
