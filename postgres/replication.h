// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "postgres/connection.h"
#include "postgres/control.h"

namespace cutover::pg {

/// The stream of a move: PostgreSQL's own logical replication between the two sides' databases.
///
///   forward   the source publishes, the target subscribes: from the copy's snapshot to the switch
///   reverse   the target publishes, the source subscribes: from the switch to the end of hypercare
///
/// Everything that one stream leaves on either server carries a name made of the migration's uid,
/// so that it is found again after any crash, and by a sweeper when the migration is gone:
///
///   publisher    a role that may log in and replicate and nothing else; a publication of the
///                tenant's tables and of cutover.heartbeat and cutover.marker; a logical slot
///   subscriber   a subscription
///
/// Each function may be repeated. Those that take a Claim check the epoch in the transaction that
/// changes something; a slot and a subscription cannot be made or dropped in a transaction, so
/// there the epoch is checked (and raised) just before, and what a deposed leader may still do then
/// is to make again what is there or drop what its successor makes again.
enum class Direction { kForward, kReverse };
std::string_view Name(Direction direction);  ///< "forward", "reverse"

/// The side that publishes: its rows of cutover.heartbeat and cutover.marker are the stream's.
constexpr Side PublisherSide(Direction direction) {
  return direction == Direction::kForward ? Side::kSource : Side::kTarget;
}
constexpr Side SubscriberSide(Direction direction) {
  return direction == Direction::kForward ? Side::kTarget : Side::kSource;
}

/// "cutover_forward_0123…": one name for role, publication, slot and subscription of a stream.
/// Lower case letters, digits and underscores only, at most 63 bytes.
std::string StreamName(std::string_view migration_uid, Direction direction);
/// Both streams' names, for what has to tell our sessions from others' (FenceOptions).
std::vector<std::string> StreamNames(std::string_view migration_uid);

/// How the subscriber's server reaches the publisher's database.
struct PublisherAddress {
  std::string host;
  int port = 5432;
  std::string database;
  std::string ssl_mode;

  /// "host:port", with the sslmode where there is one: what of it may change while a stream runs.
  std::string Where() const;
};

// --- the publisher's side: `connection` is the admin's, in the publisher's database
// ---------------

/// Creates the role with `password` (hashed before it is sent, trap 83's privileges probed by
/// preflight), or gives it this one. It may connect to the database also under a fence.
Status EnsureReplicationRole(std::stop_token stop, Deadline deadline, Connection& connection,
                             const Claim& claim, Direction direction, const std::string& password);
Status DropReplicationRole(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim, Direction direction);

/// Tables that can be published only with replica identity FULL: they have neither a primary key
/// nor an identity index (trap 53). "schema.table", quoted where needed.
Result<std::vector<std::string>> TablesWithoutIdentity(std::stop_token stop, Deadline deadline,
                                                       Connection& connection);
/// Sets those to FULL, each one's own identity written into the ledger first. kRetry "TableInUse"
/// when somebody holds a table, for which nobody is made to wait longer than a moment: to be tried
/// again after a pause that grows.
Status SetReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& connection,
                            const Claim& claim);
/// The target's tables come from the copy as the source's were by then, FULL: this writes into the
/// target's ledger what the source's says of them, so that they, too, get back what they had.
Status AdoptReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& source,
                              Connection& target, const Claim& target_claim);
/// Puts back what the ledger says, and forgets it. A table that is gone, or that somebody has given
/// another identity since, is left alone. kRetry like the above.
Status RestoreReplicaIdentities(std::stop_token stop, Deadline deadline, Connection& connection,
                                const Claim& claim);

/// Creates cutover.heartbeat and cutover.marker and the publication of them and of every logged
/// table of the tenant but `exclude_tables`; partitions as leaves (trap 61). Adds what is missing
/// in one that is there.
Status EnsurePublication(std::stop_token stop, Deadline deadline, Connection& connection,
                         const Claim& claim, Direction direction,
                         const std::vector<std::string>& exclude_tables = {});
Status DropPublication(std::stop_token stop, Deadline deadline, Connection& connection,
                       const Claim& claim, Direction direction);

