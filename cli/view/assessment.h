// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/view/snapshot.h"

namespace cutover::cli {

/// How a migration is, in one word; `kubectl cutover status` exits with it (verbs/exit_code.h).
enum class Health {
  kGood,      ///< Going on by itself, or Completed.
  kNotMoved,  ///< Over, and the tenant was not moved, or was moved back.
  kAsksYou,   ///< Goes on only once somebody answers or changes something.
  kTrouble,   ///< Something is wrong, though it is tried again by itself; or nobody works on it.
};

/// A command that a person may give now, and what it would do.
struct Advice {
  std::string command;
  std::string effect;
  bool awaited = false;  ///< It is what the migration waits for.
};

/// What a person who has to decide something wants to know. Every sentence follows from the
/// objects of the snapshot; what they do not prove is not said, or said to be unknown.
struct Assessment {
  Health health = Health::kGood;
  std::string now;                 ///< What happens.
  std::string words;               ///< What the operator says about it itself; may be empty.
  std::string cause;               ///< Why it goes back or is undone, or empty.
  std::string next;                ///< What comes when nobody does anything; may be empty.
  std::string stuck;               ///< Begins with "No", "Yes", "Perhaps" or "It is over".
  std::string users;               ///< Whether the users can work.
  std::string way_back;            ///< What it would take to go back, and what it would cost.
  std::vector<std::string> asked;  ///< Commands that were given and are not answered yet.
  std::string kept;                ///< Why an approval that was given is answered later, or empty.
  std::vector<Advice> advice;      ///< Those that are awaited come first.
};

/// Pure.
Assessment Assess(const Snapshot& seen);

/// The part of Assess that needs only the migration itself; for lists.
Health HealthOf(const MigrationView& migration, WallTime now);

}  // namespace cutover::cli
