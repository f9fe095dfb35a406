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

  // While the doors are closed.
  kFlipRoutes,  ///< Routes to the maintenance page.
  kStopWorkloads,
  kFenceSource,  ///< open → fenced; sessions ended.
  kCreateCopyJob,
  kFinalizeTarget,  ///< Sequences equal, profile's figures recorded; preparing → copied.
  kMarkVerified,    ///< copied → verified, on the mover's positive proof.
  kJournal,         ///< fenced → journaled: the point of no return.
  kOpenTarget,      ///< verified → open: owner, ACL and limit as the source had them.
  kApplyWiring,
  kPlaceOnTarget,  ///< status.serverName of the placement.
  kStartWorkloads,
  kRestoreRoutes,

  // Afterwards.
  kDeleteMaintenancePage,
  kDeleteJobs,
  kRetireSource,  ///< journaled → retired; stays fenced.
  kCleanTarget,   ///< Drops our schema there.
  kDropSource,    ///< Only retired, past its retention, with the tenant proven elsewhere.
  kDeleteLedger,

  // The way back.
  kUnfenceSource,  ///< fenced → open. Refused once journaled.
  kDropTarget,     ///< Only a database that carries this migration's control row.
  kFenceTarget,    ///< open or verified → fenced.
  kReopenSource,   ///< journaled → reopened.
  kRestoreWiring,
  kPlaceOnSource,
  kCleanSource,  ///< Drops our schema there.
};
std::string_view Name(Intent intent);

}  // namespace cutover::migration
