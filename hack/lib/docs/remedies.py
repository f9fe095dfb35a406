# SPDX-License-Identifier: Apache-2.0
"""What a reason means and what to do, written by hand where the code's own words do not tell: where
it computes the whole message, or passes on what PostgreSQL or the API server says.

A paragraph for each reason. reasons.py refuses a reason that has neither words nor a paragraph, and
a paragraph that nothing needs any more.
"""

_TEXT = """
AlreadyExists: Somebody else has made an object of that name meanwhile. Looked at again; if it
stays, rename or delete the object that the message names.

BadCopyFormat: The target cannot read the rows of a table as the source has sent them. A defect:
report it with both servers' versions.

BadRequest: The API server cannot read what the operator sends, and the next try would be the
same. A defect, or an operator and CRDs of different versions: `kubectl cutover version` compares
them.

Cancelled: The operator was told to stop, or somebody has cancelled its statement
(`pg_cancel_backend`). Nothing to do.

Conflict: Somebody has changed the object in the same moment. Nothing to do; if it stays, another
controller writes to it again and again (`kubectl get … -o yaml --show-managed-fields`).

ConstraintViolation: A row of the source breaks a constraint on the target; the message names
both. Mend the row or the constraint on the source, then `kubectl cutover retry`.

DataCorrupted: The server has found its own data damaged. Nothing of that database should be
moved: repair it, or restore it from a backup, first.

DataException: The target refuses a value that the source holds; the message names the table. Mend
it on the source, then `kubectl cutover retry`.

DatabaseDropped: Somebody has dropped the database while it was in use. If that was the source,
restore it; if it was the copy on the target, `kubectl cutover retry` copies again.

DatabaseNotObserved: The server could not be asked about the tenant's database. Tried again; if it
stays, mend what the message says, and look at the server: `kubectl describe dbs NAME`.

DeadlockDetected: The operator and another session waited for each other. Nothing to do.

DependentObjectsExist: Something that the message names depends on what was to be dropped. Drop
it, or give it to another owner.

DiskFull: The server's disk is full. Make room there; where the attempt has ended, then `kubectl
cutover retry`.

DuplicateObject: Something of that name is there and is not this move's. Rename or drop it, then
`kubectl cutover retry`.

Equal: Good news: the message says what was compared.

Expired: The list that the operator was reading is too old. It begins again; nothing to do.

FeatureNotSupported: This server cannot do what the message names, by its version or as its
service has set it up. Choose another server, or do without that feature on the source.

FenceNotProven: The doors are closed, and somebody is in the database all the same or may get in.
End the sessions that the message names, commit or roll back its prepared transactions; members of
the operator's role and superusers are who may still get in. Fencing gives up after ten minutes
and lets users in again; rolling back does not.

FiguresDiffer: What the tenant's role counts on the target (tables, of Odoo also users, partners,
modules, attachments) is not what was counted on the source. A smoke check that fails with it
leads back to the source: look at what the message names before you move again.

Forbidden: The operator may not do that: its Role lacks the right, or an admission policy refuses.
Bring the roles up to date with the chart (`helm upgrade`), see that `watchNamespaces` has this
namespace, or change the policy.

Gone: The list that the operator was reading is too old. It begins again; nothing to do.

HypercareCheckFailed: A check fails on the target. Look at it and at the workload. Mended, the
move goes on by itself; to go back: `kubectl cutover rollback NAME -n NAMESPACE` (Offline that
loses writes, and takes `--accept-data-loss`). Where `spec.hypercare.onFailedChecks` is Rollback
it goes back by itself as soon as nothing is lost by it.

IdleInTransactionTimeout: The operator was away in the middle of a transaction, and the server has
ended it. Nothing of it has happened; nothing to do.

IndexCorrupted: The server has found an index damaged. REINDEX what the message names on the
source, find out why, then `kubectl cutover retry`.

InputOutputError: The server could not read or write a file. Tried again; look at its disk and its
log.

InsufficientPrivilege: The role lacks a right that the message names. For the operator's own role
`kubectl describe dbs NAME` lists what is missing, each with the statement that gives it.

InsufficientResources: The server has run out of something that the message names. Tried again;
see its log.

InternalError: The API server has failed. Tried again; if it stays, see its log: an admission
webhook that does not answer is a usual cause.

Invalid: The API server refuses the object for what the message says. Correct the object of yours
that it comes from; if none is named, operator and CRDs may be of different versions (`kubectl
cutover version`).

InvalidObject: The message begins with the field, and says what is wrong there. Correct it in the
object; nothing else of it is looked at before that.

InvalidTransactionState: The session was not in the state that the operator had left it in, as
where a pooler stands between them: `spec.endpoint` must lead to the server itself. Otherwise a
defect: report it.

Kept: The source's retention is over, and the database stays since the message's reason holds: the
operator does not drop what may be the tenant's. Mend that, or drop the database by hand.

LockNotAvailable: Somebody holds a lock for longer than the operator waits. Tried again; if it
stays, find who: `SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE
wait_event_type = 'Lock'`.

MalformedResponse: What came back is no answer of an API server. Tried again; if it stays, see
what proxy stands between.

MigrationVanished: A TenantMigration is gone that had not ended, as when its finalizer was taken
away by force. The message says what is left and what the operator does about it, or, where only a
person can say which side has the last writes, the command that decides
(`cutover.dev/resolve-orphan`).

NotConfigured: Strategy Online needs what the message lists, each with the setting that mends it;
Offline needs none of it. Some settings take a restart of the server. The operator looks again by
itself.

NotFollowable: The stream could not carry this database, for what the message lists, each with
what to do. Mended, preflight goes on by itself; or create another TenantMigration with strategy
Offline.

NotFollowed: Nothing stands in the way: the message lists what does not come along by itself, and
what you have to do about it after the switch.

NotFound: An object is gone, or the CRDs are not installed. Tried again; create what the message
names.

ObjectInUse: Somebody uses what the message names: a database with sessions, a slot that is being
read. Tried again; if it stays, end them (`pg_stat_activity`, `pg_replication_slots`).

ObjectNotInPrerequisiteState: The server is not set up for it, or the object is not ready; the
message says which. Mend that, then `kubectl cutover retry`.

OrphanFound: Stands in the operator's log only. The DatabaseServers of that move say the same in
condition `OrphansFound`: see `MigrationVanished`.

OutOfMemory: The server has run out of memory. Tried again; if it stays, a smaller
`spec.copy.jobs` takes less.

PasswordMissing: The Secret of `spec.database.passwordSecretRef` cannot be read, or lacks the key.
Create or correct it; it is looked at again by itself.

PodCannotStart: The pod of a backup or copy does not start: its image cannot be pulled, no node
has room, a quota forbids it. Mend what the message says (`kubectl -n NAMESPACE describe pod
NAME`); it goes on by itself. An Offline copy, for which users wait, is given up after ten
minutes.

PoolerEntryLeftAlone: Nothing stands in the way: a PgBouncer has another entry for a database of
this name, on a server that is none of this move's. Look whether it is this tenant's all the same.

PoolerNotPaused: Transactions through a PgBouncer did not end in time, or somebody resumed it:
clients were let go on. It is tried again after a while; if it is missed again, look for the long
transaction that the message names, and end it.

PreflightFailed: The message has each thing that preflight has found, with what mends it and the
reasons below; `kubectl cutover plan` shows them as a list. What you mend is seen within seconds.
Where the migration is Failed, its spec can never pass: create another one.

ProgramLimitExceeded: A limit of the server is in the way, such as the size of an index's row; the
message names the object. Change it on the source, then `kubectl cutover retry`.

Progressing: Nothing to do: it is on its way. `Ready` says how far.

ProgressingWithRetry: Something failed and is tried again; `Ready` has the reason and says what.

RaisedException: A function of the database, such as a trigger, has refused with words of its own.
Ask its author, or disable the trigger, then `kubectl cutover retry`.

ReadBack: Good news: every file of the backup was read back and is what was written.

ReadOnly: The server takes no writes: it is a standby (let `spec.endpoint` lead to the primary),
or `default_transaction_read_only` is on for the server, the database or the role.

ResourceVersionTooLarge: The API server that answered knows less than one before, being behind or
restored from a backup. The operator reads everything anew; nothing to do.

Running: Nothing to do: it has not ended. `Ready` says how far it is.

SampleDiffers: Rows of the source are not what the target has, though the stream has carried them:
somebody writes to the source. Find out who, and mend the rows there as its admin; the way back
opens again then. To go back to them as they are: `kubectl cutover rollback NAME -n NAMESPACE
--accept-data-loss`.

SequencesDiffer: A sequence of the target has not the position that was set a moment before, or is
not there. Find out who changes the target, then `kubectl cutover retry`.

SerializationFailure: Another session came in between. Nothing to do.

ServerError: Anything else that PostgreSQL refuses, in its own words and with its SQLSTATE. The
server's log has more.

ServerTimeout: The API server did not answer in time. Tried again; nothing to do unless it stays.

ServiceNotCurrent: The placement's own Service could not be led to the tenant's server: it is not
ours to lead (see `ServiceNotOurs`), the server's host has no address, or the API server refuses.
Do what the message says.

ServiceNotOurs: The Service of `spec.connection.service` cannot be led anywhere: it has a
selector, is an ExternalName, lacks port 5432, or somebody else's EndpointSlice feeds it. Do what
the message says, or name another Service, which the operator then makes.

ServiceUnavailable: The API server, or something behind it, is not there. Tried again.

SourceFailedOver: The source's server has failed over to a standby, or an earlier state of it was
restored, since the way back was laid. What it had confirmed by then is not sent again, and may be
missing there, also where it follows closely: nobody can tell which rows. Going back is left only
with that, `kubectl cutover rollback NAME -n NAMESPACE --accept-data-loss`; so it is after a
switchover that lost nothing, which cannot be told from one that did.

StreamBroken: What users write on the target does not arrive on the source; the message says what
is in the way. A server that is away, or behind, is waited for. A slot, publication or
subscription that is gone does not come back: going back is left only without what has not
arrived, `kubectl cutover rollback NAME -n NAMESPACE --accept-data-loss`.

TargetFailedOver: The target's server has failed over to a standby, or an earlier state of it was
restored, since the stream to it was laid. What it had confirmed by then is not sent again, and may
be missing there, though it follows closely: nobody can tell which rows. Users stay on the source.
See that the server is the one that you want, then `kubectl cutover retry` copies again.

TenantLoginFailed: The tenant's role cannot log in with the password of the Secret of
`spec.database.passwordSecretRef`; the message has the server's words. Correct the Secret, the
role's password, or the server's pg_hba.conf.

Timeout: The API server did not answer in time. Tried again; nothing to do unless it stays.

TooManyConnections: The server has no connection left. Tried again; end idle sessions, or raise
`max_connections`.

TooManyRequests: The API server asks to be asked less. Tried again more slowly; nothing to do.

TransactionInDoubt: The connection was lost while a transaction ended. The operator looks whether
it has happened before it does anything else; nothing to do.

TransactionTimeout: A transaction took longer than the server allows, and nothing of it has
happened. Tried again; if it stays, raise `transaction_timeout` for the operator's role.

Unauthorized: The API server does not know the operator's token. Tried again; if it stays, see
that the operator's ServiceAccount is still the one that its pods were started with.

UndefinedFile: The server lacks a file, such as the library of an extension. Install there what
the message names, then `kubectl cutover retry`.

UndefinedObject: Something that the message names is not there, or not any more. Create it where
the message says, then `kubectl cutover retry`.

Unknown: It cannot be judged at the moment, for what the message says: a server or an object that
cannot be read. It is looked at again by itself.

WayBackGivenUp: The target had to keep more WAL for the way back than `copy.maxRetainedWalBytes`,
since the source was away or too slow, and its slot was dropped to save the disk. Users go on on
the target. Going back loses what has not arrived: `kubectl cutover rollback NAME -n NAMESPACE
--accept-data-loss`.

WiringFailed: The workloads could not be pointed at the target within ten minutes of the switch,
so the tenant went back; nobody had written there. Mend what the message says about an object of
`spec.connection`, then create another TenantMigration.

WorkloadsNotReady: The workloads did not become ready on the target within ten minutes, so the
tenant went back; nobody had written there. Look at their pods and logs, then create another
TenantMigration.
"""


def _paragraphs():
    for paragraph in _TEXT.strip().split("\n\n"):
        name, remedy = paragraph.split(": ", 1)
        yield name, " ".join(remedy.split()).replace("|", "\\|")


REMEDIES = dict(_paragraphs())
