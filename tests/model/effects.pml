/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator may do to the world: the intents of reconcilers/migration/intent.h, each as the
 * transactions that it is in postgres/control.cc, fence.cc and database.cc.
 */

mtype:Intent = { nothing,
  kClaimSource, kRecordLedger, kPrepareTarget,
  kFlipRoutes, kStopWorkloads, kFenceSource, kCreateCopyJob, kFinalizeTarget, kMarkVerified,
  kJournal, kOpenTarget, kApplyWiring, kPlaceOnTarget, kStartWorkloads, kRestoreRoutes,
  kDeleteJobs, kRetireSource, kCleanTarget, kDeleteLedger,
  kUnfenceSource, kDropTarget, kFenceTarget, kReopenSource, kRestoreWiring, kPlaceOnSource,
  kCleanSource,
  /* Strategy Online. */
  kPublishSource, kStartForwardStream, kDrainForward, kLayWayBack, kStartReverseStream,
  kDrainReverse, kReopenTarget, kPrepareAgain, kDropForwardPublisher, kDropReversePublisher };

/* Effects of one leader that are more than one transaction: what is left to do. */
mtype:Rest = { all_of_it, end_sessions, drop_now, open_now };

/* Those that a deposed leader may still be in the middle of: they were sent to a server that answers
 * to whoever is connected. All others end with the leadership (see docs/protocol-model.md). */
#define IsSql(intent)                                                                              \
  (intent == kClaimSource || intent == kPrepareTarget || intent == kFenceSource ||                 \
   intent == kFinalizeTarget || intent == kMarkVerified || intent == kJournal ||                   \
   intent == kOpenTarget || intent == kRetireSource || intent == kCleanTarget ||                   \
   intent == kUnfenceSource || intent == kDropTarget || intent == kFenceTarget ||                  \
   intent == kReopenSource || intent == kCleanSource || intent == kPublishSource ||            \
   intent == kStartForwardStream || intent == kDrainForward || intent == kLayWayBack ||        \
   intent == kStartReverseStream || intent == kDrainReverse || intent == kPrepareAgain ||      \
   intent == kReopenTarget ||                                                                  \
   intent == kDropForwardPublisher || intent == kDropReversePublisher)

/* pg::WithEpoch(): locks the row, compares epochs, raises the row's. refused: NotClaimed, Deposed. */
#ifdef PLANT_EPOCH_NOT_CHECKED
#define Deposed(side) false
#else
#define Deposed(side) (side.epoch > epoch)
#endif
inline WithEpoch(side) {
  refused = (!side.exists || side.state == none || Deposed(side));
  if
  :: !refused -> side.epoch = epoch
  :: else
  fi
}

/* pg::MoveState(), inside WithEpoch(): the compare-and-set. */
inline MoveState(side, from, to) {
  if
  :: refused || side.state == to -> skip
  :: !refused && side.state == from -> side.state = to
  :: else -> refused = true
  fi
}

/* pg::HoldState(): before one side is opened, the other one's row is ours. */
inline HoldState(side, held_in) {
#ifndef PLANT_OPENED_WITHOUT_HOLDING_THE_OTHER
  WithEpoch(side);
  refused = refused || side.state != held_in;
#endif
  rest = (refused -> all_of_it : open_now)
}

/* An effect of the strategy Online that has no state of its own: epoch, then the statement. */
#define Under(side) WithEpoch(side); if :: refused -> skip :: else ->
#define Done() fi

inline Close(side) {
  side.sessions = side.sessions || !side.closed;
  side.closed = true;
  side.recorded = true
}

inline Reopen(side) {
  side.closed = false;
  side.sessions = false;
  side.recorded = false
}

inline WriteMarker(stream, token) {
  if
  :: stream.slot -> stream.before = stream.before || stream.after; stream.after = false;
                    stream.marker = token
  :: else
  fi
}

/* Under the fence: DDL that came too late to be seen before. It is not undone. */
inline SettleStructure() {
  if
  :: users_were_in && refusals_seen == refusals && refusals < REFUSALS -> ddl_is_known = true
  :: true
  fi
}

inline MakeSlot(stream) {
  stream.slot = true;
  stream.late = lease != epoch
}

