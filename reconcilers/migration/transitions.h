// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "operator/api/tenant_migration.h"

namespace cutover::migration {

/// What a phase found to hold. The table says where that leads.
enum class Guard {
  kMayStart,
  kPlacementBusy,
  kBackupWanted,
  kNoBackupWanted,
  kHopeless,
  kBackupProven,
  kTargetPrepared,
  kSourcePublished,
  kSnapshotCopied,
  kCaughtUp,
  kFellBehind,
  kDoorsMayClose,
  kDrained,
  kFenceProven,
  kCopyProven,
  kFinalized,
  kVerified,
  kJournaled,
  kWorkloadsReady,
  kSmokePassed,
  kUsersAreIn,
  kHypercareOver,
  kCleanedUp,
  kUndo,
  kRollBack,
  kUndoneOnRequest,
  kUndoneAfterFailure,
  kCutoverUndone,
  kUndoneToCopyAgain,
  kJournalFound,
  kRolledBack,
  kRollbackRefused,
  kRetryRequested,
  kSourceGone,
};
/// The guard as a sentence, for the diagram and for people.
std::string_view Describe(Guard guard);

/// Where in its life a phase stands to the journal.
enum class Side { kBeforeJournal, kAfterJournal, kEnd };

struct Transition {
  api::Phase from;
  Guard guard;
  api::Phase to;
};

/// The state machine. Nothing else decides where a migration goes.
std::span<const Transition> Transitions();

/// Where `guard` leads from `from`; nothing when the table has no such line (a programmer's error).
std::optional<api::Phase> Next(api::Phase from, Guard guard);

/// Whether the table has a way to undo from `phase`.
inline bool CanUndo(api::Phase phase) { return Next(phase, Guard::kUndo).has_value(); }

Side SideOf(api::Phase phase);
inline bool IsEnd(api::Phase phase) { return SideOf(phase) == Side::kEnd; }

/// True between the first effect that stops users and the last that lets them in again. Copying is
/// among these phases with strategy Offline only.
bool DoorsClosed(api::Phase phase, api::Strategy strategy);

/// What is wrong with the table itself, or an empty string: an unreachable phase, a phase that is
/// no end and has no way back, two lines for one (from, guard). Checked at start-up and by a test.
std::string CheckTable(std::span<const Transition> table);

/// docs/state-machine.md.
std::string RenderMarkdown();

}  // namespace cutover::migration
