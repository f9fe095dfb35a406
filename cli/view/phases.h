// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cutover::cli {

/// Where in its life a phase is, as far as a person's choices go.
enum class Stretch {
  kBeforeJournal,  ///< Abort puts everything back.
  kAfterJournal,   ///< Forward, or back by rollback.
  kGoingBack,      ///< Undoing, RollingBack: nothing to choose.
  kEnd,
};

struct PhaseFacts {
  std::string_view name;
  Stretch stretch;
  std::string_view doing;  ///< What happens in it, as a sentence.
};

/// Nothing for a phase that this plugin does not know. A test holds the table to the operator's
/// transitions (reconcilers/migration/transitions.h).
const PhaseFacts* FindPhase(std::string_view name);

/// The phases of a move that goes well, in order. An unknown strategy has those of Offline.
std::vector<std::string_view> Pipeline(std::string_view strategy);

bool IsEnd(std::string_view phase);

/// The same for a migration: a phase that is not known is judged by the journal, and one that is
/// not there yet is Pending.
Stretch StretchOf(std::string_view phase, bool journaled);

}  // namespace cutover::cli
