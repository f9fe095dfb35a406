// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/intent.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {

std::string_view Name(ControlState state) {
  switch (state) {
    case ControlState::kNone:
      return "none";
    case ControlState::kOpen:
      return "open";
    case ControlState::kFenced:
      return "fenced";
    case ControlState::kJournaled:
      return "journaled";
    case ControlState::kReopened:
      return "reopened";
    case ControlState::kRetired:
      return "retired";
    case ControlState::kPreparing:
      return "preparing";
    case ControlState::kCopied:
      return "copied";
    case ControlState::kVerified:
      return "verified";
    case ControlState::kDropping:
      return "dropping";
  }
  return "unknown";
}

std::string_view Name(Intent intent) {
  switch (intent) {
    case Intent::kAddFinalizer:
      return "AddFinalizer";
    case Intent::kRemoveFinalizer:
      return "RemoveFinalizer";
    case Intent::kCreateBackupJob:
      return "CreateBackupJob";
    case Intent::kClaimSource:
      return "ClaimSource";
    case Intent::kRecordLedger:
      return "RecordLedger";
    case Intent::kEnsureMaintenancePage:
      return "EnsureMaintenancePage";
    case Intent::kPrepareTarget:
      return "PrepareTarget";
    case Intent::kFlipRoutes:
      return "FlipRoutes";
    case Intent::kStopWorkloads:
      return "StopWorkloads";
    case Intent::kFenceSource:
      return "FenceSource";
    case Intent::kCreateCopyJob:
      return "CreateCopyJob";
    case Intent::kFinalizeTarget:
      return "FinalizeTarget";
    case Intent::kMarkVerified:
      return "MarkVerified";
    case Intent::kJournal:
      return "Journal";
    case Intent::kOpenTarget:
      return "OpenTarget";
    case Intent::kApplyWiring:
      return "ApplyWiring";
    case Intent::kPlaceOnTarget:
      return "PlaceOnTarget";
    case Intent::kStartWorkloads:
      return "StartWorkloads";
    case Intent::kRestoreRoutes:
      return "RestoreRoutes";
    case Intent::kDeleteMaintenancePage:
      return "DeleteMaintenancePage";
    case Intent::kDeleteJobs:
      return "DeleteJobs";
    case Intent::kRetireSource:
      return "RetireSource";
    case Intent::kCleanTarget:
      return "CleanTarget";
    case Intent::kDropSource:
      return "DropSource";
    case Intent::kDeleteLedger:
      return "DeleteLedger";
    case Intent::kUnfenceSource:
      return "UnfenceSource";
    case Intent::kDropTarget:
      return "DropTarget";
    case Intent::kFenceTarget:
      return "FenceTarget";
    case Intent::kReopenSource:
      return "ReopenSource";
    case Intent::kRestoreWiring:
      return "RestoreWiring";
    case Intent::kPlaceOnSource:
      return "PlaceOnSource";
    case Intent::kCleanSource:
      return "CleanSource";
    case Intent::kPublishSource:
      return "PublishSource";
    case Intent::kStartForwardStream:
      return "StartForwardStream";
    case Intent::kLayWayBack:
      return "LayWayBack";
    case Intent::kWatchStream:
      return "WatchStream";
    case Intent::kPrepareAgain:
      return "PrepareAgain";
    case Intent::kPausePoolers:
      return "PausePoolers";
    case Intent::kDrainForward:
      return "DrainForward";
    case Intent::kResumePoolers:
      return "ResumePoolers";
    case Intent::kStopForwardStream:
      return "StopForwardStream";
    case Intent::kStartReverseStream:
      return "StartReverseStream";
    case Intent::kWatchReverseStream:
      return "WatchReverseStream";
    case Intent::kDropForwardSubscriber:
      return "DropForwardSubscriber";
    case Intent::kDropForwardPublisher:
      return "DropForwardPublisher";
    case Intent::kDropReverseSubscriber:
      return "DropReverseSubscriber";
    case Intent::kDropReversePublisher:
      return "DropReversePublisher";
    case Intent::kDrainReverse:
      return "DrainReverse";
  }
  return "Unknown";
}

}  // namespace cutover::migration
