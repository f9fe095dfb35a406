/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of one move: what outlives every operator, who writes, and what must never be.
 *
 * Names are those of the code: states of the control row as the row spells them
 * (postgres/control.h), phases as status spells them, effects as reconcilers/migration/intent.h
 * does. check_names.py holds them to it.
 */

mtype:State = { none, open, fenced, journaled, reopened, retired,
                preparing, copied, verified, dropping };

mtype:Phase = { Pending, Preflight, Preparing, Copying, CatchingUp, AwaitingCutover, Fencing,
                Finalizing, Verifying, Switching, Opening, Smoke, Admitting, Hypercare, Completing,
                Undoing, RollingBack, Completed, Aborted, RolledBack, nowhere };

mtype:Place = { at_source, at_target, at_maintenance, at_workloads };

/* The tenant's database on one side. */
typedef Database {
  bool exists;
  bool closed;       /* Owner, ACL and limit refuse everybody but us. */
  bool sessions;     /* Somebody who came in before it closed is still in and can write. */
  bool recorded;     /* The ledger in it knows what its access was before the fence. */
  mtype:State state; /* The control row; none: there is no row. */
  byte epoch;        /* The row's. */
};

/* Logical replication one way. What is on its way is, in this order: rows, a marker, more rows. */
typedef Stream {
  bool slot;
  bool late;    /* The slot: made by whoever no longer had any say. */
  bool subscribed;
  bool before;  /* Acknowledged rows that the other side has not, in front of the marker … */
  byte marker;  /* … the marker itself, 0: none … */
  bool after;   /* … and behind it. */
  byte arrived; /* The last marker that the other side has applied. */
  bool gap;     /* Rows that the other side has not and that no slot holds for it. */
};

Database source, target;
Stream forward, reverse;

/* A rollback is given up where DDL on the target is found, settled behind its own doors, and where
 * users have waited too long. */
bool users_were_in;
bool ddl_is_known, pause_is_over; /* Of the rollback that is on its way … */
byte refusals;                    /* … and how many were given up before it. */

/* In the cluster. */
mtype:Place route = at_workloads;
mtype:Place wiring = at_source;
mtype:Place placed = at_source;
bool running = true;
bool ledger;
byte copy_job;    /* The attempt whose Job exists, 0: none. */
bool mover_is_lost; /* With its node, on which it goes on when nobody sees it any more. */
byte copy_result; /* The attempt whose result is in the target, 0: none … */
bool copy_equal;  /* … and whether it says equal. */

/* TenantMigration.status */
mtype:Phase phase = Pending;
byte attempt = 1;
byte fresh; /* Bit n: nobody has recorded since leader n read, so its own record will not conflict. */

/* The lease's leaseTransitions. */
byte lease = 1;

/* Which leader's session is dropping the target: who comes later ends the earlier one's. */
byte dropping_session;

/* For the invariants alone; nothing decides by these. */
bool journal_was_written;
bool undone_after_journal;
bool orphaned; /* A deposed leader has made something anew. */
bool target_was_proven; /* The copy that is there now was compared in this attempt, and equal. */
bool loss_accepted;     /* A person said so, with the rollback. */

#define Writable(side) (side.exists && (!side.closed || side.sessions))
#define ProvenFenced(side) (side.exists && side.closed && !side.sessions)
#define Missing(stream) (stream.before || stream.after || stream.gap)
#define Ended(p) (p == Completed || p == Aborted || p == RolledBack)

#define Served                                                                                     \
  (Ended(phase) && running && route == at_workloads &&                                             \
   ((wiring == at_source && Writable(source) && !Writable(target)) ||                              \
    (wiring == at_target && Writable(target) && !Writable(source))))

/* After every change of the world, in the same atomic step. The trail of a counter-example ends
 * with the name of what was broken. */
inline CheckInvariants() {
  if
  :: Writable(source) && Writable(target) ->
     printf("breach: at_most_one_side_writable\n");
     assert(false)
  :: else
  fi;
  if
  :: (Writable(target) && Missing(forward)) ||
     (Writable(source) && Missing(reverse) && !loss_accepted) ->
     printf("breach: no_acknowledged_write_is_lost\n");
     assert(false)
  :: else
  fi;
  if
  :: (wiring == at_target || Writable(target)) && !target_was_proven ->
     printf("breach: neither_wiring_nor_route_at_an_unverified_copy\n");
     assert(false)
  :: else
  fi;
  if
  :: undone_after_journal ->
     printf("breach: no_undo_after_the_journal\n");
     assert(false)
  :: else
  fi;
  if
  :: (source.closed && !source.recorded) || (wiring == at_target && !target.exists) ->
     printf("breach: the_tenant_has_a_way_in_or_a_way_back\n");
     assert(false)
  :: else
  fi
}