inline Gone(side) {
  side.exists = false; side.closed = false; side.sessions = false; side.recorded = false;
  side.state = none; side.epoch = 0
}

inline PerformOnSource() {
  if
  :: intent == kClaimSource ->
     refused = Deposed(source);
     if
     :: !refused && source.state == none ->
        source.state = open; source.epoch = epoch;
        orphaned = orphaned || lease != epoch
     :: !refused && source.state != none -> source.epoch = epoch
     :: else
     fi
  :: intent == kFenceSource && rest == all_of_it ->
     WithEpoch(source);
     MoveState(source, open, fenced);
     if
     :: !refused -> Close(source); rest = end_sessions
     :: else
     fi
  :: intent == kFenceSource && rest == end_sessions -> /* Whoever is connected may do this. */
     source.sessions = false; rest = all_of_it
  :: intent == kJournal ->
     WithEpoch(source);
     MoveState(source, fenced, journaled);
     journal_was_written = journal_was_written || !refused
  :: intent == kUnfenceSource ->
     was_open = (source.state == open);
     WithEpoch(source);
#ifdef PLANT_UNDO_AFTER_JOURNAL
     source.state = (refused -> source.state : open);
#else
     MoveState(source, fenced, open);
#endif
     if
     :: !refused && !was_open -> Reopen(source); undone_after_journal = journal_was_written
     :: else
     fi;
     was_open = false
#ifdef ONLINE
  :: intent == kReopenSource && rest == all_of_it -> HoldState(target, fenced)
  :: intent == kReopenSource && rest == open_now ->
     rest = all_of_it;
#else
  :: intent == kReopenSource ->
#endif
     WithEpoch(source);
     MoveState(source, journaled, reopened);
     if
     :: !refused && source.closed -> Reopen(source)
     :: else
     fi
  :: intent == kRetireSource ->
     WithEpoch(source);
     MoveState(source, journaled, retired)
  :: intent == kCleanSource ->
     WithEpoch(source);
#ifndef PLANT_SCHEMA_DROPPED_UNSEEN
     refused = refused || (source.state != open && source.state != reopened);
#endif
     if
     :: !refused -> source.state = none; source.epoch = 0; source.recorded = false
     :: else
     fi
  fi
}

inline PerformOnTarget() {
  if
  :: intent == kPrepareTarget ->
     refused = (target.exists && (target.state == none || Deposed(target)));
     if
     :: !refused && !target.exists ->
        target.exists = true; target.closed = true; target.state = preparing; target.epoch = epoch;
        target_was_proven = false;
        orphaned = orphaned || lease != epoch
     :: !refused && target.exists -> target.epoch = epoch
     :: else
     fi
  :: intent == kFinalizeTarget ->
     WithEpoch(target);
     MoveState(target, preparing, copied)
  :: intent == kMarkVerified ->
     WithEpoch(target);
     MoveState(target, copied, verified);
     target_was_proven =
         target_was_proven || (!refused && copy_equal && attempt_seen == attempt)
  :: intent == kOpenTarget ->
     WithEpoch(target);
     MoveState(target, verified, open);
     if
     :: !refused -> target.closed = false; target.sessions = false
     :: else
     fi
  :: intent == kFenceTarget && rest == all_of_it ->
     WithEpoch(target);
     if
#ifndef PLANT_ONLY_AN_OPEN_TARGET_IS_FENCED
     :: target.state == verified -> MoveState(target, verified, fenced)
#endif
     :: else -> MoveState(target, open, fenced)
     fi;
     if
     :: !refused -> Close(target); rest = end_sessions
     :: else
     fi
  :: intent == kFenceTarget && rest == end_sessions ->
     target.sessions = false; rest = all_of_it
#ifdef ONLINE
  :: intent == kReopenTarget && rest == all_of_it -> HoldState(source, journaled)
  :: intent == kReopenTarget && rest == open_now ->
     rest = all_of_it;
     WithEpoch(target);
     MoveState(target, fenced, open);
     if
     :: !refused && target.closed -> Reopen(target)
     :: else
     fi
#endif
  :: intent == kCleanTarget ->
     WithEpoch(target);
     refused = refused || target.state != open;
     if
     :: !refused -> target.state = none; target.epoch = 0
     :: else
     fi
  :: intent == kDropTarget && rest == all_of_it ->
     WithEpoch(target);
     refused = refused || target.state == open;
     if
     :: !refused -> target.state = dropping; dropping_session = epoch; rest = drop_now
     :: else
     fi
  :: intent == kDropTarget && rest == drop_now -> /* DROP DATABASE knows names, not rows. */
     rest = all_of_it;
     if
#ifndef PLANT_DROPPED_BY_NAME_ALONE
     :: dropping_session != epoch -> refused = true
#endif
     :: else -> Gone(target); copy_result = 0; target_was_proven = false;
             DropStream(reverse); /* Its slot was in there. */
             DropStream(forward); forward.gap = true
     fi
  fi
}

