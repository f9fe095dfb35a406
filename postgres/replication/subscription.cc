// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "operator/base/json.h"
#include "operator/base/random.h"
#include "postgres/event_triggers.h"
#include "postgres/idle_transaction.h"
#include "postgres/replication/apply_error.h"
#include "postgres/replication/stream.h"
#include "postgres/secrets.h"
#include "postgres/server_probe.h"

namespace cutover::pg {
namespace {

constexpr const char* kFindSubscription = R"(
  SELECT s.oid, s.subenabled
    FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
   WHERE d.datname = current_database() AND s.subname = $1)";

constexpr const char* kObserve = R"(
  SELECT s.oid, coalesce(s.subenabled, false),
         EXISTS (SELECT FROM pg_stat_subscription w
                  WHERE w.subid = s.oid AND w.pid IS NOT NULL AND w.relid IS NULL),)";
constexpr const char* kCountErrors =
    ", coalesce((SELECT e.apply_error_count FROM pg_stat_subscription_stats e"
    " WHERE e.subid = s.oid), 0)";
constexpr const char* kReadApplied = R"(,
         (SELECT max(number) FROM cutover.marker WHERE side = $2),
         (SELECT extract(epoch FROM max(beaten_at)) FROM cutover.heartbeat WHERE side = $2),
         (SELECT value #>> '{}' FROM cutover.ledger
           WHERE kind = 'subscription-address' AND name = $2))";
// By the publisher's side. pg_subscription has it too, for superusers.
constexpr const char* kAddressRecord = "subscription-address";
constexpr const char* kOfSubscription = R"(
    FROM (VALUES (true)) one (row)
         LEFT JOIN pg_subscription s
                ON s.subname = $1
               AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()))";

struct Found {
  std::string oid;
  bool enabled = false;
};

template <class Session>
Result<std::optional<Found>> Find(const std::stop_token& stop, Deadline deadline, Session& session,
                                  const std::string& name) {
  TRY_ASSIGN(Rows rows, session.Query(stop, deadline, kFindSubscription, {name}));
  if (rows.empty()) return std::optional<Found>();
  return std::optional(Found{rows[0].Text(0), rows[0].Bool(1)});
}

