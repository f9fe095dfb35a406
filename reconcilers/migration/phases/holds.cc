// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "reconcilers/migration/phases/phases.h"

namespace cutover::migration {
namespace {

constexpr std::chrono::seconds kLookAgain{10};

bool HasRowOfOurs(const DatabaseFacts& side) {
  return side.exists && !side.foreign && side.state != ControlState::kNone;
}

// With the placement gone as well, nothing says which database it was.
bool IsNowhere(const Fact<DatabaseFacts>& side) {
  return !side.known() && side.error().reason == "PlacementNotFound";
}

bool HasBeenIn(const api::TenantMigration& migration, api::Phase phase) {
  const auto& stages = migration.status.stages;
  return std::any_of(stages.begin(), stages.end(),
                     [&](const api::Stage& stage) { return stage.name == Name(phase); });
}

std::string WhatMayBeDoneWithoutTarget(const api::TenantMigration& migration) {
  const std::string restore = "restore the tenant's on server " + migration.spec.target_server_name;
  if (migration.status.phase != api::Phase::kHypercare)
    return restore + ", or finish by hand, as the runbook CutoverPersonNeeded says";
  return "to go back to it, without what has not arrived there, " + ConsentByNewToken() + "; or " +
         restore + ", with schema cutover";
}

// As Completing left it, after it had seen the tenant on the target.
bool MoveWasOver(const DatabaseFacts& source) {
  return HasRowOfOurs(source) &&
         (source.state == ControlState::kRetired || source.state == ControlState::kDropping);
}

std::string WhatIfTargetNeverAnswers(const api::TenantMigration& migration) {
  if (migration.status.phase == api::Phase::kHypercare) return WhatIfTargetIsLost(migration);
  return "if that server is gone for good, finish by hand, as the runbook CutoverPersonNeeded says";
}

}  // namespace

std::optional<Error> WhyNoFence(const Fact<DatabaseFacts>& side, const std::string& server) {
  if (!side.known() || !side->exists || side->foreign) return std::nullopt;
  if (side->prepared_transactions > 0)
    return Error{
        Disposition::kTerminal, "PreparedTransactions",
        "prepared transactions, which no fence ends, hold the tenant's database on server " +
            server + " (" + side->prepared +
            "): run COMMIT PREPARED or ROLLBACK PREPARED for each, connected to it"};
  if (side->superuser_owner)
    return Error{Disposition::kTerminal, "SuperuserOwner",
                 "the tenant's database on server " + server +
                     " belongs to a superuser, whom no fence stops: give it to the tenant's own "
                     "role (ALTER DATABASE … OWNER TO …)"};
  return std::nullopt;
}

std::optional<Plan> HoldForFence(const api::TenantMigration& migration, const Observation& seen) {
  ASK(seen.target);
  const auto why = WhyNoFence(seen.target, migration.spec.target_server_name);
  if (!why) return std::nullopt;
  Plan hold = Plan::Unknown(*why, "going back waits, and users work on meanwhile: ");
  hold.awaits_consent = true;
  if (!migration.spec.online()) return hold;
  ASK(seen.structure);
  ASK(seen.reverse_sample);
  ASK(seen.reverse_publisher);
  ASK(seen.reverse_subscriber);
  if (!WayBackIsGivenUp(migration, seen)) hold.effect = KeepWayBackOpen(seen);
  return hold;
}

std::optional<Plan> DropIdleSlotOnSource(const api::TenantMigration& migration,
                                         const Observation& seen) {
  if (!migration.spec.online()) return std::nullopt;
  ASK(seen.forward_publisher);
  if (!seen.forward_publisher.known() || !seen.forward_publisher->traces) return std::nullopt;
  return Plan::Do(Intent::kDropForwardPublisher, "removing the source's publication and slot");
}

Plan HoldForLedger(const Observation& seen) {
  Plan hold = Plan::Wait(
      kLookAgain,
      seen.ledger_secret +
          " is missing, and the tenant's databases still carry this move's control row: it says "
          "what replicas, routes and wiring were, and nothing is closed, opened or restored by "
          "guess. Restore it from a backup, or from the namespace that the operator was in before; "
          "or finish by hand, as the runbook CutoverPersonNeeded says",
      "LedgerMissing");
  hold.trouble = true;
  return hold;
}

std::string WhyNothingCanBeRestored(const Observation& seen) {
  return seen.ledger_secret +
         " is missing, which says what replicas, routes and wiring were: restore it from a backup, "
         "or from the namespace that the operator was in before";
}

std::string WhyTargetCannotBeClosed(const api::TenantMigration& migration,
                                    const Observation& seen) {
  if (!seen.target.known() || !seen.target->exists || HasRowOfOurs(*seen.target)) return "";
  return "the tenant's database on server " + migration.spec.target_server_name +
         " no longer carries this move's control row, without which it cannot be closed: restore "
         "schema cutover there from a backup";
}

std::string WhatIfTargetIsLost(const api::TenantMigration& migration) {
  const std::string& server = migration.spec.target_server_name;
  return "if server " + server + " is gone for good, delete DatabaseServer " + server +
         " and create it anew with the endpoint of an empty PostgreSQL";
}

std::optional<Plan> HoldUndoForLedger(const api::TenantMigration& migration,
                                      const Observation& seen) {
  if (!HasBeenIn(migration, api::Phase::kPreparing)) return std::nullopt;
  ASK(seen.source);
  if (IsNowhere(seen.source)) return std::nullopt;
  NEED(seen.source);
  if (auto plan = HoldWhereMoveWasOver(migration, seen)) return plan;
  if (HasRowOfOurs(*seen.source)) return HoldForLedger(seen);
  if (!migration.spec.online()) return std::nullopt;
  NEED(seen.target);
  if (HasRowOfOurs(*seen.target)) return HoldForLedger(seen);
  return std::nullopt;
}

std::optional<Plan> HoldCompletingForLedger(const Observation& seen) {
  ASK(seen.target);
  if (IsNowhere(seen.target)) return std::nullopt;
  NEED(seen.target);
  if (HasRowOfOurs(*seen.target)) return HoldForLedger(seen);
  if (seen.target->exists) return std::nullopt;
  // Somebody has dropped it, and our row with it, whose going is the last but the ledger's.
  NEED(seen.source);
  const bool unfinished =
      HasRowOfOurs(*seen.source) && seen.source->state == ControlState::kJournaled;
  return unfinished ? std::optional<Plan>(HoldForLedger(seen)) : std::nullopt;
}

std::optional<Plan> HoldWithoutTarget(const api::TenantMigration& migration,
                                      const Observation& seen) {
  ASK(seen.target);
  const bool is_gone = seen.target.known() ? !seen.target->exists : IsHalfDropped(seen.target);
  if (!is_gone) return std::nullopt;
  ASK(seen.source);
  if (SourceIsGone(seen)) return std::nullopt;  // Nothing is left that could be kept.
  if (auto plan = DropIdleSlotOnSource(migration, seen)) return plan;
  const std::string half =
      IsHalfDropped(seen.target) ? " (" + seen.target.error().message + ")" : "";
  Plan hold = Plan::Wait(kLookAgain,
                         "the tenant's database is no longer on server " +
                             migration.spec.target_server_name + half +
                             ", so the move is not finished, and the database on server " +
                             migration.status.source_server_name +
                             " stays as it is: " + WhatMayBeDoneWithoutTarget(migration),
                         "TargetGone");
  hold.trouble = true;
  return hold;
}

std::optional<Plan> HoldForTarget(const api::TenantMigration& migration, const Observation& seen) {
  if (auto plan = HoldWithoutTarget(migration, seen)) return plan;
  if (seen.target.known() || IsNowhere(seen.target)) return std::nullopt;
  if (auto plan = DropIdleSlotOnSource(migration, seen)) return plan;
  Plan hold = Plan::Lacking(seen.target);
  hold.message += "; the move is finished once server " + migration.spec.target_server_name +
                  " is seen to have the tenant's database, and the one on server " +
                  migration.status.source_server_name + " stays as it is until then; " +
                  WhatIfTargetNeverAnswers(migration);
  return hold;
}

std::optional<Plan> HoldForTenantOnTarget(const api::TenantMigration& migration,
                                          const Observation& seen) {
  if (auto plan = HoldForTarget(migration, seen)) return plan;
  if (!seen.target.known() || !seen.target->exists || HasRowOfOurs(*seen.target))
    return std::nullopt;
  ASK(seen.source);
  // Retired, and dropped since as somebody had ordered, or by hand: there is nothing else to keep.
  if (seen.source.known() && (!seen.source->exists || MoveWasOver(*seen.source)))
    return std::nullopt;
  Plan hold = Plan::Wait(kLookAgain,
                         "the move is not finished: " + WhyTargetCannotBeClosed(migration, seen) +
                             ", or, if it is the tenant's all the same, finish by hand, as the "
                             "runbook CutoverPersonNeeded says; if it is another that was made "
                             "there in its place, drop it",
                         "LedgerMissing");
  hold.trouble = true;
  return hold;
}

std::optional<Plan> HoldWhereMoveWasOver(const api::TenantMigration& migration,
                                         const Observation& seen) {
  if (!MoveWasOver(*seen.source)) return std::nullopt;
  const std::string& target = migration.spec.target_server_name;
  Plan hold = Plan::Wait(
      kLookAgain,
      "this move was over once: its source on server " + migration.status.source_server_name +
          " is " + std::string(Name(seen.source->state)) + ", so the tenant is on server " +
          target +
          ", and what the cluster says is older than the databases. Nothing is closed, opened or "
          "dropped: set DatabasePlacement " +
          migration.spec.placement_name + " and the wiring to server " + target +
          ", and let this TenantMigration go, as the runbook CutoverPersonNeeded says",
      "MoveWasOver");
  hold.trouble = true;
  return hold;
}

}  // namespace cutover::migration
