/* SPDX-License-Identifier: Apache-2.0
 *
 * What to do next: reconcilers/migration/phases/, one inline for one file, from what was seen. Each
 * chooses one of
 *   Do(effect)              Plan::Do
 *   Go(from, guard, to)     Plan::Go; a line of reconcilers/migration/transitions.cc
 *   Wait                    Plan::Wait; the world is looked at again
 * Whatever may undo or roll back at any time (a failure, a person, a bound) is a free choice here.
 * seen_state and seen_fenced are the source's, read a moment before all else.
 */

#define Do(effect) intent = effect
#define Go(from, guard, to) next_phase = to
#define Wait skip

inline PlanPreparing() {
  if
  :: !ledger -> Do(kRecordLedger)
  :: ledger && seen_state == none -> Do(kClaimSource)
  :: ledger && seen_state != none && target.state == none -> Do(kPrepareTarget)
#ifdef ONLINE
#define HasOwnSlot (forward.slot && !forward.late)
  :: ledger && seen_state != none && target.state != none && !HasOwnSlot -> Do(kPublishSource)
  :: ledger && seen_state != none && target.state != none && HasOwnSlot ->
     Go(Preparing, kSourcePublished, Copying)
#else
  :: ledger && seen_state != none && target.state != none ->
     Go(Preparing, kTargetPrepared, AwaitingCutover)
#endif
  :: Go(Preparing, kUndo, Undoing)
  fi
}

inline PlanAwaitingCutover() {
  if
  :: Go(AwaitingCutover, kDoorsMayClose, Fencing)
  :: Go(AwaitingCutover, kUndo, Undoing)
  fi
}

/* The marker is this attempt's own: one of an attempt before says nothing of what was written since. */
#ifdef PLANT_ANY_MARKER_COUNTS
#define MarkerArrived (forward.arrived != 0)
#else
#define MarkerArrived (forward.arrived == attempt_seen)
#endif

inline PlanFencing() {
  if
  :: route != at_maintenance -> Do(kFlipRoutes)
  :: route == at_maintenance && running -> Do(kStopWorkloads)
#ifdef PLANT_SESSIONS_SURVIVE_THE_FENCE
  :: route == at_maintenance && !running && seen_state == open -> Do(kFenceSource)
  :: route == at_maintenance && !running && seen_state != open -> Go(Fencing, kFenceProven, Copying)
#else
  :: route == at_maintenance && !running && (seen_state == open || !seen_fenced) ->
     Do(kFenceSource)
#if defined(ONLINE) && defined(PLANT_JOURNAL_BEFORE_MARKER)
  :: route == at_maintenance && !running && seen_state != open && seen_fenced ->
     Go(Fencing, kDrained, Finalizing)
#elif defined(ONLINE)
  :: route == at_maintenance && !running && seen_state != open && seen_fenced ->
     if
     :: !MarkerArrived && forward.marker != attempt_seen -> Do(kDrainForward)
     :: !MarkerArrived && forward.marker == attempt_seen -> Wait
     :: MarkerArrived -> Go(Fencing, kDrained, Finalizing)
     fi
#else
  :: route == at_maintenance && !running && seen_state != open && seen_fenced ->
     Go(Fencing, kFenceProven, Copying)
#endif
#endif
  :: Go(Fencing, kUndo, Undoing)
  fi
}

/* Online copies while users work, once for all attempts. */
#ifdef ONLINE
#define MayCopy true
#define CopyCounts (copy_result != 0)
#else
#define MayCopy seen_fenced
#define CopyCounts (copy_result == attempt_seen)
#endif

inline PlanCopying() {
  if
#ifndef PLANT_SESSIONS_SURVIVE_THE_FENCE
  :: !MayCopy -> Go(Copying, kUndo, Undoing)
#endif
  :: copy_job == 0 -> Do(kCreateCopyJob)
  :: copy_job != 0 && CopyCounts ->
#ifdef ONLINE
     Go(Copying, kSnapshotCopied, CatchingUp)
#else
     Go(Copying, kCopyProven, Finalizing)
#endif
  :: copy_job != 0 && !CopyCounts -> Wait
  :: Go(Copying, kUndo, Undoing)
  fi
}