/// Creates the slot unless it is there. Waits for transactions that write anywhere on the server
/// (trap 71), so it is made while users work; kRetry "SlotWaits" at the deadline, naming who is in
/// the way, with nothing left behind. The epoch is checked by the statement that makes it.
Status EnsureSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                  const Claim& claim, Direction direction);
/// Writes into the log which transactions run, so that a slot of this server that is read and moved
/// on later need not begin before this moment again. PostgreSQL does it by itself every 15 seconds
/// (LOG_SNAPSHOT_INTERVAL_MS of the background writer), until when each reading decodes all of that
/// anew. Nothing before version 16, or where the role may not.
Status NoteRunningTransactions(std::stop_token stop, Deadline deadline, Connection& connection);
/// Ends its walsender first. A slot that is not there is no error.
Status DropSlot(std::stop_token stop, Deadline deadline, Connection& connection, const Claim& claim,
                Direction direction);

/// Writes into the publisher's ledger which timeline the subscriber's log is on, once for each
/// slot: to be called before anything is applied. On another one later, the subscriber may lack
/// what it had confirmed, and what was confirmed is not sent again (trap 84): a standby was
/// promoted that had not received it, whatever synchronous_standby_names says, since an apply
/// worker waits for none; or an earlier backup was restored.
Status RecordSubscriber(std::stop_token stop, Deadline deadline, Connection& publisher,
                        const Claim& publisher_claim, Connection& subscriber, Direction direction);

/// Writes the publisher's clock into its row of cutover.heartbeat, so that an idle source advances
/// too and the lag can be told in seconds.
Status WriteHeartbeat(std::stop_token stop, Deadline deadline, Connection& connection,
                      const Claim& claim);
/// Writes the marker `number` (it only grows) into the publisher's row of cutover.marker, in a
/// transaction after the fence: seen applied, it proves that everything before it is (trap 75, 76).
Status WriteMarker(std::stop_token stop, Deadline deadline, Connection& connection,
                   const Claim& claim, int64_t number);

/// A publisher's side as it is now. Zero and empty where there is no slot.
struct PublisherFacts {
  bool role_exists = false;
  bool publication_exists = false;
  bool slot_exists = false;
  bool slot_active = false;     ///< A walsender is at work.
  std::string wal_status;       ///< "reserved", "extended", "unreserved", "lost"
  int64_t retained_bytes = 0;   ///< WAL that is kept for the slot.
  int64_t safe_wal_bytes = -1;  ///< How much more may be written until it is lost; -1: no bound.
  int64_t lag_bytes = 0;        ///< Written, but not confirmed by the subscriber.
  bool identities_changed = false;  ///< The ledger holds replica identities to be put back.
  double clock_seconds = 0;         ///< What the server's clock said, since 1970.
  int64_t subscriber_timeline = 0;  ///< As RecordSubscriber() has found it; 0: it has not.
};
Result<PublisherFacts> ObservePublisher(std::stop_token stop, Deadline deadline,
                                        Connection& connection, std::string_view migration_uid,
                                        Direction direction);

// --- the subscriber's side: `connection` is the admin's, in the subscriber's database
// --------------

/// Creates the subscription, disabled, onto the stream's slot and without a copy; creates heartbeat
/// and marker tables where absent. Makes the server dial the publisher, which proves the path; the
/// message of an error is the server's own. One that is there gets address and password anew, and
/// goes on where it was. Which address that is, the subscriber's ledger knows.
Status EnsureSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, Direction direction,
                          const PublisherAddress& publisher, const std::string& password);
/// Whether that will be: the server dials the publisher by this very path, role and database, and
/// keeps nothing of it. Errors as above.
Status TrySubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                       std::string_view migration_uid, Direction direction,
                       const PublisherAddress& publisher, const std::string& password);
/// Forgets which address that is: to be called before the password is changed on the publisher's
/// side, since whoever dies in between leaves a subscription with the old one.
Status ForgetAddress(std::stop_token stop, Deadline deadline, Connection& connection,
                     const Claim& claim, Direction direction);
