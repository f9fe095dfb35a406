// SPDX-License-Identifier: Apache-2.0
#include "cli/view/phases.h"

namespace cutover::cli {
namespace {

constexpr PhaseFacts kPhases[] = {
    {"Pending", Stretch::kBeforeJournal, "Nothing has been touched yet; the move has not begun."},
    {"Preflight", Stretch::kBeforeJournal,
     "It is being checked whether all is fit to be moved; nothing has been changed."},
    {"BackingUp", Stretch::kBeforeJournal,
     "The database is being backed up, and the backup read back."},
    {"Preparing", Stretch::kBeforeJournal, "The target is being prepared."},
    {"CatchingUp", Stretch::kBeforeJournal,
     "The target follows the changes of the source until the cutover."},
    {"AwaitingCutover", Stretch::kBeforeJournal,
     "Everything is ready for the users to be stopped."},
    {"Fencing", Stretch::kBeforeJournal,
     "Users are being stopped, and the source is being closed to everybody."},
    {"Copying", Stretch::kBeforeJournal, "The database is being copied to the target."},
    {"Finalizing", Stretch::kBeforeJournal, "Sequences and last details are being made equal."},
    {"Verifying", Stretch::kBeforeJournal,
     "The copy is being compared with the source; unless it is equal, nothing switches."},
    {"Switching", Stretch::kBeforeJournal,
     "The journal is being written, after which the move only goes forward."},
    {"Opening", Stretch::kAfterJournal,
     "The target is being opened, and the workloads are being started on it."},
    {"Smoke", Stretch::kAfterJournal,
     "The tenant is being tried on the target; users are not in yet."},
    {"Admitting", Stretch::kAfterJournal, "Users are being let in on the target."},
    {"Hypercare", Stretch::kAfterJournal, "Users are in on the target, and checks watch it."},
    {"Completing", Stretch::kAfterJournal,
     "Users work on the target; what helped to move is being removed."},
    {"Completed", Stretch::kEnd, "The tenant has moved to the target."},
    {"Undoing", Stretch::kGoingBack, "Everything is being put back as it was, the users first."},
    {"RollingBack", Stretch::kGoingBack,
     "The tenant is going back: the target is closed before the source is opened."},
    {"Aborted", Stretch::kEnd, "The tenant was not moved: somebody asked to stop."},
    {"Failed", Stretch::kEnd, "The tenant was not moved."},
    {"RolledBack", Stretch::kEnd, "The tenant was moved, and was moved back to the source."},
};

constexpr std::string_view kOffline[] = {"Preflight", "BackingUp", "Preparing",  "AwaitingCutover",
                                         "Fencing",   "Copying",   "Finalizing", "Verifying",
                                         "Switching", "Opening",   "Smoke",      "Admitting",
                                         "Hypercare", "Completing"};
constexpr std::string_view kOnline[] = {"Preflight",  "BackingUp",       "Preparing", "Copying",
                                        "CatchingUp", "AwaitingCutover", "Fencing",   "Finalizing",
                                        "Verifying",  "Switching",       "Opening",   "Smoke",
                                        "Admitting",  "Hypercare",       "Completing"};

}  // namespace

const PhaseFacts* FindPhase(std::string_view name) {
  for (const PhaseFacts& phase : kPhases)
    if (phase.name == name) return &phase;
  return nullptr;
}

std::vector<std::string_view> Pipeline(std::string_view strategy) {
  if (strategy == "Online") return {std::begin(kOnline), std::end(kOnline)};
  return {std::begin(kOffline), std::end(kOffline)};
}

bool IsEnd(std::string_view phase) {
  const PhaseFacts* facts = FindPhase(phase);
  return facts && facts->stretch == Stretch::kEnd;
}

Stretch StretchOf(std::string_view phase, bool journaled) {
  if (const PhaseFacts* facts = FindPhase(phase.empty() ? "Pending" : phase)) return facts->stretch;
  return journaled ? Stretch::kAfterJournal : Stretch::kBeforeJournal;
}

}  // namespace cutover::cli
