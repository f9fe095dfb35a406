// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include "reconcilers/migration/intent.h"
#include "reconcilers/migration/observation.h"

namespace cutover::migration {
namespace {

// In the order of the enumeration, and one a line as there.
// clang-format off
constexpr std::string_view kIntentNames[] = {
    "AddFinalizer",
    "RemoveFinalizer",
    "CreateBackupJob",
    "ClaimSource",
    "RecordLedger",
    "EnsureMaintenancePage",
    "PrepareTarget",
    "PublishSource",
    "StartForwardStream",
    "LayWayBack",
    "RehearseWayBack",
    "RefreshViews",
    "WatchStream",
    "PrepareAgain",
    "FlipRoutes",
    "StopWorkloads",
    "FenceSource",
    "PausePoolers",
    "DrainForward",
    "CreateCopyJob",
    "FinalizeTarget",
    "MarkVerified",
    "Journal",
    "OpenTarget",
    "ApplyWiring",
    "PlaceOnTarget",
    "StartWorkloads",
    "ResumePoolers",
    "RestoreRoutes",
    "StopForwardStream",
    "StartReverseStream",
    "CloseSourceAgain",
    "WatchReverseStream",
    "ReaddressWayBack",
    "GiveUpWayBack",
    "TakeSample",
    "SettleSample",
    "StartCheckJobs",
    "DropForwardSubscriber",
    "DropForwardPublisher",
    "DropReverseSubscriber",
    "DropReversePublisher",
    "DeleteMaintenancePage",
    "DeleteJobs",
    "RetireSource",
    "CleanTarget",
    "DropSource",
    "DeleteLedger",
    "UnfenceSource",
    "DropTarget",
    "TakePasswordBack",
    "FenceTarget",
    "DrainReverse",
    "ReopenTarget",
    "ReopenSource",
    "RestoreWiring",
    "PlaceOnSource",
    "OutdateRequests",
    "CleanSource",
};
// clang-format on
static_assert(std::size(kIntentNames) == static_cast<size_t>(Intent::kCleanSource) + 1);

}  // namespace

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

std::string_view Name(Intent intent) { return kIntentNames[static_cast<size_t>(intent)]; }

}  // namespace cutover::migration
