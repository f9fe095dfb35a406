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
  /// Not decided yet: look at this, and ask again.
  std::optional<Subject> look_at;
  std::optional<Intent> effect;
  std::optional<Guard> guard;
  std::chrono::milliseconds wait{0};
  std::string message;   ///< What is being done or waited for; goes into status.
  std::string reason;    ///< Condition reason; empty: the phase's name.
  bool trouble = false;  ///< Something is wrong, and is being tried again.
  /// A rollback is asked for that would lose writes: its token stays unanswered until a person
  /// accepts that, or takes it back.
  bool awaits_consent = false;

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
  /// A fact that the phase needs could not be read: look again. `what_it_means` comes before the
  /// error's words.
  static Plan Unknown(const Error& error, const std::string& what_it_means = "") {
    Plan plan = Wait(std::chrono::seconds(2), what_it_means + error.message, error.reason);
    plan.trouble = true;
    return plan;
  }
  static Plan LookAt(Subject subject) {
    Plan plan;
    plan.look_at = subject;
    return plan;
  }
  template <class T>
  static Plan Lacking(const Fact<T>& fact) {
    return fact.unseen() ? LookAt(*fact.unseen()) : Unknown(fact.error());
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

/// Leaves the function with a plan that asks for the fact, or, where it was looked at in vain, with
/// one that looks again later.
#define NEED(fact) \
  if (!(fact).known()) return Plan::Lacking(fact)

/// The same for a fact that need not be known to go on: what cannot be read stays unknown.
#define ASK(fact) \
  if ((fact).unseen()) return Plan::LookAt(*(fact).unseen())

}  // namespace cutover::migration
