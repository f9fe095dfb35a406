// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <thread>

#include "operator/base/log.h"
#include "operator/base/random.h"
#include "postgres/idle_transaction.h"
#include "postgres/replication/apply_error.h"
#include "postgres/replication/stream.h"
#include "postgres/secrets.h"

namespace cutover::pg {
namespace {

using namespace std::chrono_literals;

/// For removing what was made, whatever became of the time allowed for the attempt.
constexpr auto kCleaningMax = 15s;
constexpr auto kArrivalLook = 20ms;
/// GRANT and REVOKE rewrite the database's row, and of two at once one fails ("tuple concurrently
/// updated"). Moves that begin together share the database in which they probe: they take turns.
constexpr const char* kTakeTurns = "SELECT pg_advisory_xact_lock(4853715210)";

/// One attempt between two servers. Role, schema, publication, slot and subscription have one name.
class Probe {
 public:
  Probe(Connection& publisher, Connection& subscriber, PublisherAddress address, std::string name)
      : publisher_(publisher),
        subscriber_(subscriber),
        address_(std::move(address)),
        name_(std::move(name)),
        quoted_(QuoteIdentifier(name_)) {}

  Status Try(const std::stop_token& stop, Deadline deadline) {
    TRY_ASSIGN(std::string publisher_place, PlaceOf(stop, deadline, publisher_));
    TRY_ASSIGN(std::string subscriber_place, PlaceOf(stop, deadline, subscriber_));
    TRY(Publish(stop, deadline));
    TRY(MakeSlot(stop, deadline.OrAfter(deadline.Remaining() / 2), publisher_, name_));
    // In one and the same database a row would be sent to the table that it comes from.
    const bool apart = publisher_place != subscriber_place;
    TRY(Subscribe(stop, deadline, apart));
    if (!apart) return Ok();
    TRY(publisher_.Query(stop, deadline, "INSERT INTO " + quoted_ + ".probe VALUES (1)"));
    return AwaitRow(stop, deadline);
  }

  Status CleanUp(const std::stop_token& stop, Deadline deadline) {
    TRY(DropFromSubscriber(stop, deadline));
    return DropFromPublisher(stop, deadline);
  }

 private:
  /// What tells one database from all others.
  static Result<std::string> PlaceOf(const std::stop_token& stop, Deadline deadline,
                                     Connection& connection) {
    TRY_ASSIGN(Rows rows, connection.QueryOne(stop, deadline,
                                              "SELECT system_identifier || ' ' ||"
                                              " current_database() FROM pg_control_system()"));
    return rows[0].Text(0);
  }

  Status Publish(const std::stop_token& stop, Deadline deadline) {
    TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, publisher_));
    TRY(transaction.Query(stop, deadline, kTakeTurns));
    TRY(KeepOutOfLogs(stop, deadline, transaction));
    // As the stream's own: what would be refused of that one is refused here.
    TRY(MakeStreamRole(stop, deadline, transaction, name_, password_,
                       "Cutover tries a stream; goes by itself"));
    TRY(transaction.Exec(stop, deadline,
                         "CREATE SCHEMA " + quoted_ + "; CREATE TABLE " + quoted_ +
                             ".probe (n integer); CREATE PUBLICATION " + quoted_ +
                             " FOR TABLE ONLY " + quoted_ + ".probe WITH (publish = 'insert')"));
    return transaction.Commit(stop, deadline);
  }

