// SPDX-License-Identifier: Apache-2.0
#include "cli/view/outlook.h"

#include "cli/view/phases.h"
#include "cli/view/words.h"

namespace cutover::cli {
namespace {

using std::chrono::seconds;

bool IsOnline(const MigrationView& migration) { return migration.strategy == "Online"; }

std::string BeforeDoors(const MigrationView& migration, WallTime now) {
  std::string text = migration.suspend ? "Nothing, until it is resumed; then it goes on. " : "";
  if (migration.approval == "Manual") {
    text += "It asks for your approval before it stops the users";
    if (migration.phase == "AwaitingCutover")
      text += migration.window_end ? "" : "; waiting for that costs nobody anything";
  } else {
    text += "Nobody is asked before the users are stopped: that comes by itself, as soon as ";
    text += migration.phase == "CatchingUp" ? "the target follows closely" : "all is prepared";
  }
  if (migration.window_start && now < *migration.window_start)
    text += ", and not before " + FormatTime(*migration.window_start) + " (" +
            FormatDistance(*migration.window_start, now) + ")";
  if (migration.window_end)
    text += "; what has not begun by " + FormatTime(*migration.window_end) + " is undone";
  return text + ".";
}

// The operator gives up a closed phase after ten minutes (reconcilers/migration/decide.cc).
std::string BehindDoors(const MigrationView& migration) {
  std::string text = "Users are let in on " + migration.target_server_name +
                     " once all that is left has gone well. ";
  const bool copy_is_bound = IsOnline(migration) || migration.max_write_pause_seconds > 0;
  if (migration.max_write_pause_seconds > 0)
    text += "After " + FormatSpan(seconds(migration.max_write_pause_seconds)) + " in all, or ";
  else
    text += "After ";
  text += std::string("10m in one step") + (copy_is_bound ? "" : " other than the copy") +
          ", the move is undone";
  return text + ", and users work on " + migration.source_server_name + " again.";
}

std::string InHypercare(const MigrationView& migration, WallTime now) {
  const auto since = migration.PhaseSince();
  if (!since) return "";
  const WallTime over = *since + seconds(migration.hypercare_seconds);
  std::string text = over > now ? "It completes by itself at " + FormatTime(over) + " (" +
                                      FormatDistance(over, now) + "), if every check passes then"
                                : "It completes by itself as soon as every check passes";
  if (const std::string failing = FailingChecks(migration); !failing.empty())
    text += "; what comes before that if " + failing + " goes on failing is said with the checks";
  return text + "; the database on " + migration.source_server_name +
         " stays closed until its retention is over.";
}

}  // namespace

std::string DescribeNext(const MigrationView& migration, WallTime now) {
  const std::string& phase = migration.phase;
  if (IsEnd(phase) || !FindPhase(phase)) return "";
  if (phase == "Undoing")
    return "Users work on " + migration.source_server_name +
           " again as soon as its database is open; what is left of the move is removed after "
           "that.";
  if (phase == "RollingBack")
    return "Users work on " + migration.source_server_name +
           " again as soon as its database is open and the workloads are ready.";
  if (phase == "Opening" || phase == "Smoke" || phase == "Admitting")
    return "Users are let in on " + migration.target_server_name +
           " once the smoke checks pass; if they do not in their time, the tenant goes back by "
           "itself.";
  if (phase == "Hypercare") return InHypercare(migration, now);
  if (phase == "Completing") return "It is over when that is removed; users notice nothing.";
  const bool copies_online = phase == "Copying" && IsOnline(migration);
  return migration.DoorsClosed() && !copies_online ? BehindDoors(migration)
                                                   : BeforeDoors(migration, now);
}

std::string FailingChecks(const MigrationView& migration) {
  std::string failing;
  for (const api::CheckStatus& check : migration.checks)
    if (check.consecutive_failures > 0) failing += (failing.empty() ? "" : ", ") + check.name;
  return failing;
}

std::string DescribeCause(const MigrationView& migration) {
  const bool goes_back = migration.phase == "Undoing" || migration.phase == "RollingBack";
  if (!goes_back && (!IsEnd(migration.phase) || migration.phase == "Completed")) return "";
  if (migration.failure_reason.empty()) return "";
  std::string text = "Why: " + migration.failure_reason;
  if (!migration.failure_message.empty()) text += ", " + migration.failure_message;
  return text + ".";
}

std::string CostOfCutover(const MigrationView& migration) {
  if (IsOnline(migration)) {
    std::string text = ", for the switch alone";
    if (migration.max_write_pause_seconds > 0)
      text += "; after " + FormatSpan(seconds(migration.max_write_pause_seconds)) +
              " it is undone and tried again later";
    return text;
  }
  std::string text = ", until all of it is copied and compared, and the workloads are up on " +
                     migration.target_server_name;
  text +=
      migration.max_write_pause_seconds > 0
          ? "; after " + FormatSpan(seconds(migration.max_write_pause_seconds)) + " it is undone"
          : " (kubectl cutover plan estimates that)";
  return text;
}

}  // namespace cutover::cli
