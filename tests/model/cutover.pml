/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol of a cutover: fence, marker, journal, open, reverse, rollback, under two operators
 * that die, freeze and wake up at the worst moment. docs/protocol-model.md says how to read and run
 * it. Without ONLINE it is the strategy Offline.
 */

#ifndef LEADERSHIPS
#define LEADERSHIPS 3 /* Two operators take turns: each change of leader is the next number. */
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif

#ifndef REFUSALS
#define REFUSALS 1
#endif

#include "world.pml"
#include "effects.pml"
#include "phases.pml"

/* Recording the phase is conditional on the resourceVersion that was read. */
inline Record() {
  if
  :: (fresh & (1 << epoch)) != 0 ->
     printf("leader %d: %e, attempt %d\n", epoch, next_phase, attempt);
     if
     :: seen_phase == Aborted || (seen_phase == Undoing && next_phase == CatchingUp) ->
        attempt++
     :: seen_phase == RollingBack && next_phase == Hypercare ->
        refusals++; ddl_is_known = false; pause_is_over = false
     :: else
     fi;
#ifdef ONLINE
     users_were_in = users_were_in || next_phase == Hypercare;
#endif
     phase = next_phase;
     fresh = 0;
     if
     :: Ended(phase) -> CheckEnd()
     :: else
     fi
  :: else /* Conflict: look again. */
  fi;
  CheckInvariants()
}

/* AfterFailure(): a refused effect undoes, where undo exists; later phases look again. */
#define BeforeJournal(p)                                                                           \
  (p == Preparing || p == Copying || p == CatchingUp || p == AwaitingCutover || p == Fencing ||    \
   p == Finalizing || p == Verifying || p == Switching)

inline Forget() {
  intent = nothing; next_phase = nowhere; rest = all_of_it; refused = false; seen_phase = nowhere;
  seen_state = none; seen_fenced = false; attempt_seen = 0; refusals_seen = 0
}

/* One leadership. What of it outlives it is what was under way: it may still happen, at any later
 * time, or never. RunOnce() in reconcilers/migration/step.cc is one turn of the loop. */
proctype Leader(byte epoch) {
  mtype:Intent intent;
  mtype:Phase next_phase, seen_phase;
  mtype:State seen_state;
  mtype:Rest rest;
  bool seen_fenced, refused, finished, was_open;
  byte attempt_seen, refusals_seen;

end_standby:
  atomic { lease == epoch -> Forget() };
  do
  :: atomic { lease == epoch ->
       fresh = fresh | (1 << epoch);
       seen_phase = phase;
       attempt_seen = attempt;
       refusals_seen = refusals;
       seen_state = source.state;
       seen_fenced = ProvenFenced(source) };
     atomic {
       if
       :: lease == epoch -> PlanPhase()
       :: lease != epoch -> Forget(); break
       fi };
     if
     :: atomic { next_phase != nowhere -> Record(); Forget() }
     :: atomic { next_phase != nowhere && lease != epoch -> Forget(); break }
     :: next_phase == nowhere && intent == nothing && !finished -> Forget()
     :: finished -> break
     :: next_phase == nowhere && intent != nothing ->
perform:
        if
        :: atomic { lease == epoch || IsSql(intent) ->
             printf("leader %d of %d: %e\n", epoch, lease, intent);
             Perform();
             if
             :: refused && lease == epoch && BeforeJournal(seen_phase) ->
                next_phase = Undoing; Record(); Forget()
             :: !refused && rest != all_of_it -> goto perform
             :: else -> Forget()
             fi }
        :: atomic { lease != epoch -> Forget(); break }
        fi
     fi
  :: atomic { lease != epoch -> Forget(); break }
  od
}

/* The other operator is elected, because this one died, froze or lost its network: no matter which. */
active proctype Lease() {
end:
  do
  :: atomic { lease < LEADERSHIPS -> lease++; printf("lease: leader %d\n", lease) }
  :: break
  od
}

init {
  atomic {
    source.exists = true;
    forward.gap = true;
    target.state = none;
    source.state = none;
    byte number = 1;
    do
    :: number <= LEADERSHIPS -> run Leader(number); number++
    :: else -> break
    od;
    number = 0
  }
}

/* With no more changes of leader, the tenant is in the end open on exactly one side, with his users
 * at it. */
ltl comes_to_rest { <> [] Served }