/* When an end is recorded: nothing is left behind. But for what a deposed leader made after its
 * successor had looked for the last time: nobody is left to see it, so it is the sweeper's. */
#define LeftInRow(side) (side.state != none && !orphaned)
#define LeftSlot(stream) (stream.slot && !stream.late)
inline CheckEnd() {
  if
  :: LeftSlot(forward) || LeftSlot(reverse) || copy_job != 0 ||
     (phase == Completed && (target.state != none || source.state != retired || ledger)) ||
     (phase == Aborted && (LeftInRow(target) || LeftInRow(source) || ledger)) ||
     (phase == RolledBack && LeftInRow(source)) ->
     printf("breach: nothing_is_left_behind\n");
     assert(false)
  :: else
  fi
}

/* With its slot goes what it still held. */
inline DropStream(stream) {
  stream.gap = stream.gap || stream.before || stream.after;
  stream.slot = false; stream.late = false; stream.subscribed = false;
  stream.before = false; stream.after = false; stream.marker = 0; stream.arrived = 0
}

/* --- who writes -------------------------------------------------------------------------------- */

#define WouldChange(stream)                                                                        \
  ((stream.slot && stream.marker == 0 && !stream.before) ||                                        \
   (stream.slot && stream.marker != 0 && !stream.after) || (!stream.slot && !stream.gap))

/* One acknowledged row on a side, seen from the stream that leads away from it. */
inline Write(stream) {
  if
  :: stream.slot && stream.marker == 0 -> stream.before = true
  :: stream.slot && stream.marker != 0 -> stream.after = true
  :: else -> stream.gap = true
  fi;
  CheckInvariants()
}

#define UsersReach(side, at) (route == at_workloads && running && wiring == at && Writable(side))

/* Users come through the route. Whoever else has the password, a report or a person with psql, comes
 * to the source past the route at any time. Offline promises him nothing on the target before
 * users are in; Online does. */
active proctype Users() {
end:
  do
  :: atomic { Writable(source) && WouldChange(forward) ->
       printf("users: write on the source\n"); Write(forward) }
#ifdef ONLINE
  :: atomic { Writable(target) && WouldChange(reverse) ->
       printf("users: write on the target\n"); Write(reverse) }
#else
  :: atomic { UsersReach(target, at_target) && WouldChange(reverse) ->
       printf("users: write on the target\n"); Write(reverse) }
#endif
  od
}

/* The mover, whose Job runs on whatever happens to operators. Nobody knows beforehand whether what
 * arrives will be equal; everybody who asks is told the truth. */
active proctype Mover() {
end:
  do
  :: atomic { copy_job != 0 && copy_result != copy_job && target.state == preparing ->
#ifndef ONLINE
       forward.gap = false; /* Under the fence; Online, the slot's snapshot was what it copied. */
#endif
       copy_result = copy_job;
       if
       :: copy_equal = true
       :: copy_equal = false
       fi;
       printf("mover: attempt %d, equal: %d\n", copy_result, copy_equal);
       CheckInvariants() }
#ifdef ONLINE
  :: atomic { mover_is_lost && Ended(phase) && !forward.slot ->
       printf("mover: its node is back, and it makes its slot\n");
       mover_is_lost = false; forward.slot = true; forward.late = true;
       CheckInvariants() }
#endif
  od
}

#ifdef ONLINE
inline Apply(stream) {
  if
  :: stream.before -> stream.before = false
  :: else -> stream.arrived = stream.marker; stream.marker = 0;
             stream.before = stream.after; stream.after = false
  fi;
  CheckInvariants()
}

#define OnItsWay(stream) (stream.slot && stream.subscribed && (stream.before || stream.marker != 0))

active proctype Replication() {
end:
  do
  :: atomic { OnItsWay(forward) && target.exists -> printf("replication: forward\n"); Apply(forward) }
  :: atomic { OnItsWay(reverse) && target.exists -> printf("replication: reverse\n"); Apply(reverse) }
  od
}

/* reconcilers/migration/orphans/sweeper.cc: the slots of a move that is over. It drops the one that it
 * saw, by its position in the log, so that both are one step here. */
#ifndef PLANT_LATE_SLOTS_ARE_NOT_SWEPT
active proctype Sweeper() {
end:
  do
  :: atomic { Ended(phase) && (forward.slot || reverse.slot) ->
       printf("sweeper: drops late slots\n");
       if
       :: forward.slot -> DropStream(forward)
       :: else
       fi;
       if
       :: reverse.slot -> DropStream(reverse)
       :: else
       fi;
       CheckInvariants() }
  od
}
#endif

/* When nobody has anything left to do: a slot that stays now keeps its server's log for ever. */
active proctype AtRest() {
end:
  atomic { timeout ->
    if
    :: Ended(phase) && (forward.slot || reverse.slot) ->
       printf("breach: nothing_is_left_behind\n");
       assert(false)
    :: else
    fi }
}
#endif
