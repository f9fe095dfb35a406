// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "operator/base/clock.h"
#include "postgres/access.h"
#include "postgres/connection.h"
#include "postgres/sqlstate.h"

namespace cutover::sim {

/// Rows, told apart by their numbers: what has been written twice, or by nobody, is seen.
class RowSet {
 public:
  RowSet() = default;
  /// Those numbered from 0 to `count` - 1.
  static RowSet First(int64_t count);

  /// False when it is there already.
  bool Insert(int64_t row);
  void RemoveLast();
  bool Contains(int64_t row) const;
  /// Whether everything of `other` is here, too.
  bool Includes(const RowSet& other) const;
  int64_t size() const;

  friend bool operator==(const RowSet&, const RowSet&) = default;

 private:
  std::vector<uint64_t> bits_;  // The last one is never 0.
};

/// What a tenant has in a database, as far as a copy must carry it.
struct Content {
  RowSet rows{};
  int64_t tables = 0;
  int64_t structure = 1;   ///< Another number after each DDL.
  int64_t rewritings = 0;  ///< Of rows, by ALTER TABLE: no stream carries them.
  std::map<std::string, std::pair<int64_t, bool>> sequences{};  ///< In schema public.

  friend bool operator==(const Content&, const Content&) = default;
};

/// Row of cutover.control, its columns as text.
struct ControlRow {
  std::string migration_uid;
  int64_t epoch = 0;
  std::string side, state;
  WallTime changed_at;
};

/// A published change, as it stands in the write-ahead log: each knows the one before it, so that a
/// log costs nothing to copy.
struct LogEntry {
  enum class Kind { kRow, kMarker, kHeartbeat };
  int64_t position = 0;
  Kind kind = Kind::kRow;
  int64_t number = 0;    ///< Of a row or a marker.
  std::string side{};    ///< Of a marker or a heartbeat.
  WallTime at{};         ///< When it was written,
  WallTime beaten_at{};  ///< and by its server's clock, what a heartbeat says.
  std::string origin{};  ///< "pg_<oid>" of the subscription that it came by; empty: written here.
  std::shared_ptr<const LogEntry> before{};
};

/// What CREATE SUBSCRIPTION says, and how far it has come.
struct Subscription {
  int64_t oid = 0;
  bool enabled = false;
  bool only_local = false;  ///< origin = none: what came to the publisher by a stream is not sent.
  std::string host{}, database{}, user{}, password{}, slot{}, publication{};
  int port = 0;
  int64_t progress = 0;      ///< Of its replication origin: everything up to there is applied.
  int64_t apply_errors = 0;  ///< Past 0 it is stuck at the change behind `progress`.
};

/// The connection limit of a database whose DROP was cut short.
inline constexpr int kHalfDropped = -2;

struct DatabaseState {
  pg::DatabaseAccess access{};
  std::string comment{};
  Content content{};
  std::shared_ptr<const LogEntry> log{};
  std::set<std::string> publications{};
  std::map<std::string, Subscription> subscriptions{};
  bool has_stream_tables = false;                ///< cutover.heartbeat and cutover.marker,
  std::map<std::string, WallTime> heartbeats{};  ///< by side,
  std::map<std::string, int64_t> markers{};      ///< by side.
  std::map<std::string, bool> probes{};  ///< A probe's schema, and whether its row is there.
  bool has_schema = false;               ///< cutover.control and cutover.ledger are there.
  std::optional<ControlRow> control{};
  std::map<std::pair<std::string, std::string>, std::string> ledger{};  ///< (kind, name) → JSON.
  /// cutover.result: (migration, attempt, kind) → JSON.
  std::map<std::tuple<std::string, std::string, std::string>, std::string> results{};
  std::set<std::string> prepared_transactions{};
};

struct RoleState {
  bool superuser = false;
  bool login = true;
  std::string password{};
  std::string comment{};
  std::set<std::string> groups{};
};

/// A logical replication slot. Its position is what a checkpoint has last put on disk, after a
/// crash.
struct Slot {
  std::string database{};
  int64_t position = 0;
  int64_t durable_position = 0;
  bool lost = false;
};

/// What one server holds. Cheap to copy: databases are shared until they are edited.
struct ServerState {
  std::map<std::string, std::shared_ptr<DatabaseState>> databases;
  std::map<std::string, RoleState> roles;
  std::map<std::string, Slot> slots;
  int64_t oids = 20'000;
  int64_t timeline = 1;