/// One value of a conninfo string.
std::string Quote(std::string_view value) {
  std::string quoted = "'";
  for (char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

/// CREATE SUBSCRIPTION that dials the publisher and begins nothing.
Status Create(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
              const std::string& name, const std::string& slot_option,
              const std::string& publication, const std::string& conninfo, Direction direction) {
  const int major = transaction.connection().major_version();
  std::string options = "enabled = false, create_slot = false, copy_data = false, slot_name = ";
  options += slot_option;
  // A transaction of millions of rows is sent while it runs, and kept on the subscriber's disk
  // until it commits (trap 69).
  if (major >= 14) options += ", streaming = on";
  // What came from the other side is not sent back (trap 72). Before 16 it is the slot's position
  // alone that sees to it.
  if (major >= 16 && direction == Direction::kReverse) options += ", origin = none";
  return transaction.Exec(stop, deadline,
                          "CREATE SUBSCRIPTION " + QuoteIdentifier(name) + " CONNECTION " +
                              QuoteLiteral(conninfo) + " PUBLICATION " +
                              QuoteIdentifier(publication) + " WITH (" + options + ")");
}

Status CreateDisabled(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                      const std::string& name, const std::string& conninfo, Direction direction) {
  return Create(stop, deadline, transaction, name, QuoteLiteral(name), name, conninfo, direction);
}

/// One that is to be rolled back: it has dialled.
Status Dial(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
            const std::string& publication, const std::string& conninfo, Direction direction) {
  return Create(stop, deadline, transaction, "cutover_dial_" + RandomHex(8), "NONE", publication,
                conninfo, direction);
}

/// Gives the subscription that is there another address. Nothing dials then, so one is tried that
/// is rolled back: making the subscription itself anew would lose how far it has come.
Status Readdress(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                 const std::string& name, const std::string& conninfo, Direction direction) {
  TRY(transaction.Exec(stop, deadline, "SAVEPOINT tried"));
  TRY(Dial(stop, deadline, transaction, name, conninfo, direction));
  TRY(transaction.Exec(stop, deadline, "ROLLBACK TO SAVEPOINT tried"));
  return transaction.Exec(
      stop, deadline,
      "ALTER SUBSCRIPTION " + QuoteIdentifier(name) + " CONNECTION " + QuoteLiteral(conninfo));
}

/// Ends the workers of a disabled subscription, which would end by themselves within a second.
Status EndWorkers(const std::stop_token& stop, Deadline deadline, Connection& connection,
                  const std::string& name) {
  while (true) {
    TRY_ASSIGN(Rows rows, connection.Query(stop, deadline,
                                           "SELECT pg_terminate_backend(w.pid)"
                                           " FROM pg_stat_subscription w"
                                           " WHERE w.subname = $1 AND w.pid IS NOT NULL",
                                           {name}));
    if (rows.empty()) return Ok();
    if (deadline.Remaining() < 2 * kLookAgainAfter)
      return RetryError("ApplyWorkerRemains", "the apply worker of subscription " +
                                                  QuoteIdentifier(name) + " has not ended");
    std::this_thread::sleep_for(kLookAgainAfter);
  }
}

/// In the transaction that changes the subscription, or that stands before it.
Status RecordAddress(const std::stop_token& stop, Deadline deadline, Transaction& transaction,
                     Direction direction, const std::string& address) {
  const std::string_view name = Name(PublisherSide(direction));
  TRY(ForgetRecord(stop, deadline, transaction, kAddressRecord, name));
  if (address.empty()) return Ok();
  TRY(RecordOnce(stop, deadline, transaction, kAddressRecord, name, Json(address)));
  return Ok();
}

}  // namespace

std::string PublisherAddress::Where() const {
  std::string text = host + ":" + std::to_string(port);
  if (!ssl_mode.empty()) text += " sslmode=" + ssl_mode;
  return text;
}

std::string SubscriberConnInfo(const PublisherAddress& publisher, const std::string& role,
                               const std::string& password) {
  // The keepalives let a publisher that has vanished be noticed in half a minute.
  std::string text = "host=" + Quote(publisher.host) + " port=" + std::to_string(publisher.port) +
                     " dbname=" + Quote(publisher.database) + " user=" + Quote(role) +
                     " password=" + Quote(password) +
                     " connect_timeout=10 keepalives_idle=15 keepalives_interval=5"
                     " keepalives_count=3";
  if (!publisher.ssl_mode.empty()) text += " sslmode=" + Quote(publisher.ssl_mode);
  return text;
}

tl::unexpected<Error> DialError(const Connection& connection, const PublisherAddress& publisher,
                                Error error) {
  const std::string where = publisher.host + ":" + std::to_string(publisher.port);
  if (WasEndedInTime(error))
    return RetryError("PublisherUnreachable",
                      "the subscriber's server had no answer from " + where +
                          "; see that it may connect there, or set replicationEndpoint");
  if (connection.last_sqlstate().starts_with("08")) {
    error.reason = "PublisherUnreachable";
    error.disposition = Disposition::kRetry;
  }
  return tl::unexpected(std::move(error));
}

Status EnsureSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, Direction direction,
                          const PublisherAddress& publisher, const std::string& password) {
  const std::string name = StreamName(claim.migration_uid, direction);
  const std::string conninfo = SubscriberConnInfo(publisher, name, password);
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        TRY(KeepOutOfLogs(stop, deadline, transaction));
        TRY(EnsureStreamTables(stop, deadline, transaction));
        TRY_ASSIGN(std::optional<Found> found, Find(stop, deadline, transaction, name));
        TRY(EndStatementsBefore(stop, deadline, transaction));
        Status done = (found ? Readdress : CreateDisabled)(stop, deadline, transaction, name,
                                                           conninfo, direction);
        if (!done) return DialError(connection, publisher, std::move(done).error());
        return RecordAddress(stop, deadline, transaction, direction, publisher.Where());
      });
}

Status TrySubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                       std::string_view migration_uid, Direction direction,
                       const PublisherAddress& publisher, const std::string& password) {
  const std::string name = StreamName(migration_uid, direction);
  TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, connection));
  TRY(SilenceEventTriggers(stop, deadline, transaction));
  TRY(KeepOutOfLogs(stop, deadline, transaction));
  TRY(EndStatementsBefore(stop, deadline, transaction));
  Status dialled = Dial(stop, deadline, transaction, name,
                        SubscriberConnInfo(publisher, name, password), direction);
  if (!dialled) return DialError(connection, publisher, std::move(dialled).error());
  return Ok();  // Never committed.
}

Status ForgetAddress(std::stop_token stop, Deadline deadline, Connection& connection,
                     const Claim& claim, Direction direction) {
  return WithEpoch(stop, deadline, connection, claim,
                   [&](Transaction& transaction, const Control&) -> Status {
                     return RecordAddress(stop, deadline, transaction, direction, "");
                   });
}

