// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/view/migration_view.h"

namespace cutover::cli {

/// What a person may tell the operator by an annotation.
enum class Command { kApprove, kAbort, kRollback, kRetry };
std::string_view Name(Command command);        ///< "approve"
std::string_view Annotation(Command command);  ///< "cutover.dev/approve"

/// The last token of this command that the operator has answered.
const std::string& Handled(const MigrationView& migration, Command command);

/// What giving a command now would mean.
struct Prospect {
  std::string refusal;  ///< Not empty: it makes no sense now; why, and what does.
  /// What it does that cannot be taken back; empty: nothing, so that nobody need be asked.
  std::string consequences;
  /// Why the operator will not answer at once, though it will; empty where it does.
  std::string later;
  /// The token to give it with, where one stands already that is only to be confirmed.
  std::string standing_token;
  bool loses_writes = false;  ///< Users' writes would be lost.
};

/// Whether it is going back, or would, but for a loss that a person may still accept.
bool AwaitsConsentWhileGoingBack(const MigrationView& migration);

/// Whether a rollback that was asked for waits for what no fence of the target would stop: no
/// consent takes the place of mending that. Where nobody has asked, the same reason is one of the
/// source, which somebody has opened again, and keeps no rollback.
bool RollbackAwaitsFence(const MigrationView& migration);

/// Whether a rollback of one whose users were switched is known to lose nothing, and so waits for
/// nothing either.
bool GoesBackWithoutLoss(const MigrationView& migration);

/// Whether the window in which the users may be stopped has passed: it never begins again.
bool WindowIsOver(const MigrationView& migration, WallTime now);

/// When an approval that stands stops the users, for a sentence: " now", " once it is resumed".
std::string WhenUsersAreStopped(const MigrationView& migration, WallTime now);

/// Why the operator does not answer an approval at once, though it knows of it; empty where it
/// does, and where users are stopped already.
std::string WhyApprovalWaits(const MigrationView& migration, WallTime now);

/// Pure. What is decided for good is decided by the operator, which looks again.
Prospect Foresee(Command command, const MigrationView& migration, bool accept_data_loss,
                 WallTime now);

/// What came of a command, once the operator has answered.
struct Outcome {
  bool done = false;  ///< It had the effect that it is given for.
  std::string text;
};

/// Nothing while `token` is unanswered and it may still be answered by the operator alone, and
/// soon.
std::optional<Outcome> OutcomeOf(Command command, const MigrationView& migration,
                                 const std::string& token, WallTime now);

}  // namespace cutover::cli