  Status Subscribe(const std::stop_token& stop, Deadline deadline, bool apart) {
    TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, subscriber_));
    TRY(KeepOutOfLogs(stop, deadline, transaction));
    if (apart)
      TRY(transaction.Exec(
          stop, deadline,
          "CREATE SCHEMA " + quoted_ + "; CREATE TABLE " + quoted_ + ".probe (n integer)"));
    TRY(EndStatementsBefore(stop, deadline, transaction));
    Status created = transaction.Exec(
        stop, deadline,
        "CREATE SUBSCRIPTION " + quoted_ + " CONNECTION " +
            QuoteLiteral(SubscriberConnInfo(address_, name_, password_)) + " PUBLICATION " +
            quoted_ + " WITH (create_slot = false, copy_data = false, enabled = " +
            (apart ? "true" : "false") + ")");
    if (!created) return DialError(subscriber_, address_, std::move(created).error());
    return transaction.Commit(stop, deadline);
  }

  Status AwaitRow(const std::stop_token& stop, Deadline deadline) {
    while (true) {
      TRY_ASSIGN(Rows rows, subscriber_.Query(stop, deadline, "SELECT FROM " + quoted_ + ".probe"));
      if (!rows.empty()) return Ok();
      if (deadline.Remaining() < 1s) break;
      std::this_thread::sleep_for(kArrivalLook);
    }
    TRY_ASSIGN(Rows subscription,
               subscriber_.QueryOne(stop, deadline,
                                    "SELECT oid FROM pg_subscription WHERE subname = $1", {name_}));
    TRY_ASSIGN(std::string words,
               ReadApplyError(stop, deadline, subscriber_, name_, subscription[0].Text(0)));
    return RetryError("NothingArrives",
                      "the subscription was made, but a row did not arrive; see that the "
                      "subscriber's server has a free worker (max_logical_replication_workers, "
                      "max_worker_processes)" +
                          (words.empty() ? "" : ": " + words));
  }

  Status DropFromSubscriber(const std::stop_token& stop, Deadline deadline) {
    TRY_ASSIGN(Rows rows, subscriber_.Query(stop, deadline,
                                            "SELECT FROM pg_subscription s"
                                            " JOIN pg_database d ON d.oid = s.subdbid"
                                            " WHERE d.datname = current_database()"
                                            " AND s.subname = $1",
                                            {name_}));
    TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, subscriber_));
    if (!rows.empty())
      TRY(transaction.Exec(stop, deadline,
                           "ALTER SUBSCRIPTION " + quoted_ + " DISABLE; ALTER SUBSCRIPTION " +
                               quoted_ + " SET (slot_name = NONE); DROP SUBSCRIPTION " + quoted_));
    TRY(transaction.Exec(stop, deadline, "DROP SCHEMA IF EXISTS " + quoted_ + " CASCADE"));
    return transaction.Commit(stop, deadline);
  }

  Status DropFromPublisher(const std::stop_token& stop, Deadline deadline) {
    TRY(RemoveSlot(stop, deadline, publisher_, name_));
    TRY_ASSIGN(Transaction transaction, BeginEndedIfSilent(stop, deadline, publisher_));
    TRY(transaction.Query(stop, deadline, kTakeTurns));
    TRY(transaction.Exec(stop, deadline,
                         "DROP PUBLICATION IF EXISTS " + quoted_ + "; DROP SCHEMA IF EXISTS " +
                             quoted_ + " CASCADE"));
    TRY_ASSIGN(std::vector<std::string> roles, ExistingRoles(stop, deadline, transaction, {name_}));
    if (!roles.empty()) {
      TRY_ASSIGN(Rows database, transaction.QueryOne(stop, deadline, "SELECT current_database()"));
      TRY(transaction.Exec(stop, deadline,
                           "REVOKE ALL ON DATABASE " + QuoteIdentifier(database[0].Text(0)) +
                               " FROM " + quoted_ + "; DROP ROLE " + quoted_));
    }
    return transaction.Commit(stop, deadline);
  }

  Connection& publisher_;
  Connection& subscriber_;
  PublisherAddress address_;
  std::string name_;
  std::string quoted_;
  std::string password_ = RandomHex(24);
};

constexpr const char* kFindProbes = R"(
  SELECT * FROM (
    SELECT 'role' AS kind, rolname::text AS name, oid::text FROM pg_roles
    UNION ALL SELECT 'schema', nspname, oid::text FROM pg_namespace
    UNION ALL SELECT 'publication', pubname, oid::text FROM pg_publication
    UNION ALL SELECT 'subscription', s.subname, s.oid::text
                FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
               WHERE d.datname = current_database()
    UNION ALL SELECT 'slot', slot_name, coalesce(restart_lsn::text, '')
                FROM pg_replication_slots) made
   WHERE name LIKE 'cutover\_probe\_%' ORDER BY kind, name)";

std::string Describe(const Connection& connection) {
  const ConnectOptions& options = connection.options();
  return options.host + ":" + std::to_string(options.port);
}

}  // namespace

std::string ProbeName(std::string_view migration_uid, Direction direction) {
  constexpr size_t kNameBytesMax = 63;
  const std::string of_stream = StreamName(migration_uid, direction);
  return ("cutover_probe" + of_stream.substr(of_stream.find('_'))).substr(0, kNameBytesMax);
}

Status ProbeStream(std::stop_token stop, Deadline deadline, Connection& publisher,
                   Connection& subscriber, const PublisherAddress& publisher_address,
                   std::string_view migration_uid, Direction direction) {
  PublisherAddress address = publisher_address;
  address.database = publisher.options().database;
  Probe probe(publisher, subscriber, std::move(address), ProbeName(migration_uid, direction));
  const std::string doing = std::string(Name(direction)) + " replication from " +
                            Describe(publisher) + " to " + Describe(subscriber);
  Status tried = probe.CleanUp(stop, deadline);
  if (tried) tried = probe.Try(stop, deadline);
  // Not bound by the caller's stop or deadline: what was made must go.
  Status cleaned = probe.CleanUp({}, Deadline::After(kCleaningMax));
  if (!cleaned && !tried)
    LogWarn("what a probe has made is removed by the next one",
            {{"name", ProbeName(migration_uid, direction)}, {"why", cleaned.error().message}});
  if (!tried) return tl::unexpected(WithContext(std::move(tried).error(), doing));
  if (!cleaned) return tl::unexpected(WithContext(std::move(cleaned).error(), doing));
  return Ok();
}

Result<std::vector<ProbeTrace>> FindProbes(std::stop_token stop, Deadline deadline,
                                           Connection& connection) {
  TRY_ASSIGN(Rows rows, connection.Query(stop, deadline, kFindProbes));
  std::vector<ProbeTrace> traces;
  for (Row row : rows) traces.push_back({row.Text(0), row.Text(1), row.Text(2)});
  return traces;
}

Status RemoveProbe(std::stop_token stop, Deadline deadline, Connection& connection,
                   const std::string& name) {
  return Probe(connection, connection, {}, name).CleanUp(stop, deadline);
}

}  // namespace cutover::pg