Status EnableSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                          const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(std::optional<Found> found, Find(stop, deadline, transaction, name));
        if (!found)
          return TerminalError("SubscriptionMissing",
                               "there is no subscription " + QuoteIdentifier(name) + " to enable");
        if (found->enabled) return Ok();
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        return transaction.Exec(stop, deadline,
                                "ALTER SUBSCRIPTION " + QuoteIdentifier(name) + " ENABLE");
      });
}

Status DisableSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                           const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  Status disabled = WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(std::optional<Found> found, Find(stop, deadline, transaction, name));
        if (!found || !found->enabled) return Ok();
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        return transaction.Exec(stop, deadline,
                                "ALTER SUBSCRIPTION " + QuoteIdentifier(name) + " DISABLE");
      });
  TRY(disabled);
  return EndWorkers(stop, deadline, connection, name);
}

Status DropSubscription(std::stop_token stop, Deadline deadline, Connection& connection,
                        const Claim& claim, Direction direction) {
  const std::string name = StreamName(claim.migration_uid, direction);
  const std::string quoted = QuoteIdentifier(name);
  // Its worker first: dropping locks all subscriptions of the server until it commits.
  TRY(DisableSubscription(stop, deadline, connection, claim, direction));
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(std::optional<Found> found, Find(stop, deadline, transaction, name));
        if (!found) return Ok();
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        TRY(transaction.Exec(stop, deadline,
                             "ALTER SUBSCRIPTION " + quoted + " SET (slot_name = NONE)"));
        return transaction.Exec(stop, deadline, "DROP SUBSCRIPTION " + quoted);
      });
}

Status StartSubscriptionAtSlot(std::stop_token stop, Deadline deadline, Connection& publisher,
                               Connection& subscriber, const Claim& subscriber_claim,
                               Direction direction) {
  const std::string name = StreamName(subscriber_claim.migration_uid, direction);
  TRY_ASSIGN(Rows slot, publisher.Query(stop, deadline,
                                        "SELECT confirmed_flush_lsn FROM pg_replication_slots"
                                        " WHERE slot_name = $1",
                                        {name}));
  if (slot.empty())
    return TerminalError("SlotMissing", "there is no replication slot " + name + " to start at");
  const std::string position = slot[0].Text(0);
  return WithEpoch(
      stop, deadline, subscriber, subscriber_claim,
      [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(std::optional<Found> found, Find(stop, deadline, transaction, name));
        if (!found)
          return TerminalError("SubscriptionMissing",
                               "there is no subscription " + QuoteIdentifier(name) + " to start");
        // Once it has begun, its own progress is what counts.
        if (found->enabled) return Ok();
        TRY(transaction.Query(stop, deadline,
                              "SELECT pg_replication_origin_advance($1, greatest($2::pg_lsn,"
                              " pg_replication_origin_progress($1, true)))",
                              {"pg_" + found->oid, position}));
        return Ok();
      });
}

Result<SubscriberFacts> ObserveSubscriber(std::stop_token stop, Deadline deadline,
                                          Connection& connection, std::string_view migration_uid,
                                          Direction direction) {
  const std::string name = StreamName(migration_uid, direction);
  const std::string head = std::string(kObserve) + kTimelineOfLog +
                           std::string(connection.major_version() >= 15 ? kCountErrors : ", -1");
  Result<Rows> rows = connection.QueryOne(stop, deadline, head + kReadApplied + kOfSubscription,
                                          {name, Name(PublisherSide(direction))});
  // 42P01: the tables are not there yet, or no longer.
  if (!rows && connection.last_sqlstate() == "42P01")
    rows =
        connection.QueryOne(stop, deadline, head + ", NULL, NULL, NULL" + kOfSubscription, {name});
  TRY(rows);
  Row row = (*rows)[0];
  SubscriberFacts facts;
  facts.exists = !row.IsNull(0);
  facts.enabled = row.Bool(1);
  facts.working = row.Bool(2);
  facts.timeline = row.Int(3);
  facts.apply_errors = row.Int(4);
  facts.marker = row.Int(5);
  if (!row.IsNull(6)) facts.heartbeat_at_seconds = row.Double(6);
  facts.address = row.Text(7);
  // After an error the worker is away for wal_retrieve_retry_interval, so that is when to look:
  // reading a log is slower than all the rest.
  if (facts.enabled && !facts.working) {
    TRY_ASSIGN(facts.last_error, ReadApplyError(stop, deadline, connection, name, row.Text(0)));
  }
  return facts;
}

}  // namespace cutover::pg