Status EnableSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, Direction direction);
/// Returns once its worker is gone: nothing more is applied.
Status DisableSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim, Direction direction);
/// Makes the disabled subscription begin where FindRogueWrites() has put the publisher's slot,
/// durably: a slot may fall back to an earlier position when its server crashes, and would then
/// send the subscriber what came from him. Does nothing once it is enabled. Needs a superuser, or
/// EXECUTE on pg_replication_origin_advance and pg_replication_origin_progress.
Status StartSubscriptionAtSlot(std::stop_token stop, Deadline deadline, Connection& publisher,
                               Connection& subscriber, const Claim& subscriber_claim,
                               Direction direction);
/// Drops it without a word to the publisher, whose slot is dropped by itself (trap 80).
Status DropSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                        const Claim& claim, Direction direction);

/// A subscriber's side as it is now.
struct SubscriberFacts {
  bool exists = false;
  bool enabled = false;
  bool working = false;      ///< Its apply worker runs.
  int64_t timeline = 0;      ///< Of the server's log, whether or not there is a subscription.
  std::string address;       ///< What it dials (Where()); empty where nobody knows that.
  int64_t apply_errors = 0;  ///< Since it was made; -1 before version 15, which does not count.
  std::string last_error;    ///< The server's own words, where its log can be read.
  int64_t marker = 0;        ///< The highest number applied from the publisher.
  /// What the publisher's clock said when it wrote the last heartbeat that was applied here, as
  /// PublisherFacts::clock_seconds; nothing before the first. No clock but that one tells its age.
  std::optional<double> heartbeat_at_seconds;
};
Result<SubscriberFacts> ObserveSubscriber(std::stop_token stop, Deadline deadline,
                                          Connection& connection, std::string_view migration_uid,
                                          Direction direction);

// --- what logical replication does not carry
// -------------------------------------------------------

/// A hash of everything DDL can change in the tenant's part of the database (trap 59): tables,
/// columns, types, constraints, indexes, functions, views, policies, triggers, sequences'
/// definitions; not rows, sequence values, statistics or replica identities. Temporary objects do
/// not count. Large objects do (trap 58), since no stream carries them: the first, and one before
/// or behind all others, as new ones usually are.
Result<std::string> SchemaFingerprint(std::stop_token stop, Deadline deadline,
                                      Connection& connection);

/// From now on DDL in the tenant's database is written down: the command, the first object that it
/// names, the role that was logged in, and when; each command once in a transaction. It is for
/// people to read, once the fingerprint has told that something was changed, and decides nothing:
/// nobody's statement waits for it, and what fails to be written fails alone. Before the
/// fingerprint is taken, since it makes two event triggers, which at the latest go with schema
/// cutover. Does nothing where we are no superuser, or plpgsql is missing.
Status WatchDdl(std::stop_token stop, Deadline deadline, Connection& connection,
                const Claim& claim);
/// Drops the triggers, before what they call: a session that has looked one up finds that still.
/// Notes stay until schema cutover goes, which waits for transactions that have written one.
Status StopWatchingDdl(std::stop_token stop, Deadline deadline, Connection& connection,
                       const Claim& claim);
/// "ALTER TABLE public.orders by role odoo at 2026-11-24T02:13:05Z, …": the last three, newest
/// first, and how many there were before; empty where none is known.
Result<std::string> DescribeDdl(std::stop_token stop, Deadline deadline, Connection& connection);

/// What the catalogs behind SchemaFingerprint() held at one moment, told by the numbers of the
/// transactions that wrote their rows: some ten times as quick to compare, so that it can be done
/// while clients wait. All DDL shows, and large objects as above; some of what is none does, too (a
/// temporary table, TRUNCATE, a role's grants on objects of the server's own), and only the
/// fingerprint tells them apart.
struct CatalogMark {
  std::string oldest_xid;  ///< Whatever was not over by then counts as new.
  std::string rows;        ///< How many there are, and which are new.
};
/// Taken before the fingerprint that it stands for, so that nothing falls between the two.
Result<CatalogMark> MarkCatalogs(std::stop_token stop, Deadline deadline, Connection& connection);
/// False is certain: no DDL has been committed since `mark` was taken.
Result<bool> CatalogsTouched(std::stop_token stop, Deadline deadline, Connection& connection,
                             const CatalogMark& mark);

