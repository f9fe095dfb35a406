// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/orphans/remedy.h"

#include "operator/base/clock.h"
#include "reconcilers/migration/transitions.h"

namespace cutover::migration {
namespace {

using api::Phase;

// After the journal only the target can tell whether it was ever opened.
Advice AdviseAfterJournal(const DatabaseFacts& source, const Fact<DatabaseFacts>& target,
                          bool consent) {
  if (!target.known()) return {Remedy::kWait, target.error().message};
  bool ours = target->exists && !target->foreign;
  if (ours && target->state == ControlState::kOpen) {
    if (source.state != ControlState::kJournaled)
      return {Remedy::kTidyUp, "the move was over but for its last cleaning-up"};
    if (consent) return {Remedy::kFinish, "finishing the move, as a person has decided"};
    return {Remedy::kReport, "the move was switched: the target is open, the source fenced"};
  }
  // Its row on the target goes last but for the ledger.
  if (ours && source.state == ControlState::kRetired && target->state == ControlState::kNone)
    return {Remedy::kTidyUp, "the move was over but for its ledger"};
  if (source.state != ControlState::kJournaled)
    return {Remedy::kReport,
            "the source is " + std::string(Name(source.state)) +
                ", and the target no longer has our control row; the source stays as it is"};
  // Closed since it was made: nobody has ever written there, so the source has every write.
  if (ours && target->state == ControlState::kVerified && target->closed)
    return {Remedy::kGoBack, "journaled, but the target was never opened"};
  return {Remedy::kReport,
          "the source is journaled, and the target is " +
              (ours ? std::string(Name(target->state)) : std::string("not ours or not there")) +
              ": which of them has the last writes cannot be told"};
}

Phase PhaseFor(Remedy remedy) {
  switch (remedy) {
    case Remedy::kGoBack:
      return Phase::kRollingBack;
    case Remedy::kDropCopy:
      return Phase::kRolledBack;
    case Remedy::kTidyUp:
      return Phase::kCompleting;
    case Remedy::kFinish:
      return Phase::kOpening;
    default:
      return Phase::kUndoing;
  }
}

}  // namespace

Advice Advise(const Fact<DatabaseFacts>& source, const Fact<DatabaseFacts>& target, bool consent) {
  if (!source.known()) return {Remedy::kWait, source.error().message};
  if (!source->exists && target.known() && !target->exists)
    return {Remedy::kDropCopy, "both databases are gone, so nothing but the ledger is left"};
  if (!source->exists)
    return {Remedy::kReport,
            "the source database is gone, so the copy may be the only one: nothing is touched"};
  if (source->foreign) return {Remedy::kDropCopy, "another migration holds the source by now"};
  switch (source->state) {
    case ControlState::kNone:
      return {Remedy::kDropCopy, "the source is as it was"};
    case ControlState::kOpen:
    case ControlState::kFenced:
      return {Remedy::kUndo, "nothing was switched"};
    case ControlState::kReopened:
      return {Remedy::kGoBack, "the source is open again; the rest of the rollback is missing"};
    default:
      return AdviseAfterJournal(*source, target, consent);
  }
}

api::TenantMigration GhostOf(const std::string& uid, const Ledger& ledger, Remedy remedy) {
  api::TenantMigration ghost;
  ghost.meta.uid = uid;
  ghost.meta.namespace_name = ledger.migration["namespace"].AsString();
  ghost.meta.name = ledger.migration["name"].AsString();
  ghost.meta.finalizers = {api::kFinalizer};
  ghost.spec.placement_name = ledger.placement.At({"metadata", "name"}).AsString();
  ghost.spec.target_server_name = ledger.migration["targetServerName"].AsString();
  // What it had made besides the copy, and how its doors were closed, go by these.
  if (ledger.migration["online"].AsBool()) ghost.spec.strategy = api::Strategy::kOnline;
  if (ledger.migration["byPooler"].AsBool()) ghost.spec.switch_mode = api::SwitchMode::kPooler;
  ghost.spec.reclaim_policy = api::ReclaimPolicy::kRetain;
  ghost.status.source_server_name = ledger.migration["sourceServerName"].AsString();
  ghost.status.attempt = ledger.migration["attempt"].AsInt(1);
  ghost.status.cutover.attempts = 1;  // Nobody knows how far it came.
  ghost.status.phase = PhaseFor(remedy);
  ghost.status.failure_reason = "Deleted";
  ghost.status.failure_message = "the TenantMigration vanished";
  // Deletion is what makes an ended migration give up its copy; elsewhere it would turn it round.
  if (remedy == Remedy::kDropCopy) ghost.meta.deletion_timestamp = WallTime{};
  return ghost;
}

bool IsSettled(Remedy remedy, Phase phase) {
  switch (remedy) {
    case Remedy::kUndo:
      return phase != Phase::kUndoing;
    case Remedy::kGoBack:
      return phase != Phase::kRollingBack;
    case Remedy::kTidyUp:
      return phase != Phase::kCompleting;
    case Remedy::kFinish:
      return IsEnd(phase);
    default:
      return false;
  }
}

}  // namespace cutover::migration