#ifdef ONLINE
inline PlanCatchingUp() {
  if
  :: !forward.subscribed -> Do(kStartForwardStream)
  :: forward.subscribed -> Go(CatchingUp, kCaughtUp, AwaitingCutover)
  :: Go(CatchingUp, kUndo, Undoing)
  fi
}
#endif

inline PlanFinalizing() {
  if
  :: target.state == preparing -> Do(kFinalizeTarget)
  :: target.state == copied || target.state == verified -> Go(Finalizing, kFinalized, Verifying)
  :: Go(Finalizing, kUndo, Undoing)
  fi
}

inline PlanVerifying() {
  if
#ifdef PLANT_RESULT_NOT_LOOKED_AT
  :: target.state == copied -> Do(kMarkVerified)
#else
  :: !CopyCounts || !copy_equal -> Go(Verifying, kUndo, Undoing)
  :: CopyCounts && copy_equal && target.state == copied -> Do(kMarkVerified)
#endif
  :: target.state == verified -> Go(Verifying, kVerified, Switching)
  :: Go(Verifying, kUndo, Undoing)
  fi
}

/* While Switching only the database's own word tells whether undo is still allowed. */
inline PlanSwitching() {
  if
  :: seen_state == journaled -> Go(Switching, kJournaled, Opening)
  :: seen_state != journaled && seen_fenced && target.state == verified && target.closed ->
#if defined(ONLINE) && !defined(PLANT_REVERSE_SLOT_AFTER_OPEN)
     if
     :: !reverse.slot -> Do(kLayWayBack)
     :: reverse.slot -> Do(kJournal)
     fi
#else
     Do(kJournal)
#endif
#ifdef PLANT_UNDO_AFTER_JOURNAL
  :: Go(Switching, kUndo, Undoing)
#else
  :: seen_state != journaled -> Go(Switching, kUndo, Undoing)
#endif
  fi
}

inline PlanOpening() {
  if
  :: target.state == verified -> Do(kOpenTarget)
#ifdef ONLINE
  :: target.state == open && !reverse.slot -> Do(kLayWayBack)
  :: target.state == open && reverse.slot && !reverse.subscribed -> Do(kStartReverseStream)
#define WayBackIsUp (reverse.slot && reverse.subscribed)
#else
#define WayBackIsUp true
#endif
  :: target.state == open && WayBackIsUp && wiring != at_target -> Do(kApplyWiring)
  :: target.state == open && WayBackIsUp && wiring == at_target && placed != at_target ->
     Do(kPlaceOnTarget)
  :: target.state == open && placed == at_target && !running -> Do(kStartWorkloads)
  :: target.state == open && placed == at_target && running -> Go(Opening, kWorkloadsReady, Smoke)
  :: Go(Opening, kRollBack, RollingBack)
  fi
}

inline PlanSmoke() {
  if
  :: Go(Smoke, kSmokePassed, Admitting)
  :: Go(Smoke, kRollBack, RollingBack)
  fi
}

inline PlanAdmitting() {
  if
  :: route != at_workloads -> Do(kRestoreRoutes)
  :: route == at_workloads -> Go(Admitting, kUsersAreIn, Hypercare)
  fi
}

/* Back from here: Offline loses what users wrote, so a person accepts that first. */
inline PlanHypercare() {
  if
  :: Go(Hypercare, kHypercareOver, Completing)
  :: Go(Hypercare, kRollBack, RollingBack);
#if !defined(ONLINE) && !defined(PLANT_ROLLBACK_WITHOUT_CONSENT)
     loss_accepted = true
#endif
  fi
}

inline PlanCompleting() {
  if
  :: ledger && copy_job != 0 -> Do(kDeleteJobs)
#ifdef ONLINE
  :: ledger && copy_job == 0 && reverse.slot -> Do(kDropReversePublisher)
  :: ledger && copy_job == 0 && !reverse.slot && forward.slot -> Do(kDropForwardPublisher)
#endif
  :: ledger && copy_job == 0 && !reverse.slot && !forward.slot && seen_state == journaled ->
     Do(kRetireSource)
  :: ledger && copy_job == 0 && seen_state == retired && target.state != none -> Do(kCleanTarget)
  :: ledger && copy_job == 0 && seen_state == retired && target.state == none -> Do(kDeleteLedger)
  :: !ledger -> Go(Completing, kCleanedUp, Completed)
  fi
}

#define OursToDrop(side) (side.exists && side.state != none)