/// Writes on the subscriber that did not come by the stream (a row changed behind replication's
/// back): read from the reverse stream's slot, whose server it is asked of, up to now; the slot is
/// advanced past what was read, so that after the last time it begins where the tenant's writes on
/// the target begin. Transactions of the forward subscription of this migration and
/// changes of schema cutover do not count; those of any other subscription do. The slot must be
/// idle, and the forward subscription must still be there: with it goes what tells its transactions
/// from others. What was once found is in the ledger and returned until the slot is made anew.
struct RogueWrites {
  int64_t transactions = 0;
  std::string first_table;  ///< "schema.table" of one, for a message.
};
Result<RogueWrites> FindRogueWrites(std::stop_token stop, Deadline deadline, Connection& connection,
                                    const Claim& claim);

/// What stands in the way of a stream from this server's database, each as a sentence that names
/// the object and the remedy; beside ServerFacts::replication_obstacles, which is about the server.
struct OnlineObstacles {
  std::vector<std::string> blocking;
  std::vector<std::string> warnings;
};
struct OnlineTerms {
  bool may_set_full_identity = false;
  std::chrono::seconds long_transaction{};  ///< Transactions count that are open for longer.
  int other_major = 0;                      ///< The target's.
  bool sessions_stay = false;               ///< Of clients: in a pooler.
};
Result<OnlineObstacles> FindOnlineObstacles(std::stop_token stop, Deadline deadline,
                                            Connection& connection, const OnlineTerms& terms);

/// The one name of all that ProbeStream() makes, on either server.
std::string ProbeName(std::string_view migration_uid, Direction direction);
/// Tries a stream from `publisher`'s server to `subscriber`'s, in their maintenance databases:
/// role, publication, slot and subscription are made, a row is seen applied, and all is dropped
/// again. Terminal or kRetry with the server's own words and the direction: "PublisherUnreachable",
/// "SlotWaits", "NothingArrives", or those of the SQLSTATE table. `publisher_address` says where
/// the subscriber dials; its database is taken from `publisher`. Never touches the tenant's
/// database. Leaves nothing behind, also when it fails, is stopped or runs out of time, unless a
/// server goes away; what that or a crash left is removed first. Where both are one and the same
/// database no row is sent. Takes about a second, and as long as transactions that are open on the
/// publisher's server.
Status ProbeStream(std::stop_token stop, Deadline deadline, Connection& publisher,
                   Connection& subscriber, const PublisherAddress& publisher_address,
                   std::string_view migration_uid, Direction direction);

/// One of the things that a probe has made, or is at work with.
struct ProbeTrace {
  std::string kind;      ///< "role", "schema", "publication", "subscription", "slot"
  std::string name;      ///< A ProbeName().
  std::string identity;  ///< Another one when a later probe makes the same thing again.
};
/// Those of this server that are seen from the database of `connection`: a maintenance database.
/// Whoever died in a probe, or was frozen for long, has left them: a slot keeps the log for ever.
Result<std::vector<ProbeTrace>> FindProbes(std::stop_token stop, Deadline deadline,
                                           Connection& connection);
/// Removes all that is called `name` from there. Nothing to remove is no error.
Status RemoveProbe(std::stop_token stop, Deadline deadline, Connection& connection,
                   const std::string& name);

/// A slot of a stream, or of the watch beside one, whichever migration's.
struct StreamSlot {
  std::string name;
  std::string database;
  std::string position;  ///< From where it keeps the log: another one of its name has another.

  bool IsOf(std::string_view migration_uid) const;
};
/// Those of this server, in all its databases.
Result<std::vector<StreamSlot>> FindStreamSlots(std::stop_token stop, Deadline deadline,
                                                Connection& connection);
/// Drops that very slot, whoever reads it, and none that was made or moved on under its name since.
/// From any database of the server. One that is not there is no error.
Status RemoveStreamSlot(std::stop_token stop, Deadline deadline, Connection& connection,
                        const StreamSlot& slot);

}  // namespace cutover::pg
