// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "reconcilers/migration/observation.h"
#include "reconcilers/migration/plan.h"

namespace cutover::migration {

// One phase, one file. Each function is pure: no client, no clock (`Observation::now` is the time).
// Each is asked again after every effect and every change, and after every crash, so it must derive
// what is left to do from the observation alone. Facts are looked at in the order in which they are
// asked for: what may lead to an effect first.

Plan PlanPending(const api::TenantMigration& migration, const Observation& seen);
Plan PlanPreflight(const api::TenantMigration& migration, const Observation& seen);
Plan PlanBackingUp(const api::TenantMigration& migration, const Observation& seen);
Plan PlanPreparing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanCatchingUp(const api::TenantMigration& migration, const Observation& seen);
Plan PlanAwaitingCutover(const api::TenantMigration& migration, const Observation& seen);
Plan PlanFencing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanCopying(const api::TenantMigration& migration, const Observation& seen);
Plan PlanFinalizing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanVerifying(const api::TenantMigration& migration, const Observation& seen);
Plan PlanSwitching(const api::TenantMigration& migration, const Observation& seen);
Plan PlanOpening(const api::TenantMigration& migration, const Observation& seen);
Plan PlanSmoke(const api::TenantMigration& migration, const Observation& seen);
Plan PlanAdmitting(const api::TenantMigration& migration, const Observation& seen);
Plan PlanHypercare(const api::TenantMigration& migration, const Observation& seen);
Plan PlanCompleting(const api::TenantMigration& migration, const Observation& seen);
Plan PlanUndoing(const api::TenantMigration& migration, const Observation& seen);
Plan PlanRollingBack(const api::TenantMigration& migration, const Observation& seen);
/// Completed, Aborted, Failed, RolledBack: what is left to do in an end.
Plan PlanEnd(const api::TenantMigration& migration, const Observation& seen);

// What several phases share (common.cc); nothing when it is done.

/// Workloads as recorded, then the routes once these are ready; or the poolers resumed, each that
/// answers, and, but for Opening, AwaitSilentPoolers().
std::optional<Plan> LetUsersBackIn(const api::TenantMigration& migration, const Observation& seen);
/// By pooler, once all that answer are resumed: names those that do not, for a while. What falls
/// silent for longer is looked for while users work (LetLeftBehindGo()), and after the end.
std::optional<Plan> AwaitSilentPoolers(const api::TenantMigration& migration,
                                       const Observation& seen);
/// Online, while the page is to keep users from workloads that are on the target: looks whether
/// somebody has led the routes back to these; status notes it (cutover.opened_at). Otherwise
/// nothing.
std::optional<Plan> SeeWhetherUsersAreIn(const api::TenantMigration& migration,
                                         const Observation& seen);
/// Users out: routes to the page and workloads stopped, or the poolers paused. Not that no pod is
/// left: they have a while to end. Who may still write is for the fence to say.
std::optional<Plan> CloseDoors(const api::TenantMigration& migration, const Observation& seen);
/// Which of the placement's objects a leader of this migration may have been about to change.
struct ObjectsAtStake {
  bool doors = false;   ///< Workloads and routes.
  bool wiring = false;  ///< Changed after the journal only.
};
ObjectsAtStake FindObjectsAtStake(const api::TenantMigration& migration);
/// Nothing that a former leader has asked for can close the doors or lead users elsewhere any more:
/// an end that came without these requests being repeated is not undone by them. Users are in by
/// then, and slots and helpers gone: whatever keeps this from being done keeps nothing else.
std::optional<Plan> OutdateRequests(const api::TenantMigration& migration, const Observation& seen);
/// Whether a DROP DATABASE of this side was cut short by its server's death. Nothing can be read of
/// it any more, so it is unknown; where it was ours to drop, it still is.
bool IsHalfDropped(const Fact<DatabaseFacts>& side);
/// After the journal, until the source was opened again: whether the database that the tenant has
/// left is not there any more, or another one has its name. Not so while that is unknown.
bool SourceIsGone(const Observation& seen);
/// Says so, for a message.
std::string WhySourceIsGone(const api::TenantMigration& migration);
/// After the journal, too: closes the source where somebody, or a failover to a standby that had
/// not heard of the fence, has opened it beside the target. Nothing where that is not known.
std::optional<Plan> KeepSourceClosed(const Observation& seen);
/// The same where something else is to be done, or waited for, as well: gives way to that where it
/// would be refused (WhyNoFence()), or has been tried in vain in the round before.
std::optional<Plan> TryToCloseSource(const api::TenantMigration& migration,
                                     const Observation& seen);
/// What a Job, or the page, waits for whose pod cannot start: somebody to mend that. It begins by
/// itself then.
Plan AwaitPod(const PodHindrance& hindrance);
/// A page that users can be sent to; nothing once it is there, whole and ready.
std::optional<Plan> AwaitMaintenancePage(const Observation& seen);
/// The maintenance page and the Jobs gone, but for those whose pods never go. What such a mover
/// does late it may not do by then: it needs a control row in a database that the move has left.
std::optional<Plan> RemoveHelpers(const Observation& seen);

// What is not done without a person (holds.cc).

/// Why a fence of this side, on that server, would be refused, or could not be proven: a prepared
/// transaction, which no fence ends, or an owner whom none stops. Nothing where that is not known.
std::optional<Error> WhyNoFence(const Fact<DatabaseFacts>& side, const std::string& server);
/// While users work on the target: whoever would go back over a fence that could not be had waits
/// with the doors open, whatever loss he accepts.
std::optional<Plan> HoldForFence(const api::TenantMigration& migration, const Observation& seen);

/// The Secret that says what there was is not there, while it is still needed: it may have been
/// deleted, or the operator have been installed in another namespace.
Plan HoldForLedger(const Observation& seen);
/// What is missing then, and what to do, for a message.
std::string WhyNothingCanBeRestored(const Observation& seen);
/// Somebody has taken our control row from the target, so that its fence could not be closed; empty
/// where it is there, or the target is not known, or gone.
std::string WhyTargetCannotBeClosed(const api::TenantMigration& migration, const Observation& seen);
/// How a person says that the target's server will never answer again, for a message.
std::string WhatIfTargetIsLost(const api::TenantMigration& migration);
/// HoldForLedger(), in Undoing without a ledger; nothing where none was needed or its going was the
/// last of the undo. The control rows tell, which go before it.
std::optional<Plan> HoldUndoForLedger(const api::TenantMigration& migration,
                                      const Observation& seen);
/// The same in Completing.
std::optional<Plan> HoldCompletingForLedger(const Observation& seen);
/// After the journal, once users were in: nothing where the target is seen to have the database
/// that they work in. Where it has none, or that is not known, the way back stays as it is, which
/// may be all that is left of the tenant (nothing as well where that is gone, too); what is left of
/// the stream to the target goes first.
std::optional<Plan> HoldForTarget(const api::TenantMigration& migration, const Observation& seen);
/// After the journal: what is left of the stream to the target goes from the source, where its slot
/// would keep WAL for a target that follows no longer.
std::optional<Plan> DropIdleSlotOnSource(const api::TenantMigration& migration,
                                         const Observation& seen);
/// HoldForTarget() where it is known to have none: to be said at once.
std::optional<Plan> HoldWithoutTarget(const api::TenantMigration& migration,
                                      const Observation& seen);
/// The same as HoldForTarget(), and the database is known to be the one that was opened, or the
/// move was over once: needed before hypercare ends, since what follows closes the way back.
std::optional<Plan> HoldForTenantOnTarget(const api::TenantMigration& migration,
                                          const Observation& seen);
/// The source, which is known, was retired by this very migration, whose status is from before that
/// (an etcd that was restored): the tenant's database is the target, and there is no way back.
std::optional<Plan> HoldWhereMoveWasOver(const api::TenantMigration& migration,
                                         const Observation& seen);

// The stream of strategy Online (stream.cc).

/// The number of the marker that this attempt's drain waits for: a new one each time that the doors
/// are closed, so that an older one proves nothing.
int64_t MarkerOf(const api::TenantMigration& migration);
/// What a target that has failed over (SubscriberFacts::FailedOver()) means for the move, in words.
std::string WhyTargetIsNotFollowed(const api::TenantMigration& migration,
                                   const PublisherFacts& publisher,
                                   const SubscriberFacts& subscriber);
/// What ends the following, or keeps the doors from closing; nothing while all goes well.
std::optional<Plan> TroubleOfStream(const api::TenantMigration& migration, const Observation& seen);
/// Whether the target follows as closely as the spec asks, at this moment.
bool FollowsClosely(const api::TenantMigration& migration, const Observation& seen);
/// "3.2 MB behind, last heartbeat 1 s ago"
std::string DescribeLag(const SubscriberFacts& subscriber, const PublisherFacts& publisher);
/// Whether what is written on the target arrives on the source.
bool FollowsBack(const Observation& seen);
/// Whether users write on the target: with a pooler they do before the phase that is named after
/// it.
bool UsersWriteOnTarget(const api::TenantMigrationStatus& status);
/// Whether they may have: with a pooler, whoever let them in may have died before he said so.
/// Where not, what is on the target is the workloads' own, and no reason to keep users out.
bool UsersMayHaveBeenIn(const api::TenantMigration& migration);
/// Whether the target's structure is known not to be what was opened: rows that the stream back
/// does not carry may be there.
bool StructureDiffers(const Observation& seen);
/// Whether everything that a way back without loss rests on is there and works: the stream, a
/// structure that it was made for, and no row that is known to differ.
bool WayBackIsOpen(const Observation& seen);
/// What keeps it shut, for a message; only while it is.
std::string WhyWayBackIsShut(const Observation& seen);
/// Whether the source is not the server any more that the way back was laid to, but a standby of it
/// or an earlier state: what had arrived there may be missing.
bool SourceFailedOver(const Observation& seen);
/// Whether a part of the stream back is known to be missing, or what it has carried may be: what
/// was written on the target and is not on the source never will be.
bool StreamBackIsGone(const Observation& seen);
/// The same, or it fails to apply: nothing arrives until a person does something.
bool StreamBackIsBroken(const Observation& seen);
/// Whether the way back stays shut until a person does something.
bool WayBackNeedsPerson(const Observation& seen);
/// Whether the doors may be closed for going back: the way back is open, as close behind as the
/// spec asks, nothing is known to be in the way of the fence, and no try has just been given up.
bool MayGoBack(const api::TenantMigration& migration, const Observation& seen);
/// What is in the way of that, for a message; only while something is.
std::string WhyNotBackNow(const api::TenantMigration& migration, const Observation& seen);
/// Online, while users work on the target: holds, with the doors open, whoever would go back
/// without MayGoBack(); nothing when they may. `consent` ends the sentence that begins "…, or, to
/// go back without what has not arrived, ".
std::optional<Plan> HoldForWayBack(const api::TenantMigration& migration, const Observation& seen,
                                   const std::string& consent);
/// "set cutover.dev/rollback and …", for whoever has not asked to go back.
std::string ConsentByNewToken();
/// The source dials the target where its DatabaseServer says that it is by now.
std::optional<Plan> FollowTargetsAddress(const Observation& seen);
/// What keeps the way back open at the moment: a heartbeat, with which rows are compared when it is
/// time for that; before all, the target's address.
Intent KeepWayBackOpen(const Observation& seen);
/// Whether a person has accepted to lose what users wrote on the target, for this very rollback.
bool LossAccepted(const api::TenantMigration& migration);
/// The reverse stream begun, the forward one having stopped; what cannot be reached now is begun
/// later, since the slot keeps what it will need.
std::optional<Plan> TurnStream(const Observation& seen);
/// Nothing of either stream left, on either server. What can be reached goes without waiting for a
/// server that is away: each side's slot keeps the disk of a server that others share.
std::optional<Plan> RemoveStreams(const Observation& seen);
/// The same of the stream to the target alone.
std::optional<Plan> RemoveForwardStream(const Observation& seen);

// What slots keep of the servers' disks (retained_wal.cc).

/// Ends what makes a server keep more WAL than spec.copy.maxRetainedWalBytes: while the target
/// follows, or is to, the move; while users work on the target, also as going back waits with the
/// doors open, the way back alone. Each server is judged by itself, since it is while the other one
/// is away that a slot grows. Nothing within the bound.
std::optional<Plan> BoundRetainedWal(const api::TenantMigration& migration,
                                     const Observation& seen);
/// Undoes a move whose slot on `server` can no longer give what it kept.
Plan SlotLost(const std::string& server);
/// Once users are in: the slot of the way back has kept too much. It goes now, or is gone, which is
/// known by what RollbackReady says (WayBackGivenUp).
bool WayBackIsGivenUp(const api::TenantMigration& migration, const Observation& seen);
/// The condition that says so; nullptr while it was not given up.
const api::Condition* FindWayBackGivenUp(const api::TenantMigrationStatus& status);
/// Names the bound, and what is left to a person; the same each time.
std::string DescribeWayBackGivenUp(const api::TenantMigration& migration);
/// "3.2 MB"
std::string Megabytes(int64_t bytes);

/// Materialized views that were refreshed on the source since the target's were filled: they are
/// refreshed there, unless that was tried within the last `pause`.
std::optional<Plan> RefreshViews(const Observation& seen, std::chrono::seconds pause);
/// "; 2 materialized views …", or nothing.
std::string DescribeViews(const Observation& seen);

// After the end (end.cc). PgBouncer knows no epochs: the PAUSE of a leader that was frozen before
// it, and deposed, may come when all is over, and nobody would let clients go on. Not for ever: a
// person may pause, too.
inline constexpr std::chrono::minutes kLatePauseMax{10};
inline constexpr std::chrono::seconds kLookAtPoolers{10};
bool HasPausedPoolers(const api::TenantMigration& migration);
/// While users work: clients go on at a pooler that was paused with the others and did not answer
/// when those were resumed. For as long as above since the phase was entered, and at that pace.
std::optional<Plan> LetLeftBehindGo(const api::TenantMigration& migration, const Observation& seen);
/// Of a migration that has ended, or vanished: clients go on whom such a PAUSE has stopped, where
/// the tenant's database is open and no other migration is on its way.
std::optional<Plan> LetLateClientsGo(const api::TenantMigration& migration,
                                     const Observation& seen);

/// Why Smoke rolls back; Hypercare keeps to it where that had to be put off.
inline constexpr char kSmokeFailed[] = "SmokeFailed";
/// The token of cutover.dev/approve with which a person has answered such a rollback: the tenant
/// stays. Empty where none was put off, or nobody has answered.
std::string AnswerToStay(const api::TenantMigration& migration);

/// When the current phase was entered; `seen.now` when status does not know it.
WallTime EnteredAt(const api::TenantMigration& migration, const Observation& seen);

}  // namespace cutover::migration