/* Online, when only the pause ran out: the target goes on following, and the doors may close again.
 * Preparing it again also raises its epoch, although its state may be right already: otherwise an
 * effect of the attempt before, on its way from a deposed leader, would count for the next one. */
#define MayTryAgain                                                                                \
  (forward.subscribed && attempt < ATTEMPTS && copy_equal && seen_state == open &&                 \
   (target.state == preparing || target.state == copied || target.state == verified))
#define TargetIsOurs (target.state == preparing && target.epoch == epoch)

/* phases/undoing.cc; RemoveHelpers and LetUsersBackIn are phases/common.cc. */
inline PlanUndoing() {
  if
  :: !ledger -> Go(Undoing, kUndoneOnRequest, Aborted)
#ifdef PLANT_UNDO_AFTER_JOURNAL
  :: ledger && (seen_state == fenced || seen_state == journaled) -> Do(kUnfenceSource)
#else
  :: ledger && seen_state == journaled -> Go(Undoing, kJournalFound, Opening)
  :: ledger && seen_state == fenced -> Do(kUnfenceSource)
#endif
  :: ledger && (seen_state == open || seen_state == none) ->
     if
     :: !running -> Do(kStartWorkloads)
     :: running && route != at_workloads -> Do(kRestoreRoutes)
     :: running && route == at_workloads ->
        if
#ifdef ONLINE
        :: MayTryAgain && !TargetIsOurs -> Do(kPrepareAgain)
        :: MayTryAgain && TargetIsOurs -> Go(Undoing, kCutoverUndone, CatchingUp)
        :: forward.slot || reverse.slot ->
           if
           :: reverse.slot -> Do(kDropReversePublisher)
           :: forward.slot -> Do(kDropForwardPublisher)
           fi
#endif
        :: copy_job != 0 -> Do(kDeleteJobs)
        :: copy_job == 0 && !forward.slot && !reverse.slot && OursToDrop(target) -> Do(kDropTarget)
        :: copy_job == 0 && !forward.slot && !reverse.slot && !OursToDrop(target) &&
           seen_state == open -> Do(kCleanSource)
        :: copy_job == 0 && !forward.slot && !reverse.slot && !OursToDrop(target) &&
           seen_state == none -> Do(kDeleteLedger)
        fi
     fi
  fi
}

/* open: a deposed leader's claim has come late, after ours had been taken back. */
#define NeverLeft (seen_state == none || seen_state == open)
#define BackOnSource (seen_state == reopened || (NeverLeft && !source.closed))

/* Online: the reverse stream's marker, written under the target's fence, has arrived. */
inline CarryBack() {
#ifdef ONLINE
  if
  :: !reverse.slot || reverse.arrived == refusals_seen + 1 -> Do(kReopenSource)
  :: reverse.slot && !reverse.subscribed -> Do(kStartReverseStream)
  :: reverse.slot && reverse.subscribed && reverse.arrived != refusals_seen + 1 &&
     reverse.marker == 0 ->
     Do(kDrainReverse)
  :: reverse.slot && reverse.subscribed && reverse.arrived != refusals_seen + 1 &&
     reverse.marker != 0 -> Wait
  fi
#else
  Do(kReopenSource)
#endif
}

/* Users go on on the target. A leader that froze on its way to fence it must not wake up later. */
#define AdmitsFormerLeader (target.state == open && target.epoch < epoch)
inline StayOnTarget() {
  if
  :: target.state == fenced || AdmitsFormerLeader -> Do(kReopenTarget)
  :: target.state == open && !AdmitsFormerLeader && !running -> Do(kStartWorkloads)
  :: target.state == open && !AdmitsFormerLeader && running && route != at_workloads ->
     Do(kRestoreRoutes)
  :: target.state == open && !AdmitsFormerLeader && running && route == at_workloads ->
     Go(RollingBack, kRollbackRefused, Hypercare)
  fi
}

#define MayStillOpen(side) (side.state == open || side.state == verified)

