// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/transitions.h"

#include <set>

namespace cutover::migration {
namespace {

using api::Phase;

constexpr Transition kTransitions[] = {
    {Phase::kPending, Guard::kMayStart, Phase::kPreflight},
    {Phase::kPending, Guard::kPlacementBusy, Phase::kFailed},
    {Phase::kPending, Guard::kUndo, Phase::kUndoing},
    {Phase::kPreflight, Guard::kBackupWanted, Phase::kBackingUp},
    {Phase::kPreflight, Guard::kNoBackupWanted, Phase::kPreparing},
    {Phase::kPreflight, Guard::kHopeless, Phase::kFailed},
    {Phase::kPreflight, Guard::kUndo, Phase::kUndoing},
    {Phase::kBackingUp, Guard::kBackupProven, Phase::kPreparing},
    {Phase::kBackingUp, Guard::kUndo, Phase::kUndoing},
    {Phase::kPreparing, Guard::kTargetPrepared, Phase::kAwaitingCutover},
    {Phase::kPreparing, Guard::kSourcePublished, Phase::kCopying},
    {Phase::kPreparing, Guard::kUndo, Phase::kUndoing},
    {Phase::kAwaitingCutover, Guard::kDoorsMayClose, Phase::kFencing},
    {Phase::kAwaitingCutover, Guard::kFellBehind, Phase::kCatchingUp},
    {Phase::kAwaitingCutover, Guard::kUndo, Phase::kUndoing},
    {Phase::kFencing, Guard::kFenceProven, Phase::kCopying},
    {Phase::kFencing, Guard::kDrained, Phase::kFinalizing},
    {Phase::kFencing, Guard::kUndo, Phase::kUndoing},
    {Phase::kCopying, Guard::kCopyProven, Phase::kFinalizing},
    {Phase::kCopying, Guard::kSnapshotCopied, Phase::kCatchingUp},
    {Phase::kCopying, Guard::kUndo, Phase::kUndoing},
    {Phase::kCatchingUp, Guard::kCaughtUp, Phase::kAwaitingCutover},
    {Phase::kCatchingUp, Guard::kUndo, Phase::kUndoing},
    {Phase::kFinalizing, Guard::kFinalized, Phase::kVerifying},
    {Phase::kFinalizing, Guard::kUndo, Phase::kUndoing},
    {Phase::kVerifying, Guard::kVerified, Phase::kSwitching},
    {Phase::kVerifying, Guard::kUndo, Phase::kUndoing},
    {Phase::kSwitching, Guard::kJournaled, Phase::kOpening},
    {Phase::kSwitching, Guard::kUndo, Phase::kUndoing},
    {Phase::kOpening, Guard::kWorkloadsReady, Phase::kSmoke},
    {Phase::kOpening, Guard::kRollBack, Phase::kRollingBack},
    {Phase::kSmoke, Guard::kSmokePassed, Phase::kAdmitting},
    {Phase::kSmoke, Guard::kRollBack, Phase::kRollingBack},
    {Phase::kAdmitting, Guard::kUsersAreIn, Phase::kHypercare},
    {Phase::kHypercare, Guard::kHypercareOver, Phase::kCompleting},
    {Phase::kHypercare, Guard::kRollBack, Phase::kRollingBack},
    {Phase::kCompleting, Guard::kCleanedUp, Phase::kCompleted},
    {Phase::kCompleted, Guard::kSourceGone, Phase::kCompleted},
    {Phase::kUndoing, Guard::kUndoneOnRequest, Phase::kAborted},
    {Phase::kUndoing, Guard::kUndoneAfterFailure, Phase::kFailed},
    {Phase::kUndoing, Guard::kCutoverUndone, Phase::kCatchingUp},
    {Phase::kUndoing, Guard::kUndoneToCopyAgain, Phase::kPending},
    {Phase::kUndoing, Guard::kJournalFound, Phase::kOpening},
    {Phase::kRollingBack, Guard::kRolledBack, Phase::kRolledBack},
    {Phase::kRollingBack, Guard::kRollbackRefused, Phase::kHypercare},
    {Phase::kAborted, Guard::kRetryRequested, Phase::kPending},
    {Phase::kFailed, Guard::kRetryRequested, Phase::kPending},
};

bool HasWayBack(std::span<const Transition> table, Phase from) {
  for (const Transition& line : table)
    if (line.from == from && (line.guard == Guard::kUndo || line.guard == Guard::kRollBack))
      return true;
  return false;
}

// Phases that only go forward by design: the way back itself, letting users in, and the cleaning-up
// once hypercare is over. Each waits for whatever is missing and says so.
bool OnlyForward(Phase phase) {
  return phase == Phase::kAdmitting || phase == Phase::kUndoing || phase == Phase::kRollingBack ||
         phase == Phase::kCompleting;
}

constexpr Phase kAllPhases[] = {
    Phase::kPending,     Phase::kPreflight,       Phase::kBackingUp, Phase::kPreparing,
    Phase::kCatchingUp,  Phase::kAwaitingCutover, Phase::kFencing,   Phase::kCopying,
    Phase::kFinalizing,  Phase::kVerifying,       Phase::kSwitching, Phase::kOpening,
    Phase::kSmoke,       Phase::kAdmitting,       Phase::kHypercare, Phase::kCompleting,
    Phase::kCompleted,   Phase::kUndoing,         Phase::kAborted,   Phase::kFailed,
    Phase::kRollingBack, Phase::kRolledBack};

std::string_view Describe(Side side) {
  switch (side) {
    case Side::kBeforeJournal:
      return "before the journal";
    case Side::kAfterJournal:
      return "after the journal";
    case Side::kEnd:
      return "end";
  }
  return "";
}

// Strategy Online's own.
std::string_view DescribeOnline(Guard guard) {
  switch (guard) {
    case Guard::kSourcePublished:
      return "Online: prepared as above, and the source publishes its tables";
    case Guard::kSnapshotCopied:
      return "Online: the mover's result is in the target, of the snapshot that the slot begins at";
    case Guard::kCaughtUp:
      return "Online: the target follows closely, nobody else wrote to it, the way back is laid";
    case Guard::kFellBehind:
      return "Online: the target is too far behind, or the stream stands still";
    case Guard::kDrained:
      return "Online: nobody can write to the source, and what was written after that has arrived";
    case Guard::kCutoverUndone:
      return "Online: users work on the source again; the cutover is tried again later";
    case Guard::kUndoneToCopyAgain:
      return "Online: everything as it was; the source has changed, and is copied again";
    default:
      return "";
  }
}

}  // namespace

std::string_view Describe(Guard guard) {
  switch (guard) {
    case Guard::kMayStart:
      return "the placement exists and no other migration of it is active";
    case Guard::kPlacementBusy:
      return "another migration of the placement came first";
    case Guard::kBackupWanted:
      return "every check passed, and a backup is required";
    case Guard::kNoBackupWanted:
      return "every check passed, and the backup is skipped";
    case Guard::kHopeless:
      return "a check can never pass for this immutable spec";
    case Guard::kBackupProven:
      return "the backup was read back and its checksums hold";
    case Guard::kTargetPrepared:
      return "ledger written, maintenance page ready, target database made and closed";
    case Guard::kDoorsMayClose:
      return "approved, inside the window, not suspended";
    case Guard::kFenceProven:
      return "routes at the maintenance page, workloads stopped, nobody can write to the source";
    case Guard::kCopyProven:
      return "the mover's result for this very attempt is in the target database";
    case Guard::kFinalized:
      return "every sequence is equal";
    case Guard::kVerified:
      return "positive proof that both sides are equal";
    case Guard::kJournaled:
      return "the source's control row reads journaled";
    case Guard::kWorkloadsReady:
      return "target open, wiring there, workloads ready";
    case Guard::kSmokePassed:
      return "every smoke check passed";
    case Guard::kUsersAreIn:
      return "routes are as they were";
    case Guard::kHypercareOver:
      return "hypercare has run its time and no check fails";
    case Guard::kCleanedUp:
      return "helpers removed, source retired";
    case Guard::kUndo:
      return "failed, aborted or deleted: undo";
    case Guard::kRollBack:
      return "smoke failed, rollback asked for, or deleted: go back";
    case Guard::kUndoneOnRequest:
      return "everything as it was; a person asked for it";
    case Guard::kUndoneAfterFailure:
      return "everything as it was; something failed";
    case Guard::kJournalFound:
      return "the journal turns out to be written: only forward";
    case Guard::kRolledBack:
      return "the tenant works on the source as before";
    case Guard::kRollbackRefused:
      return "going back would lose something, or the source is gone; users stay on the target";
    case Guard::kRetryRequested:
      return "a person asked for another attempt";
    case Guard::kSourceGone:
      return "the source's retention has ended and it was dropped";
    default:
      return DescribeOnline(guard);
  }
}

std::span<const Transition> Transitions() { return kTransitions; }

std::optional<Phase> Next(Phase from, Guard guard) {
  for (const Transition& line : kTransitions)
    if (line.from == from && line.guard == guard) return line.to;
  return std::nullopt;
}

Side SideOf(Phase phase) {
  switch (phase) {
    case Phase::kOpening:
    case Phase::kSmoke:
    case Phase::kAdmitting:
    case Phase::kHypercare:
    case Phase::kCompleting:
    case Phase::kRollingBack:
      return Side::kAfterJournal;
    case Phase::kCompleted:
    case Phase::kAborted:
    case Phase::kFailed:
    case Phase::kRolledBack:
      return Side::kEnd;
    default:
      return Side::kBeforeJournal;
  }
}

bool DoorsClosed(Phase phase, api::Strategy strategy) {
  switch (phase) {
    case Phase::kCopying:
      return strategy == api::Strategy::kOffline;
    case Phase::kFencing:
    case Phase::kFinalizing:
    case Phase::kVerifying:
    case Phase::kSwitching:
    case Phase::kOpening:
    case Phase::kSmoke:
    case Phase::kAdmitting:
      return true;
    default:
      return false;
  }
}

std::string CheckTable(std::span<const Transition> table) {
  std::set<Phase> reachable{Phase::kPending};
  std::set<std::pair<Phase, Guard>> seen;
  for (const Transition& line : table)
    if (!seen.emplace(line.from, line.guard).second)
      return "two lines for one guard from " + std::string(Name(line.from));
  for (size_t round = 0; round < table.size(); ++round)
    for (const Transition& line : table)
      if (reachable.contains(line.from)) reachable.insert(line.to);
  for (Phase phase : kAllPhases) {
    if (!reachable.contains(phase)) return std::string(Name(phase)) + " is unreachable";
    if (!IsEnd(phase) && !OnlyForward(phase) && !HasWayBack(table, phase))
      return std::string(Name(phase)) + " has no way back";
  }
  for (const Transition& line : table) {
    bool crosses =
        SideOf(line.from) == Side::kAfterJournal && SideOf(line.to) == Side::kBeforeJournal;
    if (crosses) return std::string(Name(line.from)) + " goes back before the journal";
  }
  return "";
}

std::string RenderMarkdown() {
  std::string out =
      "# The state machine of a migration\n\n"
      "Generated from `reconcilers/migration/transitions.cc` by `gen-state-machine`; a test holds "
      "it\n"
      "current. Regenerate: `build/release/bin/gen-state-machine > docs/state-machine.md`.\n\n"
      "```mermaid\nstateDiagram-v2\n  [*] --> Pending\n";
  for (const Transition& line : kTransitions)
    out += "  " + std::string(Name(line.from)) + " --> " + std::string(Name(line.to)) + "\n";
  for (Phase phase : kAllPhases)
    if (IsEnd(phase)) out += "  " + std::string(Name(phase)) + " --> [*]\n";
  out += "```\n\n| from | when | to | journal |\n|---|---|---|---|\n";
  for (const Transition& line : kTransitions)
    out += "| " + std::string(Name(line.from)) + " | " + std::string(Describe(line.guard)) + " | " +
           std::string(Name(line.to)) + " | " + std::string(Describe(SideOf(line.to))) + " |\n";
  out +=
      "\nBefore the journal everything can be undone. After it a migration goes forward, or back "
      "by\n"
      "`RollingBack`, which is another forward move: it closes the target before it opens the "
      "source.\n";
  return out;
}

}  // namespace cutover::migration
