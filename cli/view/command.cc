// SPDX-License-Identifier: Apache-2.0
#include "cli/view/command.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/view/phases.h"
#include "operator/api/waits_for_person.h"
#include "operator/base/check.h"

namespace cutover::cli {
namespace {

using api::ConditionStatus;

// "It is in Hypercare: "
std::string Where(const MigrationView& migration) {
  return migration.FullName() + " is in " +
         (migration.phase.empty() ? "no phase yet" : migration.phase) + ": ";
}

// Whether users are stopped already. By the phase: an Online cutover that was undone leaves in
// status.cutover when it had stopped them, and is tried again, with another approval.
bool HasStoppedUsers(const MigrationView& migration) {
  const std::vector<std::string_view> phases = Pipeline(migration.strategy);
  const auto here = std::find(phases.begin(), phases.end(), migration.phase);
  if (here == phases.end()) return migration.DoorsClosed();
  return here > std::find(phases.begin(), phases.end(), "AwaitingCutover");
}

bool ReadyToStopUsers(const MigrationView& migration) {
  return migration.phase == "AwaitingCutover";
}

// Whether it holds, in AwaitingCutover, for something else than a person's word.
bool Holds(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  return reason != "AwaitingApproval" && reason != "Suspended" && api::FindWaitForPerson(reason);
}

// By the operator's clock, too, which may be behind.
bool WindowIsAhead(const MigrationView& migration, WallTime now) {
  return migration.window_start &&
         (*migration.window_start > now || migration.ReadyReason() == "AwaitingWindow");
}

// A rollback that was asked for, or is needed, and that the operator does not carry out by itself.
bool RollbackIsHeld(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  return reason == "RollbackNeedsConsent" || reason == "AwaitingWayBack" ||
         RollbackAwaitsFence(migration);
}

// A rollback after the smoke test was put off, and a person may say that the tenant stays.
bool AsksWhetherToStay(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  return migration.phase == "Hypercare" &&
         (reason == "SmokeFailedNoWayBack" || reason == "SmokeFailed");
}

Prospect ForeseeApprove(const MigrationView& migration, Stretch stretch, WallTime now) {
  Prospect prospect;
  if (AsksWhetherToStay(migration)) {
    prospect.consequences = "The tenant stays on " + migration.target_server_name +
                            ", where its smoke test had failed; hypercare goes on.";
    return prospect;
  }
  const bool past = stretch != Stretch::kBeforeJournal || HasStoppedUsers(migration);
  if (migration.approval != "Manual")
    prospect.refusal = migration.FullName() + " needs no approval (spec.cutover.approval is " +
                       migration.approval + ")";
  else if (past)
    prospect.refusal = Where(migration) + "there is nothing left to approve";
  if (!prospect.refusal.empty()) return prospect;
  prospect.consequences = "The users of " + migration.placement_name + " will be stopped" +
                          WhenUsersAreStopped(migration, now) + ".";
  prospect.later = WhyApprovalWaits(migration, now);
  return prospect;
}

Prospect ForeseeAbort(const MigrationView& migration, Stretch stretch) {
  Prospect prospect;
  if (stretch == Stretch::kAfterJournal)
    prospect.refusal = Where(migration) +
                       "the journal is written, so it can no longer be aborted; going back is: "
                       "kubectl cutover rollback " +
                       migration.meta.name + " -n " + migration.meta.namespace_name;
  else if (stretch == Stretch::kGoingBack)
    prospect.refusal = Where(migration) + "it is going back already";
  else if (stretch == Stretch::kEnd)
    prospect.refusal = Where(migration) + "it is over, and there is nothing to abort";
  else
    prospect.consequences =
        "Everything that " + migration.FullName() +
        " has done is undone, the copy is dropped, and the tenant stays where it is.";
  return prospect;
}

// Why a rollback cannot be asked for at all; empty where it can.
std::string WhyNoRollback(const MigrationView& migration, Stretch stretch) {
  if (stretch == Stretch::kBeforeJournal)
    return "the users have not been switched, so there is nothing to roll back; to undo it: "
           "kubectl cutover abort " +
           migration.meta.name + " -n " + migration.meta.namespace_name;
  if (stretch == Stretch::kGoingBack) return "it is going back already";
  if (stretch == Stretch::kEnd) return "it is over; going back is another move";
  if (migration.phase == "Completing") return "the way back is closed; going back is another move";
  if (migration.ReadyReason() == "SourceGone")
    return "the database on " + migration.source_server_name +
           " is gone, so there is nothing to go back to, whatever is accepted";
  return "";
}

// It goes back already, and waits for a loss to be accepted.
Prospect ForeseeConsent(const MigrationView& migration) {
  Prospect prospect;
  prospect.loses_writes = true;
  // A loss is accepted for the rollback that runs alone: by its token, or by one that is new.
  prospect.standing_token = migration.rollback.token;
  prospect.consequences = "The tenant goes back to " + migration.source_server_name +
                          ". What was written on the target and has not arrived there is lost.";
  return prospect;
}

// A stream back that does not bring all at the moment, and may later: the operator goes back with
// everything, or only with consent.
std::string DescribeWait(const MigrationView& migration, bool accept_data_loss) {
  const api::Condition* open = migration.conditions.Find("RollbackReady");
  const bool shut = !open || open->status != ConditionStatus::kTrue;
  const std::string why = shut ? open ? open->message : "" : migration.message;
  return (shut ? " The way back is not open at the moment" : " Going back waits at the moment") +
         (why.empty() ? "" : " (" + why + ")") +
         (RollbackAwaitsFence(migration) ? ", and the users work on until it is."
          : accept_data_loss             ? ": what does not arrive there is lost."
                             : ", and the users work on until it is. To go back without what does "
                               "not arrive: --accept-data-loss.");
}

Prospect ForeseeRollback(const MigrationView& migration, Stretch stretch, bool accept_data_loss) {
  if (stretch == Stretch::kGoingBack && AwaitsConsentWhileGoingBack(migration) && accept_data_loss)
    return ForeseeConsent(migration);
  Prospect prospect;
  if (const std::string why = WhyNoRollback(migration, stretch); !why.empty()) {
    prospect.refusal = Where(migration) + why;
    return prospect;
  }
  prospect.consequences = "The users of " + migration.placement_name +
                          " are stopped, and the tenant goes back to " +
                          migration.source_server_name + ".";
  if (migration.phase == "Admitting")
    prospect.later = "users are half in; it is looked at again once all are";
  if (GoesBackWithoutLoss(migration)) return prospect;
  const std::string shut_for = migration.ReasonOf("RollbackReady", ConditionStatus::kFalse);
  const bool differs = shut_for == "SampleDiffers";
  const bool changed = shut_for == "SchemaChanged";
  const bool for_good =
      shut_for == "WayBackGivenUp" || shut_for == "RoutesLedBack" || shut_for == "SourceFailedOver";
  if (migration.strategy == "Online" && !differs && !changed && !for_good) {
    prospect.consequences += DescribeWait(migration, accept_data_loss);
    prospect.loses_writes = accept_data_loss;
    return prospect;
  }
  if (!accept_data_loss) {
    const api::Condition* ready = migration.conditions.Find("RollbackReady");
    prospect.refusal =
        Where(migration) +
        (differs   ? "rows of the source are not what the target has"
         : changed ? "the structure of the target has changed since the switch"
                   : "going back would lose what users wrote since the switch") +
        (shut_for.empty() || ready->message.empty() ? "" : " (" + ready->message + ")") +
        "; if that is better than staying, say so: --accept-data-loss";
    return prospect;
  }
  prospect.loses_writes = true;
  prospect.consequences +=
      differs ? " What differs on the source stays as it is there; of those rows, what users wrote "
                "since the switch may be lost."
      : changed ? " What was made in the changed structure, and whatever the stream back could not "
                  "bring because of it, is lost."
                : " Everything that was written since the switch is lost.";
  return prospect;
}

Prospect ForeseeRetry(const MigrationView& migration, Stretch stretch, WallTime now) {
  Prospect prospect;
  if (stretch != Stretch::kEnd)
    prospect.refusal = Where(migration) +
                       "it is not over; a retry is for one that has failed or "
                       "was aborted";
  else if (migration.phase != "Failed" && migration.phase != "Aborted")
    prospect.refusal = Where(migration) +
                       "only Failed and Aborted ones are tried again; create "
                       "another TenantMigration: kubectl cutover move";
  else if (migration.meta.deleting())
    prospect.refusal = migration.FullName() + " is being deleted";
  else if (WindowIsOver(migration, now))
    prospect.refusal = Where(migration) + "its window ended at " +
                       FormatTime(*migration.window_end) +
                       "; create another TenantMigration, with a later one";
  return prospect;
}

Stretch StretchOf(const MigrationView& migration) {
  return cli::StretchOf(migration.phase, migration.Journaled());
}

bool HadItsEffect(Command command, const MigrationView& migration) {
  switch (command) {
    case Command::kApprove:
      return migration.cutover.fenced_at.has_value();
    case Command::kAbort:
      return migration.failure_reason == "AbortRequested";
    case Command::kRollback:
      return migration.phase == "RollingBack" || migration.phase == "RolledBack";
    case Command::kRetry:
      return !IsEnd(migration.phase);
  }
  return false;
}

}  // namespace

std::string_view Name(Command command) {
  switch (command) {
    case Command::kApprove:
      return "approve";
    case Command::kAbort:
      return "abort";
    case Command::kRollback:
      return "rollback";
    case Command::kRetry:
      return "retry";
  }
  return "";
}

std::string_view Annotation(Command command) {
  switch (command) {
    case Command::kApprove:
      return api::kApproveAnnotation;
    case Command::kAbort:
      return api::kAbortAnnotation;
    case Command::kRollback:
      return api::kRollbackAnnotation;
    case Command::kRetry:
      return api::kRetryAnnotation;
  }
  return "";
}

const std::string& Handled(const MigrationView& migration, Command command) {
  switch (command) {
    case Command::kApprove:
      return migration.handled.approve;
    case Command::kAbort:
      return migration.handled.abort;
    case Command::kRollback:
      return migration.handled.rollback;
    case Command::kRetry:
      return migration.handled.retry;
  }
  CHECK(!"a command without a field");
  return migration.handled.approve;
}

Prospect Foresee(Command command, const MigrationView& migration, bool accept_data_loss,
                 WallTime now) {
  const Stretch stretch = StretchOf(migration);
  switch (command) {
    case Command::kApprove:
      return ForeseeApprove(migration, stretch, now);
    case Command::kAbort:
      return ForeseeAbort(migration, stretch);
    case Command::kRollback:
      return ForeseeRollback(migration, stretch, accept_data_loss);
    case Command::kRetry:
      return ForeseeRetry(migration, stretch, now);
  }
  return {};
}

bool AwaitsConsentWhileGoingBack(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  return reason == "NoWayBack" || reason == "RollbackNeedsConsent" || reason == "AwaitingWayBack" ||
         reason == "PoolerNotPaused";
}

bool RollbackAwaitsFence(const MigrationView& migration) {
  const std::string reason = migration.ReadyReason();
  const std::string token = migration.meta.Annotation(api::kRollbackAnnotation);
  const bool is_asked_for = !token.empty() && token != migration.handled.rollback;
  return is_asked_for && (reason == "PreparedTransactions" || reason == "SuperuserOwner");
}

bool GoesBackWithoutLoss(const MigrationView& migration) {
  return migration.conditions.IsTrue("RollbackReady") && !RollbackIsHeld(migration) &&
         migration.ReadyReason() != "TargetGone";
}

bool WindowIsOver(const MigrationView& migration, WallTime now) {
  return migration.window_end && *migration.window_end <= now;
}

std::string WhenUsersAreStopped(const MigrationView& migration, WallTime now) {
  std::string when = !ReadyToStopUsers(migration) ? " as soon as all is prepared"
                     : migration.suspend          ? " once it is resumed"
                     : Holds(migration)           ? " once what it holds for is mended"
                                                  : "";
  if (!WindowIsAhead(migration, now)) return when.empty() ? " now" : when;
  return when + (when.empty() ? " in" : ", and not before") + " the window, which starts at " +
         FormatTime(*migration.window_start);
}

std::string WhyApprovalWaits(const MigrationView& migration, WallTime now) {
  if (StretchOf(migration) != Stretch::kBeforeJournal || HasStoppedUsers(migration)) return "";
  const std::string when = WhenUsersAreStopped(migration, now);
  if (when == " now") return "";
  const std::string phase = migration.phase.empty() ? "no phase yet" : migration.phase;
  return (ReadyToStopUsers(migration)
              ? ""
              : "it is taken up in AwaitingCutover, and it is in " + phase + " now; ") +
         "the users are stopped" + when;
}

std::optional<Outcome> OutcomeOf(Command command, const MigrationView& migration,
                                 const std::string& token, WallTime now) {
  const std::string phase = migration.phase.empty() ? "no phase yet" : migration.phase;
  const std::string said = migration.message.empty() ? "" : " (" + migration.message + ")";
  if (Handled(migration, command) != token) {
    const std::string reason = migration.ReadyReason();
    const bool held =
        RollbackIsHeld(migration) || reason == "SourceGone" || reason == "LedgerMissing";
    if (command == Command::kRollback && held)
      return Outcome{false, "the operator holds: " + migration.message};
    const std::string later =
        command == Command::kApprove ? WhyApprovalWaits(migration, now) : std::string();
    if (!later.empty()) return Outcome{true, "it stands, and is taken up later: " + later};
    return std::nullopt;
  }
  if (HadItsEffect(command, migration))
    return Outcome{true, "the operator took it up: " + phase + said};
  return Outcome{false, "the operator answered, but had nothing to " + std::string(Name(command)) +
                            ": " + phase + said};
}

}  // namespace cutover::cli