inline CloseTheTarget() {
  if
  :: route != at_maintenance -> Do(kFlipRoutes)
  :: route == at_maintenance && running -> Do(kStopWorkloads)
  :: route == at_maintenance && !running ->
     if
#if defined(PLANT_REOPENED_BEFORE_THE_TARGET_IS_FENCED)
     :: Do(kReopenSource)
#elif defined(PLANT_ONLY_AN_OPEN_TARGET_IS_FENCED)
     :: target.exists && (target.state == open || !ProvenFenced(target)) -> Do(kFenceTarget)
     :: !target.exists || (target.state != open && ProvenFenced(target)) -> CarryBack()
#else
     :: target.exists && (MayStillOpen(target) || !ProvenFenced(target)) -> Do(kFenceTarget)
     :: !target.exists || (!MayStillOpen(target) && ProvenFenced(target)) -> CarryBack()
#endif
     fi
  fi
}

/* What has arrived is given up for no pause, but where the target was opened again since. */
#define Arrived (reverse.arrived == refusals_seen + 1)
#ifdef PLANT_ARRIVED_COUNTS_ON_AN_OPEN_TARGET
#define Stays (ddl_is_known || (pause_is_over && !Arrived))
#else
#define Stays (ddl_is_known || (pause_is_over && !(target.state == fenced && Arrived)))
#endif
#define MayTakeTooLong                                                                             \
  (users_were_in && refusals_seen == refusals && refusals < REFUSALS && !pause_is_over)

/* Unless a person accepts what is left behind. */
inline ExchangeSides() {
#ifdef ONLINE
  if
  :: MayTakeTooLong && !loss_accepted -> pause_is_over = true
  :: Stays && !loss_accepted -> StayOnTarget()
  :: Stays && !loss_accepted -> loss_accepted = true; fresh = 0 /* An annotation. */
  :: !Stays || loss_accepted -> CloseTheTarget()
  fi
#else
  CloseTheTarget()
#endif
}

inline PlanRollingBack() {
  if
  :: !BackOnSource -> ExchangeSides()
  :: BackOnSource && wiring != at_source -> Do(kRestoreWiring)
  :: BackOnSource && wiring == at_source && placed != at_source -> Do(kPlaceOnSource)
  :: BackOnSource && wiring == at_source && placed == at_source && !running -> Do(kStartWorkloads)
  :: BackOnSource && wiring == at_source && placed == at_source && running &&
     route != at_workloads -> Do(kRestoreRoutes)
  :: BackOnSource && wiring == at_source && placed == at_source && running &&
     route == at_workloads ->
     if
     :: copy_job != 0 -> Do(kDeleteJobs)
     :: copy_job == 0 && reverse.slot -> Do(kDropReversePublisher)
     :: copy_job == 0 && !reverse.slot && forward.slot -> Do(kDropForwardPublisher)
     :: copy_job == 0 && !reverse.slot && !forward.slot && seen_state != none -> Do(kCleanSource)
     :: copy_job == 0 && !reverse.slot && !forward.slot && seen_state == none ->
        Go(RollingBack, kRolledBack, RolledBack)
     fi
  fi
}

/* Decide() */
inline PlanPhase() {
  intent = nothing; next_phase = nowhere; finished = false;
  if
  :: seen_phase == Pending -> Go(Pending, kMayStart, Preflight)
  :: seen_phase == Pending -> Go(Pending, kUndo, Undoing)
  :: seen_phase == Preflight -> Go(Preflight, kNoBackupWanted, Preparing)
  :: seen_phase == Preflight -> Go(Preflight, kUndo, Undoing)
  :: seen_phase == Preparing -> PlanPreparing()
  :: seen_phase == Copying -> PlanCopying()
#ifdef ONLINE
  :: seen_phase == CatchingUp -> PlanCatchingUp()
#endif
  :: seen_phase == AwaitingCutover -> PlanAwaitingCutover()
  :: seen_phase == Fencing -> PlanFencing()
  :: seen_phase == Finalizing -> PlanFinalizing()
  :: seen_phase == Verifying -> PlanVerifying()
  :: seen_phase == Switching -> PlanSwitching()
  :: seen_phase == Opening -> PlanOpening()
  :: seen_phase == Smoke -> PlanSmoke()
  :: seen_phase == Admitting -> PlanAdmitting()
  :: seen_phase == Hypercare -> PlanHypercare()
  :: seen_phase == Completing -> PlanCompleting()
  :: seen_phase == Undoing -> PlanUndoing()
  :: seen_phase == RollingBack -> PlanRollingBack()
  :: seen_phase == Aborted && attempt < ATTEMPTS -> Go(Aborted, kRetryRequested, Pending)
  :: Ended(seen_phase) -> finished = true
  fi
}
