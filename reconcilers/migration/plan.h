// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "operator/api/tenant_migration.h"
#include "reconcilers/migration/intent.h"
#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/transitions.h"

namespace cutover::migration {

/// What to do next, as decided from one observation: one effect, or one step of the state machine,
/// or waiting. Never two at once: after an effect the world is looked at again, so that every
/// effect rests on what was seen and not on what was hoped.
struct Plan {
  std::optional<Intent> effect;
  std::optional<Guard> guard;
  std::chrono::milliseconds wait{0};
  std::string message;   ///< What is being done or waited for; goes into status.
  std::string reason;    ///< Condition reason; empty: the phase's name.
  bool trouble = false;  ///< Something is wrong, and is being tried again.

  static Plan Do(Intent intent, std::string message) {
    Plan plan;
    plan.effect = intent;
    plan.message = std::move(message);
    return plan;
  }
  static Plan Go(Guard guard, std::string message = "") {
    Plan plan;
    plan.guard = guard;
    plan.message = std::move(message);
    return plan;
  }
  /// Waiting is not an error.
  static Plan Wait(std::chrono::milliseconds duration, std::string message,
                   std::string reason = "") {
    Plan plan;
    plan.wait = duration;
    plan.message = std::move(message);
    plan.reason = std::move(reason);
    return plan;
  }
  /// A fact that the phase needs could not be read: look again.
  static Plan Unknown(const Error& error) {
    Plan plan = Wait(std::chrono::seconds(2), error.message, error.reason);
    plan.trouble = true;
    return plan;
  }
  /// Before the journal: give up and undo.
  static Plan Undo(std::string reason, std::string message) {
    Plan plan = Go(Guard::kUndo, std::move(message));
    plan.reason = std::move(reason);
    return plan;
  }
  /// After the journal: go back.
  static Plan RollBack(std::string reason, std::string message) {
    Plan plan = Go(Guard::kRollBack, std::move(message));
    plan.reason = std::move(reason);
    return plan;
  }
};

/// Leaves the phase function with Unknown when a fact it needs was not read.
#define NEED(fact) \
  if (!(fact).known()) return Plan::Unknown((fact).error())

}  // namespace cutover::migration