  const DatabaseState* Find(const std::string& name) const;
  /// For change; nullptr when there is none.
  DatabaseState* Edit(const std::string& name);
  /// Whether the role could open a session, but for the connection limit.
  bool MayConnect(const std::string& role, const std::string& database) const;
  bool ActsAs(const std::string& role, const std::string& other) const;
};

inline int64_t EndOfLog(const DatabaseState& database) {
  return database.log ? database.log->position : 0;
}
/// Appends to the log.
void Log(DatabaseState& database, LogEntry entry);
/// Writes one row, as a user does, or the apply worker of the subscription `origin`. False when it
/// is there already.
bool WriteRow(DatabaseState& database, int64_t row, WallTime now, const std::string& origin = "");

/// What anybody has in a database that is created by CREATE DATABASE … OWNER.
pg::DatabaseAccess DefaultAccess(const std::string& owner);

/// What every comparison of changed rows leaves out: a table of which the model has no rows.
inline constexpr char kNotCompared[] = "public.log: 3 changes were not compared: it has no key";

using Redo = std::function<void(ServerState&)>;

/// A backend.
struct Backend {
  int pid = 0;
  std::string database, user, application;
  bool alive = true;
  bool in_transaction = false;
  bool failed = false;         ///< The transaction can only be rolled back.
  bool bounded = false;        ///< The server ends the transaction once its client is silent.
  bool late = false;           ///< Its statement arrives after what its client did not see (Late).
  std::string acting_as;       ///< SET LOCAL ROLE.
  int64_t affected = 0;        ///< Rows that its last INSERT touched, where anybody asks.
  std::string_view statement;  ///< That runs.
  std::string changed_by;      ///< The beginning of the last statement that changed something.
  std::vector<Redo> redo;      ///< What the transaction will have done.
  ServerState working;         ///< The state as the transaction sees it,
  int64_t working_of = -1;     ///< made of that version of the server's.
};

/// Thrown by OnCommit out of a statement that is in no transaction: it is on its way still, other
/// things have happened, and it is judged by what it finds when it arrives.
struct Late {};

/// What stands between a commit and its answer. Calls `apply` once or not at all; true when the
/// client hears of it. Throws where the client dies, and Late.
using OnCommit = std::function<bool(const Backend&, const std::function<void()>& apply)>;

/// A PostgreSQL server: roles, databases with their access, sessions, transactions that see their
/// own changes and are atomic, the lock on the control row, and the operator's tables in schema
/// cutover. Not thread-safe.
class ModelServer {
 public:
  ModelServer(std::string name, int version_number, const Clock& clock)
      : name_(std::move(name)), version_number_(version_number), clock_(clock) {}

  /// A session, or what the server says when it refuses.
  tl::expected<Backend*, pg::ServerError> Connect(const std::string& user,
                                                  const std::string& password,
                                                  const std::string& database,
                                                  const std::string& application);
  /// Ends a session; what it has not committed is undone.
  void End(int pid);
  Backend* Find(int pid);

  /// No client has been heard of for long: those transactions end that are to end then. What was
  /// sent outside of one has not arrived, and holds no lock.
  void EndSilentTransactions();

  /// Every session ends, and none begins until Start().
  void Crash();
  void Start() { up_ = true; }
  bool up() const { return up_; }

  void Begin(Backend& backend);
  /// False when the answer is lost; the session is over then.
  bool Commit(Backend& backend);
  void Rollback(Backend& backend);

  /// What a statement of this session sees.
  const ServerState& Seen(Backend& backend);
  /// Changes the state: with the transaction, or at once. False when the answer is lost.
  bool Change(Backend& backend, Redo redo);
  /// Changes it at once, also within a transaction: slots know none. False when the answer is lost.
  bool ChangeAtOnce(Backend& backend, const Redo& redo);
  /// Takes the lock `name` until the transaction ends, or, when it is named "session/…", until the
  /// session does; false when somebody else has it.
  bool Lock(Backend& backend, const std::string& name);
  /// The session that has the lock; nothing when none does.
  std::optional<int> HolderOf(const std::string& lock) const;

  /// For how long the last comparison with this target was to take.
  std::chrono::milliseconds compare_budget{0};

  const ServerState& state() const { return state_; }
  /// For the world outside of the operator: users, the mover, people.
  void Edit(const Redo& change);
  const std::map<int, Backend>& backends() const { return backends_; }
  int CountSessions(const std::string& database) const;
  const std::string& name() const { return name_; }
  int version_number() const { return version_number_; }
  const Clock& clock() const { return clock_; }
  /// What its own clock says.
  WallTime WallNow() const { return clock_.WallNow() + clock_ahead; }

  OnCommit on_commit;
  std::chrono::seconds clock_ahead{0};
  /// False: the apply workers of its subscriptions wait for a lock that somebody holds.
  bool applies = true;
  /// Of the log, with what others on the server write beside each change of the tenant's.
  int64_t bytes_per_change = 100;
  /// Answers of `SELECT …` that the tenant's own checks ask; by the statement.
  std::map<std::string, std::string> check_answers;

 private:
  bool CommitNow(Backend& backend, const std::function<void()>& apply);
  void Unlock(int pid, bool with_session_locks);

  const std::string name_;
  const int version_number_;
  const Clock& clock_;
  ServerState state_;
  int64_t version_ = 0;
  std::map<int, Backend> backends_;
  std::map<std::string, int> locks_;
  int pids_ = 100;
  bool up_ = true;
};

class ModelPooler;

/// The servers that a thread's pg::Connection::Open() finds, and the poolers of its pg::Poolers, by
/// host and port, as long as this lives.
class ModelNetwork {
 public:
  ModelNetwork();
  ~ModelNetwork();
  ModelNetwork(const ModelNetwork&) = delete;
  ModelNetwork& operator=(const ModelNetwork&) = delete;

  void Add(const std::string& host, int port, ModelServer& server);
  void Add(const std::string& host, int port, ModelPooler& pooler);
  /// Nothing listens there any more.
  void Remove(const std::string& host, int port);
  /// Null when nothing listens there.
  static ModelServer* Find(const std::string& host, int port);
  static ModelPooler* FindPooler(const std::string& host, int port);

 private:
  std::map<std::pair<std::string, int>, ModelServer*> servers_;
  std::map<std::pair<std::string, int>, ModelPooler*> poolers_;
  ModelNetwork* const outer_;
};

// --- statements ---------------------------------------------------------------------------------

using Cell = std::optional<std::string>;
using Table = std::vector<std::vector<Cell>>;

/// Runs one statement of the operator's, or several without parameters. The statements are known by
/// what is characteristic of their text; one that is not known aborts, since a model that guesses
/// proves nothing.
tl::expected<Table, pg::ServerError> RunStatement(ModelServer& server, Backend& backend,
                                                  const std::string& sql,
                                                  const std::vector<Cell>& params);

}  // namespace cutover::sim