inline PerformOnCluster() {
  if
  :: intent == kRecordLedger -> ledger = true
  :: intent == kDeleteLedger -> ledger = false
  :: intent == kFlipRoutes -> route = at_maintenance
  :: intent == kRestoreRoutes -> route = at_workloads
  :: intent == kStopWorkloads -> running = false
  :: intent == kStartWorkloads -> running = true
  :: intent == kCreateCopyJob -> copy_job = attempt
  :: intent == kDeleteJobs ->
     copy_job = 0;
#ifdef ONLINE
     if
     :: mover_is_lost = true
     :: skip
     fi
#endif
  :: intent == kApplyWiring -> wiring = at_target
  :: intent == kRestoreWiring -> wiring = at_source
  :: intent == kPlaceOnTarget -> placed = at_target
  :: intent == kPlaceOnSource -> placed = at_source
  fi
}

#ifdef ONLINE
inline PerformOnStreams() {
  if
  :: intent == kPublishSource ->
     Under(source)
       if
       :: !forward.slot || forward.late -> /* The copy begins with a slot of its own. */
          DropStream(forward); MakeSlot(forward); forward.gap = false
       :: else
       fi
     Done()
  :: intent == kStartForwardStream -> Under(target) forward.subscribed = true Done()
  :: intent == kDrainForward -> Under(source) WriteMarker(forward, attempt_seen) Done()
  :: intent == kLayWayBack ->
     Under(target)
       if
       :: !reverse.slot -> MakeSlot(reverse)
       :: else
       fi
     Done()
  :: intent == kStartReverseStream -> Under(source) reverse.subscribed = true Done()
  :: intent == kDrainReverse ->
     Under(target) WriteMarker(reverse, refusals_seen + 1); SettleStructure() Done()
  :: intent == kDropForwardPublisher ->
     WithEpoch(source);
     if
     :: !refused || source.state == none -> DropStream(forward) /* Late: the row went with the rest. */
     :: else
     fi
  :: intent == kDropReversePublisher -> Under(source) DropStream(reverse) Done()
  :: intent == kPrepareAgain ->
     WithEpoch(target);
     if
     :: target.state == verified -> MoveState(target, verified, preparing)
     :: else -> MoveState(target, copied, preparing)
     fi;
     target_was_proven = target_was_proven && refused
  fi
}
#endif

#define OnSource(intent)                                                                           \
  (intent == kClaimSource || intent == kFenceSource || intent == kJournal ||                       \
   intent == kUnfenceSource || intent == kReopenSource || intent == kRetireSource ||               \
   intent == kCleanSource)
#define OnTarget(intent)                                                                           \
  (intent == kPrepareTarget || intent == kFinalizeTarget || intent == kMarkVerified ||             \
   intent == kOpenTarget || intent == kFenceTarget || intent == kCleanTarget ||                    \
   intent == kReopenTarget || intent == kDropTarget)

/* World::Perform(), one transaction of it. */
inline Perform() {
  refused = false;
  if
  :: OnSource(intent) -> PerformOnSource()
  :: OnTarget(intent) -> PerformOnTarget()
  :: IsSql(intent) && !OnSource(intent) && !OnTarget(intent) ->
#ifdef ONLINE
     PerformOnStreams()
#else
     assert(false)
#endif
  :: else -> PerformOnCluster()
  fi;
  CheckInvariants()
}
